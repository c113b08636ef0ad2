"""Offer an action on a service, which a person may approve."""

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from activities.actions import ActionActivities
from railmend.contracts.action import RollbackOffer, RollbackQuestion
from workflows.actions.approved_action import ApprovedAction
from workflows.shared import details, policies, search_attributes
from workflows.shared.failures import logged

Find = Callable[[ActionActivities, RollbackQuestion], Awaitable[RollbackOffer]]


async def offer(
    question: RollbackQuestion, find: Find = ActionActivities.find_rollback, *, notified: bool
) -> str:
    """Start an action that waits for a person, who is `notified` of it.

    `find`: what it is about: a deployment to go back to, or to restart. Return its workflow ID; empty where
    there is none.
    """
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
