"""`starter.py scan`: one scan now, followed to its report."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import (
    AutonomyOption,
    JsonOption,
    ProjectOption,
    WindowOption,
    answer,
    console,
    emit,
    run,
)

if TYPE_CHECKING:
    from rich.console import Console

    from commands.scan_result import ScanResult


def scan(
    project: ProjectOption = None,
    autonomy: AutonomyOption = None,
    window: WindowOption = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Stay until the scan and its repairs have ended.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Run one scan now.

    Try `scan --autonomy report` first: it measures and reports, asks no model and changes nothing. Ends with
    code 1 if not even the services could be listed.
    """
    output = console(progress_beside_json=as_json) if follow else None
    workflow_id, result = run(_scan(autonomy, window, project, output))
    if result is None:
        answer({"id": workflow_id}, workflow_id, as_json=as_json)
    elif as_json:
        emit(result.as_data())
    if result is not None and result.report.unlisted:
        raise typer.Exit(1)


async def _scan(
    autonomy: str | None, window: str | None, project: str | None, output: "Console | None"
) -> "tuple[str, ScanResult | None]":
    """Start a scan and, given a console, follow it and its repairs; return its workflow ID and result."""
    from datetime import UTC, datetime

    from commands.durations import seconds
    from commands.progress import follow
    from commands.scan_request import scan_request, start_scan
    from hosting.connection import connect
    from railmend.contracts.autonomy import Autonomy
    from railmend.settings_file import load_settings

    settings = load_settings()
    level = Autonomy(autonomy) if autonomy else None
    request = scan_request(settings, level, seconds(window) if window else None, project)
    client = await connect(settings)
    name = f"manual-{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    handle = await start_scan(client, request, name, "Scan on request", "scan")
    return handle.id, await follow(client, handle, output) if output else None
