"""From a diagnosis to a fix that holds, in one repository. Outlives the scan that started it.

A person allows it, where that is asked for; a session makes the change; it is published; people review it; it
is merged, deployed and measured; what came of it is settled in the ledger.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from railmend.contracts.notification import outcome_notification
from railmend.contracts.repair import Approval, RepairOutcome, RepairResult
from railmend.contracts.status import Phase, RepairStatus, capitalized, status_of_failure
from railmend.contracts.track_record import FixRecord
from workflows.repair import coding
from workflows.repair.approval import wait_for_approval
from workflows.repair.measurement import measure, say_that_no_other_fix_came, wait_for_deployment
from workflows.repair.proof import prove
from workflows.repair.review import review
from workflows.repair.state import RepairState
from workflows.shared import details, policies, search_attributes
from workflows.shared.failures import ENDING, logged, machine_is_gone, reason_of
from workflows.shared.ledger_client import ClaimLost, LedgerClient, settlement
from workflows.shared.notifications import notify

Handler = Callable[[RepairState, LedgerClient], Awaitable[Phase]]


@workflow.defn
class RepositoryRepair:
    """A state machine: each phase has one handler, which returns the next phase."""

    @workflow.init
    def __init__(self, state: RepairState) -> None:
        self._state = state
        self._ledger = LedgerClient(state.request.project_id)
        self._cancelled = False
        self._handlers: dict[Phase, Handler] = {
            Phase.APPROVAL: wait_for_approval,
            Phase.CODING: coding.make_change,
            Phase.PROOF: prove,
            Phase.PUBLISHING: coding.publish,
            Phase.REVIEW: review,
            Phase.DEPLOYMENT: wait_for_deployment,
            Phase.MEASUREMENT: measure,
        }

    @workflow.run
    async def run(self, state: RepairState) -> RepairResult:
        ended = True
        try:
            self._state.enter(self._state.phase)
            while self._state.phase is not Phase.DONE:
                self._state.enter(await self._step())
                await self._say_that_no_other_fix_came()
            return self._result()
        except BaseException as error:
            ended = isinstance(error, ENDING)  # a continue-as-new, an eviction and a bug end nothing
            self._cancelled = is_cancelled_exception(error)
            raise
        finally:
            if ended:
                await self._conclude()

    async def _step(self) -> Phase:
        """Run the phase's handler. A lost claim, and what others refuse for good, ends the repair."""
        state = self._state
        handler = self._handlers.get(state.phase)
        if handler is None:
            raise NotImplementedError(
                f"The phase {state.phase.value!r} is not known to this worker: a newer version began it. "
                "Start workers of that version; until then the repair waits, and nothing is lost."
            )
        try:
            return await handler(state, self._ledger)
        except ClaimLost as error:
            return state.end(RepairOutcome.FAILED, error.message)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            if machine_is_gone(error) and state.phase in (Phase.CODING, Phase.PROOF, Phase.PUBLISHING):
                return coding.start_over(state)
            return state.end(RepairOutcome.FAILED, reason_of(error))

    async def _say_that_no_other_fix_came(self) -> None:
        """Correct the comment that announced another fix, where none was published."""
        if not (self._state.retry_failed and workflow.patched(policies.PATCH_RETRY_ENDED)):
            return
        try:
            await logged(
                "not said on the pull request", say_that_no_other_fix_came(self._state, self._ledger)
            )
        except ClaimLost as error:
            workflow.logger.warning("not said on the pull request: %s", error.message)

    def _result(self) -> RepairResult:
        if self._state.result is None:
            raise ValueError(f"The repair {self._state.request.key} ended without a result.")
        return self._state.result

    async def _conclude(self) -> None:
        """Settle the claim and delete the workspace: the same for every ending."""
        state, repair, info = self._state, self._state.request, workflow.info()
        outcome, reason = "failed", "The repair ended with an error; its history shows which."
        fixes: tuple[FixRecord, ...] = ()
        if self._cancelled:
            outcome, reason = "cancelled", "A person cancelled the repair."
            details.show_status(self.status())
        elif state.result is not None and state.phase is Phase.DONE:
            outcome, reason = state.result.outcome.value, state.result.reason
            fixes = state.fix_records()
            workflow.upsert_search_attributes(search_attributes.attributes_for_result(repair, state.result))
        if state.workspace is not None:
            await coding.delete_workspace(state.workspace)
        cooldown, unchanged = policies.COOLDOWN, None
        if outcome == RepairOutcome.CLOSED.value:  # a person's decision is respected for longer
            cooldown = unchanged = timedelta(days=repair.policy.follow_up.closed_days)
        url = state.result.pull_request.url if state.result and state.result.pull_request else ""
        await self._ledger.settle(
            settlement(repair.fingerprints, outcome, reason, cooldown, unchanged, url, fixes)
        )
        if outcome != RepairOutcome.PULL_REQUEST.value:  # that it is open was notified when it was opened
            notification = outcome_notification(repair, outcome, reason, info.workflow_id, info.run_id)
            await notify(repair.policy, [notification])

    @workflow.update(description="Let Railmend carry the plan out")
    def approve(self, approval: Approval) -> None:
        self._state.approval = approval.model_copy(update={"approved": True})

    @approve.validator
    def _may_approve(self, approval: Approval) -> None:
        self._refuse_unless_waiting(approval)

    @workflow.update(description="Do not carry the plan out")
    def reject(self, approval: Approval) -> None:
        self._state.approval = approval.model_copy(update={"approved": False})

    @reject.validator
    def _may_reject(self, approval: Approval) -> None:
        self._refuse_unless_waiting(approval)

    def _refuse_unless_waiting(self, approval: Approval) -> None:
        if not self.waits_for_approval():
            earlier = self._state.approval
            label = capitalized(self.status().label)
            decided = f"{earlier.by} has already decided. " if earlier else ""
            raise ApplicationError(f"No plan waits here. {decided}{label}.", type="NotWaiting")
        if (plan := self._state.request.plan_hash) != (approval.plan or plan):
            raise ApplicationError(f"The plan that waits is {plan}: look at it first.", type="AnotherPlan")

    @workflow.query(description="Whether the plan waits for a person")
    def waits_for_approval(self) -> bool:
        return self._state.waits_for_approval and self._state.request.needs_approval

    @workflow.query(description="The first pull request, once it is open; the scan stops waiting here")
    def opened(self) -> RepairResult | None:
        return self._state.opened

    @workflow.query(description="How it stands, in the words of every screen")
    def status(self) -> RepairStatus:
        if self._cancelled:
            return status_of_failure(cancelled=True, reason="")
        return self._state.status()

    @workflow.query(description="The whole state: the phase, and what each phase left")
    def state(self) -> RepairState:
        return self._state
