"""Offer an action on a service, which a person may approve."""

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from activities.actions import ActionActivities
from railmend.contracts.action import RollbackQuestion
from railmend.contracts.incident import Incident, Neighbour
from workflows.actions.approved_action import ApprovedAction
from workflows.shared import details, policies, search_attributes
from workflows.shared.failures import logged


async def offer(
    incident: Incident,
    reason: str,
    *,
    deployment_id: str | None = None,
    restart: Neighbour | None = None,
    notified: bool,
) -> str:
    """Start an action that waits for a person, who is `notified` of it.

    It takes the incident's service back from a deployment, or restarts one that it needs. Return the action's
    workflow ID; empty where there is nothing to go back to, or to restart.
    """
    service = restart or incident.service
    question = RollbackQuestion(
        project_id=incident.project_id,
        environment_id=incident.environment_id,
        service_id=service.service_id,
        service_name=service.name,
        deployment_id=deployment_id,
        reason=reason[:500],
    )
    find = ActionActivities.find_restart if restart else ActionActivities.find_rollback
    finding = workflow.execute_activity_method(
        find, question, summary=details.line(question.service_name), **policies.READ
    )
    found = await logged("no action can be offered", finding)
    if found is None or found.request is None:
        return ""
    action = found.request.model_copy(update={"notify": notified})
    try:
        await workflow.start_child_workflow(
            ApprovedAction.run,
            action,
            id=action.workflow_id,
            parent_close_policy=ParentClosePolicy.ABANDON,
            search_attributes=search_attributes.attributes_for_action(action),
            static_summary=details.line(f"{action.kind.value} {action.service_name}: {action.reason[:120]}"),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("%s is offered already", action.workflow_id)
    return action.workflow_id
