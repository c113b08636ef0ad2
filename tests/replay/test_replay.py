"""Recorded histories must replay: runs that are under way continue after an upgrade."""

from pathlib import Path

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


async def test_another_order_of_commands_is_noticed() -> None:
    file = next(file for file in HISTORIES if file.stem == "repository_repair")
    text = file.read_text().replace('"run_session"', '"review_change_first"')
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json("altered", text))
