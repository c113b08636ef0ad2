"""What the page shows: the screen of `status`, and investigations with their series, read again."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from commands import status_screen
from commands.ledgers import projects_of
from commands.runs import (
    ANSWER_WITHIN,
    INCIDENT,
    MOST_RUNS,
    connected,
    handle_of,
    kind_of,
    look_up,
    repair_of,
    report_of,
    status_of,
)
from hosting import clients
from railmend.artifacts import ArtifactError, ArtifactGone, ArtifactStore
from railmend.contracts.action import ActionRequest
from railmend.contracts.incident import EvidencePacket, IncidentReport
from railmend.contracts.scan import Window
from railmend.publishing.page import Live, ReportedIncident, WorkDetail, render_page
from railmend.publishing.screen import StatusScreen, WorkRow
from railmend.railway.errors import RailwayError
from railmend.railway.model import Slice
from railmend.railway.pool import RailwayPool
from railmend.settings import ConfigurationError, ProjectSettings, Settings
from workflows.repair.state import RepairState
from workflows.shared.ledger_client import incident_id

# A page with more is no longer read.
MOST_INCIDENTS = 20
# Of a page that is read again and again, series are this old at most: each costs Railway two requests.
SERIES_SECONDS = 300
# Shown around a window: as much before it, and what came after, up to this much.
AFTER = timedelta(hours=6)
MOST_POINTS = 360


@dataclass(frozen=True)
class PageContent:
    """All that a page shows. `screen`: None on the page of one incident."""

    read: datetime
    incidents: list[ReportedIncident]
    screen: StatusScreen | None = None
    details: dict[str, WorkDetail] | None = None

    def render(self, live: Live | None = None) -> str:
        return render_page(self.incidents, self.read, self.screen, self.details, live)


class PageReader:
    """Reads what pages show. Keeps the investigations that it shows, and for a while their series."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings, self._client = settings, client
        self._artifacts, self._no_series = clients.artifacts(settings), ""
        self._pool: RailwayPool | None = None
        try:
            self._pool = clients.railway(settings)
        except ConfigurationError as error:  # the rest can be shown without a token of Railway's
            self._no_series = f"The series were not read again. {error}"
        self._reports: dict[str, IncidentReport] = {}
        self._incidents: dict[str, tuple[float, ReportedIncident]] = {}

    async def aclose(self) -> None:
        if self._pool:
            await self._pool.aclose()

    async def read(self, projects: Sequence[ProjectSettings]) -> PageContent:
        """Return the content of these projects' page. Raises as `status_screen.read_from`."""
        reports, screen = await asyncio.gather(
            self._newest({project.environment_id for project in projects}),
            status_screen.read_from(self._client, self._settings, projects),
        )
        rows = [*screen.waiting, *screen.work]
        incidents = await asyncio.gather(*(self.incident(report, rows) for report in reports))
        found = await asyncio.gather(*(self._detail(row) for row in rows))
        details = {row.id: detail for row, detail in zip(rows, found, strict=True)}
        return PageContent(screen.at, incidents, screen, details)

    async def _newest(self, environments: Collection[str]) -> list[IncidentReport]:
        """Return the reports of investigations that succeeded, newest first, each service once."""
        query = f"WorkflowType = '{INCIDENT}' AND ExecutionStatus = 'Completed'"
        newest: dict[str, tuple[str, IncidentReport]] = {}
        async for run in self._client.list_workflows(query, limit=MOST_RUNS):
            if run.id.split("/")[1] not in environments or run.id in newest:
                continue
            with suppress(RPCError):  # its history went while they were listed
                report = self._reports.get(run.run_id)
                newest[run.id] = (
                    run.run_id,
                    report or await handle_of(self._client, run.id, run.run_id).result(),
                )
            if len(newest) == MOST_INCIDENTS:
                break
        self._reports = dict(newest.values())
        shown = {report.packet.sha256 for report in self._reports.values()}
        self._incidents = {key: kept for key, kept in self._incidents.items() if key in shown}
        return list(self._reports.values())

    async def incident(self, report: IncidentReport, rows: Iterable[WorkRow] = ()) -> ReportedIncident:
        """Return an incident with how its repair stands, which is read where no row has it."""
        request = report.request
        name = incident_id(request)
        shown = await self._with_series(report)
        row = next((row for row in rows if name in row.incidents), None)
        if row:
            return replace(shown, repair=row.status, repair_id=row.id)
        run = await repair_of(self._client, name, request.service.name)
        return replace(shown, repair=await status_of(self._client, run), repair_id=run.id) if run else shown

    async def _with_series(self, report: IncidentReport) -> ReportedIncident:
        now, (read, kept) = monotonic(), self._incidents.get(report.packet.sha256, (0.0, None))
        window = report.request.window
        grows = timedelta(seconds=now - read) > datetime.now(UTC) - _end_of(window)
        if kept is None or (now - read > SERIES_SECONDS and (grows or kept.series is None)):
            series, unseen = await _series(self._pool, report) if self._pool else (None, self._no_series)
            packet = await _packet(self._artifacts, report)
            kept = ReportedIncident(report=report, packet=packet, series=series, unseen=unseen)
            self._incidents[report.packet.sha256] = now, kept
        return kept

    async def _detail(self, row: WorkRow) -> WorkDetail:
        """Return what a repair or an action does; nothing where it has ended, or no worker tells."""
        handle = self._client.get_workflow_handle(row.id)
        if row.status.ended or not row.status.answered:
            return WorkDetail()
        with suppress(RPCError, WorkflowQueryFailedError):
            if kind_of(row.id) == "action":
                offer = await handle.query("offered", result_type=ActionRequest, rpc_timeout=ANSWER_WITHIN)
                return WorkDetail(offer=offer)
            state: RepairState = await handle.query(
                "state", result_type=RepairState, rpc_timeout=ANSWER_WITHIN
            )
            proof = state.round.proof if state.round else None
            return WorkDetail(
                request=state.request,
                proved=proof.outcome.value if proof else state.fix.proof if state.fix else "",
                proof=proof,
                measurements=state.result.measurements if state.result else (),
            )
        return WorkDetail()


async def read_once(project: str | None, incident: str | None) -> PageContent:
    """Return the content of the page of one incident, or of one project or all.

    Raises `ConfigurationError` for an incident that is not known or has not ended.
    """
    found = await look_up(incident, "incident") if incident else None
    settings, client = (found.settings, found.client) if found else await connected()
    reader = PageReader(settings, client)
    try:
        if not found:
            return await reader.read(projects_of(settings, project))
        return PageContent(datetime.now(UTC), [await reader.incident(await report_of(found))])
    finally:
        await reader.aclose()


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


def _end_of(window: Window) -> datetime:
    """Return where what is shown around a window ends; nothing changes there later."""
    return window.end + max(window.length, AFTER)


def shown_window(window: Window, now: datetime) -> Window:
    """Return a window from one length before to what came after, of at most `MOST_POINTS` steps."""
    start = window.start - window.length
    end = max(window.end, min(now - timedelta(seconds=window.step_seconds), _end_of(window)))
    step = max(window.step_seconds, int((end - start).total_seconds() // MOST_POINTS))
    return Window(start=start, end=end, step_seconds=step)
