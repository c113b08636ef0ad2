"""`starter.py record`: the slices of a live scan, in the format that `starter.py backtest` reads."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from commands.scan import scan_request
from hosting import clients
from railmend.assessment.recorded import Recorded
from railmend.contracts.scan import ScanRequest, Window
from railmend.railway.errors import RailwayError
from railmend.railway.pool import RailwayPool
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings


async def record(file: Path, window_seconds: int | None, project: str | None) -> tuple[int, list[str]]:
    """Append a slice of every service, with its day before; returns how many, and what could not be read.

    The file `-` is standard output. Raises `ConfigurationError` for a file that cannot be written.
    """
    settings = load_settings()
    request = scan_request(settings, None, window_seconds, project)
    pool = clients.railway(settings)
    try:
        rows, unseen = await slices(pool, request, datetime.now(UTC))
    except RailwayError as error:
        raise ConfigurationError(str(error)) from error
    finally:
        await pool.aclose()
    lines = [row.model_dump_json(exclude_none=False) + "\n" for row in rows]
    if str(file) == "-":
        sys.stdout.writelines(lines)
        return len(rows), unseen
    try:
        with file.open("a", encoding="utf-8") as out:
            out.writelines(lines)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.") from error
    return len(rows), unseen


async def slices(pool: RailwayPool, request: ScanRequest, now: datetime) -> tuple[list[Recorded], list[str]]:
    """Every service that is awake, at the window's own step; raises what the client raises."""
    end = now - timedelta(seconds=request.settle_seconds)
    end -= timedelta(seconds=end.timestamp() % request.step_seconds)
    start = end - timedelta(seconds=request.window_seconds)
    window = Window(start=start, end=end, step_seconds=request.step_seconds)
    client = await pool.client_for(request.environment_id)
    survey = await client.survey(request.project_id, request.environment_id, window)
    awake = [service for service in survey.services if not service.asleep]
    close, unseen = await client.fetch_detailed(request.environment_id, awake, window)
    rows = [
        Recorded.from_slice(f"{service.name}@{end:%Y%m%dT%H%M%SZ}", service, one.slice, one.history)
        for service, one in zip(awake, close, strict=True)
    ]
    return rows, unseen
