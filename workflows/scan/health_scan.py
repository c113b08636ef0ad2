"""Look at one environment, investigate what is in trouble, start the repairs, report."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.planning import TextActivities
    from activities.railway import RailwayActivities
    from railmend.contracts.action import RollbackQuestion
    from railmend.contracts.autonomy import LADDER, Autonomy
    from railmend.contracts.incident import (
        CODING_VERDICTS,
        IncidentReport,
        IncidentRequest,
        Verdict,
        neighbours_of,
    )
    from railmend.contracts.ledger import ClaimState
    from railmend.contracts.notification import incident_notification
    from railmend.contracts.repair import RepairRequest, repair_key
    from railmend.contracts.scan import (
        Assessment,
        DownstreamEffect,
        Finding,
        HealthReport,
        ScanRequest,
        Screening,
        ScreenRequest,
        ServiceRow,
        SuspectsRequest,
        Window,
    )
    from workflows.investigation.incident_investigation import IncidentInvestigation
    from workflows.repair.measurement import offer_rollback
    from workflows.repair.repository_repair import RepositoryRepair
    from workflows.shared import policies, search_attributes
    from workflows.shared.ledger_client import ClaimDesk, incident_id
    from workflows.shared.notifications import notify


@workflow.defn
class HealthScan:
    @workflow.init
    def __init__(self, request: ScanRequest) -> None:
        self._request = request
        self._rows: dict[str, ServiceRow] = {}
        self._desk = ClaimDesk(request.project_id)

    @workflow.run
    async def run(self, request: ScanRequest) -> HealthReport:
        window = self._window()
        screening = await workflow.execute_activity_method(
            RailwayActivities.screen, ScreenRequest(scan=request, window=window), **policies.READ
        )
        workflow.upsert_search_attributes(search_attributes.attributes_for_scan(screening))
        assessment = await self._assess(screening, window)
        incidents = self._incidents(screening, assessment, window)
        reports = await self._investigate_all(incidents, screening)
        await self._act(reports, screening)
        report = HealthReport(
            project_name=screening.project_name,
            environment_name=screening.environment_name,
            window=window,
            rows=tuple(self._rows.values()),
            healthy=(
                *screening.healthy,
                *(s.name for s in screening.suspects if s.service_id not in self._rows),
            ),
            asleep=screening.asleep,
            unseen=(*screening.unseen, *assessment.unseen),
        )
        workflow.set_current_details(
            await workflow.execute_activity_method(TextActivities.describe_report, report, **policies.TEXT)
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
            return Assessment(findings=screening.findings, downstream_effects=screening.downstream_effects)
        return await workflow.execute_activity_method(
            RailwayActivities.assess_suspects,
            SuspectsRequest(
                environment_id=self._request.environment_id, services=screening.suspects, window=window
            ),
            **policies.READ,
        )

    def _incidents(
        self, screening: Screening, assessment: Assessment, window: Window
    ) -> list[IncidentRequest]:
        """A row for each service in trouble, and an incident for each whose trouble is its own."""
        by_service: dict[str, list[Finding]] = defaultdict(list)
        for finding in assessment.findings:
            by_service[finding.service_id].append(finding)
        affected = [s for s in screening.suspects if s.service_id in by_service]
        for service in affected:
            self._rows[service.service_id] = ServiceRow(
                service_id=service.service_id,
                name=service.name,
                findings=tuple(by_service[service.service_id]),
            )
        victims = self._tell_victims(assessment.downstream_effects)
        return [
            IncidentRequest(
                project_id=self._request.project_id,
                environment_id=self._request.environment_id,
                service=service,
                findings=tuple(by_service[service.service_id]),
                window=window,
                platform_incident=screening.platform_incident,
                policy=self._request.policy,
                neighbours=neighbours_of(service, screening.suspects, assessment.findings),
            )
            for service in affected
            if service.service_id not in victims and self._request.autonomy_of(service) is not Autonomy.REPORT
        ]

    def _tell_victims(self, explained: Iterable[DownstreamEffect]) -> set[str]:
        victims = {one.service_id: one for one in explained if one.service_id in self._rows}
        for service_id, one in victims.items():
            self._row(service_id, verdict="explained", action="linked", detail=one.sentence)
        return set(victims)

    async def _investigate_all(
        self, incidents: list[IncidentRequest], screening: Screening
    ) -> list[IncidentReport]:
        """Those that nobody else has open and that were not settled a short while ago."""
        answers = await self._desk.claim(incidents)
        granted = []
        for incident, answer in zip(incidents, answers, strict=True):
            if answer.state is ClaimState.GRANTED:
                granted.append(incident.model_copy(update={"past_repairs": answer.past}))
                continue
            detail = f"{answer.holder} {answer.detail}".strip()
            self._row(incident.service.service_id, action=answer.state.value, detail=detail)
        reports: list[IncidentReport] = []
        for start in range(0, len(granted), policies.CHILDREN_AT_ONCE):
            batch = granted[start : start + policies.CHILDREN_AT_ONCE]
            done = await asyncio.gather(*(self._investigate(incident, screening) for incident in batch))
            reports.extend(report for report in done if report is not None)
        await self._tell(granted)
        return reports

    async def _tell(self, incidents: list[IncidentRequest]) -> None:
        """Of those that this scan investigated; what another run has in hand it has told."""
        rows = [(incident, self._rows[incident.service.service_id]) for incident in incidents]
        run_id = workflow.info().run_id
        notifications = [
            incident_notification(incident, row, incident_id(incident), run_id)
            for incident, row in rows
            if row.action != "running"
        ]
        await notify(self._request.policy, notifications)

    async def _investigate(self, incident: IncidentRequest, screening: Screening) -> IncidentReport | None:
        service = incident.service
        try:
            report = await workflow.execute_child_workflow(
                IncidentInvestigation.run,
                incident,
                id=incident_id(incident),
                execution_timeout=policies.INVESTIGATION_TIMEOUT,
                static_summary=f"{service.name}: {', '.join(f.kind.value for f in incident.findings)}",
                static_details="\n".join(f"- {f.sentence}" for f in incident.findings),
                search_attributes=search_attributes.attributes_for_incident(incident, screening),
                memo={"scan": workflow.info().workflow_id},
            )
        except WorkflowAlreadyStartedError:
            self._row(service.service_id, action="running", detail=incident_id(incident))
            return None
        except ChildWorkflowError as error:
            cause = getattr(error.cause, "cause", None) or error.cause
            reason = str(getattr(cause, "message", cause))
            told = f"Investigation failed: {reason}"
            self._row(service.service_id, verdict="unclear", action="failed", detail=told)
            self._desk.settle(incident, "failed", reason)
            return None
        verdict = "waiting" if report.waiting else report.diagnosis.verdict.value
        self._row(service.service_id, verdict=verdict, detail=report.diagnosis.summary)
        return report

    async def _act(self, reports: list[IncidentReport], screening: Screening) -> None:
        """Several services of one repository make one repair; every other verdict is told and settled."""
        by_repository: dict[str, list[IncidentReport]] = defaultdict(list)
        for report in reports:
            repository = report.request.service.repository
            if report.waiting:
                self._row(report.request.service.service_id, action="waiting_for_budget")
                until = report.waiting.again_at
                self._desk.settle(report.request, "waiting_for_budget", report.diagnosis.summary, until)
            elif report.diagnosis.verdict in CODING_VERDICTS and repository:
                by_repository[repository].append(report)
            else:
                if report.diagnosis.verdict is Verdict.BAD_DEPLOY:
                    await self._offer_rollback(report)
                self._desk.settle(report.request, report.diagnosis.verdict.value, report.diagnosis.summary)
        for repository, group in by_repository.items():
            await self._start_repair(repository, group, screening)
        await self._desk.send_settlements()

    async def _offer_rollback(self, report: IncidentReport) -> None:
        """A workflow of its own waits for the person; the scan only says how to approve it."""
        request, service = report.request, report.request.service
        action = await offer_rollback(
            RollbackQuestion(
                project_id=request.project_id,
                environment_id=request.environment_id,
                service_id=service.service_id,
                service_name=service.name,
                deployment_id=service.latest_deployment_id,
                reason=report.diagnosis.summary[:500],
            )
        )
        if action:
            detail = f"{report.diagnosis.summary} To roll back: starter.py approve {action}"
            self._row(service.service_id, action="rollback_offered", detail=detail)

    async def _start_repair(self, repository: str, group: list[IncidentReport], screening: Screening) -> None:
        services = [report.request.service for report in group]
        fingerprints = [f.fingerprint for report in group for f in report.request.findings]
        repair = RepairRequest(
            repository=repository,
            key=repair_key(repository, fingerprints, services[0].active_deployment_id),
            base_branch=services[0].branch or "",
            commit=services[0].commit,
            root_directories=tuple(sorted({s.root_directory for s in services if s.root_directory})),
            incidents=tuple(group),
            autonomy=min((self._request.autonomy_of(s) for s in services), key=LADDER.index),
            requested_at=workflow.now(),
            project_id=self._request.project_id,
            policy=self._request.policy,
        )
        workflow_id = f"repair/{repository}/{repair.key}"
        earned = await self._desk.transfer(
            [report.request for report in group],
            workflow_id,
            repair.autonomy_query(self._request.policy.earned),
        )
        repair = repair.bounded(earned)
        # Already started: another scan was first with this very repair, which is as good.
        try:
            await workflow.start_child_workflow(
                RepositoryRepair.run,
                repair,
                id=workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"{repository}: {group[0].diagnosis.summary[:150]}",
                static_details="\n".join(f"- {step}" for one in group for step in one.diagnosis.plan),
                search_attributes=search_attributes.attributes_for_repair(repair, screening),
                memo={"incidents": [incident_id(one.request) for one in group]},
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("repair %s already runs", workflow_id)
        for service in services:
            self._row(
                service.service_id,
                action="repair",
                repair_workflow_id=workflow_id,
                bounded_by=repair.bounded_by,
            )

    def _row(self, service_id: str, **changes: str) -> None:
        self._rows[service_id] = self._rows[service_id].model_copy(update=changes)
