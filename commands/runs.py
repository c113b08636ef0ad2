"""Runs as the command line finds them, by workflow ID or a service's name, and what they are at.

A workflow is asked by its name and never imported: its activities bring half a second of libraries with them.
"""

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from hosting.connection import connect
from railmend.contracts.action import ActionResult
from railmend.contracts.incident import IncidentReport
from railmend.contracts.repair import RepairResult
from railmend.contracts.scan import HealthReport
from railmend.contracts.status import (
    UNANSWERED,
    RepairStatus,
    ending_label,
    status_of_failure,
    status_of_result,
)
from railmend.evidence.escaping import visible
from railmend.settings import ConfigurationError, Settings
from railmend.settings_file import load_settings
from workflows.shared.search_attributes import SERVICE

SCAN, INCIDENT, REPAIR, ACTION = "HealthScan", "IncidentInvestigation", "RepositoryRepair", "ApprovedAction"
# By the first part of a workflow ID: its type, and what it returns.
KINDS: dict[str, tuple[str, type[BaseModel]]] = {
    "scan": (SCAN, HealthReport),
    "incident": (INCIDENT, IncidentReport),
    "repair": (REPAIR, RepairResult),
    "action": (ACTION, ActionResult),
}
# A query without a worker hangs: a reader waits no longer.
ANSWER_WITHIN = timedelta(seconds=5)
# So many newest runs are searched for names, and so many of one service for the one that is meant.
MOST_RUNS, MOST_OF_ONE = 300, 30
NEVER_SCANNED = (
    "No scan has ended yet, so nothing is known. `starter.py scan` runs one now; `starter.py schedule "
    "create --every 10m` runs them regularly."
)
WHERE = "`starter.py incidents` lists services and IDs."
RUNNING = WorkflowExecutionStatus.RUNNING


@dataclass(frozen=True)
class Found:
    """The run that a person means, as it is now."""

    settings: Settings
    client: Client
    handle: WorkflowHandle[Any, Any]
    run: WorkflowExecutionDescription

    @property
    def id(self) -> str:
        return self.run.id

    @property
    def kind(self) -> str:
        return kind_of(self.run.id)

    @property
    def open(self) -> bool:
        return self.run.status is RUNNING


async def connected() -> tuple[Settings, Client]:
    """Return the settings, and a client of the server that they name."""
    settings = load_settings()
    return settings, await connect(settings)


async def look_up(name: str, *kinds: str, run_id: str | None = None) -> Found:
    """Return the run that is meant, by its workflow ID or a service's name.

    Raises `ConfigurationError` for another kind of run, and for what Temporal does not know.
    """
    check_kind(name, *kinds)
    settings, client = await connected()
    handle = handle_of(client, await find(client, name, *kinds), run_id)
    try:
        return Found(settings, client, handle, await handle.describe())
    except RPCError as error:
        raise ConfigurationError(
            f"{visible(handle.id)} is not known ({error.message}). {WHERE} Histories are kept for a limited "
            "time."
        ) from error


async def report_of(found: Found) -> IncidentReport:
    """Return the report of an investigation. Raises `ConfigurationError` where it has none."""
    if found.open:
        raise ConfigurationError(f"{found.id} has not ended yet: ask again in a minute.")
    try:
        ended: IncidentReport = await found.handle.result()
    except WorkflowFailureError as error:
        raise ConfigurationError(f"{found.id} ended without a report ({reason_of(error)}).") from error
    return ended


def kind_of(workflow_id: str) -> str:
    """Return scan, incident, repair or action; empty: it is not a workflow ID of these."""
    kind, slash, _ = workflow_id.partition("/")
    return kind if slash and kind in KINDS else ""


def check_kind(name: str, *kinds: str) -> None:
    """Raise `ConfigurationError` for the workflow ID of another kind; any other name is a service's."""
    kind = name.partition("/")[0] if "/" in name else ""
    if kind == "ledger":
        raise ConfigurationError(
            f"{visible(name)} is Railmend's memory and stays open: this command takes a service, or a "
            f"workflow ID of kind {_listed(kinds)}. `starter.py ledger` shows what is in it."
        )
    if kind and kind not in kinds:
        what = f"is of kind {kind}" if kind in KINDS else "is not a workflow ID"
        raise ConfigurationError(
            f"{visible(name)} {what}: this command takes a service, or a workflow ID of kind "
            f"{_listed(kinds)}. `starter.py incidents` lists both."
        )


