"""The ledgers as a person sees and changes them: what is open, who has it, and the pause."""

import asyncio
import getpass
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from temporalio.client import (
    Client,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from commands.durations import interval
from commands.runs import connected
from commands.scan_request import choose_project
from hosting.connection import connect
from railmend.contracts.ledger import (
    OPEN,
    LedgerEntry,
    LedgerState,
    Pause,
    SettleRequest,
    SuppressRequest,
    spending_key,
)
from railmend.contracts.ledger_parts import split
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from railmend.settings_file import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from activities.ledger import Standing

LEDGER = "Ledger"  # its name: importing the workflow brings every activity with it
RUNNING = f'WorkflowType = "{LEDGER}" AND ExecutionStatus = "Running"'
# How the note of a schedule begins that `pause` has paused; `resume` leaves every other one as it is.
PAUSED_WITH_ALL = "paused with its ledger"
# A reader waits no longer for a ledger whose worker is away.
ANSWER_WITHIN = timedelta(seconds=10)


class FaultRow(BaseModel):
    """One fingerprint that is open or suppressed. `standing`: open, closed or stuck, of who has it."""

    fingerprint: str
    state: str
    holder: str
    standing: str = ""
    grant: int = 0
    since: datetime
    until: datetime | None = None
    outcome: str = ""


class LedgerOverview(BaseModel):
    project: str
    id: str
    paused: str
    faults: list[FaultRow]
    usd_reserved: float
    bytes: int


async def ledger_state(client: Client, project_id: str) -> LedgerState:
    """Ask a ledger for its state. Raises `ConfigurationError` where it does not answer."""
    workflow_id = f"ledger/{project_id}"
    handle = client.get_workflow_handle(workflow_id)
    try:
        state: LedgerState = await handle.query("state", result_type=LedgerState, rpc_timeout=ANSWER_WITHIN)
        return state
    except (RPCError, WorkflowQueryFailedError) as error:
        if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
            return LedgerState(project_id=project_id)  # nothing was found yet
        raise ConfigurationError(
            f"{workflow_id} does not answer ({error.message}): does a worker run? Start `worker.py`."
        ) from error


async def overviews(project: str | None) -> list[LedgerOverview]:
    """Return what the ledgers of one project, or of all, have open or suppressed."""
    settings, client = await connected()
    return [await _overview(client, each) for each in projects_of(settings, project)]


def projects_of(settings: Settings, name: str | None) -> Sequence[ProjectSettings]:
    """Return the project of that name; without one all of the file, or the only one."""
    return settings.watched() if name is None and settings.projects else [choose_project(settings, name)]


async def _overview(client: Client, project: ProjectSettings) -> LedgerOverview:
    state = await ledger_state(client, project.project_id)
    mine = [entry for entry in state.entries if entry.fingerprint.startswith(f"{project.environment_id}/")]
    now = datetime.now(UTC)
    return LedgerOverview(
        project=project.name,
        id=f"ledger/{project.project_id}",
        paused=str(state.paused or ""),
        faults=[await _row(client, entry) for entry in mine if entry.alive(now)],
        usd_reserved=usd_reserved(state),
        bytes=len(state.model_dump_json()),
    )


def usd_reserved(state: LedgerState) -> float:
    return sum(each.usd for each in state.reservations if not each.settled)


async def _row(client: Client, entry: LedgerEntry) -> FaultRow:
    row = FaultRow.model_validate(entry, from_attributes=True)
    if entry.state != OPEN:
        return row
    standings = [standing for _, standing in await _holders(client, entry)]
    stuck, is_open = any(s.stuck for s in standings), any(s.open for s in standings)
    return row.model_copy(update={"standing": "stuck" if stuck else "open" if is_open else "closed"})


async def _holders(client: Client, entry: LedgerEntry) -> "list[tuple[str, Standing]]":
    """Describe who has a claim: a workflow, and with it the scan that hands it over."""
    from activities.ledger import standing_of

    names = [(entry.holder, entry.first_run_id), (entry.handed_by, entry.handed_by_run)]
    return [(name, await standing_of(client, name, run)) for name, run in names if name]


async def release(fingerprints: Sequence[str], *, terminate: bool) -> list[str]:
    """Free open fingerprints, so that the next scan takes them up; return what was done, one line each.

    Raises `ConfigurationError` where one is not open, or somebody works on it and `terminate` is not set.
    """
    settings, client = await _connected_to(fingerprints)
    lines = []
    for fingerprint in fingerprints:
        ledger, entry = await _open_entry(client, settings, fingerprint)
        working = [name for name, standing in await _holders(client, entry) if standing.open]
        if working and not terminate:
            raise ConfigurationError(
                f"{fingerprint}: {' and '.join(working)} works on it. `starter.py cancel {working[0]}` stops "
                "it in an orderly way; one that is stuck is ended by `--terminate` here."
            )
        for name in working:
            await client.get_workflow_handle(name).terminate(f"ledger release, by {getpass.getuser()}")
            lines.append(f"{name}: terminated.")
        await ledger.execute_update(
            "settle", _released(entry), id=f"released/{entry.grant}/{spending_key(fingerprint)}"
        )
        lines.append(f"{fingerprint}: released; the next scan may pick it up.")
    return lines


async def _connected_to(fingerprints: Sequence[str]) -> tuple[Settings, Client]:
    """Connect, once each fingerprint is known to belong to a project of the settings."""
    settings = load_settings()
    for fingerprint in fingerprints:
        _project_of(settings, fingerprint)
    return settings, await connect(settings)


async def _open_entry(
    client: Client, settings: Settings, fingerprint: str
) -> tuple[WorkflowHandle[Any, None], LedgerEntry]:
    project_id = _project_of(settings, fingerprint)
    state = await ledger_state(client, project_id)
    for entry in state.entries:
        if entry.fingerprint == fingerprint and entry.state == OPEN:
            return client.get_workflow_handle(f"ledger/{project_id}"), entry
    raise ConfigurationError(f"{fingerprint} is not open. `starter.py ledger show` lists what is.")


def _project_of(settings: Settings, fingerprint: str) -> str:
    """Return the project to whose environment a fingerprint belongs."""
    environment = fingerprint.partition("/")[0]
    for project in settings.watched():
        if project.environment_id == environment:
            return project.project_id
    raise ConfigurationError(
        f"{fingerprint!r} belongs to no project of the settings. A fingerprint is environment id, service id "
        "and kind, as `starter.py ledger show` prints it."
    )


def _released(entry: LedgerEntry) -> SettleRequest:
    return SettleRequest(
        settle_id=f"released/{entry.grant}",
        fingerprints=(entry.fingerprint,),
        holder=entry.holder,
        first_run_id=entry.first_run_id,
        outcome="released",
        detail=f"Released by {getpass.getuser()}.",
        cooldown_seconds=0,
        at=entry.since,  # over at once, whatever this machine's clock says
    )


async def suppress_for(fingerprints: Sequence[str], time: str, reason: str) -> datetime:
    """Do as `suppress` does; `time`: how long, as people write it: "7d"."""
    return await suppress(fingerprints, interval(time, "--for"), reason)


async def suppress(
    fingerprints: Sequence[str], length: timedelta, reason: str, *, accepted: bool = False
) -> datetime:
    """Keep fingerprints quiet; return until when. Raises `ConfigurationError` where one is open.

    `accepted`: because what was found is the service's normal.
    """
    settings, client = await _connected_to(fingerprints)
    now = datetime.now(UTC)
    for fingerprint in fingerprints:
        request = SuppressRequest(
            fingerprints=(fingerprint,),
            by=getpass.getuser(),
            reason=reason,
            seconds=int(length.total_seconds()),
            at=now,
            accepted=accepted,
        )
        ledger = client.get_workflow_handle(f"ledger/{_project_of(settings, fingerprint)}")
        try:
            await ledger.execute_update("suppress", request)
        except WorkflowUpdateFailedError as error:
            raise ConfigurationError(
                f"{error.cause} End that first: `starter.py ledger release {fingerprint}`."
            ) from error
    return now + length


async def pause(project: str | None, reason: str, *, everything: bool) -> list[str]:
    """Pause ledgers and schedules; return the ids of those that were."""
    note = Pause(by=getpass.getuser(), since=datetime.now(UTC), reason=reason)
    settings, client = await connected()
    ledgers, schedules = await _reached(client, settings, project, everything=everything)
    for workflow_id in ledgers:
        # Kept by the server even while no worker runs.
        if not await _taken(client.get_workflow_handle(workflow_id).signal("pause", note)):
            await _open_paused(client, workflow_id, note)
    text = f"{PAUSED_WITH_ALL}: {note}"
    return ledgers + [name for name in schedules if await _set_paused(client, name, text)]


async def resume(project: str | None, *, everything: bool) -> list[str]:
    """Resume ledgers, and the schedules that were paused with them; return the ids of those that were."""
    settings, client = await connected()
    ledgers, schedules = await _reached(client, settings, project, everything=everything)
    resumed = [each for each in ledgers if await _taken(client.get_workflow_handle(each).signal("resume"))]
    return resumed + [name for name in schedules if await _set_paused(client, name, None)]


async def _taken(signal: Awaitable[None]) -> bool:
    """Wait until a signal is sent; return whether there is a workflow that runs, and takes it."""
    try:
        await signal
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _open_paused(client: Client, workflow_id: str, note: Pause) -> None:
    """Open the ledger of a project where nothing was ever claimed, or whose ledger was lost."""
    from activities.ledger_recovery import recovered
    from workflows.shared.start import ORCHESTRATION_QUEUE

    await client.start_workflow(
        LEDGER,
        args=await recovered(client, workflow_id.partition("/")[2]),
        id=workflow_id,
        task_queue=ORCHESTRATION_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="pause",
        start_signal_args=[note],
    )


async def _reached(
    client: Client, settings: Settings, project: str | None, *, everything: bool
) -> tuple[list[str], list[str]]:
    """Return the ids of the ledgers and schedules meant: those of a project, or all that there are."""
    projects = settings.watched() if everything else [choose_project(settings, project)]
    ledgers = {f"ledger/{each.project_id}" for each in projects}
    schedules = {f"scan/{each.environment_id}" for each in projects}
    if everything:
        ledgers |= {run.id async for run in client.list_workflows(RUNNING)}
        schedules |= {each.id async for each in await client.list_schedules() if each.id.startswith("scan/")}
    return sorted(ledgers), sorted(schedules)


async def _set_paused(client: Client, schedule_id: str, note: str | None) -> bool:
    """Pause a schedule that runs, or resume one that was paused so (None); return whether it was."""
    changed = False

    async def update(current: ScheduleUpdateInput) -> ScheduleUpdate | None:
        nonlocal changed
        schedule = current.description.schedule
        state = schedule.state
        changed = (
            not state.paused if note else state.paused and (state.note or "").startswith(PAUSED_WITH_ALL)
        )
        if not changed:
            return None
        state.paused, state.note = bool(note), note or "resumed with its ledger"
        return ScheduleUpdate(schedule=schedule)

    try:
        await client.get_schedule_handle(schedule_id).update(update)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return changed


async def pauses(client: Client, settings: Settings) -> dict[str, str]:
    """Return by project name which ledgers are paused, and why; those that do not answer are left out."""

    async def ask(project: ProjectSettings) -> tuple[str, str]:
        try:
            state = await ledger_state(client, project.project_id)
        except ConfigurationError:
            return project.name, ""
        return project.name, str(state.paused or "")

    told = await asyncio.gather(*map(ask, settings.watched()))
    return {name: why for name, why in told if why}


async def export(project: str | None) -> LedgerState:
    """Return all that a project's ledger knows. Raises `ConfigurationError` where it does not answer."""
    settings, client = await connected()
    return await ledger_state(client, choose_project(settings, project).project_id)


async def import_state(project: str | None, text: str, *, replace: bool) -> str:
    """Open a project's ledger with an export; return its workflow ID.

    Raises `ConfigurationError` where the text is none of this project, or a ledger is open and `replace` is
    not set.
    """
    from activities.ledger import LEDGER_SUMMARY
    from workflows.shared.start import ORCHESTRATION_QUEUE

    settings = load_settings()
    project_id = choose_project(settings, project).project_id
    try:
        state = LedgerState.model_validate_json(text)
    except ValueError as error:
        raise ConfigurationError(
            "The file is not an export of a ledger: make one with `starter.py ledger export FILE`."
        ) from error
    if state.project_id != project_id:
        raise ConfigurationError(f"The file is of project {state.project_id}, not of {project_id}.")
    client = await connect(settings)
    ledger = client.get_workflow_handle(f"ledger/{project_id}")
    try:
        await client.start_workflow(
            LEDGER,
            args=split(state),
            id=ledger.id,
            task_queue=ORCHESTRATION_QUEUE,
            id_conflict_policy=(
                WorkflowIDConflictPolicy.TERMINATE_EXISTING if replace else WorkflowIDConflictPolicy.FAIL
            ),
            static_summary=LEDGER_SUMMARY,
        )
    except WorkflowAlreadyStartedError as error:
        raise ConfigurationError(
            f"{ledger.id} is open. --replace ends it; what it recorded since the export is then lost."
        ) from error
    return ledger.id


def render(overview: LedgerOverview, console: "Console") -> None:
    """Print a ledger; each fingerprint on a line of its own, so that it can be copied."""
    from rich.markup import escape

    console.print(f"{overview.id} ({overview.project}), {overview.bytes} bytes", style="bold", soft_wrap=True)
    if overview.paused:
        console.print(f"{escape(overview.paused)}. `starter.py resume` ends that.", soft_wrap=True)
    if not overview.faults:
        console.print("Nothing is open or suppressed.")
    for row in overview.faults:
        console.print(escape(row.fingerprint), soft_wrap=True)
        if row.state == OPEN:
            text = f"{row.standing}: {row.holder}, since {row.since:%Y-%m-%d %H:%M} UTC"
        else:
            text = f"{row.state} until {row.until:%Y-%m-%d %H:%M} UTC: {row.outcome}, {row.holder}"
        console.print(f"  {escape(text)}", soft_wrap=True, highlight=False)
