"""Settings from the environment and railmend.toml: what is wrong is named, with the next step."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from commands.scan_request import choose_project, scan_request
from commands.what_it_means import what_it_means
from hosting import clients
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.base import stored
from railmend.contracts.scan import ScanRequest
from railmend.current_settings import CurrentSettings
from railmend.railway.errors import NotWatched
from railmend.scan_settings import scan_settings
from railmend.settings import ConfigurationError, Settings
from railmend.settings_file import load_settings

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
    assert scan_request(settings, project="blog").environment_id == "e2"


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
        ("\nmodle = 'x'\n", r"railmend.toml:2: 'modle' is not a setting. Did you mean 'model'"),
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
        (('name = "blog"', 'name = "shop"'), "projects: name shop is there more than once"),
        (('environment_id = "e2"', 'environment_id = "e1"'), "environment_id e1 is there more than once"),
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


def test_every_missing_token_is_named_at_once_where_no_project_has_one(folder: Path) -> None:
    write(folder, TWO)
    with pytest.raises(ConfigurationError) as caught:
        clients.railway(Settings())
    assert [line.split(" is not set.")[0] for line in str(caught.value).splitlines()] == [
        "Project shop: SHOP_TOKEN",
        "Project blog: BLOG_TOKEN",
    ]


def test_a_project_without_a_token_is_the_only_one_that_lacks_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, TWO)
    monkeypatch.setenv("SHOP_TOKEN", "t")
    monkeypatch.setenv("BLOG_TOKEN_FILE", "/nowhere/token")
    shop, blog = clients.watched(Settings())
    assert (shop.token is not None, shop.no_token) == (True, "")
    assert blog.token is None
    assert "BLOG_TOKEN_FILE=/nowhere/token cannot be read" in blog.no_token


REQUEST = ScanRequest(project_id="p1", environment_id="e1")


def test_a_scan_goes_as_far_as_the_settings_say_when_it_begins(folder: Path) -> None:
    write(folder, TWO)
    current = CurrentSettings(load_settings())
    scanned = scan_settings(current.get(), REQUEST)
    assert (scanned.autonomy, scanned.window_seconds) == (Autonomy.DRAFT, 180 * 60)
    assert scanned.policy.budget.day.usd == 25
    write(folder, TWO.replace('"draft"', '"plan"') + "[projects.services.pay]\nautonomy = 'report'\n")
    (folder / ".env").write_text('RAILMEND_WINDOW_SECONDS=600\nBUDGET=\'{"day": {"usd": 1}}\'\n')
    scanned = scan_settings(current.get(), REQUEST)
    assert (scanned.autonomy, scanned.window_seconds) == (Autonomy.PLAN, 600)
    assert scanned.policy.budget.day.usd == 1


def test_an_autonomy_asked_for_once_raises_no_service_that_may_do_less(folder: Path) -> None:
    write(folder, TWO + "[projects.services.pay]\nautonomy = 'plan'\n")
    settings = Settings()
    blog = ScanRequest(project_id="p2", environment_id="e2")
    for once, pay in ((None, "plan"), (Autonomy.PULL_REQUEST, "plan"), (Autonomy.REPORT, "report")):
        scanned = scan_settings(settings, blog.model_copy(update={"autonomy_once": once}))
        assert scanned.autonomy is (once or Autonomy.PULL_REQUEST)
        assert scanned.service_autonomy == {"pay": pay}


def test_without_a_table_the_environment_says_how_far_to_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAILWAY_PROJECT_ID", "p1")
    monkeypatch.setenv("RAILWAY_ENVIRONMENT_ID", "e1")
    assert scan_settings(Settings(), REQUEST).autonomy is Autonomy.PULL_REQUEST
    monkeypatch.setenv("RAILMEND_AUTONOMY", "plan")
    assert scan_settings(Settings(), REQUEST).autonomy is Autonomy.PLAN
    assert what_it_means(Settings(), REQUEST)[0].endswith("(RAILMEND_AUTONOMY = plan).")


def test_a_project_that_is_gone_from_the_settings_is_told_with_the_next_step(folder: Path) -> None:
    write(folder, TWO)
    with pytest.raises(NotWatched, match=r"schedule delete --project e9"):
        scan_settings(Settings(), ScanRequest(project_id="p", environment_id="e9"))


def test_what_an_older_schedule_stored_beside_the_ids_counts_no_more(folder: Path) -> None:
    write(folder, TWO)
    older = {"project_id": "p1", "environment_id": "e1", "autonomy": "pull_request", "window_seconds": 60}
    older |= {"policy": {"budget": {}}, "service_autonomy": {}, "settle_seconds": 1}
    with stored():
        request = ScanRequest.model_validate(older)
    assert scan_settings(Settings(), request) == scan_settings(Settings(), REQUEST)


def test_a_file_that_cannot_be_used_leaves_the_last_good_settings_in_force(folder: Path) -> None:
    write(folder, TWO)
    current = CurrentSettings(load_settings())
    names = current.derive(lambda settings: [project.name for project in settings.watched()])
    assert names() == ["shop", "blog"]
    (folder / "railmend.toml").write_bytes(b"\xff\xfe")
    assert names() == ["shop", "blog"]
    write(folder, TWO + "[[projects]\n")
    with capture_logs() as logs:
        assert names() == names() == ["shop", "blog"]
    assert "railmend.toml" in current.problem
    assert [line["log_level"] for line in logs] == ["error"], "once, not at each use"
    write(folder, TWO.replace('"blog"', '"cart"'))
    assert (names(), current.problem) == (["shop", "cart"], "")


def test_a_token_that_is_replaced_in_its_file_is_read_without_a_restart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, TWO)
    monkeypatch.setenv("SHOP_TOKEN_FILE", str(folder / "token"))
    (folder / "token").write_text("first")
    current = CurrentSettings(load_settings())
    watched = current.derive(clients.watched_environments)
    tokens = []
    for text in ("first", "other"):
        (folder / "token").write_text(text)
        token = watched()[0].token
        tokens.append(token.get_secret_value() if token else None)
    assert tokens == ["first", "other"]
