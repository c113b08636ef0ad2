"""Find out whether it is set up well, and see it work."""

from pathlib import Path
from typing import Annotated

import typer

from commands.line.options import JsonOption, console, emit, run


def doctor(
    ask_model: Annotated[
        bool,
        typer.Option("--ask-model/--no-ask-model", help="Ask the model for one word."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Check all that Railmend needs, with the mend.

    One line a check; nothing hides another. Ends with code 1 if one fails.
    """
    from commands.doctor import doctor as command
    from commands.doctor.check import failed, render

    results = run(command(None if as_json else console(), ask_model=ask_model))
    if as_json:
        emit([one.model_dump(mode="json") for one in results])
    else:
        render(results, console())
    if failed(results):
        raise typer.Exit(1)


def demo(
    keep: Annotated[bool, typer.Option(help="Leave everything running to look at, until Ctrl-C.")] = False,
    state: Annotated[Path | None, typer.Option(help="Keep repositories, logs and history here.")] = None,
) -> None:
    """Show the whole loop here, without an account.

    Real services, a real Temporal server, a real OpenCode, real git.
    """
    from commands.demo import demo as command

    raise typer.Exit(run(command(keep, state, console())))
