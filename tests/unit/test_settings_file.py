"""Wrong settings are told all at once, with file and line, and without the values of secrets."""

from pathlib import Path

import pytest

from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings, positions

WRONG = """modle = "x"
railmend_step_seconds = 0

[[projects]]
name = "shop"
project_id = "p"
environment_id = "e1"
autonomy = "all"
token_env = "SHOP_TOKEN"

[[projects]]
name = "shop"
project_id = "p"
environment_id = "e2"
token = "rw_secret_value"

[projects.services.web]
autonomie = "plan"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("RAILWAY_PROJECT_ID", "RAILWAY_ENVIRONMENT_ID", "RAILWAY_TOKEN", "SHOP_TOKEN", "MODEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def told() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


def test_everything_wrong_is_named_at_once_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "railmend.toml").write_text(WRONG)
    monkeypatch.setenv("RAILMEND_DISK_MIB", "plenty")
    said = told().splitlines()
    for start in (
        "railmend.toml:1: 'modle' is not a setting. Did you mean 'model'?",
        "railmend.toml:2: railmend_step_seconds: Input should be greater than or equal to 1 (given: 0)",
        "railmend.toml:8: projects.autonomy: Input should be 'report', 'plan', 'draft' or 'pull_request'",
        "railmend.toml:12: projects.name: 'shop' is already in line 5.",
        "railmend.toml:15: projects.token: there is no such setting here",
        "railmend.toml:18: projects.services.web.autonomie: there is no such setting here",
        "environment: RAILMEND_DISK_MIB: Input should be a valid integer",
    ):
        assert any(line.startswith(start) for line in said), start
    assert len(said) == 7


def test_a_token_in_the_wrong_place_is_not_shown(folder: Path) -> None:
    (folder / "railmend.toml").write_text(WRONG)
    assert "rw_secret_value" not in told()


def test_two_projects_with_one_name_are_told_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAILWAY_TOKEN", "t")
    table = '[[projects]]\nname = "a"\nproject_id = "p"\nenvironment_id = "e{}"\n'
    (folder / "railmend.toml").write_text(table.format(1) + table.format(2))
    assert told().splitlines() == [
        "railmend.toml:6: projects.name: 'a' is already in line 2. Each project needs its own."
    ]


def test_a_file_that_is_no_toml_is_told_with_its_place(folder: Path) -> None:
    (folder / "railmend.toml").write_text("model = \n")
    assert "railmend.toml: Invalid value (at line 1" in told()


def test_positions_of_nested_tables() -> None:
    found = positions('[a.b]\nc = 1\n[[x]]\n[x.y]\nz = 1\n[[x]]\n"q" = 2\n[x.y]\nz = 3\n')
    assert found["a", "b", "c"] == 2
    assert found["x", 0, "y", "z"] == 5
    assert found["x", 1, "q"] == 7
    assert found["x", 1, "y", "z"] == 9


def test_a_slip_in_the_env_file_is_named_with_its_line_and_other_programs_names_are_left_alone(
    folder: Path,
) -> None:
    (folder / ".env").write_text(
        "# tokens\nRAILWAY_TOKN=rw_secret_value\nexport RAILMEND_COLOUR=red\nRAILMEND_DISK_MIB=plenty\n"
        "TEMPORAL_CODEC_ENDPOINT=http://localhost:8081\nOPENAI_API_KEY=x\nOTEL_SERVICE_NAME=x\nMODEL=a/b\n"
        "MODEL_API_KEY_FILE=key\n"
    )
    (folder / "key").write_text("k")
    assert told().splitlines() == [
        ".env:4: RAILMEND_DISK_MIB: Input should be a valid integer, unable to parse string as an integer "
        "(given: 'plenty')",
        ".env:2: RAILWAY_TOKN is not a setting. Did you mean RAILWAY_TOKEN?",
        ".env:3: RAILMEND_COLOUR is not a setting. All are listed in docs/settings.md.",
    ]


@pytest.mark.parametrize(
    ("text", "mode", "refused"),
    [
        ("RAILWAY_TOKEN=t\n", 0o644, True),
        ("RAILWAY_TOKEN=t\n", 0o640, True),
        ("RAILWAY_TOKEN=t\n", 0o600, False),
        ("NOTIFY_SLACK_URL=https://hooks.example/secret\n", 0o604, True),
        ("ANTHROPIC_API_KEY=k\n", 0o644, True),
        ("MODEL=openai/gpt-4o\nRAILWAY_TOKEN_FILE=token\nGITHUB_TOKEN=\n", 0o644, False),
    ],
)
def test_an_env_file_whose_secrets_others_can_read_is_refused_with_the_next_step(
    folder: Path, text: str, mode: int, refused: bool
) -> None:
    (folder / "token").write_text("t")
    (folder / ".env").write_text(text)
    (folder / ".env").chmod(mode)
    if not refused:
        load_settings()
        return
    with pytest.raises(ConfigurationError, match=f"mode {mode:03o}.*chmod 600 .env") as error:
        load_settings()
    assert "secret" not in str(error.value)
