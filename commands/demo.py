"""`starter.py demo`: the whole loop on this machine, with real parts and no account."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import console, run


def demo(
    keep: Annotated[
        bool, typer.Option(help="Leave everything running until Ctrl-C, to look around.")
    ] = False,
    state: Annotated[Path | None, typer.Option(help="Keep repositories, logs and history here.")] = None,
) -> None:
    """Show the whole loop on this machine, without an account.

    Real services, a real Temporal server, a real OpenCode, real git.
    """
    from commands.demo_run import play

    raise typer.Exit(run(play(keep, state, console())))
