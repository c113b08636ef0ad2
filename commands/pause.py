"""`starter.py pause` and `resume`: stop everything, and go on."""

from typing import Annotated

import typer

from commands.options import JsonOption, ProjectOption, answer, run

AllOption = Annotated[
    bool, typer.Option("--all", help="Every project of the settings, and any other that Temporal knows.")
]


def pause(
    everything: AllOption = False,
    project: ProjectOption = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; shown to everybody who asks.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Start no scan, model call, session, push or action.

    Running work is kept, a coding session is finished, and everything continues after `resume`.
    """
    from commands import ledgers

    _tell("paused", run(ledgers.pause(project, reason[:200], everything=everything)), as_json=as_json)


def resume(everything: AllOption = False, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """End a pause; waiting work continues within a minute."""
    from commands import ledgers

    _tell("resumed", run(ledgers.resume(project, everything=everything)), as_json=as_json)


def _tell(action: str, ids: list[str], *, as_json: bool) -> None:
    lines = [f"{each}: {action}." for each in ids] or ["There was nothing to change."]
    answer({"action": action, "ids": ids}, *lines, as_json=as_json)
