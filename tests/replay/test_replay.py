"""Recorded histories must replay: runs that are under way continue after an upgrade."""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from hosting.workers import WORKFLOWS
from workflows.shared.plugin import railmend_plugin

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, plugins=[railmend_plugin()])


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(file.stem, file.read_text()))


def test_every_workflow_has_a_history() -> None:
    recorded = " ".join(file.read_text() for file in HISTORIES)
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
    file = next(file for file in HISTORIES if file.stem == "repository_repair")
    history = json.loads(file.read_text())
    swap_activities(history, "prepare_workspace", "prepare_checks")
    with pytest.raises(NondeterminismError, match="prepare_checks"):
        await replayer().replay_workflow(WorkflowHistory.from_json("altered", history))
