"""From a plan to a pull request, in one repository. Outlives the scan that started it."""

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckActivities
    from activities.coding import CodingActivities
    from activities.ledger import LedgerActivities
    from activities.pull_requests import PullRequestActivities
    from railmend.contracts.ledger import Settlements, SettleRequest, Spending
    from railmend.contracts.repair import (
        Approval,
        Change,
        CheckReport,
        CheckRun,
        CodingRequest,
        CodingResult,
        CodingState,
        PublishRequest,
        PullRequestRequest,
        RepairOutcome,
        RepairRequest,
        RepairResult,
        Verification,
        Workspace,
        WorkspaceRequest,
    )
    from railmend.contracts.scan import Autonomy
    from workflows import attributes, policies
    from workflows.spending import Purse

CODING_QUEUE = "railmend-coding"
CheckMethod = Callable[[CheckActivities, CodingRequest], Awaitable[CheckReport]]
# Of a failing check's output the agent gets this much.
MAX_COMPLAINT = 1500


def _machine_is_gone(error: BaseException) -> bool:
    """Nobody took the task from the workspace's own queue: its machine no longer answers."""
    cause = error.__cause__
    return isinstance(cause, TimeoutError) and cause.type == TimeoutType.SCHEDULE_TO_START


def complaint(run: CheckRun) -> str:
    """What the agent is told of a check that passed without its change."""
    fence = "`" * 5
    return f"`{run.name}` passed before and fails now:\n{fence}\n{run.output[-MAX_COMPLAINT:]}\n{fence}"


