"""The status of one run, read from Temporal and shown in the words of the Web UI."""

from datetime import datetime
from html import unescape
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError
from temporalio.service import RPCError

from activities.runs import why_open
from commands.runs import (
    ANSWER_WITHIN,
    KINDS,
    kind_of,
    look_up,
    reason_of,
    repair_of,
    status_of,
)
from railmend.contracts.status import RepairStatus
from workflows.shared.details import format_status
from workflows.shared.search_attributes import REGISTRY, SERVICE, VERDICT

METADATA_QUERY = "__temporal_workflow_metadata"  # the SDK's own: holds the current details
MOST_EARLIER = 5


class RelatedRun(BaseModel):
    """Another run that belongs to this one: an incident's repair, a repair's incident, an earlier run.

    `run_id`: empty for the newest under its ID.
    """

    relation: str
    id: str
    run_id: str = ""
    status: str


class RunStatus(BaseModel):
    """One run. `about` and `details`: Markdown of its start and of now; `result`: of one that succeeded.

    `stands`: how a repair or an action stands, in the words of `details`. `still_runs`: of one whose stage no
    worker reports, what it waits for.
    """

    id: str
    run_id: str
    status: str
    summary: str
    started: datetime
    ended: datetime | None
    attributes: dict[str, Any]
    about: str
    details: str
    stands: RepairStatus | None = None
    related: list[RelatedRun] = []
    result: Any = None
    failure: str | None = None
    still_runs: str = ""


async def read(name: str, run_id: str | None = None) -> RunStatus:
    """Return the status of the run that is meant, by workflow ID or a service's name.

    Raises `ConfigurationError` for what Temporal does not know.
    """
    found = await look_up(name, *KINDS, run_id=run_id)
    client, run = found.client, found.run
    summary, about = await run.static_summary(), await run.static_details()
    if stands := await status_of(client, run) if found.kind in ("repair", "action") else None:
        details = str(format_status(stands)) if stands.answered else ""
    else:
        details = await _details(client, run)
    status = RunStatus(
        id=run.id,
        run_id=run.run_id,
        status=run.status.name.lower() if run.status else "unknown",
        summary=summary or "",
        started=run.start_time,
        ended=run.close_time,
        attributes=_attributes(run.typed_search_attributes),
        about=about or "",
        details=details,
        stands=stands if details else None,
        related=await _related(client, run),
    )
    if found.open:
        why = "" if status.details else await why_open(client, run)
        return status.model_copy(update={"still_runs": why})
    try:
        result = await found.handle.result()
    except WorkflowFailureError as error:
        return status.model_copy(update={"failure": reason_of(error)})
    return status.model_copy(update={"result": result.model_dump(mode="json")})


def _attributes(typed: Any) -> dict[str, Any]:
    return {key.name: value for key in REGISTRY if (value := typed.get(key)) is not None}


async def _details(client: Client, run: WorkflowExecution) -> str:
    """Return the details of now; empty while no worker reads them from the history."""
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        metadata = await handle.query(METADATA_QUERY, result_type=WorkflowMetadata, rpc_timeout=ANSWER_WITHIN)
    except RPCError:
        return ""
    return str(metadata.current_details)


async def _related(client: Client, run: WorkflowExecution) -> list[RelatedRun]:
    """Return an incident's repair and its earlier runs; a repair's incidents."""
    if kind_of(run.id) == "repair":
        incidents = (await run.memo()).get("incidents", ())
        return [RelatedRun(relation="incident", id=incident, status="") for incident in incidents]
    if kind_of(run.id) != "incident":
        return []
    related = []
    services = run.typed_search_attributes.get(SERVICE) or ()
    repair = await repair_of(client, run.id, services[0]) if services else None
    if repair is not None:
        status: RepairStatus = await status_of(client, repair)
        related.append(RelatedRun(relation="repair", id=repair.id, status=status.label))
    async for other in client.list_workflows(f"WorkflowId = '{run.id}'", limit=MOST_EARLIER + 1):
        if other.run_id != run.run_id:
            verdict = other.typed_search_attributes.get(VERDICT) or "no verdict"
            at = f"{verdict.replace('_', ' ')}, {other.start_time:%Y-%m-%d %H:%M} UTC"
            related.append(RelatedRun(relation="other run", id=run.id, run_id=other.run_id, status=at))
    return related


def render(status: RunStatus, console: Console) -> None:
    ended = f", ended {status.ended:%Y-%m-%d %H:%M:%S}" if status.ended else ""
    console.print(f"{status.id}", style="bold", soft_wrap=True)
    console.print(f"{status.status}; started {status.started:%Y-%m-%d %H:%M:%S}{ended} UTC", highlight=False)
    if status.summary:
        console.print(unescape(status.summary), markup=False)
    for name, value in status.attributes.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        console.print(f"  {name.removeprefix('Railmend').lower()}: {shown}", markup=False, highlight=False)
    for other in status.related:
        run_id = f" --run {other.run_id}" if other.run_id else ""
        shown = f" ({other.status})" if other.status else ""
        console.print(
            f"  {other.relation}: {other.id}{run_id}{shown}", markup=False, highlight=False, soft_wrap=True
        )
    if status.failure:
        console.print(f"Failed: {status.failure}", markup=False)
    from rich.markdown import Markdown  # slow to import, and most that fails does so before

    for text in filter(None, (status.about, "" if status.stands else status.details)):
        console.print()
        if console.is_terminal:
            console.print(Markdown(text))
        else:
            console.print(unescape(text), markup=False, soft_wrap=True)
    if status.stands:
        # Unbroken, so that it can be copied; Markdown would be wrapped.
        console.print()
        for text in filter(None, (status.stands.sentence, status.stands.command, status.stands.link)):
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    if status.still_runs:
        console.print(f"No stage to show: it is still running, {status.still_runs}", markup=False)
