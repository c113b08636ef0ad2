"""`starter.py incidents`: what the ledgers know, newest first."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from commands.scan import chosen
from hosting import clients
from railmend.contracts.ledger import LedgerEntry, LedgerState, SpendingTotal
from railmend.contracts.track_record import TrackRecord
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from railmend.settings_file import load_settings
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.shared.search_attributes import SERVICE


class IncidentRow(BaseModel):
    """One fingerprint. `state`: open (worked on), silent (settled, quiet for now) or past."""

    project: str
    service: str
    kind: str
    state: str
    since: datetime
    until: datetime
    outcome: str
    detail: str
    pull_request: str
    times: int
    id: str  # workflow ID of who has it, or had it last
    incident: str  # workflow ID of its investigation


class IncidentList(BaseModel):
    troubles: list[IncidentRow]
    days: dict[str, list[SpendingTotal]]  # by project
    # By Railway's project, whose environments share one ledger: all that was ever spent, and all fixes.
    totals: dict[str, SpendingTotal] = {}
    tracks: dict[str, TrackRecord] = {}


async def incidents(project: str | None, *, only_open: bool = False) -> IncidentList:
    """Of one project, or of all. Raises `ConfigurationError` when Temporal or the workers do not answer."""
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    troubles: list[IncidentRow] = []
    days: dict[str, list[SpendingTotal]] = {}
    ledgers: dict[str, LedgerState] = {}
    for one in _projects(settings, project):
        state = ledgers[one.project_id] = await _ledger(client, one)
        entries = [entry for entry in state.entries if entry.fingerprint.startswith(f"{one.environment_id}/")]
        names = await _names(client, entries)
        found = [_trouble(one.name, entry, names) for entry in entries]
        troubles += await asyncio.gather(*(_so_far(client, trouble) for trouble in found))
        days[one.name] = list(state.days)
    troubles = [one for one in troubles if one.state == "open" or not only_open]
    return IncidentList(
        troubles=sorted(troubles, key=lambda one: one.since, reverse=True),
        days=days,
        totals={key: state.total for key, state in ledgers.items()},
        tracks={key: state.track for key, state in ledgers.items()},
    )


def _projects(settings: Settings, name: str | None) -> Sequence[ProjectSettings]:
    return settings.watched() if name is None and settings.projects else [chosen(settings, name)]


async def _ledger(client: Client, project: ProjectSettings) -> LedgerState:
    workflow_id = f"ledger/{project.project_id}"
    try:
        return await client.get_workflow_handle_for(Ledger.run, workflow_id).query(Ledger.state)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return LedgerState(project_id=project.project_id)  # nothing was found yet
        raise ConfigurationError(
            f"{workflow_id} does not answer ({error.message}): does a worker run? Start `worker.py`."
        ) from error


async def _names(client: Client, entries: Sequence[LedgerEntry]) -> dict[str, str]:
    """Service name by `environment/service`, from the investigations' search attributes."""
    keys = sorted({entry.fingerprint.rpartition("/")[0] for entry in entries})

    async def name(key: str) -> str:
        try:
            told = await client.get_workflow_handle(f"incident/{key}").describe()
        except RPCError:
            return key.rpartition("/")[2]  # older than the namespace's retention
        found = told.typed_search_attributes.get(SERVICE)
        return found[0] if found else key.rpartition("/")[2]

    return dict(zip(keys, await asyncio.gather(*map(name, keys)), strict=True))


def _trouble(project: str, entry: LedgerEntry, names: dict[str, str]) -> IncidentRow:
    key, _, kind = entry.fingerprint.rpartition("/")
    return IncidentRow(
        project=project,
        service=names[key],
        kind=kind,
        state=entry.state if entry.until > datetime.now(UTC) else "past",
        since=entry.since,
        until=entry.until,
        outcome=entry.outcome,
        detail=entry.detail,
        pull_request=entry.pull_request,
        times=entry.times,
        id=entry.holder,
        incident=f"incident/{key}",
    )


async def _so_far(client: Client, trouble: IncidentRow) -> IncidentRow:
    """The ledger learns of an end; of an open repair it is told here what it waits for."""
    if trouble.state != "open" or not trouble.id.startswith("repair/"):
        return trouble
    handle = client.get_workflow_handle_for(RepositoryRepair.run, trouble.id)
    try:
        opened = await handle.query(RepositoryRepair.opened)
        waits = opened is None and await handle.query(RepositoryRepair.waits_for_approval)
    except RPCError:
        return trouble  # it ends right now
    if opened is None or opened.pull_request is None:
        return trouble.model_copy(update={"outcome": "waits for approve"}) if waits else trouble
    return trouble.model_copy(
        update={"outcome": opened.outcome.value, "pull_request": opened.pull_request.url}
    )


def rows(known: IncidentList) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json") for one in known.troubles]


def show(known: IncidentList, console: Console) -> None:
    if not known.troubles:
        console.print("Nothing is known to be wrong.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("project", "service", "trouble", "state", "since (UTC)", "outcome"):
        table.add_column(column, overflow="fold")
    for one in known.troubles:
        cells = (one.project, one.service, one.kind, one.state, f"{one.since:%Y-%m-%d %H:%M}", one.outcome)
        table.add_row(*map(escape, cells))
    console.print(table)
    # Below the table and unbroken, so that they can be copied.
    console.print("\nWhere to look, with `starter.py show ID`:", style="dim")
    for place in dict.fromkeys(place for one in known.troubles for place in _places(one)):
        console.print(escape(place), soft_wrap=True)


def _places(one: IncidentRow) -> list[str]:
    """Lines that begin with an ID, or hold the pull request's address."""
    pull_request = f": {one.pull_request}" if one.pull_request else ""
    holder = [] if one.id == one.incident and not pull_request else [f"  {one.id}{pull_request}"]
    return [f"  {one.incident} ({one.service})", *holder]
