"""`starter.py replay`: would a history continue with the code as it is now?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, answer, run

if TYPE_CHECKING:
    from temporalio.client import WorkflowHistory


def replay(
    history: Annotated[
        str, typer.Argument(metavar="FILE|ID", help="A recorded history (JSON), or a workflow ID.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Check whether a run could continue with this code.

    Replays a recorded or live history, as a worker does after an upgrade.

    Ends with code 1 if the code would act differently from the history.
    """
    difference = run(_replay(history))
    data = {"history": history, "replays": difference is None, "reason": difference}
    answer(data, f"{history}: {difference or 'replays'}", as_json=as_json)
    if difference is not None:
        raise typer.Exit(1)


async def _replay(history: str) -> str | None:
    """Return None where it replays, else what differs. Raises `ConfigurationError` where there is none."""
    from temporalio.worker import Replayer
    from temporalio.workflow import NondeterminismError

    from hosting.workers import WORKFLOWS
    from workflows.shared.plugin import railmend_plugin

    file = Path(history)
    recorded = _read(file) if file.is_file() else await _fetch(history)
    try:
        await Replayer(workflows=WORKFLOWS, plugins=[railmend_plugin()]).replay_workflow(recorded)
    except NondeterminismError as error:
        return str(error)
    return None


def _read(file: Path) -> "WorkflowHistory":
    from temporalio.client import WorkflowHistory

    from railmend.settings import ConfigurationError

    try:
        return WorkflowHistory.from_json(file.stem, file.read_text(encoding="utf-8"))
    # The parser of protobuf's JSON has an error of its own for each layer.
    except Exception as error:
        raise ConfigurationError(
            f"{file} is not a recorded history ({error}). Save one with `temporal workflow show --output "
            "json`."
        ) from error


async def _fetch(workflow_id: str) -> "WorkflowHistory":
    from temporalio.service import RPCError

    from commands.runs import connected
    from railmend.settings import ConfigurationError

    _, client = await connected()
    try:
        return await client.get_workflow_handle(workflow_id).fetch_history()
    except RPCError as error:
        raise ConfigurationError(
            f"{workflow_id} is neither a file nor a workflow ({error.message})."
        ) from error
