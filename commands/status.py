"""`starter.py status`: everything on one screen, what waits for you first."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, ProjectOption, console, emit, run

if TYPE_CHECKING:
    from rich.console import Console

WATCH_SECONDS = 5


def status(
    project: ProjectOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help=f"Show it again every {WATCH_SECONDS} s, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show everything at a glance, what waits for you first.

    Services by state, open incidents, repairs, scans, money, and what could not be seen.
    """
    from commands.status_screen import read

    if watch and not as_json:
        run(_watch(project, console()))
        return
    screen = run(read(project))
    if as_json:
        emit(screen.model_dump(mode="json"))
        return
    from commands.status_screen import render

    render(screen, console())


async def _watch(project: str | None, output: "Console") -> None:
    """Show the screen again and again; a terminal is cleared before."""
    import asyncio

    from commands.status_screen import read, render

    while True:
        screen = await read(project)
        if output.is_terminal:
            output.clear()
        render(screen, output)
        await asyncio.sleep(WATCH_SECONDS)
