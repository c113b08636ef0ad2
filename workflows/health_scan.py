"""Look at one environment, investigate what is in trouble, start the repairs, report."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.planning import PlanningActivities
    from activities.railway import RailwayActivities
    from railmend.contracts.incident import CODING_VERDICTS, IncidentReport, IncidentRequest
    from railmend.contracts.ledger import (
        ClaimAnswer,
        ClaimRequest,
        Claims,
        ClaimState,
        Settlements,
        SettleRequest,
    )
    from railmend.contracts.repair import RepairRequest, repair_key
    from railmend.contracts.scan import (
        Assessment,
        Autonomy,
        Finding,
        HealthReport,
        ScanRequest,
        Screening,
        ScreenRequest,
        Service,
        ServiceRow,
        SuspectsRequest,
        Window,
    )
    from workflows import policies
    from workflows.incident_investigation import IncidentInvestigation
    from workflows.repository_repair import RepositoryRepair


@workflow.defn
class HealthScan:
    def __init__(self) -> None:
        self._rows: dict[str, ServiceRow] = {}
        self._settlements: list[SettleRequest] = []

    @workflow.run
    async def run(self, request: ScanRequest) -> HealthReport:
        self._request = request
        window = self._window()
        screening = await workflow.execute_activity_method(
            RailwayActivities.screen, ScreenRequest(scan=request, window=window), **policies.READ
        )
        assessment = await self._assess(screening, window)
        affected = self._affected(screening.suspects, assessment.findings)
        incidents = [
            IncidentRequest(
                project_id=request.project_id,
                environment_id=request.environment_id,
                service=service,
                findings=findings,
                window=window,
                platform_incident=screening.platform_incident,
            )
            for service, findings in affected
        ]
        reports = await self._investigate_all(incidents)
        await self._act(reports)
        report = HealthReport(
            project_name=screening.project_name,
            environment_name=screening.environment_name,
            window=window,
            rows=tuple(self._rows.values()),
            healthy=(
                *screening.well,
                *(s.name for s in screening.suspects if s.service_id not in self._rows),
            ),
            asleep=screening.asleep,
            unseen=(*screening.unseen, *assessment.unseen),
        )
        workflow.set_current_details(
            await workflow.execute_activity_method(
                PlanningActivities.describe_report, report, **policies.TEXT
            )
        )
        return report

    @workflow.query(description="What is known so far, one row per service")
    def rows(self) -> list[ServiceRow]:
        return list(self._rows.values())

    def _window(self) -> Window:
        end = workflow.now().replace(microsecond=0) - timedelta(seconds=self._request.settle_seconds)
        start = end - timedelta(seconds=self._request.window_seconds)
        return Window(start=start, end=end, step_seconds=self._request.step_seconds)

    async def _assess(self, screening: Screening, window: Window) -> Assessment:
        """A small project is decided at the first look."""
        if screening.decided or not screening.suspects:
            return Assessment(findings=screening.findings)
        return await workflow.execute_activity_method(
            RailwayActivities.assess_suspects,
            SuspectsRequest(
                environment_id=self._request.environment_id, services=screening.suspects, window=window
            ),
            **policies.READ,
        )

    def _affected(
        self, suspects: Iterable[Service], findings: Iterable[Finding]
    ) -> list[tuple[Service, tuple[Finding, ...]]]:
        by_service: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            by_service[finding.service_id].append(finding)
        affected = [(s, tuple(by_service[s.service_id])) for s in suspects if s.service_id in by_service]
        for service, found in affected:
            self._rows[service.service_id] = ServiceRow(
                service_id=service.service_id, name=service.name, findings=found
            )
        return affected

    async def _investigate_all(self, incidents: list[IncidentRequest]) -> list[IncidentReport]:
        if self._request.autonomy is Autonomy.REPORT or not incidents:
            return []
        granted = await self._claim_incidents(incidents)
        reports: list[IncidentReport] = []
        for start in range(0, len(granted), policies.CHILDREN_AT_ONCE):
            batch = granted[start : start + policies.CHILDREN_AT_ONCE]
            done = await asyncio.gather(*(self._investigate(incident) for incident in batch))
            reports.extend(report for report in done if report is not None)
        return reports

    async def _claim_incidents(self, incidents: list[IncidentRequest]) -> list[IncidentRequest]:
        """Those that nobody else has open and that were not settled a short while ago."""
        claims = [
            self._claim(incident, _incident_id(incident), policies.INCIDENT_LEASE) for incident in incidents
        ]
        answers = await self._send_claims(claims)
        for incident, answer in zip(incidents, answers, strict=True):
            if answer.state is not ClaimState.GRANTED:
                detail = f"{answer.holder} {answer.detail}".strip()
                self._row(incident.service, action=answer.state.value, detail=detail)
        pairs = zip(incidents, answers, strict=True)
        return [incident for incident, answer in pairs if answer.state is ClaimState.GRANTED]

    async def _investigate(self, incident: IncidentRequest) -> IncidentReport | None:
        service = incident.service
        try:
            report = await workflow.execute_child_workflow(
                IncidentInvestigation.run,
                incident,
                id=_incident_id(incident),
                execution_timeout=policies.INVESTIGATION_TIMEOUT,
                static_summary=f"{service.name}: {', '.join(f.kind.value for f in incident.findings)}",
            )
        except WorkflowAlreadyStartedError:
            self._row(service, action="running", detail=_incident_id(incident))
            return None
        except ChildWorkflowError as error:
            cause = getattr(error.cause, "cause", None) or error.cause
            reason = str(getattr(cause, "message", cause))
            self._row(service, verdict="unclear", action="failed", detail=f"Investigation failed: {reason}")
            self._settlements.append(self._settlement(incident, "failed", reason))
            return None
        self._row(service, verdict=report.diagnosis.verdict.value, detail=report.diagnosis.summary)
        return report

    async def _act(self, reports: list[IncidentReport]) -> None:
        """Several services of one repository make one repair; every other verdict is told and settled."""
        by_repository: dict[str, list[IncidentReport]] = defaultdict(list)
        for report in reports:
            repository = report.request.service.repository
            if report.diagnosis.verdict in CODING_VERDICTS and repository and self._may_repair():
                by_repository[repository].append(report)
                continue
            outcome, detail = report.diagnosis.verdict.value, report.diagnosis.summary
            self._settlements.append(self._settlement(report.request, outcome, detail))
        for repository, group in by_repository.items():
            await self._start_repair(repository, group)
        if self._settlements:
            await workflow.execute_activity_method(
                LedgerActivities.settle,
                Settlements(project_id=self._request.project_id, settlements=tuple(self._settlements)),
                **policies.LEDGER,
            )

    def _may_repair(self) -> bool:
        return self._request.autonomy in (Autonomy.DRAFT, Autonomy.PULL_REQUEST)

    async def _start_repair(self, repository: str, group: list[IncidentReport]) -> None:
        services = [report.request.service for report in group]
        fingerprints = [f.fingerprint for report in group for f in report.request.findings]
        repair = RepairRequest(
            repository=repository,
            key=repair_key(repository, fingerprints, services[0].active_deployment_id),
            base_branch=services[0].branch or "",
            commit=services[0].commit,
            root_directories=tuple(sorted({s.root_directory for s in services if s.root_directory})),
            incidents=tuple(group),
            autonomy=self._request.autonomy,
            requested_at=workflow.now(),
            project_id=self._request.project_id,
        )
        workflow_id = f"repair/{repository}/{repair.key}"
        await self._send_claims(
            [
                self._claim(report.request, workflow_id, policies.REPAIR_LEASE, _incident_id(report.request))
                for report in group
            ]
        )
        # Already started: another scan was first with this very repair, which is as good.
        try:
            await workflow.start_child_workflow(
                RepositoryRepair.run,
                repair,
                id=workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"{repository}: {group[0].diagnosis.summary[:150]}",
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("repair %s already runs", workflow_id)
        for service in services:
            self._row(service, action="repair", repair_workflow_id=workflow_id)

    def _claim(
        self, incident: IncidentRequest, holder: str, lease: timedelta, takes_over_from: str | None = None
    ) -> ClaimRequest:
        return ClaimRequest(
            claim_id=f"claim/{workflow.info().run_id}/{_incident_id(incident)}/{holder}",
            fingerprints=_fingerprints(incident),
            holder=holder,
            at=workflow.now(),
            lease_seconds=int(lease.total_seconds()),
            takes_over_from=takes_over_from,
        )

    async def _send_claims(self, claims: list[ClaimRequest]) -> tuple[ClaimAnswer, ...]:
        sent = await workflow.execute_activity_method(
            LedgerActivities.claim,
            Claims(project_id=self._request.project_id, claims=tuple(claims)),
            **policies.LEDGER,
        )
        return sent.answers

    def _settlement(self, incident: IncidentRequest, outcome: str, detail: str) -> SettleRequest:
        return SettleRequest(
            settle_id=f"settle/{workflow.info().run_id}/{_incident_id(incident)}",
            fingerprints=_fingerprints(incident),
            holder=_incident_id(incident),
            outcome=outcome,
            detail=detail[:500],
            silent_seconds=int(policies.SILENCE.total_seconds()),
            at=workflow.now(),
        )

    def _row(self, service: Service, **changes: str) -> None:
        self._rows[service.service_id] = self._rows[service.service_id].model_copy(update=changes)


def _incident_id(incident: IncidentRequest) -> str:
    return f"incident/{incident.environment_id}/{incident.service.service_id}"


def _fingerprints(incident: IncidentRequest) -> tuple[str, ...]:
    return tuple(finding.fingerprint for finding in incident.findings)
