"""The command line of Railmend."""

from pathlib import Path
from typing import Annotated

import typer

from hosting.entry import run
from railmend.contracts.scan import Autonomy

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)
AUTONOMY = typer.Option(help="How far Railmend may go alone; default: the project's setting.")
PROJECT = typer.Option(help="A project of railmend.toml; not needed where there is only one.")


@app.command()
def scan(
    project: Annotated[str | None, PROJECT] = None,
    autonomy: Annotated[Autonomy | None, AUTONOMY] = None,
    window: Annotated[int | None, typer.Option(help="Seconds to look back; default: the setting.")] = None,
) -> None:
    """Look at the environment once, now, and follow the scan to its report."""
    from rich.console import Console

    from commands.scan import scan as command

    run("starter.py", command(autonomy, window, project, Console()))


@app.command()
def schedule(
    every: Annotated[str, typer.Option(help="How often to look: 90s, 10m, 1h, 1d.")] = "10m",
    project: Annotated[str | None, PROJECT] = None,
    autonomy: Annotated[Autonomy | None, AUTONOMY] = None,
) -> None:
    """Create or update the schedule that scans the environment; a scan never overlaps the one before."""
    from commands.schedule import schedule as command

    schedule_id = run("starter.py", command(every, autonomy, project))
    typer.echo(f"Schedule {schedule_id}: every {every}.")


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="The slices are appended to it, one a line.")],
    project: Annotated[str | None, PROJECT] = None,
    window: Annotated[int | None, typer.Option(help="Seconds to look back; default: the setting.")] = None,
) -> None:
    """Save the series of every service as they are now, for `backtest`."""
    from commands.record import record as command

    count, unseen = run("starter.py", command(file, window, project))
    for sentence in unseen:
        typer.echo(sentence, err=True)
    typer.echo(f"{count} slices appended to {file}.")


@app.command()
def backtest(
    file: Annotated[Path, typer.Argument(help="Recorded slices, one a line.")],
    settings: Annotated[Path | None, typer.Option(help="A file with a table [assessment].")] = None,
    project: Annotated[str | None, typer.Option(help="A project of that file.")] = None,
    explain: Annotated[bool, typer.Option(help="Add every finding, with its numbers.")] = False,
) -> None:
    """Assess recorded slices in both passes of a scan; prints one prediction a line."""
    import sys

    from commands.backtest import backtest as command

    run("starter.py", command(file, settings, project, sys.stdout, explain=explain))


@app.command()
def approve(
    repair: Annotated[str, typer.Argument(help="The repair's workflow ID, from the report or the Web UI.")],
) -> None:
    """Let Railmend carry out a plan that waits for a person."""
    _decide(repair, approved=True, reason="")


@app.command()
def reject(
    repair: Annotated[str, typer.Argument(help="The repair's workflow ID, from the report or the Web UI.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the repair.")] = "",
) -> None:
    """Drop a plan that waits for a person."""
    _decide(repair, approved=False, reason=reason)


def _decide(repair: str, *, approved: bool, reason: str) -> None:
    from commands.approval import decide

    typer.echo(run("starter.py", decide(repair, approved=approved, reason=reason)))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Leave everything running to look at, until Ctrl-C.")] = False,
    state: Annotated[Path | None, typer.Option(help="Keep repositories, logs and history here.")] = None,
) -> None:
    """Show the whole loop on this machine: real services, real Temporal, real OpenCode, no account."""
    from rich.console import Console

    from commands.demo import demo as command

    raise typer.Exit(run("starter.py", command(keep, state, Console())))


@app.command()
def condense(
    file: Annotated[Path, typer.Argument(help="Cases or rows of logs as JSON lines; - is standard input.")],
    budget: Annotated[int, typer.Option(min=100, help="Tokens that a model may read.")] = 2000,
    raw: Annotated[bool, typer.Option("--raw", help="Do not redact.")] = False,
) -> None:
    """Condense logs to the lines that matter, offline."""
    from commands.condense import condense as command

    command(file, budget, redacted=not raw)


@app.command()
def redact(
    file: Annotated[Path, typer.Argument(help="Text; default: standard input.")] = Path("-"),
) -> None:
    """Take secrets and personal data out of a text, offline."""
    from commands.redact import redact as command

    command(file)


@app.command()
def evidence(
    incident: Annotated[str, typer.Argument(help="Workflow ID: incident/<environment>/<service>.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As a person reads it.")] = False,
) -> None:
    """Export the evidence packet of an investigation that has ended."""
    from commands.evidence import evidence as command

    typer.echo(run("starter.py", command(incident, markdown=markdown)))


@app.command()
def diagnose(file: Annotated[Path, typer.Argument(help="An exported evidence packet.")]) -> None:
    """Diagnose an exported packet again, with the configured model."""
    from commands.evidence import diagnose_again as command

    typer.echo(run("starter.py", command(file)))


if __name__ == "__main__":
    app()
