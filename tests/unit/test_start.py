"""How a service is started, from Railway or from its files, and which variables it is given."""

import pytest

from railmend.coding.proof.start import find_start, variables

FILES = {
    "railway.json": ('{"deploy": {"startCommand": "gunicorn app:app"}}', "gunicorn app:app"),
    "railway.toml": ('[deploy]\nstartCommand = "node server.js"\n', "node server.js"),
    "Procfile": ("release: migrate\nweb: bundle exec puma -p $PORT\n", "bundle exec puma -p $PORT"),
    "Dockerfile": (
        'FROM a\nCMD ["first"]\nFROM b\nCMD ["sh", "-c", "exec ./serve --port $PORT"]\n',
        "sh -c 'exec ./serve --port $PORT'",
    ),
    "package.json": ('{"scripts": {"start": "next start"}}', "npm start"),
}
WRONG = {
    "railway.json": ("[1]", "{", '{"deploy": {"startCommand": {}}}'[:20], "[" * 100_000),
    "railway.toml": ("deploy = 3", "[[["),
    "Procfile": ("worker: run",),
    "Dockerfile": ("FROM a\nENTRYPOINT run",),
    "package.json": ("null", '{"scripts": []}', '{"scripts": {"start": ""}}'),
}


@pytest.mark.parametrize("name", FILES)
def test_the_start_command_comes_from_the_first_file_that_has_one(name: str) -> None:
    text, command = FILES[name]
    files = {f"api/{other}": wrong[0] for other, wrong in WRONG.items()} | {f"api/{name}": text}
    found = find_start("api", None, "up", files.get)
    assert found is not None
    assert (found.command, found.directory, found.path, found.healthy) == (command, "api", "/up", True)
    railways = find_start("api", "python app.py", None, files.get)
    assert railways is not None
    assert (railways.command, railways.path, railways.healthy) == ("python app.py", "/", False)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_file_that_says_nothing_starts_nothing(name: str, text: str) -> None:
    assert find_start("", None, None, {name: text}.get) is None


def test_only_what_code_demands_is_given_and_in_its_shape() -> None:
    python = (
        'os.environ["DATABASE_URL"]; os.environ["MODE"] = "x"; os.environ.get("OPTIONAL"); os.environ["PORT"]'
    )
    node = "process.env.STRIPE_SECRET_KEY; process.env.LEVEL || 'info'; process.env.POOL_SIZE ?? 3"
    ruby = 'ENV.fetch("REDIS_URL"); ENV.fetch("COLOUR", "red")'
    assert variables([python, node, ruby]) == {
        "DATABASE_URL": "postgres://railmend@127.0.0.1:5432/railmend",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "STRIPE_SECRET_KEY": "0123456789abcdef" * 4,
    }
