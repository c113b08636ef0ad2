"""What the HTML report shows: investigations with their series, read again, and their repairs."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from commands.runs import INCIDENT, connected, handle_of, look_up, repair_of, report_of, status_of
from commands.scan_request import choose_project
from hosting import clients
from railmend.artifacts import ArtifactError, ArtifactGone, ArtifactStore
from railmend.contracts.incident import EvidencePacket, IncidentReport
from railmend.contracts.scan import Window
from railmend.publishing.page import ReportedIncident
from railmend.railway.errors import RailwayError
from railmend.railway.model import Slice
from railmend.railway.pool import RailwayPool
from railmend.settings import Settings
from workflows.shared.ledger_client import incident_id

# A page with more is no longer read.
MOST_INCIDENTS = 20
# Shown around a window: as much before it, and what came after, up to this much.
AFTER = timedelta(hours=6)
MOST_POINTS = 360


async def collect(incident: str | None, project: str | None) -> list[ReportedIncident]:
    """Return one incident, or the newest of each service of the project.

    Raises `ConfigurationError` for an incident that is not known or has not ended.
    """
    if incident:
        found = await look_up(incident, "incident")
        settings, client, reports = found.settings, found.client, [await report_of(found)]
    else:
        settings, client = await connected()
        reports = await _newest(client, settings, project)
    pool = clients.railway(settings)
    try:
        artifacts = clients.artifacts(settings)
        return list(await asyncio.gather(*(_reported(client, pool, artifacts, report) for report in reports)))
    finally:
        await pool.aclose()


async def _newest(client: Client, settings: Settings, project: str | None) -> list[IncidentReport]:
    """Return the reports of investigations that succeeded, newest first, each service once."""
    environment = choose_project(settings, project).environment_id
    query = f"WorkflowType = '{INCIDENT}' AND ExecutionStatus = 'Completed'"
    reports: dict[str, IncidentReport] = {}
    async for run in client.list_workflows(query):
        if run.id.startswith(f"incident/{environment}/") and run.id not in reports:
            with suppress(RPCError):  # its history went while they were listed
                reports[run.id] = await handle_of(client, run.id, run.run_id).result()
        if len(reports) == MOST_INCIDENTS:
            break
    return list(reports.values())


async def _reported(
    client: Client, pool: RailwayPool, artifacts: ArtifactStore, report: IncidentReport
) -> ReportedIncident:
    request = report.request
    run = await repair_of(client, incident_id(request), request.service.name)
    series, unseen = await _series(pool, report)
    return ReportedIncident(
        report=report,
        packet=await _packet(artifacts, report),
        series=series,
        unseen=unseen,
        repair=await status_of(client, run) if run else None,
        repair_id=run.id if run else "",
    )


async def _packet(artifacts: ArtifactStore, report: IncidentReport) -> EvidencePacket:
    """Return the evidence; where it cannot be read, a packet that says why."""
    try:
        return await artifacts.get_model(report.packet, EvidencePacket)
    except (ArtifactGone, ArtifactError) as error:
        name = report.request.service.name
        return EvidencePacket(service_name=name, items=(), unseen=(f"The evidence: {error}",))


async def _series(pool: RailwayPool, report: IncidentReport) -> tuple[Slice | None, str]:
    """Read the series again, so that the page shows what came after; else return why it cannot be read."""
    request = report.request
    window = shown_window(request.window, datetime.now(UTC))
    try:
        client = await pool.client_for(request.environment_id)
        (detail,), _ = await client.surveyor.fetch_detailed(request.environment_id, [request.service], window)
    except RailwayError as error:
        return None, f"The series could not be read again ({error}); these are the charts of the evidence."
    return detail.slice, ""


def shown_window(window: Window, now: datetime) -> Window:
    """Return a window from one length before to what came after, of at most `MOST_POINTS` steps."""
    start = window.start - window.length
    end = min(now - timedelta(seconds=window.step_seconds), window.end + max(window.length, AFTER))
    end = max(end, window.end)
    step = max(window.step_seconds, int((end - start).total_seconds() // MOST_POINTS))
    return Window(start=start, end=end, step_seconds=step)
