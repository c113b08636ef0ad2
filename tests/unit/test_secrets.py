"""Secrets from variables and from files: one of both, and never in a message."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from railmend.settings import ConfigurationError, Settings, secret_variables


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in secret_variables():
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def revealed(settings: Settings) -> str | None:
    return settings.github_token.get_secret_value() if settings.github_token else None


def test_a_secret_comes_from_the_file_that_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "token").write_text("from-file\n")
    monkeypatch.setenv("GITHUB_TOKEN_FILE", str(folder / "token"))
    assert revealed(Settings()) == "from-file"


def test_the_token_of_a_project_may_be_a_file_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "token").write_text("of-shop")
    monkeypatch.setenv("SHOP_TOKEN_FILE", str(folder / "token"))
    shop = {"name": "shop", "project_id": "p", "environment_id": "e", "token_env": "SHOP_TOKEN"}
    monkeypatch.setenv("PROJECTS", json.dumps([shop]))
    settings = Settings()
    token = settings.token_of(settings.watched()[0])
    assert token is not None
    assert token.get_secret_value() == "of-shop"


def test_a_secret_given_twice_is_refused_without_being_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "token").write_text("hidden-file")
    (folder / ".env").write_text("GITHUB_TOKEN=hidden-value\n")
    monkeypatch.setenv("GITHUB_TOKEN_FILE", str(folder / "token"))
    with pytest.raises(ConfigurationError, match="GITHUB_TOKEN and GITHUB_TOKEN_FILE") as refused:
        Settings()
    assert "hidden" not in str(refused.value)


def test_every_file_that_cannot_be_read_is_named_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "empty").write_text("\n")
    monkeypatch.setenv("GITHUB_TOKEN_FILE", str(folder / "missing"))
    monkeypatch.setenv("MODEL_API_KEY_FILE", str(folder / "empty"))
    with pytest.raises(ConfigurationError, match=r"(?s)GITHUB_TOKEN_FILE.*MODEL_API_KEY_FILE|MODEL.*GITHUB"):
        Settings()


def test_an_empty_variable_hides_the_one_of_the_env_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("GITHUB_TOKEN=somebodys\n")
    assert revealed(Settings()) == "somebodys"
    monkeypatch.setenv("GITHUB_TOKEN", "")
    assert revealed(Settings()) is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TEMPORAL_TLS": "false", "TEMPORAL_API_KEY": "k"}, "unencrypted"),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "/c"}, "together"),
        ({"NOTIFY_WEBHOOK_URL": "https://x"}, "NOTIFY_WEBHOOK_SECRET"),
        ({"RAILMEND_CODEC_ORIGINS": '["*"]'}, "not an origin"),
        ({"RAILMEND_HEALTH_ADDRESS": "8080"}, "pattern"),
        ({"SLOTS": '{"sessions": 0}'}, "greater than or equal to 1"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_TOKEN", "hidden-value")
    with pytest.raises(ValidationError, match=message) as refused:
        Settings()
    assert "hidden-value" not in str(refused.value)
