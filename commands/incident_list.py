"""What the ledgers know of incidents, newest first: read from Temporal, and shown as a table."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from temporalio.client import Client
from temporalio.service import RPCError

from activities.runs import described
from commands.ledgers import ledger_state, projects_of
from commands.runs import NEVER_SCANNED, connected, kind_of, newest_report, status_of
from railmend.contracts.ledger import LedgerEntry, LedgerState, SpendingTotal
from railmend.contracts.status import incident_label
from railmend.contracts.track_record import TrackRecord
from railmend.publishing.screen import IncidentRow
from railmend.settings import ProjectSettings
from workflows.shared.search_attributes import SERVICE


class IncidentList(BaseModel):
    rows: list[IncidentRow]
    days: dict[str, list[SpendingTotal]]  # by project
    # By Railway's project, whose environments share one ledger: all that was ever spent, and all fixes.
    totals: dict[str, SpendingTotal] = {}
    tracks: dict[str, TrackRecord] = {}
    paused: list[str] = []
    last_scan: str = ""  # headline of the newest report; empty: no scan has ended yet


async def read(project_name: str | None, *, only_open: bool = False) -> IncidentList:
    """Return the incidents of one project, or of all.

    Raises `ConfigurationError` when Temporal or the workers do not answer.
    """
    settings, client = await connected()
    return await read_from(client, projects_of(settings, project_name), only_open=only_open)


async def read_from(
    client: Client, projects: Sequence[ProjectSettings], *, only_open: bool = False
) -> IncidentList:
    """Return the incidents of these projects. Raises what `read` raises."""
    rows: list[IncidentRow] = []
    days: dict[str, list[SpendingTotal]] = {}
    ledgers: dict[str, LedgerState] = {}
    for project in projects:
        state = ledgers[project.project_id] = await ledger_state(client, project.project_id)
        prefix = f"{project.environment_id}/"
        entries = [entry for entry in state.entries if entry.fingerprint.startswith(prefix)]
        names = await _names(client, entries)
        rows += await asyncio.gather(
            *(_with_repair(client, _row(project.name, entry, names)) for entry in entries)
        )
        days[project.name] = list(state.days)
    rows = [row for row in rows if row.state == "open" or not only_open]
    return IncidentList(
        rows=sorted(rows, key=lambda row: row.since, reverse=True),
        days=days,
        totals={key: state.total for key, state in ledgers.items()},
        tracks={key: state.track for key, state in ledgers.items()},
        paused=sorted({f"{state.paused}." for state in ledgers.values() if state.paused}),
        last_scan="" if rows else await _last_scan(client, projects),
    )


async def _names(client: Client, entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Return service names by `environment/service`, from the investigations' search attributes."""
    keys = sorted({entry.fingerprint.rpartition("/")[0] for entry in entries})

    async def name(key: str) -> str:
        try:
            run = await client.get_workflow_handle(f"incident/{key}").describe()
        except RPCError:
            return key.rpartition("/")[2]  # older than the namespace's retention
        services = run.typed_search_attributes.get(SERVICE)
        return services[0] if services else key.rpartition("/")[2]

    return dict(zip(keys, await asyncio.gather(*map(name, keys)), strict=True))


def _row(project: str, entry: LedgerEntry, names: dict[str, str]) -> IncidentRow:
    key, _, kind = entry.fingerprint.rpartition("/")
    state = entry.state if entry.alive(datetime.now(UTC)) else "closed"
    own = {"since", "until", "outcome", "detail", "pull_request", "times"}
    return IncidentRow(
        **{name: getattr(entry, name) for name in own},
        project=project,
        service=names[key],
        kind=kind,
        state=state,
        label=incident_label(state, entry.outcome, entry.until, None),
        id=entry.holder,
        incident=f"incident/{key}",
    )


async def _with_repair(client: Client, row: IncidentRow) -> IncidentRow:
    """Add to an open incident how its repair stands: the ledger learns of it only at the end."""
    if row.state != "open" or kind_of(row.id) != "repair":
        return row
    run = await described(client, row.id)
    if run is None:
        return row
    repair = await status_of(client, run)
    return row.model_copy(
        update={
            "label": incident_label(row.state, row.outcome, row.until, repair),
            "command": repair.command,
            "pull_request": repair.link if not repair.command else "",
        }
    )


async def _last_scan(client: Client, projects: Sequence[ProjectSettings]) -> str:
    reports = [await newest_report(client, project.environment_id) for project in projects]
    return " ".join(f"{each.report.project_name}: {each.report.headline}" for each in reports if each)


def render(incidents: IncidentList, console: Console) -> None:
    for sentence in incidents.paused:
        console.print(f"{escape(sentence)} `starter.py resume` ends that.", soft_wrap=True)
    if not incidents.rows:
        known = f"No incident is known. {escape(incidents.last_scan)}"
        console.print(known if incidents.last_scan else NEVER_SCANNED, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("project", "service", "finding", "since (UTC)", "state"):
        table.add_column(column, overflow="fold")
    for row in incidents.rows:
        cells = (row.project, row.service, row.kind, f"{row.since:%Y-%m-%d %H:%M}", row.label)
        table.add_row(*map(escape, cells))
    console.print(table)
    # Below the table and unbroken, so that they can be copied.
    for command in dict.fromkeys(row.command for row in incidents.rows if row.command):
        console.print(f"Waits for you: {escape(command)}", soft_wrap=True)
    console.print("\nMore, with `starter.py show SERVICE` or an ID:", style="dim")
    for line in dict.fromkeys(line for row in incidents.rows for line in _ids(row)):
        console.print(escape(line), soft_wrap=True)


def _ids(row: IncidentRow) -> list[str]:
    """Return lines that begin with an ID, or hold the pull request's address."""
    pull_request = f": {row.pull_request}" if row.pull_request else ""
    quiet = not row.id.startswith("repair/") and not pull_request
    holder = [] if quiet else [f"  {row.id}{pull_request}"]
    return [f"  {row.incident} ({row.service})", *holder]
