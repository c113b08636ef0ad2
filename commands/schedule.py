"""`starter.py schedule`: the schedule of one environment."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import JsonOption, ProjectOption, answer, run

if TYPE_CHECKING:
    from temporalio.client import Client, Schedule, ScheduleHandle, ScheduleUpdate, ScheduleUpdateInput
    from temporalio.service import RPCError

    from railmend.contracts.scan import ScanRequest
    from railmend.settings import ConfigurationError

# After an outage of Railmend the past is not scanned again: one scan of the present is enough.
CATCH_UP = timedelta(minutes=10)
# Railway's samples are a minute apart, and a scan takes about as long: more often sees nothing new.
SHORTEST = timedelta(minutes=1)
# Schedules that are made side by side.
AT_ONCE = 10
DONE = {"pause": "paused", "resume": "resumed", "trigger": "a scan starts", "delete": "deleted"}

schedule = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Scan regularly: create, pause, trigger ..."
)


@schedule.command()
def create(
    every: Annotated[str, typer.Option(metavar="TIME", help="How often to look: 90s, 10m, 1h, 1d.")] = "10m",
    project: ProjectOption = None,
    everywhere: Annotated[bool, typer.Option("--all", help="Of every project of railmend.toml.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create the schedule, or change the interval of the existing one.

    It holds nothing else: autonomy and budget are read from the settings when a scan begins.
    """
    created = [{**each, "every": every} for each in run(_create(every, project, everywhere=everywhere))]
    lines = [line for each in created for line in (f"Schedule {each['id']}: every {every}.", *each["means"])]
    answer(created if everywhere else created[0], *lines, as_json=as_json)


