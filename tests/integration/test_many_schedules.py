"""Schedules of many projects: made by one command, and spread over their interval."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest
from temporalio.testing import WorkflowEnvironment

from commands.schedule import _create, offset
from hosting.dev_server import binary
from railmend.settings import ConfigurationError
from workflows.shared.plugin import railmend_plugin
from workflows.shared.search_attributes import REGISTRY

pytestmark = pytest.mark.integration
PROJECT = """
[[projects]]
name = "shop-{0}"
project_id = "{0}"
environment_id = "environment-{0}"
"""
TEN_MINUTES = timedelta(minutes=10)


def test_a_thousand_projects_do_not_begin_at_once() -> None:
    starts = Counter(offset(str(uuid5(NAMESPACE_URL, str(n))), TEN_MINUTES) for n in range(1000))
    assert max(starts.values()) <= 10
    assert all(timedelta(0) <= start < TEN_MINUTES for start in starts)
    minutes = Counter(start // timedelta(minutes=1) for start in starts.elements())
    assert min(minutes.values()) > 50


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("RAILWAY_PROJECT_ID", "RAILWAY_ENVIRONMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "railmend.toml").write_text("".join(PROJECT.format(number) for number in range(25)))
    return tmp_path


async def test_one_command_makes_the_schedule_of_every_project_and_changes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary()), plugins=[railmend_plugin()], search_attributes=REGISTRY
    ) as server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.client.service_client.config.target_host)

        ids = {each["id"] for each in await _create("10m", None, everywhere=True)}
        assert ids == {f"scan/environment-{number}" for number in range(25)}
        assert {each["id"] for each in await _create("1h", None, everywhere=True)} == ids
        found = [await server.client.get_schedule_handle(name).describe() for name in ids]
        intervals = [each for schedule in found for each in schedule.schedule.spec.intervals]
        assert {each.every for each in intervals} == {timedelta(hours=1)}
        assert len({each.offset for each in intervals}) > 20


async def test_all_projects_and_one_of_them_are_not_asked_for_together(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="--all"):
        await _create("10m", "shop-1", everywhere=True)
