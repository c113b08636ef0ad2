"""`starter.py ledger`: what a project's ledger holds, and how a person frees or silences a fault."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import JsonOption, ProjectOption, answer, console, emit, run

FingerprintsArgument = Annotated[
    list[str],
    typer.Argument(metavar="FINGERPRINT", help="Environment id/service id/kind, as `ledger show` prints it."),
]

ledger = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What is open or suppressed, and who has it."
)


@ledger.command()
def show(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """List open and suppressed fingerprints.

    For an open one, shows which workflow holds it, and whether that is open, closed or stuck.
    """
    from commands import ledgers

    overviews = run(ledgers.overviews(project))
    if as_json:
        emit([overview.model_dump(mode="json") for overview in overviews])
        return
    for overview in overviews:
        ledgers.render(overview, console())


@ledger.command()
def release(
    fingerprints: FingerprintsArgument,
    terminate: Annotated[
        bool,
        typer.Option(
            "--terminate", help="Terminate the workflow that holds it first; nothing is cleaned up."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Free an open fault for the next scan.

    Needed only if its holder is stuck: the claim of a workflow that has ended is taken over by the next scan.
    """
    from commands import ledgers

    lines = run(ledgers.release(fingerprints, terminate=terminate))
    answer({"done": lines}, *lines, as_json=as_json)


@ledger.command()
def suppress(
    fingerprints: FingerprintsArgument,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 12h, 7d.")] = "7d",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the fault.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Suppress a fault for a while, whatever is deployed."""
    from commands import ledgers

    until = run(ledgers.suppress_for(fingerprints, length, reason[:200]))
    lines = [f"{each}: suppressed until {until:%Y-%m-%d %H:%M} UTC." for each in fingerprints]
    answer({"fingerprints": fingerprints, "until": until}, *lines, as_json=as_json)


@ledger.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; `-`: standard output.")],
    project: ProjectOption = None,
) -> None:
    """Export a ledger to a file: claims, cool-downs, spending, the record of fixes."""
    from commands import ledgers

    text = run(ledgers.export(project)).model_dump_json(indent=1) + "\n"
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    file.write_text(text)
    typer.echo(f"Written to {file}.")


@ledger.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, help="What `ledger export` wrote.")],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the open ledger; what it recorded since the export is lost."),
    ] = False,
    project: ProjectOption = None,
) -> None:
    """Restore a ledger from an export, after the server or the ledger was lost."""
    from commands import ledgers

    workflow_id = run(ledgers.import_state(project, file.read_text(), replace=replace))
    typer.echo(f"{workflow_id}: restored from {file}.")
