"""What a scan offers where no code is at fault; a workflow of its own waits for the person."""

from temporalio import workflow

from activities.actions import ActionActivities
from railmend.contracts.action import RollbackQuestion
from railmend.contracts.incident import IncidentReport, Verdict, neighbours_of
from railmend.contracts.scan import Screening, service_url
from workflows.actions.offer import offer
from workflows.shared import policies


async def for_report(report: IncidentReport, screening: Screening) -> dict[str, str]:
    """Offer what the verdict allows; return what changes in the service's row."""
    if report.diagnosis.verdict is Verdict.BAD_DEPLOY:
        return await _rollback(report)
    if report.diagnosis.verdict is Verdict.DEPENDENCY_DOWN:
        return await _restart(report, screening)
    return {}


async def _rollback(report: IncidentReport) -> dict[str, str]:
    request, service = report.request, report.request.service
    action = await offer(
        RollbackQuestion(
            project_id=request.project_id,
            environment_id=request.environment_id,
            service_id=service.service_id,
            service_name=service.name,
            deployment_id=service.latest_deployment_id,
            reason=report.diagnosis.summary[:500],
        )
    )
    if not action:
        return {}
    detail = f"{report.diagnosis.summary} To roll back: starter.py approve {action}"
    return {"action": "rollback_offered", "detail": detail}


async def _restart(report: IncidentReport, screening: Screening) -> dict[str, str]:
    """Link the service of the project that does not answer, and offer to restart it."""
    request, name = report.request, report.diagnosis.dependency.lower()
    near = neighbours_of(request.service, screening.candidates, (), screening.needed)
    down = next((each for each in near if each.relation == "needs" and each.name.lower() == name), None)
    if down is None or not workflow.patched(policies.PATCH_RESTART_OFFER):
        return {}
    detail = f"{report.diagnosis.summary} {down.name}: {service_url(request.project_id, down.service_id)}"
    action = await offer(
        RollbackQuestion(
            project_id=request.project_id,
            environment_id=request.environment_id,
            service_id=down.service_id,
            service_name=down.name,
            deployment_id=None,
            reason=f"{request.service.name} needs it: {report.diagnosis.summary}"[:500],
        ),
        ActionActivities.find_restart,
    )
    if not action:
        return {"detail": detail}
    return {"action": "restart_offered", "detail": f"{detail} To restart it: starter.py approve {action}"}
