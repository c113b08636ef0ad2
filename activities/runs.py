"""Runs of workflows as the server knows them: how one is now, and what it was started with."""

from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode


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