@workflow.defn
class RepositoryRepair:
    def __init__(self) -> None:
        self._decision: Approval | None = None
        self._waits_for_approval = False

    @workflow.run
    async def run(self, repair: RepairRequest) -> RepairResult:
        try:
            result = await self._allowed(repair) or await self._within_budget(repair)
        except (ActivityError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await self._settle(repair, "cancelled", "A person cancelled the repair.")
            raise
        workflow.upsert_search_attributes(attributes.of_result(result))
        detail = result.pull_request.url if result.pull_request else result.reason
        if result.pull_request is None:
            workflow.set_current_details(f"`{result.outcome.value}`: {detail}")
        await self._settle(repair, result.outcome.value, detail)
        return result

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

    def _refuse_unless_waiting(self) -> None:
        if not self._waits_for_approval:
            raise ApplicationError("This repair does not wait for an approval.", type="NotWaiting")

    async def _allowed(self, repair: RepairRequest) -> RepairResult | None:
        """With autonomy `plan` a person decides; None: go on."""
        if repair.autonomy is not Autonomy.PLAN:
            return None
        days = repair.policy.approval_days
        workflow.set_current_details(
            f"The plan waits for a person, at most {days} days:\n\n"
            f"`starter.py approve {workflow.info().workflow_id}`"
        )
        self._waits_for_approval = True
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

    async def _within_budget(self, repair: RepairRequest) -> RepairResult:
        purse = Purse(repair.project_id, repair.policy, repair.fingerprints)
        await purse.wait_and_reserve(Spending.SESSION)
        result = await self._repair(repair)
        await purse.spend(result.coding.cost_usd if result.coding else None)
        return result

    async def _settle(self, repair: RepairRequest, outcome: str, detail: str) -> None:
        settlement = SettleRequest(
            settle_id=f"settle/{workflow.info().workflow_id}/{workflow.info().run_id}",
            fingerprints=repair.fingerprints,
            holder=workflow.info().workflow_id,
            outcome=outcome,
            detail=detail[:500],
            silent_seconds=int(policies.SILENCE.total_seconds()),
            unchanged_seconds=int(policies.SILENCE_UNCHANGED.total_seconds()),
            pull_request=detail if outcome == RepairOutcome.PULL_REQUEST.value else "",
            at=workflow.now(),
        )
        await workflow.execute_activity_method(
            LedgerActivities.settle,
            Settlements(project_id=repair.project_id, settlements=(settlement,)),
            **policies.LEDGER,
        )

    async def _repair(self, repair: RepairRequest) -> RepairResult:
        for _ in range(policies.WORKSPACE_ROUNDS):
            workspace: Workspace | None = None
            try:
                workflow.set_current_details("Preparing the workspace.")
                workspace = await self._prepare(repair)
                result = await self._work(repair, workspace)
            except (ActivityError, asyncio.CancelledError) as error:
                if _machine_is_gone(error):
                    continue  # its machine sweeps the workspace when it comes back
                if is_cancelled_exception(error):
                    if workspace is not None:
                        await self._remove(workspace)
                    raise
                reason = getattr(error.__cause__, "message", None) or str(error.__cause__ or error)
                result = RepairResult(outcome=RepairOutcome.FAILED, reason=reason)
            if workspace is not None:
                await self._remove(workspace)
            return result
        return RepairResult(
            outcome=RepairOutcome.FAILED,
            reason="The machine that held the workspace went away twice; see that a coding worker runs.",
        )

    async def _prepare(self, repair: RepairRequest) -> Workspace:
        return await workflow.execute_activity_method(
            CodingActivities.prepare_workspace,
            WorkspaceRequest(
                key=repair.key,
                repository=repair.repository,
                base_branch=repair.base_branch,
                commit=repair.commit,
            ),
            task_queue=CODING_QUEUE,
            summary=repair.repository,
            **policies.WORKSPACE,
        )

    async def _work(self, repair: RepairRequest, workspace: Workspace) -> RepairResult:
        request = CodingRequest(workspace=workspace, repair=repair)
        workflow.set_current_details("Installing what the repository's checks need, and running them.")
        before = await self._checks(CheckActivities.prepare_checks, request)
        for turn in range(policies.FOLLOW_UPS + 1):
            coding = await self._session(request)
            if coding.state is not CodingState.DONE:
                reason = f"The coding session ended early: {coding.reason}"
                return RepairResult(outcome=RepairOutcome.FAILED, reason=reason, coding=coding)
            change = await workflow.execute_activity_method(
                CodingActivities.review_change,
                request,
                task_queue=workspace.task_queue,
                **policies.WORKSPACE,
            )
            if coding.declined or not change.files:
                return RepairResult(outcome=RepairOutcome.NO_CHANGE, reason=coding.text, coding=coding)
            verification = await self._verify(request, before, change)
            doubts = (*change.refused, *(f"`{run.name}` fails with it." for run in verification.regressions))
            if not doubts:
                break
            complaints = (*change.refused, *map(complaint, verification.regressions))
            request = request.model_copy(update={"turn": turn + 1, "complaints": complaints})
        if change.refused and not change.draft_allowed:
            reason = "The guard refused the change: " + " ".join(change.refused)
            return RepairResult(outcome=RepairOutcome.REFUSED, reason=reason, coding=coding)
        return await self._publish(
            PublishRequest(
                workspace=workspace,
                repair=repair,
                coding=coding,
                change=change,
                verification=verification,
                doubts=doubts,
            )
        )

    async def _session(self, request: CodingRequest) -> CodingResult:
        name = request.repair.repository
        again = " again: " + " ".join(request.complaints)[:300] if request.turn else ""
        workflow.set_current_details(f"A coding session works on `{name}`{again}.")
        return await workflow.execute_activity_method(
            CodingActivities.run_session,
            request,
            task_queue=request.workspace.task_queue,
            summary=name,
            **policies.SESSION,
        )

    async def _verify(self, request: CodingRequest, before: CheckReport, change: Change) -> Verification:
        """A change that the guard refused is not run, and without a before there is no after."""
        if change.refused or not before.runs:
            why = before.unverified or "The guard refused the change, so it was not run."
            return Verification(before=before, after=CheckReport(unverified=why))
        workflow.set_current_details("Running the repository's checks with the change.")
        return Verification(before=before, after=await self._checks(CheckActivities.run_checks, request))

    async def _checks(self, method: CheckMethod, request: CodingRequest) -> CheckReport:
        """Checks that cannot be run are no reason to give the repair up: the pull request says so."""
        try:
            return await workflow.execute_activity_method(
                method, request, task_queue=request.workspace.task_queue, **policies.CHECKS
            )
        except ActivityError as error:
            if is_cancelled_exception(error) or _machine_is_gone(error):
                raise
            reason = getattr(error.__cause__, "message", None) or str(error.__cause__ or error)
            return CheckReport(unverified=f"The checks could not be run: {reason[:500]}")

    async def _publish(self, publish: PublishRequest) -> RepairResult:
        workflow.set_current_details("Publishing the change.")
        commit = await workflow.execute_activity_method(
            CodingActivities.commit_and_push,
            publish,
            task_queue=publish.workspace.task_queue,
            **policies.PUBLISH,
        )
        pull_request = await workflow.execute_activity_method(
            PullRequestActivities.open_pull_request,
            PullRequestRequest(publish=publish, commit=commit),
            **policies.PUBLISH,
        )
        workflow.set_current_details(f"Pull request: {pull_request.url}")
        return RepairResult(
            outcome=RepairOutcome.PULL_REQUEST,
            reason=publish.coding.text,
            pull_request=pull_request,
            coding=publish.coding,
        )

    async def _remove(self, workspace: Workspace) -> None:
        """A workspace that cannot be removed now is swept when its machine starts again."""
        try:
            await workflow.execute_activity_method(
                CodingActivities.remove_workspace,
                workspace,
                task_queue=workspace.task_queue,
                **policies.EVIDENCE,
            )
        except ActivityError as error:
            workflow.logger.warning("workspace not removed: %s", error.cause)