@schedule.command()
def show(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show its interval, its last scans and the next.

    Also whether it is paused, and why.
    """
    description = run(_describe(project))
    texts = {name: ", ".join(v) if isinstance(v, list) else v for name, v in description.items()}
    lines = [f"{name.replace('_', ' ')}: {'-' if text == '' else text}" for name, text in texts.items()]
    answer(description, *lines, as_json=as_json)


@schedule.command()
def pause(
    project: ProjectOption = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the schedule.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Start no more scans until `resume`."""
    _act("pause", project, reason, as_json=as_json)


@schedule.command()
def resume(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Resume a paused schedule."""
    _act("resume", project, as_json=as_json)


@schedule.command()
def trigger(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Scan now, as the schedule would."""
    _act("trigger", project, as_json=as_json)


@schedule.command()
def delete(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Remove the schedule; running scans and repairs continue."""
    _act("delete", project, as_json=as_json)


def _act(action: str, project: str | None, reason: str = "", *, as_json: bool) -> None:
    schedule_id = run(_request(action, project, reason))
    text = f"Schedule {schedule_id}: {DONE[action]}."
    answer({"id": schedule_id, "action": action}, text, as_json=as_json)


async def _create(every: str, project: str | None, *, everywhere: bool) -> list[dict[str, Any]]:
    """Return each schedule's ID, and in sentences what it means."""
    import asyncio

    from commands.durations import interval
    from commands.runs import connected
    from commands.scan_request import scan_request
    from commands.what_it_means import what_it_means
    from railmend.settings import ConfigurationError

    period = interval(every, least=SHORTEST)
    if everywhere and project is not None:
        raise ConfigurationError("Choose one of --all and --project.")
    settings, client = await connected()
    names = [each.name for each in settings.watched()] if everywhere else [project]
    requests = [scan_request(settings, project=name) for name in names]
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(request: "ScanRequest") -> dict[str, Any]:
        async with turns:
            handle = await create_or_update(client, request, period)
        return {"id": handle.id, "means": what_it_means(settings, request)}

    return await asyncio.gather(*map(one, requests))


async def create_or_update(client: "Client", request: "ScanRequest", every: timedelta) -> "ScheduleHandle":
    """Create the schedule, or give an existing one the interval; whatever else it has stays."""
    from dataclasses import replace

    from temporalio.client import ScheduleAlreadyRunningError, ScheduleUpdate

    schedule_id = f"scan/{request.environment_id}"
    wanted = _build(request, every)

    async def update(current: "ScheduleUpdateInput") -> "ScheduleUpdate":
        found = current.description.schedule
        spec = replace(found.spec, intervals=wanted.spec.intervals)
        return ScheduleUpdate(schedule=replace(found, action=wanted.action, spec=spec))

    try:
        return await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id)
        await handle.update(update)
        return handle


def offset(environment_id: str, every: timedelta) -> timedelta:
    """Return when in each interval an environment is scanned: always the same, and spread over them all."""
    from zlib import crc32

    return timedelta(seconds=crc32(environment_id.encode()) % max(int(every.total_seconds()), 1))


def _build(request: "ScanRequest", every: timedelta) -> "Schedule":
    from temporalio import client as temporal

    from commands.runs import SCAN
    from workflows.shared.start import ORCHESTRATION_QUEUE, SCAN_TIMEOUT

    return temporal.Schedule(
        action=temporal.ScheduleActionStartWorkflow(
            SCAN,
            request,
            id=f"scan/{request.environment_id}/scheduled",
            task_queue=ORCHESTRATION_QUEUE,
            execution_timeout=SCAN_TIMEOUT,
            static_summary="Scheduled scan",
        ),
        spec=temporal.ScheduleSpec(
            intervals=[
                temporal.ScheduleIntervalSpec(every=every, offset=offset(request.environment_id, every))
            ]
        ),
        policy=temporal.SchedulePolicy(overlap=temporal.ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=temporal.ScheduleState(note=f"Railmend looks at environment {request.environment_id}"),
    )


async def _handle(project: str | None) -> "ScheduleHandle":
    from commands.scan_request import choose_project
    from hosting.connection import connect
    from railmend.settings_file import load_settings

    settings = load_settings()
    names = [each.name for each in settings.watched()]
    # The environment id of a project that is gone from the settings finds its schedule all the same.
    gone = project is not None and project not in names
    environment_id = project if gone else choose_project(settings, project).environment_id
    client = await connect(settings)
    return client.get_schedule_handle(f"scan/{environment_id}")


def _failure(handle: "ScheduleHandle", error: "RPCError") -> "ConfigurationError":
    from temporalio.service import RPCStatusCode

    from railmend.settings import ConfigurationError

    if error.status is RPCStatusCode.NOT_FOUND:
        return ConfigurationError(
            f"There is no schedule {handle.id}: make it with `starter.py schedule create --every 10m`. "
            "--project takes a name of railmend.toml or an environment id."
        )
    return ConfigurationError(f"Schedule {handle.id}: {error.message}")


async def _describe(project: str | None) -> dict[str, Any]:
    """Return what `show` prints. Raises `ConfigurationError` where there is no schedule."""
    from temporalio.client import ScheduleActionExecutionStartWorkflow
    from temporalio.service import RPCError

    from commands.durations import written

    handle = await _handle(project)
    try:
        description = await handle.describe()
    except RPCError as error:
        raise _failure(handle, error) from error
    state, info = description.schedule.state, description.info
    return {
        "id": handle.id,
        "every": ", ".join(written(spec.every) for spec in description.schedule.spec.intervals),
        "paused": state.paused,
        "note": state.note,
        "running": [
            action.workflow_id
            for action in info.running_actions
            if isinstance(action, ScheduleActionExecutionStartWorkflow)
        ],
        "last": [action.started_at.isoformat() for action in info.recent_actions[-5:]],
        "next": [at.isoformat() for at in info.next_action_times[:1]],
        "skipped_because_one_ran": info.num_actions_skipped_overlap,
    }


async def _request(action: str, project: str | None, reason: str) -> str:
    """Pause, resume, trigger or delete the schedule; return its ID."""
    import getpass

    from temporalio.service import RPCError

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
        raise _failure(handle, error) from error
    return handle.id
