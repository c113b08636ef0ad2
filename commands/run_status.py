"""The status of one run, read from Temporal and shown as in the Web UI."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markdown import Markdown
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from activities.runs import why_open
from hosting import clients
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings
from workflows.actions.approved_action import ApprovedAction
from workflows.investigation.incident_investigation import IncidentInvestigation
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.search_attributes import REGISTRY

METADATA_QUERY = "__temporal_workflow_metadata"  # the SDK's own: holds the current details
RUNS: dict[str, Any] = {  # methods that share no signature
    "scan": HealthScan.run,
    "incident": IncidentInvestigation.run,
    "repair": RepositoryRepair.run,
    "action": ApprovedAction.run,
}


class RunStatus(BaseModel):
    """One run. `about` and `details`: Markdown of its start and of now; `result`: of one that succeeded.

    `still_runs`: of one whose stage nobody tells, what it waits for.
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
    result: Any = None
    failure: str | None = None
    still_runs: str = ""


async def read(workflow_id: str) -> RunStatus:
    """Return the status of a run. Raises `ConfigurationError` for an ID that Temporal does not know."""
    kind = workflow_id.partition("/")[0]
    if kind not in RUNS:
        raise ConfigurationError(
            f"{workflow_id!r} is no ID: they begin with scan/, incident/, repair/ or action/."
        )
    client = await clients.temporal(load_settings(), tries=1)
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle_for(RUNS[kind], workflow_id)
    try:
        run = await handle.describe()
        summary, about = await run.static_summary(), await run.static_details()
    except RPCError as error:
        raise ConfigurationError(
            f"{workflow_id} is not known ({error.message}). `starter.py incidents` lists IDs; histories are "
            "kept for a limited time."
        ) from error
    status = RunStatus(
        id=workflow_id,
        run_id=run.run_id,
        status=run.status.name.lower() if run.status else "unknown",
        summary=summary or "",
        started=run.start_time,
        ended=run.close_time,
        attributes=_attributes(run.typed_search_attributes),
        about=about or "",
        details=await current_details(client, workflow_id),
    )
    if run.status is WorkflowExecutionStatus.RUNNING:
        why = "" if status.details else await why_open(client, run)
        return status.model_copy(update={"still_runs": why})
    try:
        result = await handle.result()
    except WorkflowFailureError as error:
        cause = getattr(error.cause, "cause", None) or error.cause
        return status.model_copy(update={"failure": str(getattr(cause, "message", cause))})
    return status.model_copy(update={"result": result.model_dump(mode="json")})


def _attributes(typed: Any) -> dict[str, Any]:
    return {key.name: value for key in REGISTRY if (value := typed.get(key)) is not None}


async def current_details(client: Client, workflow_id: str) -> str:
    """Return the details that a worker reads from the history; empty while none runs."""
    try:
        metadata = await client.get_workflow_handle(workflow_id).query(
            METADATA_QUERY, result_type=WorkflowMetadata
        )
    except RPCError:
        return ""
    return str(metadata.current_details)


def render(status: RunStatus, console: Console) -> None:
    ended = f", ended {status.ended:%Y-%m-%d %H:%M:%S}" if status.ended else ""
    console.print(f"{status.id}", style="bold", soft_wrap=True)
    console.print(f"{status.status}; started {status.started:%Y-%m-%d %H:%M:%S}{ended} UTC", highlight=False)
    if status.summary:
        console.print(status.summary, markup=False)
    for name, value in status.attributes.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        console.print(f"  {name.removeprefix('Railmend').lower()}: {shown}", markup=False, highlight=False)
    if status.failure:
        console.print(f"Failed: {status.failure}", markup=False)
    for text in filter(None, (status.about, status.details)):
        console.print()
        if console.is_terminal:
            console.print(Markdown(text))
        else:
            console.print(text, markup=False, soft_wrap=True)
    if status.still_runs:
        console.print(f"There is no stage to show: it still runs, {status.still_runs}", markup=False)
