"""The command line of Railmend."""

from pathlib import Path
from typing import Annotated

import typer

from hosting.entry import run
from railmend.contracts.scan import Autonomy

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)
AUTONOMY = typer.Option(help="How far Railmend may go alone.")


@app.command()
def scan(
    autonomy: Annotated[Autonomy, AUTONOMY] = Autonomy.PULL_REQUEST,
    window: Annotated[int | None, typer.Option(help="Seconds to look back; default: the setting.")] = None,
) -> None:
    """Look at the environment once, now, and follow the scan to its report."""
    from rich.console import Console

    from commands.scan import scan as command

    run("starter.py", command(autonomy, window, Console()))


@app.command()
def schedule(
    every: Annotated[str, typer.Option(help="How often to look: 90s, 10m, 1h, 1d.")] = "10m",
    autonomy: Annotated[Autonomy, AUTONOMY] = Autonomy.PULL_REQUEST,
) -> None:
    """Create or update the schedule that scans the environment; a scan never overlaps the one before."""
    from commands.schedule import schedule as command

    schedule_id = run("starter.py", command(every, autonomy))
    typer.echo(f"Schedule {schedule_id}: every {every}.")


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
