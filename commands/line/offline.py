"""Tools for thresholds, logs and evidence; most need no server."""

from pathlib import Path
from typing import Annotated

import typer

from commands.line.options import JsonOption, ProjectOption, emit, run


def record(
    file: Annotated[Path, typer.Argument(help="One slice a line is appended; - is standard output.")],
    project: ProjectOption = None,
    window: Annotated[int | None, typer.Option(help="Seconds to look back; default: the setting.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Save what a scan would measure, for `backtest`."""
    from commands.record import record as command

    count, unseen = run(command(file, window, project))
    if as_json and str(file) != "-":
        emit({"file": str(file), "slices": count, "unseen": unseen})
        return
    for sentence in unseen:
        typer.echo(sentence, err=True)
    typer.echo(f"{count} slices appended to {file}.", err=str(file) == "-")


def backtest(
    file: Annotated[Path, typer.Argument(help="Recorded slices, one a line; - is standard input.")],
    settings: Annotated[Path | None, typer.Option(help="A file with a table [assessment].")] = None,
    project: Annotated[str | None, typer.Option(help="A project of that file.")] = None,
    explain: Annotated[bool, typer.Option(help="Add every finding, with its numbers.")] = False,
) -> None:
    """Try thresholds on recorded slices.

    Assesses them in both passes of a scan; prints one prediction a line, as JSON.
    """
    import sys

    from commands.backtest import backtest as command

    run(command(file, settings, project, sys.stdout, explain=explain))


def condense(
    file: Annotated[Path, typer.Argument(help="Cases or rows of logs as JSON lines; - is standard input.")],
    budget: Annotated[int, typer.Option(min=100, help="Tokens that a model may read.")] = 2000,
    raw: Annotated[bool, typer.Option("--raw", help="Do not redact.")] = False,
) -> None:
    """Condense logs to the lines that matter."""
    from commands.condense import condense as command

    command(file, budget, redacted=not raw)


def redact(
    file: Annotated[Path, typer.Argument(help="Text; default: standard input.")] = Path("-"),
) -> None:
    """Take secrets and personal data out of a text."""
    from commands.redact import redact as command

    command(file)


def evidence(
    incident: Annotated[str, typer.Argument(help="Workflow ID: incident/<environment>/<service>.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As a person reads it.")] = False,
) -> None:
    """Export the evidence of an incident, as JSON."""
    from commands.evidence import evidence as command

    typer.echo(run(command(incident, markdown=markdown)))


def diagnose(file: Annotated[Path, typer.Argument(help="An exported evidence packet.")]) -> None:
    """Diagnose exported evidence again; prints JSON."""
    from commands.evidence import diagnose_again as command

    typer.echo(run(command(file)))
