"""`starter.py schedule`: create or update the schedule of one environment."""

import re
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
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

from commands.scan import scan_request
from hosting import clients
from hosting.workers import ORCHESTRATION_QUEUE
from railmend.contracts.scan import Autonomy, ScanRequest
from railmend.settings import ConfigurationError, Settings
from workflows.health_scan import HealthScan

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# After an outage of Railmend the past is not scanned again: one look at the present is enough.
CATCH_UP = timedelta(minutes=10)


def interval(text: str) -> timedelta:
    """ "10m" -> ten minutes. Raises `ConfigurationError` for anything else."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None or int(match[1]) == 0:
        raise ConfigurationError(f"--every {text!r} is no interval: write 90s, 10m, 1h or 1d.")
    return timedelta(seconds=int(match[1]) * UNITS[match[2]])


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
    """Safe to run again: an existing schedule gets the new interval and request."""
    schedule_id = f"scan/{request.environment_id}"
    schedule = build(request, every)

    async def update(_: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(schedule=schedule)

    try:
        return await client.create_schedule(schedule_id, schedule)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id)
        await handle.update(update)
        return handle


async def schedule(every: str, autonomy: Autonomy | None, project: str | None) -> str:
    """Returns the schedule's ID."""
    period = interval(every)
    settings = Settings()
    client = await clients.temporal(settings)
    handle = await create_or_update(client, scan_request(settings, autonomy, project=project), period)
    return handle.id
