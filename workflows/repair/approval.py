"""A plan waits for a person, who decides from the command line or by a comment on its issue."""

import asyncio
import builtins
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.github import GitHubActivities
from railmend.contracts.approval import PlanDecided, PlanIssue, PlanIssueRequest
from railmend.contracts.notification import Notification, approval_notification
from railmend.contracts.repair import Approval, RepairOutcome
from railmend.contracts.status import Phase
from workflows.repair import coding
from workflows.repair.state import RepairState
from workflows.shared import policies
from workflows.shared.failures import attempted, logged, reason_of
from workflows.shared.ledger_client import LedgerClient
from workflows.shared.notifications import notify


async def wait_for_approval(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase APPROVAL: with autonomy `plan`, and with one that is not known, a person decides."""
    repair, info = state.request, workflow.info()
    if not repair.needs_approval:
        return Phase.CODING
    if await coding.resume_review(state):
        return Phase.REVIEW
    notification = approval_notification(repair, info.workflow_id, info.run_id)
    issue, obstacle = await _show(state, ledger, notification)
    bounded = f"A {repair.bounded_by}." if repair.bounded_by else ""
    comments = f"It cannot be approved by a comment: {obstacle}" if obstacle else ""
    until = (
        f"It expires at {workflow.now() + timedelta(days=repair.policy.approval_days):%Y-%m-%d %H:%M} UTC."
    )
    state.show(" ".join(filter(None, (until, bounded, comments))), issue.url if issue else "")
    url = issue.url if issue else ""
    await notify(repair.policy, [notification.model_copy(update={"issue": url})])
    if issue is None:
        return _next(state, await _decision(state))
    listening = asyncio.create_task(_listen(state, issue))
    sentence = "The repair was cancelled. Nothing was changed."
    try:
        phase = _next(state, await _decision(state))
        sentence = _sentence(state)
        return phase
    finally:
        listening.cancel()
        decided = PlanDecided(issue=issue, sentence=sentence)
        closing = workflow.execute_activity_method(
            GitHubActivities.close_plan_issue, decided, **policies.NOTIFY
        )
        await logged("not said on the plan's issue", closing)


async def _show(
    state: RepairState, ledger: LedgerClient, notification: Notification
) -> tuple[PlanIssue | None, str]:
    """Return where the plan is shown, or None and, where it was to be, why it is not."""
    repair = state.request
    if not (repair.policy.approve_by_comment and workflow.patched(policies.PATCH_APPROVE_BY_COMMENT)):
        return None, ""
    await ledger.confirm(repair.fingerprints)
    until = workflow.now() + timedelta(days=repair.policy.approval_days)
    opening = workflow.execute_activity_method(
        GitHubActivities.open_plan_issue,
        PlanIssueRequest(repair=repair, notification=notification, until=until),
        **policies.NOTIFY,
    )
    issue = await attempted(opening)
    return (None, reason_of(issue)) if isinstance(issue, ActivityError) else (issue, "")


async def _decision(state: RepairState) -> Approval | None:
    """Return what a person decided, in whichever way; None: nobody did in time."""
    days = timedelta(days=state.request.policy.approval_days)
    try:
        await workflow.wait_condition(
            lambda: state.approval is not None, timeout=days, timeout_summary="approval"
        )
    except builtins.TimeoutError:
        return None
    return state.approval


def _next(state: RepairState, approval: Approval | None) -> Phase:
    if approval is None:
        days = state.request.policy.approval_days
        return state.end(RepairOutcome.NOT_ALLOWED, f"Nobody approved the plan within {days} days.")
    if approval.approved:
        return Phase.CODING
    reason = f"{approval.by} rejected the plan. {approval.reason}".strip()
    return state.end(RepairOutcome.NOT_ALLOWED, reason)


def _sentence(state: RepairState) -> str:
    """Return what the plan's issue is told."""
    if state.approval is not None and state.approval.approved:
        where = (
            f"by the comment {state.approval.comment}" if state.approval.comment else "on the command line"
        )
        return f"{state.approval.by} approved the plan {where}. Railmend is working on it."
    return f"{state.result.reason if state.result else ''} Nothing was changed.".strip()


async def _listen(state: RepairState, issue: PlanIssue) -> None:
    """Take over what a comment decides, unless somebody decided on the command line before."""
    try:
        decision = await workflow.execute_activity_method(
            GitHubActivities.find_decision, issue, summary="comments", **policies.DECISION
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            return  # it was decided otherwise; nobody waits for this
        workflow.logger.warning("a plan can no longer be decided by a comment: %s", error.cause)
        state.show(f"It can no longer be decided by a comment: {reason_of(error)}", issue.url)
        return
    state.approval = state.approval or decision
