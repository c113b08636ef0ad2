"""`starter.py cancel`: stop a scan, an incident or a repair."""

from typing import Annotated

import typer

from commands.options import JsonOption, complete_names, emit, run


def cancel(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE|ID",
            help="A service, or the workflow ID of a scan, incident or repair.",
            autocompletion=complete_names,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Stop a scan, an incident or a repair.

    A coding session is ended and its workspace removed.
    """
    workflow = run(_cancel(name))
    emit({"id": workflow, "decision": "cancelled"}) if as_json else typer.echo(f"{workflow}: asked to stop.")


async def _cancel(name: str) -> str:
    """Return what was asked to stop.

    Raise `ConfigurationError` where nothing runs under this name, and for the ledger.
    """
    from temporalio.client import WorkflowExecutionStatus
    from temporalio.service import RPCError

    from commands.runs import check_kind, find
    from hosting import clients
    from railmend.settings import ConfigurationError
    from railmend.settings_file import load_settings

    kinds = ("repair", "incident", "scan", "action")
    check_kind(name, *kinds)
    client = await clients.temporal(load_settings(), tries=1)
    workflow_id = await find(client, name, *kinds)
    handle = client.get_workflow_handle(workflow_id)
    try:
        status = (await handle.describe()).status
        if status is not WorkflowExecutionStatus.RUNNING:
            raise ConfigurationError(f"{workflow_id} has already ended.")
        await handle.cancel()
        return workflow_id
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing runs as {workflow_id} ({error.message}). `starter.py incidents --open` lists what does."
        ) from error
