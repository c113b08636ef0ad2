"""`starter.py show`: one run, as the Web UI shows it."""

from typing import Annotated

import typer

from commands.options import JsonOption, console, emit, run


def show(
    workflow: Annotated[
        str,
        typer.Argument(metavar="ID", help="Workflow ID, as `incidents`, a report or the Web UI show it."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the status of a scan, incident or repair."""
    from commands.run_status import read, render

    status = run(read(workflow))
    emit(status.model_dump(mode="json")) if as_json else render(status, console())
