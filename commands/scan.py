"""`starter.py scan`: one scan now, followed to its report."""

import getpass
from datetime import UTC, datetime

from rich.console import Console
from temporalio.client import Client, WorkflowHandle

from commands.durations import seconds
from commands.progress import follow
from commands.report import ScanResult
from hosting import clients
from hosting.workers import ORCHESTRATION_QUEUE
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import HealthReport, ScanRequest
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from railmend.settings_file import load_settings
from workflows.scan.health_scan import HealthScan


def chosen(settings: Settings, name: str | None) -> ProjectSettings:
    """The project of that name, or the only one. Raises `ConfigurationError` that lists the names."""
    projects = settings.watched()
    if not projects:
        clients.require(settings, "railway_project_id", "railway_environment_id")
    found = [project for project in projects if name in (None, project.name)]
    if len(found) != 1:
        names = ", ".join(project.name for project in projects)
        what = f"--project {name} is not among" if name else "Choose with --project one of"
        raise ConfigurationError(f"{what} the projects of railmend.toml: {names}.")
    return found[0]


def scan_request(
    settings: Settings,
    autonomy: Autonomy | None = None,
    window_seconds: int | None = None,
    project: str | None = None,
) -> ScanRequest:
    """`autonomy` and `window_seconds` default to the project's and the general setting."""
    watched = chosen(settings, project)
    return ScanRequest(
        project_id=watched.project_id,
        environment_id=watched.environment_id,
        pull_request_environment=watched.pull_request_environment,
        service_autonomy={
            name: one.autonomy for name, one in watched.services.items() if one.autonomy is not None
        },
        policy=settings.policy(),
        window_seconds=window_seconds or settings.railmend_window_seconds,
        step_seconds=settings.railmend_step_seconds,
        settle_seconds=settings.railmend_settle_seconds,
        autonomy=autonomy or watched.autonomy,
    )


async def scan(level: str | None, window: str | None, project: str | None, console: Console) -> ScanResult:
    """Start a scan, follow it and its repairs, print the report."""
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    handle = await _start(client, settings, level, window, project)
    return await follow(client, handle, console)


async def begin(level: str | None, window: str | None, project: str | None) -> str:
    """Start a scan and return its workflow ID."""
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    return (await _start(client, settings, level, window, project)).id


async def _start(
    client: Client, settings: Settings, level: str | None, window: str | None, project: str | None
) -> WorkflowHandle[HealthScan, HealthReport]:
    autonomy = Autonomy(level) if level else None
    request = scan_request(settings, autonomy, seconds(window) if window else None, project)
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return await client.start_workflow(
        HealthScan.run,
        request,
        id=f"scan/{request.environment_id}/manual-{stamp}",
        task_queue=ORCHESTRATION_QUEUE,
        static_summary="Scan on request",
        static_details=f"Started by {getpass.getuser()} with `starter.py scan`.",
    )
