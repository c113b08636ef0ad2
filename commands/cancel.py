"""`starter.py cancel`: stop a scan, an incident or a repair."""

from typing import Annotated

import typer

from commands.options import JsonOption, emit, run


def cancel(
    workflow: Annotated[str, typer.Argument(metavar="ID", help="Workflow ID of a scan, incident or repair.")],
    as_json: JsonOption = False,
) -> None:
    """Stop a scan, an incident or a repair.

    A coding session is ended and its workspace removed.
    """
    run(_cancel(workflow))
    emit({"id": workflow, "decision": "cancelled"}) if as_json else typer.echo(f"{workflow}: asked to stop.")


async def _cancel(workflow_id: str) -> None:
    """Raise `ConfigurationError` where nothing runs under this ID, and for the ledger."""
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError

    from hosting import clients
    from railmend.settings import ConfigurationError
    from railmend.settings_file import load_settings

    if workflow_id.startswith("ledger/"):
        raise ConfigurationError(
            f"{workflow_id} is Railmend's memory and must stay open: cancel a scan, incident or repair."
        )
    client = await clients.temporal(load_settings(), tries=1)
    handle = client.get_workflow_handle(workflow_id)
    try:
        status = (await handle.describe()).status
        if status is not WorkflowExecutionStatus.RUNNING:
            raise ConfigurationError(f"{workflow_id} has already ended.")
        await handle.cancel()
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing runs as {workflow_id} ({error.message}). `starter.py incidents --open` lists what does."
        ) from error
