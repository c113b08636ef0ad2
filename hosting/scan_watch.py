"""Looks after the schedules of the watched projects: a scan that does not run can tell nobody itself."""

import asyncio
from collections.abc import Callable

import structlog
from temporalio.client import Client
from temporalio.common import MetricMeter, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from hosting.metrics import missed_scans
from hosting.missed_scans import describe_schedule, find_missed_scans
from railmend.contracts.notification import MissedScans
from railmend.settings import ProjectSettings, Settings
from workflows.scan.alarm import ScanAlarm

log = structlog.get_logger(__name__)

PERIOD_SECONDS = 300.0
AT_ONCE = 10


async def watch_scans(
    client: Client, current: Callable[[], Settings], queue: str, meter: MetricMeter
) -> None:
    """Look again and again, until cancelled."""
    while True:
        try:
            await look(client, current(), queue, meter)
        except Exception:  # a fault of one round, of whatever kind, must not end the watch
            log.exception("schedules not looked at")
        await asyncio.sleep(PERIOD_SECONDS)


async def look(client: Client, settings: Settings, queue: str, meter: MetricMeter) -> None:
    """Record and tell which projects' scans are missed. An outage of Temporal is not their fault."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(project: ProjectSettings) -> None:
        async with at_once:
            try:
                missed = await _missed(client, project)
                missed_scans(meter, project.name, missed.count if missed else 0)
                await _tell(client, settings, project, queue, missed)
            except RPCError as error:
                log.warning("schedule not looked at", project=project.name, reason=error.message)

    await asyncio.gather(*(one(project) for project in settings.watched()))


async def _missed(client: Client, project: ProjectSettings) -> MissedScans | None:
    schedule = await describe_schedule(client, project)
    return await find_missed_scans(client, project, schedule) if schedule else None


async def _tell(
    client: Client, settings: Settings, project: ProjectSettings, queue: str, missed: MissedScans | None
) -> None:
    """Open the project's alarm, which tells people once; end it when a scan has succeeded again."""
    alarm = f"alarm/{project.environment_id}"
    if missed is None:
        await _end(client, alarm)
        return
    log.error("scans are missed", project=project.name, problem=missed.sentence, next_step=missed.next_step)
    if settings.notifies():
        await client.start_workflow(
            ScanAlarm.run,
            missed,
            id=alarm,
            task_queue=queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Scans of {project.name} are missed",
        )


async def _end(client: Client, alarm: str) -> None:
    try:
        await client.get_workflow_handle_for(ScanAlarm.run, alarm).signal(ScanAlarm.over)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
