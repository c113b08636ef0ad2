"""An action on a running service that waits for a person, so that no scan and no repair does."""

import builtins
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.actions import ActionActivities
from railmend.contracts.action import ActionKind, ActionOrder, ActionRequest, ActionResult, ActionState
from railmend.contracts.notification import action_notification
from railmend.contracts.policy import Policy
from railmend.contracts.repair import Approval
from railmend.contracts.status import RepairStatus, action_status
from workflows.shared import details, policies
from workflows.shared.failures import reason_of
from workflows.shared.ledger_client import LedgerClient
from workflows.shared.notifications import notify


@workflow.defn
class ApprovedAction:
    """Its result is the audit: who decided, when, and what came of it."""

    @workflow.init
    def __init__(self, request: ActionRequest) -> None:
        self._request = request
        self._decision: Approval | None = None

    @workflow.run
    async def run(self, request: ActionRequest) -> ActionResult:
        details.show(
            "{} of {}, deployment {}, is offered for {} days.\n\n{}\n\n{}",
            request.kind.value,
            request.service_name,
            details.code(request.deployment_id),
            request.wait_days,
            request.reason,
            details.code(f"starter.py approve {workflow.info().workflow_id}"),
        )
        await notify(Policy(notify=request.notify), [action_notification(request, workflow.info().run_id)])
        try:
            await workflow.wait_condition(
                lambda: self._decision is not None,
                timeout=timedelta(days=request.wait_days),
                timeout_summary="approval",
            )
        except builtins.TimeoutError:
            return ActionResult(
                state=ActionState.EXPIRED, detail=f"Nobody decided within {request.wait_days} days."
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        return await self._carry_out(request)

    async def _carry_out(self, request: ActionRequest) -> ActionResult:
        decision, at = self._decision, workflow.now()
        if decision is None or not decision.approved:
            who, why = (decision.by, decision.reason) if decision else ("", "")
            return ActionResult(state=ActionState.REJECTED, detail=why, by=who, at=at)
        details.show("Approved by {}; {} is carried out.", decision.by, request.kind.value)
        if request.project_id:
            await LedgerClient(request.project_id).confirm(())
        try:
            result = await workflow.execute_activity_method(
                ActionActivities.perform,
                ActionOrder(request=request, approved_at=at),
                summary=details.line(f"{request.kind.value} {request.service_name}"),
                **policies.ACTION,
            )
        except ActivityError as error:
            result = ActionResult(state=ActionState.FAILED, detail=reason_of(error))
        details.show("{}: {}", result.state.value, result.detail)
        return result.model_copy(update={"by": decision.by, "at": at})

    @workflow.query(description="How it stands, in the words of every screen")
    def status(self) -> RepairStatus:
        request = self._request
        restart = request.kind is ActionKind.RESTART
        return action_status(request.workflow_id, request.service_name, self._decision, restart=restart)

    @workflow.query(description="What is offered, and why")
    def offered(self) -> ActionRequest:
        return self._request

    @workflow.update(description="Do it")
    def approve(self, approval: Approval) -> None:
        self._decision = approval

    @workflow.update(description="Do not do it")
    def reject(self, approval: Approval) -> None:
        self._decision = approval.model_copy(update={"approved": False})

    @approve.validator
    def _may_approve(self, approval: Approval) -> None:
        self._open()

    @reject.validator
    def _may_reject(self, approval: Approval) -> None:
        self._open()

    def _open(self) -> None:
        if self._decision is not None:
            raise ApplicationError(f"{self._decision.by} has already decided.")
