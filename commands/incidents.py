"""`starter.py incidents`: what the ledgers know, newest first, as a list or in numbers."""

from typing import Annotated

import typer

from commands.options import JsonOption, ProjectOption, console, emit, run


def incidents(
    project: ProjectOption = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what is being worked on now.")] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Show counts, costs and outcomes of fixes instead of the list.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List incidents: open, suppressed or closed."""
    from commands import incident_list
    from commands.statistics import print_statistics, statistics

    incidents = run(incident_list.read(project, only_open=only_open))
    if stats:
        emit(statistics(incidents)) if as_json else print_statistics(incidents, console())
    elif as_json:
        emit([row.model_dump(mode="json") for row in incidents.rows])
    else:
        incident_list.render(incidents, console())
