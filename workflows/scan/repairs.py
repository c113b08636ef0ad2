"""What a scan starts: the repair of what it found in one repository, and actions that wait for a person."""

from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from activities.ledger_recovery import MEMO_FINGERPRINTS, MEMO_PROJECT
from railmend.contracts.autonomy import level_of
from railmend.contracts.incident import IncidentReport, Verdict, neighbours_of
from railmend.contracts.repair import (
    MOST_SERVICES,
    LeftOutService,
    RepairRequest,
    fitted,
    repair_key,
    worst_first,
)
from railmend.contracts.scan import ScanSettings, Screening, service_url
from workflows.actions.offer import offer
from workflows.repair.repository_repair import RepositoryRepair
from workflows.repair.state import RepairState
from workflows.shared import details, policies, search_attributes
from workflows.shared.ledger_client import incident_id


def request_for(
    project_id: str, repository: str, group: Sequence[IncidentReport], settings: ScanSettings
) -> RepairRequest:
    """Take the worst `MOST_SERVICES` of the group; the others are claimed with them, and named."""
    group = worst_first(group)
    repaired, left_out = group[:MOST_SERVICES], group[MOST_SERVICES:]
    services = [report.request.service for report in group]
    fingerprints = [fp for report in group for fp in report.request.fingerprints]
    return RepairRequest(
        repository=repository,
        key=repair_key(repository, fingerprints, services[0].active_deployment_id),
        base_branch=services[0].branch or "",
        commit=services[0].commit,
        root_directories=tuple(
            sorted({s.root_directory for s in services[:MOST_SERVICES] if s.root_directory})
        ),
        incidents=fitted(repaired),
        left_out=tuple(_left_out(report) for report in left_out),
        autonomy=min((settings.autonomy_of(s) for s in services), key=level_of),
        requested_at=workflow.now(),
        project_id=project_id,
        policy=settings.policy,
    )


def _left_out(report: IncidentReport) -> LeftOutService:
    service, findings = report.request.service, report.request.findings
    kinds = tuple(finding.kind for finding in findings)
    chronic = all(finding.chronic for finding in findings)
    return LeftOutService(service_id=service.service_id, name=service.name, kinds=kinds, chronic=chronic)


async def start(repair: RepairRequest, screening: Screening) -> None:
    """Start the repair, which outlives the scan.

    One that already runs goes on: without a claim, after its ledger was lost; now it has one again.
    """
    diagnosis = repair.incidents[0].diagnosis
    names = ", ".join(sorted({report.request.service.name for report in repair.incidents}))
    # What tells rows of Temporal's list apart; the repository is in the ID.
    summary = f"{names[:100]}: {diagnosis.verdict.value.replace('_', ' ')}: {diagnosis.headline[:150]}"
    try:
        await workflow.start_child_workflow(
            RepositoryRepair.run,
            RepairState(request=repair),
            id=repair.workflow_id,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=details.line(summary),
            static_details=details.items(
                step for report in repair.incidents for step in report.diagnosis.plan
            ),
            search_attributes=search_attributes.attributes_for_repair(repair, screening),
            memo={
                "incidents": [incident_id(report.request) for report in repair.incidents],
                MEMO_PROJECT: repair.project_id,
                MEMO_FINGERPRINTS: list(repair.fingerprints),
            },
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("repair %s already runs", repair.workflow_id)


async def for_report(report: IncidentReport, screening: Screening, *, notified: bool) -> dict[str, str]:
    """Offer what the verdict allows; return what changes in the service's row."""
    if report.diagnosis.verdict is Verdict.BAD_DEPLOY:
        return await _rollback(report, notified)
    if report.diagnosis.verdict is Verdict.DEPENDENCY_DOWN:
        return await _restart(report, screening, notified)
    return {}


async def _rollback(report: IncidentReport, notified: bool) -> dict[str, str]:
    latest = report.request.service.latest_deployment_id
    action = await offer(report.request, report.diagnosis.summary, deployment_id=latest, notified=notified)
    if not action:
        return {}
    detail = f"{report.diagnosis.summary} To roll back: starter.py approve {action}"
    return {"action": "rollback_offered", "detail": detail}


async def _restart(report: IncidentReport, screening: Screening, notified: bool) -> dict[str, str]:
    """Link the service of the project that does not answer, and offer to restart it."""
    request, name = report.request, report.diagnosis.dependency.lower()
    near = neighbours_of(request.service, screening.candidates, (), screening.needed)
    down = next((each for each in near if each.relation == "needs" and each.name.lower() == name), None)
    if down is None or not workflow.patched(policies.PATCH_RESTART_OFFER):
        return {}
    detail = f"{report.diagnosis.summary} {down.name}: {service_url(request.project_id, down.service_id)}"
    reason = f"{request.service.name} needs it: {report.diagnosis.summary}"
    action = await offer(request, reason, restart=down, notified=notified)
    if not action:
        return {"detail": detail}
    return {"action": "restart_offered", "detail": f"{detail} To restart it: starter.py approve {action}"}
