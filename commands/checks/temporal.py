"""Temporal: reachable, history kept long enough, search attributes, workers, and scans that succeed."""

from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleDescription
from temporalio.service import RPCError

from commands.checks.check import Check, CheckFailed, CheckResult, bad, ok, warning
from commands.durations import written
from commands.ledgers import pauses
from hosting import search_attributes
from hosting.connection import connect
from hosting.missed_scans import describe_schedule, find_missed_scans
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from workflows.shared.start import CODING_QUEUE, ORCHESTRATION_QUEUE, PLANNING_QUEUE

# A pull request may wait for weeks; its repair and evidence are to be readable as long.
RETENTION = timedelta(days=30)
QUEUES = (ORCHESTRATION_QUEUE, PLANNING_QUEUE, CODING_QUEUE)


async def scans(client: Client, settings: Settings) -> list[CheckResult]:
    return [
        await check_scans(client, project, await describe_schedule(client, project))
        for project in settings.watched()
    ]


async def check_scans(
    client: Client, project: ProjectSettings, schedule: ScheduleDescription | None
) -> CheckResult:
    """Return whether a project has a schedule, and its scans succeed; with the next step where not."""
    (result,) = await _scans(client, project, schedule)
    return result


async def _scans(
    client: Client, project: ProjectSettings, schedule: ScheduleDescription | None
) -> list[CheckResult]:
    name, option = f"scans, project {project.name}", f"--project {project.name}"
    if schedule is None:
        hint = f"starter.py schedule create {option}"
        return warning(name, "no schedule: scans run only when you start them", hint)
    if schedule.schedule.state.paused:
        note = schedule.schedule.state.note
        return warning(name, f"paused: {note}", f"starter.py schedule resume {option}")
    if missed := await find_missed_scans(client, project, schedule):
        return bad(name, missed.sentence, missed.next_step)
    every = ", ".join(written(spec.every) for spec in schedule.schedule.spec.intervals)
    if _without_limit(schedule):
        hint = f"starter.py schedule create --every {every} {option}"
        return warning(name, "the schedule is of an earlier version: a scan that hangs blocks it", hint)
    return ok(name, f"every {every}")


def _without_limit(schedule: ScheduleDescription) -> bool:
    action = schedule.schedule.action
    return isinstance(action, ScheduleActionStartWorkflow) and not action.execution_timeout


def checks(settings: Settings) -> tuple[Check, ...]:
    return (Check("temporal", lambda: _temporal(settings)),)


async def _temporal(settings: Settings) -> list[CheckResult]:
    """Check the connection first: the others need it, and without it there is one line, not four."""
    try:
        client = await connect(settings)
    except ConfigurationError as error:
        message, _, hint = str(error).partition(". ")
        raise CheckFailed(message, hint) from error
    results = ok("temporal", f"{settings.temporal_address} answers, namespace {client.namespace}")
    others = (
        Check("retention", lambda: _retention(client)),
        Check("search attributes", lambda: _attributes(client)),
        Check("workers", lambda: _workers(client)),
        Check("scans", lambda: scans(client, settings)),
        Check("pause", lambda: _pause(client, settings)),
    )
    for other in others:
        try:
            results += await other.run()
        except (CheckFailed, ConfigurationError) as error:
            results += bad(other.name, str(error), getattr(error, "hint", ""))
        except RPCError as error:
            results += bad(other.name, f"not readable: {error.message}")
    return results


async def _retention(client: Client) -> list[CheckResult]:
    response = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    kept = response.config.workflow_execution_retention_ttl.ToTimedelta()
    days = f"closed runs are kept for {kept / timedelta(days=1):g} days"
    if kept >= RETENTION:
        return ok("retention", days)
    return warning(
        "retention",
        days,
        f"temporal operator namespace update --retention {RETENTION.days}d --namespace {client.namespace}",
    )


async def _attributes(client: Client) -> list[CheckResult]:
    created = await search_attributes.register(client)
    return ok("search attributes", f"created {', '.join(created)}" if created else "all there")


async def _workers(client: Client) -> list[CheckResult]:
    idle = [queue for queue in QUEUES if not await _polled(client, queue)]
    if not idle:
        return ok("workers", f"serve {', '.join(QUEUES)}")
    problem = warning if ORCHESTRATION_QUEUE not in idle else bad  # without it nothing at all happens
    return problem("workers", f"no worker serves {', '.join(idle)}", "start `worker.py`")


async def _pause(client: Client, settings: Settings) -> list[CheckResult]:
    told = await pauses(client, settings)
    return [
        result
        for project, why in told.items()
        for result in warning(
            "pause", f"project {project}: {why}", "`starter.py resume --all` ends the pause"
        )
    ]


async def _polled(client: Client, queue: str) -> bool:
    kind: Any = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    response = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
    )
    return bool(response.pollers)
