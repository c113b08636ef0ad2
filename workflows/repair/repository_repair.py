"""From a plan to a fix that holds, in one repository. Outlives the scan that started it.

The story: a person allows it, where that is asked for; a session makes the change; it is published; people
review it; it is merged, deployed and measured; what came of it is settled in the ledger.
"""

import asyncio
import builtins
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from railmend.contracts.autonomy import Autonomy
    from railmend.contracts.ledger import SettlementBatch, SettleRequest, SpendingKind
    from railmend.contracts.measurement import MeasurementResult
    from railmend.contracts.notification import approval_notification, outcome_notification
    from railmend.contracts.repair import (
        Approval,
        CodingRequest,
        Progress,
        RepairOutcome,
        RepairRequest,
        RepairResult,
        Workspace,
        WorkspaceRequest,
    )
    from railmend.contracts.review import PullState
    from workflows.repair import coding_loop
    from workflows.repair.measurement import Aftermath
    from workflows.repair.publication import publish
    from workflows.repair.review import Review
    from workflows.repair.state import Course
    from workflows.shared import policies, search_attributes
    from workflows.shared.notifications import notify
    from workflows.shared.spending import Purse


@workflow.defn
class RepositoryRepair:
    @workflow.init
    def __init__(self, repair: RepairRequest) -> None:
        self._decision: Approval | None = None
        self._waits_for_approval = False
        # One for the whole run: it numbers what is reserved.
        self._purse = Purse(repair.project_id, repair.policy, repair.fingerprints)
        self._opened = repair.progress.result if repair.progress else None
        # What follows is handed the repair alone: its progress stays here.
        alone = repair.model_copy(update={"progress": None})
        self._course = Course(alone, repair.progress) if repair.progress else None

    @workflow.run
    async def run(self, repair: RepairRequest) -> RepairResult:
        try:
            result = await self._story(repair)
        except (ActivityError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await self._settle(repair, "cancelled", "A person cancelled the repair.")
            raise
        workflow.upsert_search_attributes(search_attributes.attributes_for_result(result))
        await self._settle(repair, result.outcome.value, result.reason, result)
        return result

    async def _story(self, repair: RepairRequest) -> RepairResult:
        if self._course is None:
            first = await self._allowed(repair) or await self._until_pull_request(repair)
            if self._course is None:
                return first
        while True:
            course = self._course
            result = await self._until_outcome(course)
            again = result.outcome is RepairOutcome.NOT_HELD and course.retries_left
            second = await self._try_again(course, result.measurements) if again else None
            if second is None or second.outcome is not RepairOutcome.PULL_REQUEST:
                await self._forget_session(course)
                return result if second is None else result.but(second.reason)
            self._course.note(earlier=course.fixes(result))

    @workflow.update(description="Let Railmend carry the plan out")
    def approve(self, approval: Approval) -> None:
        self._decision = approval.model_copy(update={"approved": True})

    @approve.validator
    def _may_approve(self, approval: Approval) -> None:
        self._refuse_unless_waiting()

    @workflow.update(description="Do not carry the plan out")
    def reject(self, approval: Approval) -> None:
        self._decision = approval.model_copy(update={"approved": False})

    @reject.validator
    def _may_reject(self, approval: Approval) -> None:
        self._refuse_unless_waiting()

    @workflow.query(description="Whether the plan waits for a person")
    def waits_for_approval(self) -> bool:
        return self._waits_for_approval

    @workflow.query(description="The pull request, as soon as it is open: all that a scan waits for")
    def opened(self) -> RepairResult | None:
        return self._opened

    @workflow.query(description="Where the repair is after its pull request was opened")
    def progress(self) -> Progress | None:
        return self._course.progress if self._course else None

    def _refuse_unless_waiting(self) -> None:
        if not self._waits_for_approval:
            raise ApplicationError("This repair does not wait for an approval.", type="NotWaiting")

    async def _allowed(self, repair: RepairRequest) -> RepairResult | None:
        """With autonomy `plan` a person decides; None: go on."""
        if repair.autonomy is not Autonomy.PLAN:
            return None
        days = repair.policy.approval_days
        why = f"\n\nA {repair.bounded_by}." if repair.bounded_by else ""
        workflow.set_current_details(
            f"The plan waits for a person, at most {days} days:{why}\n\n"
            f"`starter.py approve {workflow.info().workflow_id}`"
        )
        self._waits_for_approval = True
        info = workflow.info()
        await notify(repair.policy, [approval_notification(repair, info.workflow_id, info.run_id)])
        try:
            await workflow.wait_condition(
                lambda: self._decision is not None, timeout=timedelta(days=days), timeout_summary="approval"
            )
        except builtins.TimeoutError:
            reason = f"Nobody approved the plan within {days} days."
            return RepairResult(outcome=RepairOutcome.NOT_ALLOWED, reason=reason)
        finally:
            self._waits_for_approval = False
        if self._decision is None or self._decision.approved:
            return None
        reason = f"{self._decision.by} rejected the plan. {self._decision.reason}".strip()
        return RepairResult(outcome=RepairOutcome.NOT_ALLOWED, reason=reason)

    async def _until_pull_request(self, repair: RepairRequest) -> RepairResult:
        """Within the budget. A machine that goes away with the workspace is no reason to give up."""
        await self._purse.wait_and_reserve(SpendingKind.SESSION)
        result = await self._attempts(repair, None, ())
        await self._purse.spend(result.coding.cost_usd if result.coding else None)
        return result

    async def _try_again(self, course: Course, measurements: tuple[MeasurementResult, ...]) -> RepairResult:
        """A second fix, on what was merged, by the same session, with the numbers of the first."""
        before = course.progress
        answer = await self._purse.reserve(SpendingKind.SESSION)
        if not answer.granted:
            reason = f"No second fix is tried: the limit of {answer.limit} is reached."
            return RepairResult(outcome=RepairOutcome.NOT_ALLOWED, reason=reason)
        repair = course.repair.model_copy(
            update={"fix_number": before.fix_number + 1, "commit": None, "progress": None}
        )
        result = await self._attempts(repair, before, measurements)
        await self._purse.spend(result.coding.cost_usd if result.coding else None)
        return result

    async def _attempts(
        self, repair: RepairRequest, before: Progress | None, measurements: tuple[MeasurementResult, ...]
    ) -> RepairResult:
        for _ in range(policies.WORKSPACE_ROUNDS):
            try:
                return await self._attempt(repair, before, measurements)
            except ActivityError as error:
                if not coding_loop.machine_is_gone(error):
                    raise
                # Its machine sweeps the workspace when it comes back.
        return RepairResult(
            outcome=RepairOutcome.FAILED,
            reason="The machine that held the workspace went away twice; see that a coding worker runs.",
        )

    async def _attempt(
        self, repair: RepairRequest, before: Progress | None, measurements: tuple[MeasurementResult, ...]
    ) -> RepairResult:
        """One change and its pull request, or why there is none. `before`: the attempt that did not hold."""
        workspace: Workspace | None = None
        try:
            workflow.set_current_details("Preparing the workspace.")
            workspace = await coding_loop.prepare(
                WorkspaceRequest(
                    key=repair.key,
                    repository=repair.repository,
                    base_branch=repair.base_branch,
                    commit=repair.commit,
                ),
                before.machine if before else None,
            )
            turn = before.turn + 1 if before else 0
            request = CodingRequest(workspace=workspace, repair=repair, turn=turn, measurements=measurements)
            made = await coding_loop.turns(request)
            result = made.ending() or await publish(repair, workspace, made)
        except (ActivityError, asyncio.CancelledError) as error:
            if coding_loop.machine_is_gone(error):
                raise
            if is_cancelled_exception(error):
                if workspace is not None:
                    await coding_loop.remove(workspace)
                raise
            result = RepairResult(outcome=RepairOutcome.FAILED, reason=coding_loop.reason_of(error))
        if result.outcome is RepairOutcome.PULL_REQUEST and workspace is not None:
            await coding_loop.rest(workspace)
            self._open(repair, workspace, made.turn, result)
            if result.pull_request is not None:
                await self._tell(repair, result.outcome.value, result.pull_request.url)
        elif workspace is not None:
            await coding_loop.remove(workspace)
        return result

    def _open(self, repair: RepairRequest, workspace: Workspace, turn: int, result: RepairResult) -> None:
        if result.pull_request is None:
            return
        progress = Progress(
            result=result,
            pull_request=result.pull_request,
            head=result.pull_request.head,
            opened_at=workflow.now(),
            machine=workspace.task_queue,
            turn=turn,
            fix_number=repair.fix_number,
        )
        self._course = Course(repair, progress)
        self._opened = self._opened or result
        workflow.upsert_search_attributes(search_attributes.attributes_for_result(result))

    async def _until_outcome(self, course: Course) -> RepairResult:
        """Review, then production. What GitHub or Railway refuse for good ends it with their reason."""
        try:
            if course.progress.merge is None:
                workflow.set_current_details(f"Waits for review: {course.progress.pull_request.url}")
                view = await Review(course, self._purse).until_decided()
                if view.state is PullState.CLOSED:
                    reason = view.closing or "Closed without a merge; nobody said why."
                    return course.ended(RepairOutcome.CLOSED, reason)
            if course.progress.merge is None:
                days = course.policy.watch_days
                return course.ended(RepairOutcome.PULL_REQUEST, f"Nobody decided within {days} days.")
            return await Aftermath(course, course.progress.merge).verdict()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return course.ended(RepairOutcome.FAILED, coding_loop.reason_of(error))

    async def _forget_session(self, course: Course) -> None:
        """The repair is over: its machine need not keep anything of it."""
        progress, repair = course.progress, course.repair
        await coding_loop.remove(
            Workspace(
                key=repair.key,
                repository=repair.repository,
                task_queue=progress.machine,
                work_tree="",
                base="",
            )
        )

    async def _settle(
        self, repair: RepairRequest, outcome: str, detail: str, result: RepairResult | None = None
    ) -> None:
        """What a person closed is left alone for longer than what only did not work out."""
        silence, unchanged = policies.COOLDOWN, policies.COOLDOWN_UNCHANGED
        if outcome == RepairOutcome.CLOSED.value:
            silence = unchanged = timedelta(days=repair.policy.follow_up.closed_days)
        pull_request = result.pull_request.url if result and result.pull_request else ""
        settlement = SettleRequest(
            settle_id=f"settle/{workflow.info().workflow_id}/{workflow.info().run_id}",
            fingerprints=repair.fingerprints,
            holder=workflow.info().workflow_id,
            outcome=outcome,
            detail=detail[:500],
            cooldown_seconds=int(silence.total_seconds()),
            unchanged_cooldown_seconds=int(unchanged.total_seconds()),
            pull_request=pull_request,
            at=workflow.now(),
            fixes=self._course.fixes(result) if self._course and result else (),
        )
        await workflow.execute_activity_method(
            LedgerActivities.settle,
            SettlementBatch(project_id=repair.project_id, settlements=(settlement,)),
            **policies.LEDGER,
        )
        if outcome != RepairOutcome.PULL_REQUEST.value:  # that it is open was told when it was opened
            await self._tell(repair, outcome, detail)

    async def _tell(self, repair: RepairRequest, outcome: str, detail: str) -> None:
        info = workflow.info()
        await notify(
            repair.policy, [outcome_notification(repair, outcome, detail, info.workflow_id, info.run_id)]
        )
