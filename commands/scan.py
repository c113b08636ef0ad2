"""`starter.py scan`: one scan now, followed to its report."""

import asyncio
import getpass
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from commands.durations import seconds
from commands.report import Ending, render
from hosting import clients
from hosting.workers import ORCHESTRATION_QUEUE
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.repair import RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ScanRequest, ServiceRow
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from railmend.settings_file import load_settings
from workflows.health_scan import HealthScan
from workflows.repository_repair import RepositoryRepair

POLL_SECONDS = 1.0


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


async def scan(level: str | None, window: str | None, project: str | None, console: Console) -> Ending:
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


async def follow(
    client: Client, handle: WorkflowHandle[HealthScan, HealthReport], console: Console
) -> Ending:
    """Show each step once as it happens, until the scan and the repairs it started have ended."""
    console.print(f"[dim]scan[/] {handle.id}")
    report = await _watch_scan(handle, console)
    repairs = sorted({row.repair_workflow_id for row in report.rows if row.repair_workflow_id})
    results = await asyncio.gather(*(_watch_repair(client, one, console) for one in repairs))
    ending = Ending(report=report, repairs=dict(zip(repairs, results, strict=True)))
    render(ending, console)
    return ending


async def _watch_scan(handle: WorkflowHandle[HealthScan, HealthReport], console: Console) -> HealthReport:
    seen: set[str] = set()

    def tell(row: ServiceRow) -> None:
        for finding in row.findings:
            _once(seen, f"{row.name}: {finding.sentence}", "found", console.print)
        if row.findings and row.verdict not in ("affected", "healthy"):
            _once(seen, f"{row.name}: {row.verdict} ({row.detail})", "verdict", console.print)

    result = asyncio.ensure_future(handle.result())
    while not result.done():
        await asyncio.wait([result], timeout=POLL_SECONDS)
        if not result.done():
            for row in await _rows(handle):
                tell(row)
    try:
        report = result.result()
    except WorkflowFailureError as error:
        cause = getattr(error.cause, "cause", None) or error.cause
        raise ConfigurationError(f"The scan failed: {getattr(cause, 'message', cause)}") from error
    for row in report.rows:
        tell(row)
    return report


async def _rows(handle: WorkflowHandle[HealthScan, HealthReport]) -> list[ServiceRow]:
    """Progress is a nicety: while no worker answers, there is nothing to show."""
    try:
        return await handle.query(HealthScan.rows)
    except RPCError:
        return []


async def _watch_repair(client: Client, workflow_id: str, console: Console) -> RepairResult:
    """Until its pull request is open; what becomes of that, the repair follows alone for days."""
    console.print(f"[dim]repair[/] {workflow_id}")
    handle = client.get_workflow_handle_for(RepositoryRepair.run, workflow_id)
    ended = asyncio.ensure_future(handle.result())
    try:
        while (result := await _opened(handle)) is None and not ended.done():
            await asyncio.wait([ended], timeout=POLL_SECONDS)
        result = result or await ended
    except WorkflowFailureError as error:
        result = RepairResult(outcome=RepairOutcome.FAILED, reason=str(error.cause or error))
    finally:
        ended.cancel()
    where = result.pull_request.url if result.pull_request else result.reason[:200]
    console.print(f"[dim]repaired[/] {workflow_id}: {result.outcome.value} {escape(where)}", soft_wrap=True)
    return result


async def _opened(handle: WorkflowHandle[RepositoryRepair, RepairResult]) -> RepairResult | None:
    """None while it is worked on, and while no worker answers."""
    try:
        return await handle.query(RepositoryRepair.opened)
    except RPCError:
        return None


def _once(seen: set[str], text: str, stage: str, say: Callable[..., None]) -> None:
    if text not in seen:
        seen.add(text)
        say(f"[dim]{stage}[/] {escape(text)}", soft_wrap=True)
