"""`starter.py record`: the slices of a live scan, in the format that `starter.py backtest` reads."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, ProjectOption, emit, run, using

if TYPE_CHECKING:
    from railmend.assessment.recorded import Recorded
    from railmend.contracts.scan import ScanRequest, ScanSettings
    from railmend.railway.pool import RailwayPool


def record(
    file: Annotated[Path, typer.Argument(help="One slice a line is appended; - is standard output.")],
    project: ProjectOption = None,
    window: Annotated[int | None, typer.Option(help="Seconds to look back; default: the setting.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Save what a scan would measure, for `backtest`."""
    count, unseen = run(_record(file, window, project))
    if as_json and str(file) != "-":
        emit({"file": str(file), "slices": count, "unseen": unseen})
        return
    for sentence in unseen:
        typer.echo(sentence, err=True)
    typer.echo(f"{count} slices appended to {file}.", err=str(file) == "-")


async def _record(file: Path, window_seconds: int | None, project: str | None) -> tuple[int, list[str]]:
    """Append a slice of every service, with its day before; return how many, and what could not be read.

    The file `-` is standard output. Raises `ConfigurationError` for a file that cannot be written.
    """
    from commands.scan_request import scan_request
    from hosting import clients
    from railmend.scan_settings import scan_settings
    from railmend.settings_file import load_settings

    settings = load_settings()
    request = scan_request(settings, None, window_seconds, project)
    scanned = scan_settings(settings, request)
    pool = clients.railway(settings)
    try:
        rows, unseen = await slices(pool, request, scanned, datetime.now(UTC))
    finally:
        await pool.aclose()
    lines = [row.model_dump_json(exclude_none=False) + "\n" for row in rows]
    if str(file) == "-":
        sys.stdout.writelines(lines)
        return len(rows), unseen
    with using(file, "written"), file.open("a", encoding="utf-8") as out:
        out.writelines(lines)
    return len(rows), unseen


async def slices(
    pool: "RailwayPool", request: "ScanRequest", settings: "ScanSettings", now: datetime
) -> "tuple[list[Recorded], list[str]]":
    """Return a slice of every service that is awake, at the window's own step, and what could not be read.

    Raises what the client raises.
    """
    from railmend.assessment.recorded import Recorded

    now = now.replace(microsecond=0)
    past_step = (now.timestamp() - settings.settle_seconds) % settings.step_seconds
    window = settings.window(now - timedelta(seconds=past_step))
    client = await pool.client_for(request.environment_id)
    survey = await client.surveyor.survey(request.project_id, request.environment_id, window)
    awake = [service for service in survey.services if not service.asleep]
    measured, unseen = await client.surveyor.fetch_detailed(request.environment_id, awake, window)
    rows = [
        Recorded.from_slice(
            f"{service.name}@{window.end:%Y%m%dT%H%M%SZ}", service, detail.slice, detail.history
        )
        for service, detail in zip(awake, measured, strict=True)
    ]
    return rows, unseen
