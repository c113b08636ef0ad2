"""What a newer version stored passes through this one, and a bug waits for the worker that has the fix."""

import asyncio
import json
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.ledger import LedgerActivities
from hosting.workers import WORKFLOWS
from railmend.contracts.base import stored
from railmend.contracts.ledger import ClaimBatch, LedgerState
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import RepairOutcome
from railmend.contracts.review import ReviewView
from tests import samples
from tests.replay.examples import AHEAD, FUTURE, example, from_the_future
from tests.replay.test_stored import within
from tests.workflows.conftest import environment
from tests.workflows.review_stage import MERGED, OPEN, ReviewStage
from tests.workflows.stand_ins import World
from tests.workflows.test_after_pull_request import RepairStage, held_by
from workflows.ledger.ledger import Ledger
from workflows.repair.state import RepairState
from workflows.shared.start import CODING_QUEUE

WORKFLOW_FILES = Path(__file__).parents[2] / "workflows"
QUICK = FollowUp(outcome_seconds=(60,))


@contextmanager
def other_version(folder: Path, **changes: tuple[str, str]) -> Iterator[None]:
    """Workers that start within run other workflow code. `changes`: by file of repair/, what is replaced."""
    shutil.copytree(WORKFLOW_FILES, folder / "workflows", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changes.items():
        file = folder / "workflows" / "repair" / f"{name}.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        shutil.rmtree(folder / "workflows")


def staged(temporal: WorkflowEnvironment, **after: Any) -> RepairStage:
    queue = f"versions-{uuid.uuid4().hex[:8]}"
    world = World(queue=queue, services=(), findings=(), after_pull_request=ReviewStage(**after))
    return RepairStage(temporal.client, world)


@asynccontextmanager
async def worker(on: RepairStage) -> AsyncIterator[None]:
    activities: Any = on.world.orchestration(on.client)
    async with (
        Worker(on.client, task_queue=on.world.queue, workflows=WORKFLOWS, activities=activities),
        Worker(on.client, task_queue=CODING_QUEUE, activities=[on.world.prepare_workspace]),
    ):
        yield


async def task_failure(handle: WorkflowHandle[Any, Any]) -> str:
    """Wait for the first workflow task that fails; return its message."""
    while True:
        for event in (await handle.fetch_history()).events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                return str(event.workflow_task_failed_event_attributes.failure.message)
        await asyncio.sleep(0.05)


async def inputs(handle: WorkflowHandle[Any, Any]) -> list[Any]:
    """Return what each run of a workflow was started with, as it is stored."""
    found, run_id = [], handle.first_execution_run_id
    while run_id:
        run = handle._client.get_workflow_handle(handle.id, run_id=run_id)
        events = (await run.fetch_history()).events
        started = events[0].workflow_execution_started_event_attributes
        parts = [json.loads(payload.data) for payload in started.input.payloads]
        found.append(parts[0] if len(parts) == 1 else whole(parts))
        run_id = events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found


def whole(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The state of a ledger, which travels in several payloads."""
    split = {name: [each for part in parts for each in part[name]] for name in ("entries", "incidents")}
    return parts[0] | split


def newer_state(on: RepairStage, phase: str) -> dict[str, Any]:
    """A repair's state as a newer version stored it: unknown keys and enum values wherever they can be."""
    raw = from_the_future(RepairState, example(RepairState).model_dump(mode="json"))
    raw["phase"] = phase
    raw["request"]["project_id"] = on.project
    raw["request"]["policy"]["follow_up"] |= QUICK.model_dump(mode="json")
    raw["request"]["policy"]["notify"] = False
    raw["workspace"]["task_queue"] = on.world.queue
    raw["fix"] |= {"opened_at": written(datetime.now(UTC)), "measurements": 0}
    raw["fix"] |= dict.fromkeys(("closed_at", "merge", "merged_seen_at", "live_since"))
    return raw


def written(moment: datetime) -> str:
    """As pydantic writes it."""
    return moment.isoformat().replace("+00:00", "Z")


async def start(on: RepairStage, raw: Any) -> WorkflowHandle[Any, Any]:
    return await on.client.start_workflow(
        "RepositoryRepair", raw, id=f"repair/{on.project}", task_queue=on.world.queue
    )


async def test_a_bug_in_a_phase_leaves_the_repair_open_and_a_fixed_worker_ends_it(
    temporal: WorkflowEnvironment, tmp_path: Path
) -> None:
    on = staged(temporal)
    begin = "    fix, policy = state.published, state.policy\n"
    with other_version(tmp_path, review=(begin, "    raise KeyError('a bug')\n" + begin)):
        async with worker(on):
            handle = await on.start(Policy(follow_up=QUICK))
            assert "a bug" in await task_failure(handle)
            assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
            assert [entry.state for entry in (await on.ledger()).entries] == ["open"]
    async with worker(on):
        assert (await handle.result()).outcome is RepairOutcome.HELD
    assert (on.world.calls["open_pull_request"], on.world.calls["delete_workspace"]) == (1, 1)


async def test_a_repair_whose_input_cannot_be_read_waits_and_does_not_fail(
    temporal: WorkflowEnvironment,
) -> None:
    on = staged(temporal)
    async with worker(on):
        handle = await start(on, {"phase": "review"})
        assert "decoding" in await task_failure(handle)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        await handle.terminate()


async def test_a_phase_that_only_a_newer_worker_knows_waits_for_it(
    temporal: WorkflowEnvironment, tmp_path: Path
) -> None:
    on = staged(temporal)
    async with worker(on):
        handle = await start(on, newer_state(on, FUTURE))
        assert FUTURE in await task_failure(handle)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        assert on.world.calls["delete_workspace"] == 0
    known = f"state.phase if state.phase.value == {FUTURE!r} else Phase.REVIEW: review,"
    newer = ("            Phase.REVIEW: review,", f"            {known}")
    with other_version(tmp_path, repository_repair=newer):
        async with worker(on):
            result = await handle.result()
    assert result["outcome"] == RepairOutcome.HELD.value


async def test_a_repair_of_a_newer_version_is_handed_on_by_this_one_with_all_it_holds(
    temporal: WorkflowEnvironment,
) -> None:
    """Through a continue-as-new, and to the end: what this version does not know comes out as it went in."""
    on = staged(temporal, views=[*[OPEN] * 80, MERGED])
    async with worker(on):
        handle = await start(on, newer_state(on, "review"))
        result = await handle.result()
    first, second = await inputs(handle)
    for read_since in ("seen", "moved_at", "looked_state", "looked_head"):
        first["fix"].pop(read_since)
    assert within(first, second)
    assert (result["outcome"], result[FUTURE]) == (RepairOutcome.HELD.value, AHEAD)


async def test_an_answer_of_a_newer_activity_fails_nothing_and_is_kept(temporal: WorkflowEnvironment) -> None:
    merged = from_the_future(ReviewView, MERGED.model_dump(mode="json")) | {"state": "merged"}
    unknown = from_the_future(ReviewView, OPEN.model_dump(mode="json"))
    with stored():
        views = [ReviewView.model_validate(each) for each in (unknown, merged)]
    on = staged(temporal, views=views)
    async with worker(on):
        handle = await on.start(Policy(follow_up=QUICK))
        result = await handle.result()
    assert (result.outcome, len(on.after.polled_at)) == (RepairOutcome.HELD, 2)
    merge = result.model_dump()["merge"]
    assert (merge["method"], merge[FUTURE]) == (FUTURE, AHEAD)


async def test_the_ledger_hands_on_what_a_newer_version_keeps_in_it() -> None:
    """Claims and settlements of this version between; nothing of the spending or of the claims is lost."""
    raw = from_the_future(LedgerState, example(LedgerState).model_dump(mode="json"))
    now = datetime.now(UTC)
    project = raw["project_id"] = f"project-{uuid.uuid4().hex[:8]}"
    raw["entries"][0] |= {"state": "open", "until": written(now + timedelta(days=9))}
    for total in (*raw["days"], *raw["incidents"], raw["total"]):
        total |= {"last": written(now), "usd": 240.0}
    raw["days"][0]["key"] = raw["reservations"][0]["day"] = f"{now:%Y-%m-%d}"
    async with await environment("limit.historyCount.suggestContinueAsNew=30") as temporal:
        on = staged(temporal)
        ledger = LedgerActivities(temporal.client, on.world.queue)
        async with worker(on):
            handle = await temporal.client.start_workflow(
                "Ledger", raw, id=f"ledger/{project}", task_queue=on.world.queue
            )
            for number in range(12):
                claim = held_by(f"repair/{number}", samples.repair())
                mine = claim.model_copy(update={"fingerprints": (f"env/service/{number}",)})
                (answer,) = (await ledger.claim(ClaimBatch(project_id=project, claims=(mine,)))).answers
                assert answer.state == "granted"
            taken = held_by("repair/other", samples.repair()).model_copy(
                update={"fingerprints": (raw["entries"][0]["fingerprint"],)}
            )
            (refused,) = (await ledger.claim(ClaimBatch(project_id=project, claims=(taken,)))).answers
            state = await temporal.client.get_workflow_handle_for(Ledger.run, handle.id).query(Ledger.state)
            runs = await inputs(handle)
    assert (refused.state, refused.holder) == ("held", raw["entries"][0]["holder"])
    assert state.total.usd == 240.0
    assert len(runs) > 1
    assert state.grants == raw.pop("grants") + 12
    assert runs[-1].pop("grants") > 1, "some of them before it was handed on"
    raw_entry, entries = raw.pop("entries")[0], runs[-1].pop("entries")
    assert within(raw, runs[-1])
    assert any(within(raw_entry, entry) for entry in entries)
