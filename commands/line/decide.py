"""A person's word: approve, reject, cancel; and whether running workflows survive an upgrade."""

from typing import Annotated

import typer

from commands.line.options import JsonOption, emit, run

REPAIR = Annotated[
    str, typer.Argument(metavar="REPAIR", help="The repair's workflow ID: repair/<owner>/<repository>/<key>.")
]


def approve(repair: REPAIR, as_json: JsonOption = False) -> None:
    """Let a plan that waits for a person go ahead."""
    _decide(repair, approved=True, reason="", as_json=as_json)


def reject(
    repair: REPAIR,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the repair.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Drop a plan that waits for a person."""
    _decide(repair, approved=False, reason=reason, as_json=as_json)


def _decide(repair: str, *, approved: bool, reason: str, as_json: bool) -> None:
    from commands.approval import decide

    by = run(decide(repair, approved=approved, reason=reason))
    decision = "approved" if approved else "rejected"
    emit({"id": repair, "decision": decision, "by": by}) if as_json else typer.echo(
        f"{repair}: {decision} by {by}."
    )


def cancel(
    workflow: Annotated[str, typer.Argument(metavar="ID", help="Workflow ID of a scan, incident or repair.")],
    as_json: JsonOption = False,
) -> None:
    """Stop a scan, an incident or a repair.

    A coding session is ended and its workspace removed.
    """
    from commands.approval import cancel as command

    run(command(workflow))
    emit({"id": workflow, "decision": "cancelled"}) if as_json else typer.echo(f"{workflow}: asked to stop.")


def replay(
    history: Annotated[
        str, typer.Argument(metavar="FILE|ID", help="A recorded history (JSON), or a workflow ID.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Would a run continue with this code?

    Replays a recorded or live history, as a worker does after an upgrade.

    Ends with code 1 where the code would do something else than the history.
    """
    from commands.replay import replay as command

    told = run(command(history))
    if as_json:
        emit({"history": history, "replays": told is None, "reason": told})
    else:
        typer.echo(f"{history}: {'replays' if told is None else told}")
    if told is not None:
        raise typer.Exit(1)
