"""Scan one environment: screen and assess it, investigate what is affected, start the repairs, report."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from railmend.contracts.autonomy import Autonomy, level_of
from railmend.contracts.incident import (
    CODING_VERDICTS,
    Diagnosis,
    Incident,
    IncidentReport,
    IncidentRequest,
    neighbours_of,
)
from railmend.contracts.ledger import ClaimAnswer, ClaimState, SettleRequest
from railmend.contracts.notification import incident_notification
from railmend.contracts.repair import RepairRequest
from railmend.contracts.scan import (
    Assessment,
    DownstreamEffect,
    Finding,
    HealthReport,
    ScanRequest,
    ScanSettings,
    Screening,
    ServiceRow,
    Window,
)
from workflows.investigation.incident_investigation import IncidentInvestigation
from workflows.scan import candidates, repairs
from workflows.shared import details, metrics, policies, search_attributes
from workflows.shared.failures import ENDING, ledger_is_away, reason_of
from workflows.shared.ledger_client import HandOver, LedgerClient, incident_id, settlement
from workflows.shared.notifications import notify

# Characters of all texts in the rows of a report, and how many sentences of what was unseen.
ROWS_TEXT, MOST_UNSEEN = 20_000, 40


@workflow.defn
class HealthScan:
    @workflow.init
    def __init__(self, request: ScanRequest) -> None:
        self._request = request
        self._settings = ScanSettings()  # until they are read
        self._rows: dict[str, ServiceRow] = {}
        self._ledger = LedgerClient(request.project_id, policies.LEDGER_BRIEFLY)
        # Sent together at the end: a wide scan keeps a short history.
        self._settlements: list[SettleRequest] = []
        self._unseen: list[str] = []

    @workflow.run
    async def run(self, request: ScanRequest) -> HealthReport:
        ended = True
        try:
            return await self._scan(request)
        except BaseException as error:
            ended = isinstance(error, ENDING)  # an eviction and a bug end nothing
            raise
        finally:
            if ended:
                await self._settle_all()

    async def _scan(self, request: ScanRequest) -> HealthReport:
        look = await candidates.look(request)
        self._settings, window = look.settings, look.window
        screening = await candidates.read_all(look.screening)
        assessment = await candidates.assess(screening, request.environment_id, window)
        incidents = self._incidents(screening, assessment, window)
        if self._rows and not look.in_steps:
            found = list(self._rows.values())
            workflow.upsert_search_attributes(search_attributes.attributes_for_scan(screening, found))
        reports = await self._investigate_all(incidents, screening)
        await self._act(reports, screening, together=not look.in_steps)
        await self._settle_all()
        report = HealthReport(
            project_name=screening.project_name,
            environment_name=screening.environment_name,
            window=window,
            rows=fitted_rows(self._rows.values()),
            healthy=(*screening.healthy, *self._found_well(screening, assessment)),
            asleep=screening.asleep,
            unknown=(*screening.unknown, *assessment.unknown),
            unseen=(*screening.unseen, *assessment.unseen, *self._unseen)[:MOST_UNSEEN],
            unlisted=screening.unlisted,
        )
        metrics.record(workflow.metric_meter(), report)
        await candidates.show_report(report, by_activity=look.in_steps)
        return report

    @workflow.query(description="What is known so far, one row per service")
    def rows(self) -> list[ServiceRow]:
        return list(self._rows.values())

    def _found_well(self, screening: Screening, assessment: Assessment) -> list[str]:
        """Return the candidates without findings, of which everything could be read."""
        unknown = {name for group in assessment.unknown for name in group.services}
        return [
            service.name
            for service in screening.candidates
            if service.service_id not in self._rows and service.name not in unknown
        ]

    def _incidents(
        self, screening: Screening, assessment: Assessment, window: Window
    ) -> list[IncidentRequest]:
        """Add a row for each affected service; return the incidents, without the downstream effects."""
        by_service: dict[str, list[Finding]] = defaultdict(list)
        for finding in assessment.findings:
            by_service[finding.service_id].append(finding)
        affected = [s for s in screening.candidates if s.service_id in by_service]
        for service in affected:
            self._rows[service.service_id] = ServiceRow(
                service_id=service.service_id,
                name=service.name,
                findings=tuple(by_service[service.service_id]),
            )
            if self._rows[service.service_id].chronic:
                self._row(service.service_id, verdict="chronic")
        downstream = self._link_downstream(assessment.downstream_effects)
        return [
            IncidentRequest(
                project_id=self._request.project_id,
                environment_id=self._request.environment_id,
                project_name=screening.project_name,
                environment_name=screening.environment_name,
                service=service,
                findings=tuple(by_service[service.service_id]),
                window=window,
                platform=screening.platform,
                platform_incident=screening.platform_incident or assessment.blamed.get(service.service_id),
                policy=self._settings.policy,
                neighbours=neighbours_of(
                    service, screening.candidates, assessment.findings, screening.needed
                ),
            )
            for service in affected
            if service.service_id not in downstream
            and (not self._request.again or service.service_id in self._request.again)
            and level_of(self._settings.autonomy_of(service)) > level_of(Autonomy.REPORT)
        ]

    def _link_downstream(self, effects: Iterable[DownstreamEffect]) -> set[str]:
        """Say in their rows which services only suffer from another one; return their ids."""
        downstream = {effect.service_id: effect for effect in effects if effect.service_id in self._rows}
        for service_id, effect in downstream.items():
            self._row(service_id, verdict="downstream_effect", action="linked", detail=effect.sentence)
        return set(downstream)

    async def _investigate_all(
        self, incidents: list[IncidentRequest], screening: Screening
    ) -> list[IncidentReport]:
        """Investigate the incidents that nobody else has open and that are in no cool-down."""
        granted = await self._claim(incidents)
        reports: list[IncidentReport] = []
        for start in range(0, len(granted), policies.CHILDREN_AT_ONCE):
            batch = granted[start : start + policies.CHILDREN_AT_ONCE]
            ended = await asyncio.gather(*(self._investigate(incident, screening) for incident in batch))
            reports.extend(report for report in ended if report is not None)
        await self._notify(granted)
        return reports

    async def _claim(self, incidents: list[IncidentRequest]) -> list[IncidentRequest]:
        """Claim the incidents; return those that are granted, and say in the others' rows who has them."""
        try:
            answers = await self._ledger.claim(incidents, by_person=bool(self._request.again))
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._miss_ledger(error)
            return []
        granted, stuck = [], []
        run_id = workflow.info().run_id
        for incident, answer in zip(incidents, answers, strict=True):
            if answer.state is ClaimState.GRANTED:
                granted.append(incident.model_copy(update={"past_repairs": answer.past}))
                continue
            self._refused(incident, answer)
            if answer.tell:
                row = self._rows[incident.service.service_id].model_copy(update={"verdict": "repair_stuck"})
                stuck.append(incident_notification(incident, row, answer.holder, run_id))
        await notify(self._settings.policy, stuck)
        return granted

    def _refused(self, incident: Incident, answer: ClaimAnswer) -> None:
        """Say in the row who has the incident, or why nobody takes it up; what is accepted needs no row."""
        if answer.accepted:
            del self._rows[incident.service.service_id]
            return
        named = answer.state is ClaimState.SUPPRESSED
        detail = f"{answer.holder} {answer.detail}".strip() if named else answer.detail
        self._row(incident.service.service_id, action=answer.state.value, detail=detail)

    def _miss_ledger(self, error: ActivityError) -> None:
        """Report without the ledger; what the scan held is free as soon as it has ended."""
        self._unseen.append(
            f"The ledger did not answer: {reason_of(error)} What is open or settled is not known, so faults "
            f"may be investigated again. Look at the workflow ledger/{self._request.project_id}."
        )

    async def _notify(self, incidents: list[IncidentRequest]) -> None:
        """Notify of what this scan investigated; another scan notifies of its own."""
        rows = [(incident, self._rows[incident.service.service_id]) for incident in incidents]
        run_id = workflow.info().run_id
        notifications = [
            incident_notification(incident, row, incident_id(incident), run_id)
            for incident, row in rows
            if row.action != "running" and not _repeats(incident, row)
        ]
        await notify(self._settings.policy, notifications)

    async def _investigate(self, incident: IncidentRequest, screening: Screening) -> IncidentReport | None:
        service = incident.service
        try:
            report = await workflow.execute_child_workflow(
                IncidentInvestigation.run,
                incident,
                id=incident_id(incident),
                execution_timeout=policies.INVESTIGATION_TIMEOUT,
                static_summary=details.line(
                    f"{service.name}: {', '.join(f.kind.value for f in incident.findings)}"
                ),
                static_details=details.items(finding.sentence for finding in incident.findings),
                search_attributes=search_attributes.attributes_for_incident(incident, screening),
                memo={"scan": workflow.info().workflow_id},
            )
        except WorkflowAlreadyStartedError:
            self._row(service.service_id, action="running", detail=incident_id(incident))
            return None
        except ChildWorkflowError as error:
            if is_cancelled_exception(error):
                if workflow.cancellation_reason() is not None:
                    raise  # the scan itself, and the investigation with it
                why = "A person cancelled the investigation."
                self._row(service.service_id, action="cancelled", detail=why)
                self._settle(incident, "cancelled", why)
                return None
            reason = reason_of(error.cause) if error.cause else str(error)
            detail = f"Investigation failed: {reason}"
            self._row(service.service_id, verdict="unclear", action="failed", detail=detail)
            self._settle(incident, "failed", reason)
            return None
        verdict = "waiting" if report.waiting else report.diagnosis.verdict.value
        self._row(service.service_id, verdict=verdict, detail=report.diagnosis.summary)
        if (again := _next_look(report.diagnosis)) is not None:
            detail = f"{report.diagnosis.summary} Next look: {again:%Y-%m-%d %H:%M} UTC."
            self._row(service.service_id, action="look_again", detail=detail)
        return report

    async def _act(self, reports: list[IncidentReport], screening: Screening, *, together: bool) -> None:
        """Start one repair for each repository; report and settle every other verdict."""
        by_repository: dict[str, list[IncidentReport]] = defaultdict(list)
        for report in reports:
            repository = report.request.service.repository
            if report.waiting:
                self._row(report.request.service.service_id, action="waiting_for_budget")
                until = report.waiting.again_at
                self._settle(report.request, "waiting_for_budget", report.diagnosis.summary, until)
            elif report.diagnosis.verdict in CODING_VERDICTS and repository:
                by_repository[repository].append(report)
            else:
                notified = self._settings.policy.notify
                offered = await repairs.for_report(report, screening, notified=notified)
                self._row(report.request.service.service_id, **offered)
                again = _next_look(report.diagnosis)
                self._settle(report.request, report.diagnosis.verdict.value, report.diagnosis.summary, again)
        each = [{repository: group} for repository, group in by_repository.items()]
        for groups in [by_repository] if together else each:
            await self._start_repairs(groups, screening)

    async def _settle_all(self) -> None:
        """Settle what came to an end, and release what did not: the same for every ending of a scan."""
        settlements, self._settlements = self._settlements, []
        try:
            await self._ledger.settle(*settlements)
            await self._ledger.release()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._ledger.forget_all()
            self._miss_ledger(error)

    def _settle(self, incident: Incident, outcome: str, detail: str, until: datetime | None = None) -> None:
        """Note a settlement. `until`: the end of its cool-down; else the policies' times."""
        if until is None:
            self._settlements.append(settlement(incident.fingerprints, outcome, detail))
            return
        cooldown = max(until - workflow.now(), timedelta(0))
        self._settlements.append(settlement(incident.fingerprints, outcome, detail, cooldown, cooldown))

    async def _start_repairs(self, groups: dict[str, list[IncidentReport]], screening: Screening) -> None:
        """Start the repairs of what this scan still holds; a claim that is lost is somebody else's by now."""
        while groups:
            wanted = [
                repairs.request_for(self._request.project_id, repository, group, self._settings)
                for repository, group in groups.items()
            ]
            over = [
                HandOver(
                    tuple(report.request for report in group),
                    repair.workflow_id,
                    repair.autonomy_query(self._settings.policy.earned),
                )
                for repair, group in zip(wanted, groups.values(), strict=True)
            ]
            try:
                answers = await self._ledger.transfer(over)
            except ActivityError as error:
                if not ledger_is_away(error):
                    raise
                self._miss_ledger(error)
                return
            ready = [
                repair.bounded(answered[0].autonomy)
                for repair, answered in zip(wanted, answers, strict=True)
                if all(answer.state is ClaimState.GRANTED for answer in answered)
            ]
            await asyncio.gather(
                *(self._start(repair, groups[repair.repository], screening) for repair in ready)
            )
            started = {repair.repository for repair in ready}
            # Another group is another repair, under another ID.
            groups = {
                repository: self._still_held(group, answered)
                for (repository, group), answered in zip(groups.items(), answers, strict=True)
                if repository not in started
            }
            groups = {repository: group for repository, group in groups.items() if group}

    def _still_held(
        self, group: list[IncidentReport], answers: tuple[ClaimAnswer, ...]
    ) -> list[IncidentReport]:
        """Return what is still this scan's, and say in the others' rows who has them."""
        held = []
        for report, answer in zip(group, answers, strict=True):
            if answer.state is ClaimState.GRANTED:
                held.append(report)
            else:
                self._refused(report.request, answer)
        return held

    async def _start(self, repair: RepairRequest, group: list[IncidentReport], screening: Screening) -> None:
        """Start the repair that has the claims on its group, those that it leaves out among them."""
        await repairs.start(repair, screening)
        self._ledger.forget([report.request for report in group])
        for report in group:
            self._row(
                report.request.service.service_id,
                action="repair",
                repair_workflow_id=repair.workflow_id,
                bounded_by=repair.bounded_by,
            )

    def _row(self, service_id: str, **changes: str) -> None:
        self._rows[service_id] = self._rows[service_id].model_copy(update=changes)


def fitted_rows(rows: Collection[ServiceRow]) -> tuple[ServiceRow, ...]:
    """Return the rows, chronic ones last; of many, each says less: a report is one payload at any width."""
    ordered = sorted(rows, key=lambda row: row.chronic)
    return tuple(row.shortened(ROWS_TEXT // max(len(rows), 1)) for row in ordered)


def _next_look(diagnosis: Diagnosis) -> datetime | None:
    """Return when a verdict that waits for something is looked at again; None for any other."""
    if diagnosis.again_seconds is None:
        return None
    return workflow.now() + timedelta(seconds=diagnosis.again_seconds)


def _repeats(incident: IncidentRequest, row: ServiceRow) -> bool:
    """Whether a verdict that waits is the one of the last look: people were notified of it then."""
    last = incident.past_repairs[0].outcome if incident.past_repairs else ""
    return row.action == "look_again" and last.endswith(f": {row.verdict}")
