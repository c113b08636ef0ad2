"""What the HTML report shows: investigations with their series, read again, and their repairs."""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from commands.runs import INCIDENT, find, handle_of, repair_of, status_of
from commands.scan_request import choose_project
from hosting import clients
from railmend.artifacts import ArtifactError, ArtifactGone, ArtifactStore
from railmend.contracts.incident import EvidencePacket, IncidentReport
from railmend.contracts.scan import Window
from railmend.publishing.page import ReportedIncident
from railmend.railway.errors import RailwayError
from railmend.railway.model import Slice
from railmend.railway.pool import RailwayPool
from railmend.settings import ConfigurationError, Settings
from railmend.settings_file import load_settings
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
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    workflow_ids = (
        [await find(client, incident, "incident")] if incident else await _newest(client, settings, project)
    )
    reports = [
        report
        for workflow_id in workflow_ids
        if (report := await _report(client, workflow_id, required=incident is not None))
    ]
    pool = clients.railway(settings)
    try:
        artifacts = clients.artifacts(settings)
        return list(await asyncio.gather(*(_reported(client, pool, artifacts, report) for report in reports)))
    finally:
        await pool.aclose()


async def _newest(client: Client, settings: Settings, project: str | None) -> list[str]:
    """Return the IDs of investigations that succeeded, newest first, each service once."""
    environment = choose_project(settings, project).environment_id
    query = f"WorkflowType = '{INCIDENT}' AND ExecutionStatus = 'Completed'"
    workflow_ids: dict[str, None] = {}
    async for run in client.list_workflows(query):
        if run.id.startswith(f"incident/{environment}/"):
            workflow_ids[run.id] = None
        if len(workflow_ids) == MOST_INCIDENTS:
            break
    return list(workflow_ids)


async def _report(client: Client, incident: str, *, required: bool) -> IncidentReport | None:
    handle = handle_of(client, incident)
    try:
        if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            raise ConfigurationError(f"{incident} has not ended yet: ask again in a minute.")
        ended: IncidentReport = await handle.result()
        return ended
    except ConfigurationError:
        if required:
            raise
    except (RPCError, WorkflowFailureError) as error:
        if required:
            raise ConfigurationError(
                f"No report of {incident} ({error}). `starter.py incidents` lists what is known."
            ) from error
    return None


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