def handle_of(client: Client, workflow_id: str, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(workflow_id, run_id=run_id, result_type=KINDS[kind_of(workflow_id)][1])


def quoted(text: str) -> str:
    """Return a string of Temporal's list filter: a name of a service may hold a quote."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


async def runs_of(client: Client, name: str, types: Collection[str]) -> list[WorkflowExecution]:
    """Return the newest runs about a service, newest first."""
    wanted = ", ".join(map(quoted, types))
    query = f"{SERVICE.name} = {quoted(name)} AND WorkflowType IN ({wanted})"
    try:
        return [run async for run in client.list_workflows(query, limit=MOST_OF_ONE)]
    except RPCError:
        return []  # no worker has registered the search attributes: nothing has run


async def known_names(client: Client) -> list[str]:
    """Return the names of services that the newest runs are about."""
    names: set[str] = set()
    try:
        async for run in client.list_workflows(f"{SERVICE.name} IS NOT NULL", limit=MOST_RUNS):
            names.update(run.typed_search_attributes.get(SERVICE) or ())
    except RPCError:
        return []
    return sorted(names)


async def find(client: Client, name: str, *kinds: str) -> str:
    """Return the workflow ID that a person means, who gives it or the name of a service.

    An open run is preferred, then the newest. Raise `ConfigurationError` that names what is close.
    """
    check_kind(name, *kinds)
    if kind_of(name):
        return name
    runs = await runs_of(client, name, [KINDS[kind][0] for kind in kinds])
    if not runs:
        raise await unknown_name(client, name, kinds)
    still_open = [run for run in runs if run.status is RUNNING]
    return (still_open or runs)[0].id


async def find_waiting(client: Client, name: str) -> str:
    """Return the ID of the one plan or action about a service that waits for an answer.

    Raise `ConfigurationError` where none does, or several do.
    """
    if kind_of(name) in ("repair", "action"):
        return name
    runs = await runs_of(client, name, (REPAIR, ACTION))
    if not runs:
        raise await unknown_name(client, name, ("repair", "action"))
    statuses = [(run, await status_of(client, run)) for run in runs if run.status is RUNNING]
    waiting = [(run, status) for run, status in statuses if status.command]
    if len(waiting) == 1:
        return waiting[0][0].id
    if waiting:
        listed = "\n".join(f"  {visible(status.command)}" for _, status in waiting)
        raise ConfigurationError(f"Several things about {visible(name)} wait for you:\n{listed}")
    newest = statuses[0][1] if statuses else await status_of(client, runs[0])
    raise ConfigurationError(
        f"Nothing about {visible(name)} waits for an approval. Its status: {visible(newest.label)}. "
        f"{visible(newest.link or newest.detail)}".strip()
    )


async def unknown_name(client: Client, name: str, kinds: Collection[str]) -> ConfigurationError:
    """Return the error for a name that no run of these kinds is about."""
    names = await known_names(client)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    shown = visible(name)
    if name in names:
        return ConfigurationError(
            f"There is no {_listed(kinds)} for {shown}. `starter.py show {shown}` says why."
        )
    if close:
        return ConfigurationError(
            f"No run is about {shown!r}. Did you mean {_listed(map(visible, close))}? {WHERE}"
        )
    if names:
        listed = ", ".join(map(visible, names[:10]))
        return ConfigurationError(f"No run is about {shown!r}. Known services: {listed}. {WHERE}")
    return ConfigurationError(
        f"No run is about {shown!r}: no scan has found trouble yet. `starter.py status` shows the services."
    )


def _listed(words: Collection[str] | Any) -> str:
    *most, last = list(words)
    return f"{', '.join(most)} or {last}" if most else str(last)


async def status_of(client: Client, run: WorkflowExecution) -> RepairStatus:
    """Return how a repair or an action stands."""
    handle = handle_of(client, run.id, run.run_id)
    if run.status is RUNNING:
        try:
            status: RepairStatus = await handle.query(
                "status", result_type=RepairStatus, rpc_timeout=ANSWER_WITHIN
            )
        except (RPCError, WorkflowQueryFailedError):
            return UNANSWERED
        return status
    cancelled = run.status is WorkflowExecutionStatus.CANCELED
    try:
        result = await handle.result()
    except WorkflowFailureError as error:
        return status_of_failure(cancelled=cancelled, reason="" if cancelled else reason_of(error))
    if isinstance(result, RepairResult):
        return status_of_result(result)
    return RepairStatus(label=ending_label(result.state.value), detail=result.detail, ended=True)


def reason_of(error: WorkflowFailureError) -> str:
    """Return why a run failed, in the words of whoever raised it."""
    cause = getattr(error.cause, "cause", None) or error.cause
    return str(getattr(cause, "message", cause))


@dataclass(frozen=True)
class NewestReport:
    """The report of the newest scan that has ended well. `workflow_id`: that scan."""

    workflow_id: str
    ended: datetime
    report: HealthReport


async def newest_report(client: Client, environment_id: str) -> NewestReport | None:
    """Return the newest report of an environment; None: no scan of it has ended well, as far as is kept."""
    query = f"WorkflowType = '{SCAN}' AND ExecutionStatus = 'Completed'"
    async for run in client.list_workflows(query, limit=MOST_RUNS):
        if run.id.startswith(f"scan/{environment_id}/"):
            report = await handle_of(client, run.id, run.run_id).result()
            return NewestReport(run.id, run.close_time or run.start_time, report)
    return None


async def repair_of(client: Client, incident_id: str, service: str) -> WorkflowExecution | None:
    """Return the newest repair that an investigation led to."""
    for run in await runs_of(client, service, (REPAIR,)):
        if incident_id in (await run.memo()).get("incidents", ()):
            return run
    return None
