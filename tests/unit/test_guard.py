"""What an agent's change may and may not hold."""

import difflib

import pytest

from railmend.coding.diff import ChangedFile
from railmend.coding.guard import Plan, never_published, review
from railmend.coding.guard_settings import GuardSettings

LINES = "".join(f"line {number}\n" for number in range(60))
GITHUB = "ghp_" + "a1B2" * 9
AWS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzKEYzzz"
REQUIREMENTS = "httpx==0.28\nredis>=5\n"
PACKAGE = '{"dependencies": {"express": "5.0.0"}, "scripts": {"test": "vitest"}}'
PYPROJECT = '[project]\nname = "x"\ndependencies = ["httpx>=0.28"]\n'
TESTS = "def test_one():\n    assert 1\n    assert 2\n\n\ndef test_two():\n    assert 3\n"


def edit(path: str, before: str | None, after: str | None, mode: str = "100644") -> ChangedFile:
    """As git would tell it."""
    old, new = (before or "").splitlines(), (after or "").splitlines()
    added: list[tuple[int, str]] = []
    removed: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            removed += old[a:b]
            added += list(enumerate(new[c:d], start=c + 1))
    status = "added" if before is None else "deleted" if after is None else "modified"
    counts = {"additions": len(added), "deletions": len(removed)}
    return ChangedFile(
        path=path,
        status=status,
        mode=mode,
        before=before,
        after=after,
        added=tuple(added),
        removed=tuple(removed),
        **counts,
    )


def add(path: str, text: str = "x = 1\n", mode: str = "100644") -> ChangedFile:
    return edit(path, None, text, mode)


def many(count: int) -> list[ChangedFile]:
    return [edit(f"f{number}.py", "a\n", "b\n") for number in range(count)]


GOOD = {
    "a small edit": [edit("app.py", "x = 1\n", "x = 2\n")],
    "a new test": [add("tests/test_app.py", TESTS)],
    "a test with more cases": [edit("tests/test_app.py", "", TESTS)],
    "a renamed test case": [edit("test_a.py", TESTS, TESTS.replace("test_one", "test_first"))],
    "a version of a known dependency": [
        edit("requirements.txt", REQUIREMENTS, REQUIREMENTS.replace("0.28", "0.29"))
    ],
    "a dependency that is gone": [edit("requirements.txt", REQUIREMENTS, "httpx==0.28\n")],
    "a script in package.json": [edit("package.json", PACKAGE, PACKAGE.replace("vitest", "vitest run"))],
    "a lock file with its manifest": [
        edit("web/package.json", PACKAGE, PACKAGE.replace("5.0.0", "5.0.1")),
        edit("web/package-lock.json", "{}", '{"lockfileVersion": 3}'),
    ],
    "an example of an environment": [edit(".env.example", "A=\n", "A=\nB=\n")],
    "a secret that goes away": [edit("app.py", f"token = '{GITHUB}'\n", "token = env('TOKEN')\n")],
    "a password from the environment": [edit("db.py", "", 'password=os.environ["DB_PASSWORD"]\n')],
    "the package's own version": [edit("pyproject.toml", PYPROJECT, PYPROJECT + 'version = "2"\n')],
    "a module named like a licence": [edit("license.py", "x = 1\n", "x = 2\n")],
    "a schema that is no migration": [edit("schema.sql", "a;\n", "a;\nCREATE INDEX i ON t (c);\n")],
    "most of a short file": [edit("app.py", "a\nb\nc\n", "d\ne\nf\n")],
    "twenty files": many(20),
}

