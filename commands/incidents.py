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
from railmend.contracts.ledger import LedgerEntry, LedgerState, Spent
from railmend.contracts.record import Track
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from railmend.settings_file import load_settings
from workflows.attributes import SERVICE
from workflows.ledger import Ledger


class Trouble(BaseModel):
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


class Known(BaseModel):
    troubles: list[Trouble]
    days: dict[str, list[Spent]]  # by project
    # By Railway's project, whose environments share one ledger: all that was ever spent, and all fixes.
    totals: dict[str, Spent] = {}
    tracks: dict[str, Track] = {}


async def incidents(project: str | None, *, only_open: bool = False) -> Known:
    """Of one project, or of all. Raises `ConfigurationError` when Temporal or the workers do not answer."""
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    troubles: list[Trouble] = []
    days: dict[str, list[Spent]] = {}
    ledgers: dict[str, LedgerState] = {}
    for one in _projects(settings, project):
        state = ledgers[one.project_id] = await _ledger(client, one)
        entries = [entry for entry in state.entries if entry.fingerprint.startswith(f"{one.environment_id}/")]
        names = await _names(client, entries)
        troubles += [_trouble(one.name, entry, names) for entry in entries]
        days[one.name] = list(state.days)
    troubles = [one for one in troubles if one.state == "open" or not only_open]
    return Known(
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


def _trouble(project: str, entry: LedgerEntry, names: dict[str, str]) -> Trouble:
    key, _, kind = entry.fingerprint.rpartition("/")
    return Trouble(
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
    )


def rows(known: Known) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json") for one in known.troubles]


def show(known: Known, console: Console) -> None:
    if not known.troubles:
        console.print("Nothing is known to be wrong.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("project", "service", "trouble", "state", "since (UTC)", "outcome", "where to look"):
        table.add_column(column, overflow="fold")
    for one in known.troubles:
        cells = (one.project, one.service, one.kind, one.state, f"{one.since:%Y-%m-%d %H:%M}", one.outcome)
        table.add_row(*map(escape, (*cells, one.pull_request or one.id)))
    console.print(table)
    console.print("`starter.py show ID` tells more.", style="dim")
