"""What a worker starts with, and what it refuses."""

from unittest.mock import AsyncMock

import pytest

from activities.settings import SettingsActivities
from hosting import clients, preflight
from hosting.workers import Role
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import ScanBeginning
from railmend.settings import ConfigurationError, Settings
from tests import samples

REPORTING = {"railway_project_id": "p", "railway_environment_id": "e"}


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "MODEL", "MODEL_API_KEY", "RAILWAY_SERVICE_ID", "RAILWAY_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAILWAY_TOKEN", "secret")


def settings(**more: str) -> Settings:
    return Settings.model_validate({**REPORTING, **more})


async def test_a_railway_token_alone_starts_a_worker_whose_scans_only_report() -> None:
    start = preflight.start(settings(), ())
    assert start.roles == (Role.ORCHESTRATION,)
    assert "github_token" in start.report_only.lower()
    scan = ScanBeginning(project_id="p", environment_id="e", autonomy_once=Autonomy.PULL_REQUEST)
    scanned = await SettingsActivities(settings, AsyncMock(), report_only=True).read_scan_settings(scan)
    assert scanned.autonomy is Autonomy.REPORT


def test_a_role_that_was_asked_for_is_not_left_out_in_silence() -> None:
    with pytest.raises(ConfigurationError, match="MODEL"):
        preflight.start(settings(), (Role.PLANNING,))


def test_a_worker_without_anything_to_watch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAILWAY_TOKEN")
    with pytest.raises(ConfigurationError, match="RAILWAY_TOKEN"):
        preflight.start(settings(), ())


async def test_a_worker_on_railway_only_reports_services_of_its_own_repository(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A repair of Railmend's own service would end the worker that makes it."""
    monkeypatch.setenv("RAILWAY_GIT_REPO_OWNER", "acme")
    monkeypatch.setenv("RAILWAY_GIT_REPO_NAME", "railmend")
    work = SettingsActivities(settings, AsyncMock(), own_repository=clients.own_repository())
    read = await work.read_scan_settings(ScanBeginning(project_id="p", environment_id="e"))
    own = samples.service("worker").model_copy(update={"repository": "acme/railmend"})
    assert read.autonomy_of(own) is Autonomy.REPORT
    assert read.autonomy_of(samples.service("checkout")) is Autonomy.PULL_REQUEST


def test_a_worker_on_railway_does_not_watch_its_own_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAILWAY_SERVICE_ID", "s")
    monkeypatch.setenv("RAILWAY_PROJECT_ID", "p")
    with pytest.raises(ConfigurationError, match="PROJECTS"):
        clients.watched(settings())
