"""Runs of workflows as the server knows them: how one is now, and what it was started with."""

from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

# Of the history, in which the last failure of a workflow task is looked for.
LAST_EVENTS = 5


async def described(
    client: Client, workflow_id: str, run_id: str | None = None
) -> WorkflowExecutionDescription | None:
    """Describe a run, by default the newest under this ID; None: the server knows none. Raise `RPCError`."""
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def input_of(run: WorkflowHandle[Any, Any]) -> Sequence[Payload]:
    """Return the payloads that a run was started with. Raise `ValueError` for a run without a history."""
    async for event in run.fetch_history_events(page_size=1):
        return event.workflow_execution_started_event_attributes.input.payloads
    raise ValueError(f"{run.id} has no history any more.")


async def why_open(client: Client, run: WorkflowExecutionDescription) -> str:
    """Return what an open run waits for, as the end of a sentence; what fails in it comes first."""
    raw = run.raw_description
    if raw.pending_workflow_task.attempt > 1:
        failed = raw.pending_workflow_task.attempt - 1
        return f"and its workflow task has failed {failed} times{await task_failure(client, run)}"
    for pending in raw.pending_activities:
        if pending.HasField("last_failure"):
            error = await client.data_converter.decode_failure(pending.last_failure)
            return f"in {pending.activity_type.name}, attempt {pending.attempt}: {_text(error)}"
    if raw.pending_children:
        return f"and waits for {', '.join(child.workflow_id for child in raw.pending_children[:3])}."
    return "and waits for a worker: start `worker.py`."


async def task_failure(client: Client, run: WorkflowExecutionDescription) -> str:
    """Return why the newest workflow task failed, behind a colon: only the end of the history tells."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
        maximum_page_size=LAST_EVENTS,
    )
    reply = await client.workflow_service.get_workflow_execution_history_reverse(request)
    for event in reply.history.events:
        if event.HasField("workflow_task_failed_event_attributes"):
            failure = event.workflow_task_failed_event_attributes.failure
            return f": {_text(await client.data_converter.decode_failure(failure))}"
    return "."


def _text(error: BaseException) -> str:
    """Return the reason: the server puts a long failure into one that says only that it is long."""
    cause = error.__cause__ or error
    return str(getattr(cause, "message", None) or cause)
