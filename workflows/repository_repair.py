"""From a plan to a pull request, in one repository. Outlives the scan that started it."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutError, TimeoutType

with workflow.unsafe.imports_passed_through():
    from activities.coding import CodingActivities
    from activities.ledger import LedgerActivities
    from activities.pull_requests import PullRequestActivities
    from railmend.contracts.ledger import Settlements, SettleRequest
    from railmend.contracts.repair import (
        Change,
        CodingRequest,
        CodingResult,
        CodingState,
        PublishRequest,
        PullRequestRequest,
        RepairOutcome,
        RepairRequest,
        RepairResult,
        Workspace,
        WorkspaceRequest,
    )
    from workflows import policies

CODING_QUEUE = "railmend-coding"


def _machine_is_gone(error: ActivityError) -> bool:
    """Nobody took the task from the workspace's own queue: its machine no longer answers."""
    return isinstance(error.cause, TimeoutError) and error.cause.type == TimeoutType.SCHEDULE_TO_START


@workflow.defn
class RepositoryRepair:
    @workflow.run
    async def run(self, repair: RepairRequest) -> RepairResult:
        result = await self._repair(repair)
        await workflow.execute_activity_method(
            LedgerActivities.settle,
            Settlements(
                project_id=repair.project_id,
                settlements=(
                    SettleRequest(
                        settle_id=f"settle/{workflow.info().workflow_id}/{workflow.info().run_id}",
                        fingerprints=repair.fingerprints,
                        holder=workflow.info().workflow_id,
                        outcome=result.outcome.value,
                        detail=result.pull_request.url if result.pull_request else result.reason,
                        silent_seconds=int(policies.SILENCE.total_seconds()),
                        at=workflow.now(),
                    ),
                ),
            ),
            **policies.LEDGER,
        )
        return result

    async def _repair(self, repair: RepairRequest) -> RepairResult:
        for _ in range(policies.WORKSPACE_ROUNDS):
            workspace: Workspace | None = None
            try:
                workflow.set_current_details("Preparing the workspace.")
                workspace = await self._prepare(repair)
                return await self._work(repair, workspace)
            except ActivityError as error:
                if not _machine_is_gone(error):
                    reason = getattr(error.cause, "message", None) or str(error.cause or error)
                    return RepairResult(outcome=RepairOutcome.FAILED, reason=reason)
                workspace = None  # its machine sweeps it when it comes back
            finally:
                if workspace is not None:
                    await self._remove(workspace)
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
        workflow.set_current_details(f"A coding session works on `{repair.repository}`.")
        coding = await workflow.execute_activity_method(
            CodingActivities.run_session,
            CodingRequest(workspace=workspace, repair=repair),
            task_queue=workspace.task_queue,
            summary=repair.repository,
            **policies.SESSION,
        )
        if coding.state is not CodingState.DONE:
            reason = f"The coding session ended early: {coding.reason}"
            return RepairResult(outcome=RepairOutcome.FAILED, reason=reason, coding=coding)
        change = await workflow.execute_activity_method(
            CodingActivities.review_change,
            CodingRequest(workspace=workspace, repair=repair),
            task_queue=workspace.task_queue,
            **policies.WORKSPACE,
        )
        if coding.declined or not change.files:
            return RepairResult(outcome=RepairOutcome.NO_CHANGE, reason=coding.text, coding=coding)
        if change.refused:
            reason = "The guard refused the change: " + " ".join(change.refused)
            return RepairResult(outcome=RepairOutcome.REFUSED, reason=reason, coding=coding)
        return await self._publish(repair, workspace, coding, change)

    async def _publish(
        self, repair: RepairRequest, workspace: Workspace, coding: CodingResult, change: Change
    ) -> RepairResult:
        workflow.set_current_details("Publishing the change.")
        publish = PublishRequest(workspace=workspace, repair=repair, coding=coding, change=change)
        commit = await workflow.execute_activity_method(
            CodingActivities.commit_and_push, publish, task_queue=workspace.task_queue, **policies.PUBLISH
        )
        pull_request = await workflow.execute_activity_method(
            PullRequestActivities.open_pull_request,
            PullRequestRequest(publish=publish, commit=commit),
            **policies.PUBLISH,
        )
        workflow.set_current_details(f"Pull request: {pull_request.url}")
        return RepairResult(
            outcome=RepairOutcome.PULL_REQUEST, reason=coding.text, pull_request=pull_request, coding=coding
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
