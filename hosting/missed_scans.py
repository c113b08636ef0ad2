"""Reads off a schedule whether its newest scans failed, or were skipped because one does not end."""

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleDescription,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.runs import described, why_open
from railmend.contracts.notification import MissedScans
from railmend.contracts.scan import HealthReport
from railmend.settings import ProjectSettings
from workflows.shared.start import SCAN_TIMEOUT

# One may fail by chance, and the next makes good for it.
FAILED_IN_A_ROW = 2
# A scan with many investigations may take longer than an interval of minutes, and that is no fault.
LONG = timedelta(minutes=30)
MAX_REASON = 300
ENDED_BADLY = {
    WorkflowExecutionStatus.FAILED: "",
    WorkflowExecutionStatus.TIMED_OUT: f"it took longer than {SCAN_TIMEOUT.total_seconds() / 3600:g} hours.",
    WorkflowExecutionStatus.TERMINATED: "it was terminated.",
}


async def describe_schedule(client: Client, project: ProjectSettings) -> ScheduleDescription | None:
    """Return the project's schedule; None where it has none."""
    try:
        return await client.get_schedule_handle(f"scan/{project.environment_id}").describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def find_missed_scans(
    client: Client, project: ProjectSettings, schedule: ScheduleDescription
) -> MissedScans | None:
    """Return what is wrong with the newest scans of the project's schedule; None where nothing is."""
    if schedule.schedule.state.paused:
        return None
    failed: list[WorkflowExecutionDescription] = []
    async for run in _newest_first(client, schedule):
        if run.status is WorkflowExecutionStatus.RUNNING:
            if missed := await _skipped(client, project, schedule, run):
                return missed
        elif run.status in ENDED_BADLY or await _report_of_nothing(client, run):
            failed.append(run)
        elif run.status is not WorkflowExecutionStatus.CANCELED:
            break  # it has succeeded
    if len(failed) < FAILED_IN_A_ROW:
        return None
    return MissedScans(
        project=project.name,
        environment_id=project.environment_id,
        count=len(failed),
        skipped=False,
        since=failed[-1].start_time,
        reason=await _why_failed(client, failed[0]),
        workflow_id=failed[0].id,
    )


async def _newest_first(
    client: Client, schedule: ScheduleDescription
) -> AsyncIterator[WorkflowExecutionDescription]:
    """Yield the runs that the schedule remembers, about ten, and that the server still keeps."""
    for result in reversed(schedule.info.recent_actions):
        action = result.action
        if not isinstance(action, ScheduleActionExecutionStartWorkflow):
            continue
        run = await described(client, action.workflow_id, action.first_execution_run_id)
        if run is not None:
            yield run


async def _skipped(
    client: Client,
    project: ProjectSettings,
    schedule: ScheduleDescription,
    run: WorkflowExecutionDescription,
) -> MissedScans | None:
    """Return the scans that the schedule has left out since `run` began, if it has run for long.

    By what the schedule starts next, so by the server's clock: this machine's may be wrong.
    """
    intervals = [spec.every for spec in schedule.schedule.spec.intervals]
    if not intervals or not schedule.info.next_action_times:
        return None
    interval = min(intervals)
    runs_for = schedule.info.next_action_times[0] - interval - run.start_time
    count = math.ceil(runs_for / interval)
    if runs_for < LONG or count <= 0:
        return None
    return MissedScans(
        project=project.name,
        environment_id=project.environment_id,
        count=count,
        skipped=True,
        since=run.start_time,
        reason=f"{run.id} still runs, {await why_open(client, run)}"[:MAX_REASON],
        workflow_id=run.id,
    )


async def _why_failed(client: Client, run: WorkflowExecutionDescription) -> str:
    if known := ENDED_BADLY.get(run.status) if run.status else None:
        return known
    try:
        report = await _handle(client, run).result()
    except WorkflowFailureError as error:
        from workflows.shared.failures import reason_of  # brings all of `temporalio.workflow`

        return reason_of(error.cause)[:MAX_REASON]
    return report.unlisted[:MAX_REASON] or "no reason is known."


async def _report_of_nothing(client: Client, run: WorkflowExecutionDescription) -> bool:
    """Return whether the scan ended with a report that not even the services could be listed."""
    done = run.status is WorkflowExecutionStatus.COMPLETED
    return done and bool((await _handle(client, run).result()).unlisted)


def _handle(client: Client, run: WorkflowExecutionDescription) -> WorkflowHandle[Any, HealthReport]:
    return client.get_workflow_handle(run.id, run_id=run.run_id, result_type=HealthReport)
