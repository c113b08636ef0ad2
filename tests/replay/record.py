"""Records histories of each workflow for the release to come: `python -m tests.replay.record [STORY ...]`.

Run it when a workflow gets new commands on purpose, after the old histories have been proved to replay, with
the name of the function below that plays them. It writes to `histories/next` alone, and removes nothing;
`tests.replay.freeze` makes that a release's folder, which nothing changes.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.autonomy import Autonomy
from railmend.contracts.incident import Verdict
from railmend.contracts.investigation import Tool
from railmend.contracts.measurement import MeasurementStatus
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import Approval, WorkspaceChange
from tests import samples
from tests.replay.freeze import HISTORIES, NEXT
from tests.workflows.conftest import environment
from tests.workflows.review_stage import MERGED, OPEN, UP, commented
from tests.workflows.story import row_of, stage
from tests.workflows.test_after_pull_request import SKIPPED, RepairStage, repairing, until
from tests.workflows.test_investigation_tools import Asking
from workflows.actions.approved_action import ApprovedAction
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.alarm import ScanAlarm

FOLDER = HISTORIES / NEXT
# So few events that a ledger of one fix is handed on.
LEDGER_EVENTS = "limit.historyCount.suggestContinueAsNew=10"
QUICK = FollowUp(outcome_seconds=(60,))


async def save(client: Client, workflow_id: str, name: str, run_id: str | None = None) -> None:
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    text = json.dumps(json.loads(history.to_json()), indent=1)
    machine = f"{os.getpid()}@{socket.gethostname()}"
    (FOLDER / f"{name}.json").write_text(text.replace(machine, "worker") + "\n")


async def save_first_run(handle: WorkflowHandle[Any, Any], client: Client, name: str) -> None:
    """Save the run that was handed on by a continue-as-new."""
    await save(client, handle.id, name, handle.first_execution_run_id)


async def happy_path(temporal: WorkflowEnvironment) -> None:
    services = (samples.service("checkout"), samples.service("jobs"), samples.service("healthy"))
    async with stage(temporal, *services, verdicts={"jobs": Verdict.BAD_DEPLOY}) as on:
        on.world.after_pull_request.views = [OPEN, commented(1), MERGED]
        report = await on.scan()
        action_id = row_of(report, "jobs").detail.rpartition(" ")[2]
        await on.client.get_workflow_handle_for(ApprovedAction.run, action_id).result()
        repair_id = row_of(report, "checkout").repair_workflow_id
        await on.repair(repair_id)
        (scan_id,) = on.scans
        await save(on.client, scan_id, "health_scan")
        await save(on.client, f"incident/{on.environment_id}/id-checkout", "incident_investigation")
        await save(on.client, repair_id, "repository_repair")
        await save(on.client, action_id, "approved_action")
        await save(on.client, f"ledger/{on.environment_id}", "ledger")


async def restart_offered(temporal: WorkflowEnvironment) -> None:
    said = samples.diagnosis(Verdict.DEPENDENCY_DOWN).model_copy(update={"dependency": "healthy"})
    needs = samples.service("checkout", depends_on=("id-healthy",))
    async with stage(temporal, needs, samples.service("healthy"), diagnosis=said) as on:
        assert row_of(await on.scan(), "checkout").action == "restart_offered"
        await save(on.client, on.scans[0], "health_scan_offers_a_restart")


async def with_tools(temporal: WorkflowEnvironment) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Asking(patch, 2, broken=[Tool.DEPLOYMENTS])
        async with stage(temporal, samples.service("checkout")) as on:
            row = row_of(await on.scan(), "checkout")
            await on.repair(row.repair_workflow_id)
            incident = f"incident/{on.environment_id}/id-checkout"
            await save(on.client, incident, "incident_investigation_with_tools")


async def approved(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        policy = Policy(follow_up=FollowUp(poll_seconds=1, outcome_seconds=(1,)))
        with temporal.with_time_skipping_disabled():  # a week would be over before anybody approves
            row = row_of(await on.scan(Autonomy.PLAN, policy=policy), "checkout")
        handle = on.client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)
        await handle.execute_update(RepositoryRepair.approve, Approval(by="ada"))
        await handle.result()
        await save(on.client, handle.id, "repair_approved")


async def approved_by_comment(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        on.world.approvals.decisions = [
            None,
            Approval(by="ada", comment="http://forge/issues/1#issuecomment-1"),
        ]
        follow_up = FollowUp(poll_seconds=1, outcome_seconds=(1,))
        policy = Policy(approve_by_comment=True, follow_up=follow_up)
        row = row_of(await on.scan(Autonomy.PLAN, policy=policy), "checkout")
        await on.repair(row.repair_workflow_id)
        await save(on.client, row.repair_workflow_id, "repair_approved_by_comment")


async def offered_with_a_message(temporal: WorkflowEnvironment) -> None:
    verdicts = {"jobs": Verdict.BAD_DEPLOY}
    async with stage(temporal, samples.service("jobs"), verdicts=verdicts) as on:
        report = await on.scan(policy=Policy(notify=True))
        action_id = row_of(report, "jobs").detail.rpartition(" ")[2]
        await on.client.get_workflow_handle_for(ApprovedAction.run, action_id).result()
        await save(on.client, action_id, "approved_action_with_a_message")


async def retried(temporal: WorkflowEnvironment) -> None:
    statuses = [MeasurementStatus.NOT_HELD, MeasurementStatus.HELD]
    async with repairing(temporal, views=[MERGED], statuses=statuses) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        await handle.result()
        await save(on.client, handle.id, "repair_retried")


async def retried_in_vain(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[MERGED], statuses=[MeasurementStatus.NOT_HELD]) as on:
        on.world.mended = WorkspaceChange(files=())
        handle = await on.start(Policy(follow_up=QUICK))
        await handle.result()
        await save(on.client, handle.id, "repair_retried_in_vain")


async def skipped(temporal: WorkflowEnvironment) -> None:
    """Railway skipped the merge; a later deployment carried it."""
    async with repairing(temporal, views=[MERGED], deployments=[SKIPPED, SKIPPED, UP]) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        await handle.result()
        await save(on.client, handle.id, "repair_skipped_by_railway")


async def reverted(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[MERGED], statuses=[MeasurementStatus.WORSE]) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        await handle.result()
        await save(on.client, handle.id, "repair_reverted")


async def cancelled(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[OPEN]) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        await until(lambda: len(on.after.polled_at) > 1)
        await handle.cancel()
        with suppress(WorkflowFailureError):
            await handle.result()
        await save(on.client, handle.id, "repair_cancelled")


async def cancelled_in_answer(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[commented(1)]) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        on.after.on_poll = lambda _: setattr(on.world, "hang", True) or commented(1)  # type: ignore[func-returns-value]
        await until(lambda: on.world.calls["run_session"] > 1)
        await handle.cancel()
        with suppress(WorkflowFailureError):
            await handle.result()
        await save(on.client, handle.id, "repair_cancelled_in_answer")


async def handed_on(temporal: WorkflowEnvironment) -> None:
    """A review so long that a second run goes on with it."""
    async with repairing(temporal, views=[*[OPEN] * 80, MERGED]) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        await handle.result()
        await save_first_run(handle, on.client, "repair_handed_on")
        await save(on.client, handle.id, "repair_taken_over")


async def reset(temporal: WorkflowEnvironment) -> None:
    """A repair that was reset to when its pull request had just been opened."""
    async with repairing(temporal, views=[OPEN, MERGED]) as on:
        handle = await on.start(Policy(follow_up=QUICK))
        await handle.result()
        on.after.seen.clear()
        run_id = await reset_to_review(on, handle)
        await on.client.get_workflow_handle(handle.id, run_id=run_id).result()
        await save(on.client, handle.id, "repair_reset", run_id)


async def reset_to_review(on: RepairStage, handle: WorkflowHandle[Any, Any]) -> str:
    """Reset a repair to the task after its pull request was opened; return the id of the new run."""
    opened, task = 0, 0
    for event in (await handle.fetch_history()).events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "open_pull_request":
            opened = event.event_id
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED and opened and not task:
            task = event.event_id
    answer = await on.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=on.client.namespace,
            workflow_execution=WorkflowExecution(
                workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
            ),
            reason="recorded",
            request_id=handle.id,
            workflow_task_finish_event_id=task,
        )
    )
    return answer.run_id


async def ledger_handed_on(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[MERGED]) as on:
        await (await on.start(Policy(follow_up=QUICK))).result()
        ledger = on.client.get_workflow_handle(f"ledger/{on.project}")
        first = (await ledger.describe()).raw_description.workflow_execution_info.first_run_id
        await save(on.client, ledger.id, "ledger_handed_on", first)


async def missed_scans(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("healthy")) as on:
        alarm = await on.client.start_workflow(
            ScanAlarm.run,
            samples.missed_scans(),
            id=f"alarm/{on.environment_id}",
            task_queue=on.world.queue,
        )
        await alarm.signal(ScanAlarm.over)
        await alarm.result()
        await save(on.client, alarm.id, "scan_alarm")


STORIES = (
    *(
        happy_path,
        restart_offered,
        offered_with_a_message,
        with_tools,
        approved,
        approved_by_comment,
        retried,
        retried_in_vain,
        skipped,
    ),
    *(reverted, cancelled, cancelled_in_answer, handed_on, reset, missed_scans, ledger_handed_on),
)


async def main(names: Sequence[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for story in STORIES:
        if not names or story.__name__ in names:
            events = (LEDGER_EVENTS,) if story is ledger_handed_on else ()
            async with await environment(*events) as temporal:
                await story(temporal)
    await asyncio.sleep(0.5)  # the SDK's threads may abort a process that ends at once


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
