"""`starter.py schedule`: the schedule of one environment."""

import getpass
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from commands.durations import interval, written
from commands.scan import chosen, scan_request
from hosting import clients
from hosting.workers import ORCHESTRATION_QUEUE
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import ScanRequest
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings
from workflows.scan.health_scan import HealthScan

# After an outage of Railmend the past is not scanned again: one look at the present is enough.
CATCH_UP = timedelta(minutes=10)


def build(request: ScanRequest, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            HealthScan.run,
            request,
            id=f"scan/{request.environment_id}/scheduled",
            task_queue=ORCHESTRATION_QUEUE,
            static_summary="Scheduled scan",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=ScheduleState(note=f"Railmend looks at environment {request.environment_id}"),
    )


async def create_or_update(client: Client, request: ScanRequest, every: timedelta) -> ScheduleHandle:
    """Safe to run again: a schedule gets the new interval and request, and stays paused if it is."""
    schedule_id = f"scan/{request.environment_id}"
    schedule = build(request, every)

    async def update(known: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule=replace(schedule, state=known.description.schedule.state))

    try:
        return await client.create_schedule(schedule_id, schedule)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id)
        await handle.update(update)
        return handle


async def schedule(every: str, level: str | None, project: str | None) -> str:
    """Returns the schedule's ID."""
    period = interval(every)
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    autonomy = Autonomy(level) if level else None
    handle = await create_or_update(client, scan_request(settings, autonomy, project=project), period)
    return handle.id


async def _handle(project: str | None) -> ScheduleHandle:
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    return client.get_schedule_handle(f"scan/{chosen(settings, project).environment_id}")


def _missing(handle: ScheduleHandle, error: RPCError) -> ConfigurationError:
    if error.status is RPCStatusCode.NOT_FOUND:
        return ConfigurationError(
            f"There is no schedule {handle.id}: make it with `starter.py schedule create --every 10m`."
        )
    return ConfigurationError(f"Schedule {handle.id}: {error.message}")


async def describe(project: str | None) -> dict[str, Any]:
    """Raises `ConfigurationError` where there is none."""
    handle = await _handle(project)
    try:
        told = await handle.describe()
    except RPCError as error:
        raise _missing(handle, error) from error
    every = [written(one.every) for one in told.schedule.spec.intervals]
    return {
        "id": handle.id,
        "every": ", ".join(every),
        "paused": told.schedule.state.paused,
        "note": told.schedule.state.note,
        "running": [
            one.workflow_id
            for one in told.info.running_actions
            if isinstance(one, ScheduleActionExecutionStartWorkflow)
        ],
        "last": [one.started_at.isoformat() for one in told.info.recent_actions[-5:]],
        "next": [at.isoformat() for at in told.info.next_action_times[:1]],
        "skipped_because_one_ran": told.info.num_actions_skipped_overlap,
    }


async def act(action: str, project: str | None, reason: str) -> str:
    """`action`: pause, resume, trigger or delete. Returns the schedule's ID."""
    handle = await _handle(project)
    note = f"{reason or action} (by {getpass.getuser()})"
    calls: dict[str, Callable[[], Awaitable[None]]] = {
        "pause": lambda: handle.pause(note=note),
        "resume": lambda: handle.unpause(note=note),
        "trigger": handle.trigger,
        "delete": handle.delete,
    }
    try:
        await calls[action]()
    except RPCError as error:
        raise _missing(handle, error) from error
    return handle.id