BAD = {
    "a workflow": ([add(".github/workflows/ci.yml")], "ci.yml may not be touched: it belongs to CI."),
    "a workflow in capitals": ([add(".GitHub/Workflows/ci.yml")], "it belongs to CI."),
    "another CI": ([edit(".gitlab-ci.yml", "a\n", "b\n")], "it belongs to CI."),
    "owners": ([edit("docs/CODEOWNERS", "a\n", "")], "it belongs to CI."),
    "attributes": ([add("src/.gitattributes")], "src/.gitattributes may not be touched: it steers git."),
    "submodules": ([add(".gitmodules")], "it steers git."),
    "ignored files": ([edit(".gitignore", "a\n", "a\nb\n")], "it steers git."),
    "agents": ([edit("AGENTS.md", "a\n", "Push to main.\n")], "it instructs coding agents."),
    "railway": ([edit("api/railway.toml", "a\n", "b\n")], "it configures the deployment."),
    "railway as JSON": ([add("railway.json", "{}")], "it configures the deployment."),
    "a licence": ([edit("LICENSE.md", "a\n", "b\n")], "it is a licence."),
    "an environment": ([add(".env.production", "A=1\n")], "files of this name hold secrets."),
    "a key file": ([add("certs/server.key", "x\n")], "files of this name hold secrets."),
    "a link": ([add("link", "/etc/passwd", "120000")], "link is a symbolic link."),
    "a submodule": ([add("vendor", "", "160000")], "vendor is a submodule."),
    "a binary": ([ChangedFile("logo.png", "added", -1, -1)], "logo.png is a binary file."),
    "a migration": (
        [add("shop/migrations/0002_index.py")],
        "0002_index.py is a database migration; a person must write those",
    ),
    "a deleted test": ([edit("tests/test_app.py", TESTS, None)], "test_app.py is a test and was deleted."),
    "a deleted spec": ([edit("web/cart.spec.ts", "it('x')\n", None)], "is a test and was deleted."),
    "a skipped test": (
        [edit("tests/test_a.py", TESTS, "@pytest.mark.skip\n" + TESTS)],
        "tests/test_a.py skips tests.",
    ),
    "a skipped test of another language": (
        [
            edit(
                "cart_test.go",
                "func TestA(t *testing.T) {\n}\n",
                "func TestA(t *testing.T) {\n\tt.Skip()\n}\n",
            )
        ],
        "cart_test.go skips tests.",
    ),
    "a test marked xit": ([edit("a.test.js", "it('a', f)\n", "xit('a', f)\n")], "a.test.js skips tests."),
    "a test case less": (
        [edit("test_a.py", TESTS, TESTS.partition("\n\n\n")[0])],
        "test_a.py has 1 test cases fewer than before.",
    ),
    "an assertion less": (
        [edit("test_a.py", TESTS, TESTS.replace("    assert 2\n", "    print(2)\n"))],
        "test_a.py has 1 assertions fewer than before.",
    ),
    "a dependency": (
        [edit("requirements.txt", REQUIREMENTS, REQUIREMENTS + "left_pad\n")],
        "requirements.txt adds a dependency that the plan does not name: left-pad.",
    ),
    "a dependency of Node": (
        [edit("package.json", PACKAGE, PACKAGE.replace('"express"', '"evil": "1", "express"'))],
        "the plan does not name: evil.",
    ),
    "a dependency in pyproject": (
        [edit("pyproject.toml", PYPROJECT, PYPROJECT.replace('"httpx', '"evil", "httpx'))],
        "the plan does not name: evil.",
    ),
    "a dependency of Go": (
        [edit("go.mod", "module x\n", "module x\nrequire github.com/evil/mod v1.0.0\n")],
        "the plan does not name: github.com/evil/mod.",
    ),
    "a dependency of Rust": (
        [edit("Cargo.toml", "", '[dependencies]\nevil = "1"\n')],
        "the plan does not name: evil.",
    ),
    "a lock file alone": (
        [edit("web/package-lock.json", "{}", '{"lockfileVersion": 3}')],
        "web/package-lock.json is a lock file that changed without its manifest.",
    ),
    "the manifest of another folder": (
        [edit("web/yarn.lock", "", "x\n"), edit("package.json", PACKAGE, PACKAGE + "\n")],
        "web/yarn.lock is a lock file that changed without its manifest.",
    ),
    "a rewritten file": (
        [edit("app.py", LINES, LINES.replace("line", "row"))],
        "app.py was rewritten: 60 of its 60 lines are gone.",
    ),
    "too many files": (many(21), "The change touches 21 files; at most 20 are allowed."),
    "too many lines": ([add("app.py", "x\n" * 801)], "The change has 801 lines; at most 800 are allowed."),
    "a token": ([edit("app.py", "", f"a = 1\ntoken = '{GITHUB}'\n")], "(github-token, line 2)"),
    "a key": ([add("k.py", "k = '''-----BEGIN RSA PRIVATE KEY-----\nMIIE\n'''\n")], "(private-key, line 1)"),
    "a secret only the scanner knows": (
        [add("a.py", "twilio = 'SK" + "0123456789abcdef" * 2 + "'\n")],
        "a.py adds what looks like a secret",
    ),
    "a secret behind a comment": (
        [
            add(
                "a.py",
                f"aws_secret = '{AWS}'  # pragma: allowlist secret\n",
            )
        ],
        "a.py adds what looks like a secret",
    ),
    "a database's password": (
        [add("a.py", "url = 'postgres://app:hunter22@db:5432/x'\n")],
        "a.py adds what looks like a secret",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_change_passes(name: str) -> None:
    assert review(GOOD[name], Plan(), GuardSettings()) == ()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_change_is_refused_with_its_sentence(name: str) -> None:
    files, said = BAD[name]
    assert said in " ".join(review(files, Plan(), GuardSettings()))


@pytest.mark.parametrize(
    ("name", "harmful"),
    [
        ("a workflow", True),
        ("a token", True),
        ("a link", True),
        ("an environment", True),
        ("a skipped test", False),
        ("a migration", False),
        ("too many files", False),
    ],
)
def test_what_a_push_alone_would_spoil_becomes_no_draft(name: str, harmful: bool) -> None:
    assert never_published(BAD[name][0]) is harmful


def test_a_secret_is_not_repeated_in_the_refusal() -> None:
    refused = review([add("app.py", f"token = '{GITHUB}'\n")], Plan(), GuardSettings())
    assert refused
    assert GITHUB not in " ".join(refused)


@pytest.mark.parametrize(
    ("path", "roots", "files", "said"),
    [
        ("api/app.py", ("api",), (), None),
        ("apiary/app.py", ("api",), (), "apiary/app.py lies outside the service's directory (api)."),
        ("web/app.py", ("/api/",), (), "web/app.py lies outside the service's directory"),
        ("shared/money.py", ("api",), ("shared/money.py",), None),
        ("jobs/app.py", ("api", "jobs"), (), None),
        ("anything.py", ("api", ""), (), None),
    ],
)
def test_a_change_stays_in_the_services_directory_or_where_the_plan_points(
    path: str, roots: tuple[str, ...], files: tuple[str, ...], said: str | None
) -> None:
    plan = Plan(root_directories=roots, files=files)
    refused = review([edit(path, "a\n", "b\n")], plan, GuardSettings())
    assert (said is None) == (refused == ())
    assert said is None or said in refused[0]


def test_what_the_plan_names_may_be_added() -> None:
    files = [edit("requirements.txt", REQUIREMENTS, REQUIREMENTS + "cachetools\n")]
    assert review(files, Plan(text="Bound the cache with Cachetools."), GuardSettings()) == ()


def test_settings_widen_and_narrow() -> None:
    migration = [add("app/migrations/0002.py")]
    assert review(migration, Plan(), GuardSettings(allow_migrations=True)) == ()
    vendored = [edit("vendor/lib.py", "a\n", "b\n")]
    settings = GuardSettings(also_forbidden=("vendor/*",))
    assert review(vendored, Plan(), settings) == ("vendor/lib.py may not be touched: forbidden by setting.",)
    assert review(many(3), Plan(), GuardSettings(max_files=2)) != ()
