"""A run that is reset goes on from what the earlier one left in the world."""

import asyncio
import uuid
from contextlib import nullcontext
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.autonomy import Autonomy
from railmend.contracts.measurement import MeasurementStatus
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import Approval, RepairOutcome
from railmend.contracts.review import ReviewView
from tests import samples
from tests.workflows.review_stage import CLOSED, MERGED, OPEN, ReviewStage, commented
from tests.workflows.story import Stage, row_of, stage
from tests.workflows.test_after_pull_request import until

# The first workflow task's end: from there a run begins anew.
FIRST_TASK = 4
AT_ONCE = Policy(follow_up=FollowUp(reopen_seconds=0))


async def reset(on: Stage, handle: WorkflowHandle[Any, Any]) -> None:
    """As `temporal workflow reset` and the Web UI do."""
    await on.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=on.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=FIRST_TASK,
            reason="tried by hand",
            request_id=uuid.uuid4().hex,
        )
    )


async def newest_run(handle: WorkflowHandle[Any, Any]) -> str | None:
    return (await handle.describe()).run_id


async def ended(on: Stage, handle: WorkflowHandle[Any, Any], run: str | None) -> Any:
    """The result of the newest run, which is not the one that was reset."""
    newest = on.client.get_workflow_handle(handle.id)
    assert (await newest.describe()).run_id != run
    return await on.repair(handle.id)


@pytest.mark.parametrize("autonomy", [Autonomy.PULL_REQUEST, Autonomy.PLAN])
@pytest.mark.parametrize(
    ("at_last", "outcome"),
    [(MERGED, RepairOutcome.HELD), (CLOSED, RepairOutcome.CLOSED)],
    ids=["merged", "closed"],
)
async def test_a_repair_that_is_reset_in_review_is_in_review_again(
    temporal: WorkflowEnvironment, autonomy: Autonomy, at_last: ReviewView, outcome: RepairOutcome
) -> None:
    """No second session, plan or pull request; the note that was answered is not answered again."""
    decided = False

    def view(_: int) -> ReviewView:
        return at_last if decided else commented(7)

    after = ReviewStage(on_poll=view)
    async with stage(temporal, samples.service("checkout"), after_pull_request=after) as on:
        asked = autonomy is Autonomy.PLAN
        # A week would be over before anybody approves.
        with temporal.with_time_skipping_disabled() if asked else nullcontext():
            repair_id = row_of(await on.scan(autonomy, policy=AT_ONCE), "checkout").repair_workflow_id
            handle = on.client.get_workflow_handle(repair_id)
            if asked:
                await handle.execute_update("approve", Approval(by="ada"))
        skipping = [asyncio.create_task(temporal.fast_forward(handle))]
        await until(lambda: len(after.answers) == 1)
        polls, sessions, run = (
            after.seen["poll_pull_request"],
            on.world.calls["run_session"],
            await newest_run(handle),
        )
        await reset(on, handle)
        newest = on.client.get_workflow_handle(repair_id)
        skipping.append(asyncio.create_task(temporal.fast_forward(newest)))
        await until(lambda: after.seen["poll_pull_request"] > polls + 1)
        decided = True
        result = await ended(on, handle, run)
        await asyncio.gather(*skipping)
        assert result.outcome is outcome
        assert result.pull_request is not None
        assert (on.world.calls["open_pull_request"], on.world.calls["run_session"]) == (1, sessions)
        assert len(after.answers) == 1
        entry = next(iter((await on.ledger()).entries))
        assert (entry.state, entry.outcome) == ("suppressed", outcome.value)


async def test_a_repair_that_is_reset_after_its_end_is_measured_again(temporal: WorkflowEnvironment) -> None:
    after = ReviewStage(views=[MERGED])
    async with stage(temporal, samples.service("checkout"), after_pull_request=after) as on:
        repair_id = row_of(await on.scan(), "checkout").repair_workflow_id
        handle = on.client.get_workflow_handle(repair_id)
        assert (await on.repair(repair_id)).outcome is RepairOutcome.HELD
        run, measured = await newest_run(handle), after.seen["measure_service"]
        await reset(on, handle)
        assert (await ended(on, handle, run)).outcome is RepairOutcome.HELD
        assert after.seen["measure_service"] == 2 * measured
        assert (on.world.calls["open_pull_request"], on.world.calls["run_session"]) == (1, 1)


async def test_a_second_fix_is_found_as_well_as_the_first(temporal: WorkflowEnvironment) -> None:
    """The first was merged and did not hold; its follow-up waits for review when the repair is reset."""
    not_held, held = MeasurementStatus.NOT_HELD, MeasurementStatus.HELD
    decided = False
    after = ReviewStage(
        on_poll=lambda _: MERGED if decided or not second_is_open() else OPEN, statuses=[not_held]
    )

    def second_is_open() -> bool:
        return len(after.opened) == 2 and after.seen["measure_service"] == 1

    async with stage(temporal, samples.service("checkout"), after_pull_request=after) as on:
        repair_id = row_of(await on.scan(), "checkout").repair_workflow_id
        handle = on.client.get_workflow_handle(repair_id)
        await until(second_is_open)
        await until(lambda: after.seen["poll_pull_request"] > 2)
        run = await newest_run(handle)
        decided = True
        after.statuses = [not_held, not_held, held]
        await reset(on, handle)
        result = await ended(on, handle, run)
        assert result.outcome is RepairOutcome.HELD
        assert (on.world.calls["open_pull_request"], on.world.calls["run_session"]) == (2, 2)
