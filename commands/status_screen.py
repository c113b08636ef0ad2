"""All that `starter.py status` shows: read from Temporal and the ledgers, and printed as one screen."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from temporalio.client import Client
from temporalio.service import RPCError

from commands import incident_list
from commands.checks.check import CheckStatus
from commands.checks.temporal import check_scans
from commands.ledgers import ledger_state, projects_of, usd_reserved
from commands.runs import (
    ACTION,
    NEVER_SCANNED,
    REPAIR,
    RUNNING,
    newest_report,
    status_of,
)
from commands.statistics import usd_of
from hosting.connection import connect
from hosting.missed_scans import describe_schedule
from railmend.contracts.scan import HealthReport
from railmend.contracts.status import listed
from railmend.publishing.screen import IncidentRow, Money, ProjectStatus, StatusScreen, WorkRow
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from railmend.settings_file import load_settings
from workflows.shared.search_attributes import SERVICE

# Of repairs and actions the newest so many are shown; all that are open are among them in practice.
MOST_REPAIRS = 30
MOST_ENDED = 8
MOST_NAMES = 12  # of services in one state


async def read(project_name: str | None) -> StatusScreen:
    """Return the screen of one project, or of all.

    Raises `ConfigurationError` where Temporal does not answer, or the settings name no project.
    """
    settings = load_settings()
    projects = projects_of(settings, project_name)
    return await read_from(await connect(settings), settings, projects)


async def read_from(client: Client, settings: Settings, projects: Sequence[ProjectSettings]) -> StatusScreen:
    """Return the screen of these projects. What does not answer is named in it."""
    work = await _work(client)
    unseen: list[str] = []
    incidents: list[IncidentRow] = []
    try:
        incidents = (await incident_list.read_from(client, projects, only_open=True)).rows
    except ConfigurationError as error:
        unseen.append(str(error))
    return StatusScreen(
        at=datetime.now(UTC),
        waiting=[row for row in work if row.status.waits],
        projects=await asyncio.gather(*(_project(client, settings, each) for each in projects)),
        incidents=incidents,
        work=_shown(row for row in work if not row.status.waits),
        unseen=unseen,
    )


async def _work(client: Client) -> list[WorkRow]:
    query = f"WorkflowType IN ('{REPAIR}', '{ACTION}')"
    runs = [run async for run in client.list_workflows(query, limit=MOST_REPAIRS)]
    statuses = await asyncio.gather(*(status_of(client, run) for run in runs))
    return [
        WorkRow(
            id=run.id,
            services=list(run.typed_search_attributes.get(SERVICE) or ()),
            started=run.start_time,
            status=status if run.status is RUNNING else status.model_copy(update={"waits": False}),
            incidents=(await run.memo()).get("incidents", ()),
        )
        for run, status in zip(runs, statuses, strict=True)
    ]


def _shown(rows: Iterable[WorkRow]) -> list[WorkRow]:
    """Return all that are open, and of those that have ended the newest."""
    shown, ended = [], 0
    for row in rows:
        ended += row.status.ended
        if not row.status.ended or ended <= MOST_ENDED:
            shown.append(row)
    return shown


async def _project(client: Client, settings: Settings, project: ProjectSettings) -> ProjectStatus:
    status = ProjectStatus(project=project.name, environment=project.environment_id)
    newest = await newest_report(client, project.environment_id)
    if newest is None:
        status.problems.append(NEVER_SCANNED)
    else:
        status.scanned, status.services = newest.ended, services_by_state(newest.report)
        status.unseen = [*newest.report.unseen, *(g.reason for g in newest.report.unknown if g.reason)]
    await _add_schedule(client, project, status)
    try:
        state = await ledger_state(client, project.project_id)
    except ConfigurationError as error:
        status.unseen.append(f"Money spent: {error}")
        return status
    if state.paused:
        status.problems.append(f"{state.paused}. `starter.py resume` ends that.")
    budget, today = settings.policy().budget, f"{datetime.now(UTC):%Y-%m-%d}"
    status.day = Money(spent=usd_of(state.days, today), limit=budget.day.usd)
    status.month = Money(spent=usd_of(state.days, today[:7]), limit=budget.month.usd)
    status.reserved = usd_reserved(state)
    return status


def services_by_state(report: HealthReport) -> dict[str, list[str]]:
    """Return the names of services by state, the worst state first."""
    unknown = sorted({name for group in report.unknown for name in group.services})
    affected = [row.name for row in report.rows if row.findings]
    states = {
        "affected": affected,
        "unknown": unknown,
        "healthy": list(report.healthy),
        "asleep": list(report.asleep),
    }
    return {state: names for state, names in states.items() if names}


async def _add_schedule(client: Client, project: ProjectSettings, status: ProjectStatus) -> None:
    """Add when the next scan is, and what is wrong with those before."""
    try:
        schedule = await describe_schedule(client, project)
        result = await check_scans(client, project, schedule)
    except RPCError as error:
        status.unseen.append(f"The schedule: {error.message}")
        return
    if schedule and not schedule.schedule.state.paused:
        status.next_scan = next(iter(schedule.info.next_action_times), None)
    if result.status is not CheckStatus.OK:
        status.problems.append(f"Scans: {result.message} -> {result.hint}")


def render(screen: StatusScreen, console: Console) -> None:
    """Print the screen: what waits for the reader comes first."""
    _heading(console, "Waits for you")
    for row in screen.waiting:
        _print_work(row, console)
    if not screen.waiting:
        console.print("  Nothing.")
    for project in screen.projects:
        _print_project(project, console)
    _heading(console, "Open incidents")
    for incident in screen.incidents:
        since = f"{incident.since:%Y-%m-%d %H:%M}"
        _line(
            console, f"{incident.service}: {incident.kind.replace('_', ' ')} since {since}; {incident.label}"
        )
    if not screen.incidents:
        console.print(_without_incidents(screen))
    if screen.work:
        _heading(console, "Repairs")
        for row in screen.work:
            _print_work(row, console)
    if screen.all_unseen:
        _heading(console, "Could not be seen")
        for text in screen.all_unseen:
            _line(console, text)
    console.print(f"\nAs of {screen.at:%Y-%m-%d %H:%M:%S} UTC; all times are UTC.", style="dim")


def _without_incidents(screen: StatusScreen) -> str:
    if screen.unseen:
        return "  Not known, see below."
    return "  None." if all(project.scanned for project in screen.projects) else "  None is known."


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{escape(text)}", style="bold", highlight=False)


def _line(console: Console, text: str) -> None:
    console.print(f"  {escape(text)}", soft_wrap=True, highlight=False)


def _print_work(row: WorkRow, console: Console) -> None:
    """Print one line of words, and below it unbroken what is to be copied."""
    _line(console, f"{row.name}: {row.status.label} (started {row.started:%Y-%m-%d %H:%M})")
    copied = [row.status.command, row.status.link] if row.status.waits else [row.status.link or row.id]
    for text in filter(None, copied):
        _line(console, f"  {text}")


def _print_project(project: ProjectStatus, console: Console) -> None:
    scanned = f"last scan {project.scanned:%Y-%m-%d %H:%M}" if project.scanned else "never scanned"
    following = f", next {project.next_scan:%H:%M}" if project.next_scan else ""
    _heading(console, f"Project {project.project} ({scanned}{following})")
    for state, names in project.services.items():
        _line(console, f"{len(names)} {state}: {listed(names, MOST_NAMES)}")
    for problem in project.problems:
        _line(console, f"! {problem}")
    if project.cost:
        _line(console, project.cost)
