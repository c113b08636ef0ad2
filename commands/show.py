"""`starter.py show`: one run, as the Web UI shows it."""

from typing import Annotated

import typer

from commands.options import JsonOption, console, emit, name_argument, run


def show(
    name: Annotated[
        str, name_argument("A service, or a workflow ID as `incidents`, a report or the Web UI show it.")
    ],
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="An earlier run under the same ID.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the status of a scan, incident or repair."""
    from commands.run_status import read, render

    status = run(read(name, run_id))
    emit(status.model_dump(mode="json")) if as_json else render(status, console())
