"""Recorded histories must replay: runs that are under way continue after an upgrade."""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from hosting.workers import WORKFLOWS
from tests.replay import freeze
from tests.replay.freeze import HISTORIES
from workflows.shared.plugin import railmend_plugin

RECORDED = sorted(HISTORIES.glob("*/*.json"))


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, plugins=[railmend_plugin()])


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: f"{file.stem} of {file.parent.name}")
async def test_a_recorded_history_replays(file: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(file.stem, file.read_text()))


def test_every_workflow_has_a_history() -> None:
    recorded = " ".join(file.read_text() for file in RECORDED)
    missing = [
        w.__name__ for w in WORKFLOWS if f'"workflowType": {{\n     "name": "{w.__name__}"' not in recorded
    ]
    assert missing == []


def swap_activities(history: dict[str, Any], first: str, second: str) -> None:
    """Exchange the first commands of two activities, as if the workflow had given them in the other order."""
    scheduled = [
        event["activityTaskScheduledEventAttributes"]
        for event in history["events"]
        if "activityTaskScheduledEventAttributes" in event
    ]
    earlier, later = (
        next(command for command in scheduled if command["activityType"]["name"] == name)
        for name in (first, second)
    )
    for field in earlier.keys() - {"activityId", "workflowTaskCompletedEventId"}:
        earlier[field], later[field] = later[field], earlier[field]


async def test_another_order_of_commands_is_noticed() -> None:
    file = next(file for file in RECORDED if file.stem == "repository_repair")
    history = json.loads(file.read_text())
    swap_activities(history, "prepare_workspace", "prepare_checks")
    with pytest.raises(NondeterminismError, match="prepare_checks"):
        await replayer().replay_workflow(WorkflowHistory.from_json("altered", history))


def test_no_file_of_a_release_has_changed() -> None:
    assert freeze.released() == freeze.frozen()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release to come, of one history and one golden file."""
    for name, value in (("HISTORIES", "histories"), ("GOLDEN", "golden"), ("FROZEN", "frozen.sha256")):
        monkeypatch.setattr(freeze, name, tmp_path / value)
    monkeypatch.setattr(freeze, "HERE", tmp_path)
    prepare(tmp_path)
    return tmp_path


def prepare(folder: Path) -> None:
    for name in ("histories/next/ledger.json", "golden/next.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


def test_what_a_release_left_is_frozen_once_and_never_overwritten(folder: Path) -> None:
    assert freeze.freeze("0.1.0") == ""
    assert sorted(freeze.frozen()) == ["golden/0.1.0.json", "histories/0.1.0/ledger.json"]
    prepare(folder)
    assert "frozen already" in freeze.freeze("0.1.0")
    (folder / "histories" / "0.1.0" / "ledger.json").write_text("[]")
    assert "was changed" in freeze.freeze("0.2.0")
    assert (folder / "histories" / "next").exists()
