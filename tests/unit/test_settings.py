"""Settings from the environment and railmend.toml: what is wrong is named, with the next step."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from commands.scan_request import choose_project, scan_request
from hosting import clients
from railmend.contracts.autonomy import Autonomy
from railmend.settings import ConfigurationError, Settings

TWO = """
model = "openai/gpt-5"

[railway_limits]
sharers = 2

[[projects]]
name = "shop"
project_id = "p1"
environment_id = "e1"
token_env = "SHOP_TOKEN"
autonomy = "draft"

[[projects]]
name = "blog"
project_id = "p2"
environment_id = "e2"
token_env = "BLOG_TOKEN"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("RAILWAY_PROJECT_ID", "RAILWAY_ENVIRONMENT_ID", "RAILWAY_TOKEN", "MODEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "railmend.toml").write_text(text)


def test_projects_come_from_the_file_and_their_tokens_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, TWO)
    (folder / ".env").write_text("BLOG_TOKEN=from-dotenv\n")
    monkeypatch.setenv("SHOP_TOKEN", "from-environment")
    settings = Settings()
    shop, blog = settings.watched()
    assert [settings.token_of(one).get_secret_value() for one in (shop, blog)] == [  # type: ignore[union-attr]
        "from-environment",
        "from-dotenv",
    ]
    assert settings.railway_limits.sharers == 2
    assert scan_request(settings, project="shop").autonomy is Autonomy.DRAFT
    assert scan_request(settings, Autonomy.REPORT, project="blog").environment_id == "e2"


def test_the_environment_wins_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, TWO)
    monkeypatch.setenv("MODEL", "anthropic/other")
    assert Settings().model == "anthropic/other"


def test_without_a_file_the_environment_names_the_one_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAILWAY_PROJECT_ID", "p")
    monkeypatch.setenv("RAILWAY_ENVIRONMENT_ID", "e")
    (only,) = Settings().watched()
    assert (only.name, only.environment_id, only.token_env) == ("default", "e", "RAILWAY_TOKEN")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nmodle = 'x'\n", r"railmend.toml:2: 'modle' is no setting. Is 'model' meant"),
        (
            "model = 'x'\ngithub_token = 'abc'\n",
            "toml:2: 'github_token' is a secret: set GITHUB_TOKEN",
        ),
        ("model = \n", "railmend.toml: Invalid value"),
    ],
)
def test_a_bad_name_in_the_file_is_told_with_its_line(folder: Path, text: str, said: str) -> None:
    write(folder, text)
    with pytest.raises(ConfigurationError, match=said):
        Settings()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('name = "blog"', 'name = "shop"'), "projects: name shop stands there more than once"),
        (('environment_id = "e2"', 'environment_id = "e1"'), "environment_id e1 stands there more than once"),
        (('autonomy = "draft"', 'autonomy = "all"'), "projects.0.autonomy"),
        (('autonomy = "draft"', 'autonomie = "draft"'), "projects.0.autonomie"),
    ],
)
def test_a_bad_project_is_refused(folder: Path, change: tuple[str, str], said: str) -> None:
    write(folder, TWO.replace(*change))
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert said in str(caught.value)


def test_a_named_file_that_is_not_there_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAILMEND_CONFIG", "other.toml")
    with pytest.raises(ConfigurationError, match=r"RAILMEND_CONFIG=other.toml is not a file"):
        Settings()


def test_which_project_must_be_said_where_there_are_several(folder: Path) -> None:
    write(folder, TWO)
    with pytest.raises(ConfigurationError, match=r"--project one of the projects of .*: shop, blog"):
        choose_project(Settings(), None)
    with pytest.raises(ConfigurationError, match="--project cart is not among the projects"):
        choose_project(Settings(), "cart")


def test_every_missing_token_is_named_at_once(folder: Path) -> None:
    write(folder, TWO)
    with pytest.raises(ConfigurationError, match=r"SHOP_TOKEN \(project shop\), BLOG_TOKEN \(project blog\)"):
        clients.railway(Settings())
