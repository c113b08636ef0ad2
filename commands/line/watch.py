"""Look now, look regularly, and see what was found."""

from typing import Annotated

import typer

from commands.line.options import (
    AutonomyOption,
    JsonOption,
    ProjectOption,
    WindowOption,
    console,
    emit,
    run,
)

ID = Annotated[
    str, typer.Argument(metavar="ID", help="Workflow ID, as `incidents`, a report or the Web UI show it.")
]


def scan(
    project: ProjectOption = None,
    autonomy: AutonomyOption = None,
    window: WindowOption = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Stay until the scan and its repairs have ended.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Look at the environment once, now.

    Try `scan --autonomy report` first: it measures and reports, asks no model and changes nothing.
    """
    from commands.scan import begin
    from commands.scan import scan as command

    if not follow:
        workflow_id = run(begin(autonomy, window, project))
        emit({"id": workflow_id}) if as_json else typer.echo(workflow_id)
        return
    ending = run(command(autonomy, window, project, console(progress_beside_json=as_json)))
    if as_json:
        emit(ending.as_data())


def incidents(
    project: ProjectOption = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what is being worked on now.")] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Counts, money and what became of the fixes instead of a list.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List known troubles: open, suppressed or past."""
    from commands import incidents as commands

    known = run(commands.incidents(project, only_open=only_open))
    if stats:
        from commands.statistics import show_statistics, statistics

        emit(statistics(known)) if as_json else show_statistics(known, console())
    else:
        emit(commands.rows(known)) if as_json else commands.show(known, console())


def show(workflow: ID, as_json: JsonOption = False) -> None:
    """Show how one scan, incident or repair stands."""
    from commands.show import render
    from commands.show import show as command

    told = run(command(workflow))
    emit(told.model_dump(mode="json")) if as_json else render(told, console())


def report(
    file: Annotated[str, typer.Option("--html", metavar="FILE", help="The page to write.")],
    incident: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Workflow ID of an investigation; default: the newest of each."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write incidents as one HTML page.

    With charts, evidence, diagnosis and outcome; the page needs no network and no script.
    """
    from pathlib import Path

    from commands.html_report import html_report

    count = run(html_report(Path(file), incident, project))
    emit({"file": file, "incidents": count}) if as_json else typer.echo(
        f"{count} incident{'' if count == 1 else 's'} written to {file}."
    )


schedule = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Scan regularly: create, pause, trigger ..."
)


@schedule.command()
def create(
    every: Annotated[str, typer.Option(metavar="TIME", help="How often to look: 90s, 10m, 1h, 1d.")] = "10m",
    project: ProjectOption = None,
    autonomy: AutonomyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the schedule, or change the existing one.

    A scan never overlaps the one before.
    """
    from commands.schedule import schedule as command

    schedule_id = run(command(every, autonomy, project))
    emit({"id": schedule_id, "every": every}) if as_json else typer.echo(
        f"Schedule {schedule_id}: every {every}."
    )


@schedule.command("show")
def show_schedule(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show its interval, its last scans and the next.

    Also whether it is paused, and why.
    """
    from commands.schedule import describe

    told = run(describe(project))
    if as_json:
        emit(told)
        return
    for name, said in told.items():
        shown = ", ".join(said) if isinstance(said, list) else said
        typer.echo(f"{name.replace('_', ' ')}: {'-' if shown == '' else shown}")


DONE = {"pause": "paused", "resume": "resumed", "trigger": "a scan starts", "delete": "deleted"}


def _act(action: str, project: str | None, note: str = "", *, as_json: bool) -> None:
    from commands.schedule import act

    schedule_id = run(act(action, project, note))
    emit({"id": schedule_id, "did": action}) if as_json else typer.echo(
        f"Schedule {schedule_id}: {DONE[action]}."
    )


@schedule.command()
def pause(
    project: ProjectOption = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the schedule.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Start no more scans until `resume`."""
    _act("pause", project, reason, as_json=as_json)


@schedule.command()
def resume(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Go on after `pause`."""
    _act("resume", project, as_json=as_json)


@schedule.command()
def trigger(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Scan now, as the schedule would."""
    _act("trigger", project, as_json=as_json)


@schedule.command()
def delete(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Remove the schedule; what already runs goes on."""
    _act("delete", project, as_json=as_json)
