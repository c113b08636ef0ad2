"""The ledger workflow, reached by updates with deterministic ids: a retried call is answered once."""

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from railmend.contracts.ledger import ClaimAnswer, ClaimRequest, LedgerState, SettleRequest


class LedgerActivities:
    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    @activity.defn
    async def claim(self, request: ClaimRequest) -> ClaimAnswer:
        answer: ClaimAnswer = await self._client.execute_update_with_start_workflow(
            "claim",
            request,
            id=request.claim_id,
            result_type=ClaimAnswer,
            start_workflow_operation=self._open(request.project_id),
        )
        return answer

    @activity.defn
    async def settle(self, request: SettleRequest) -> None:
        await self._client.execute_update_with_start_workflow(
            "settle",
            request,
            id=request.settle_id,
            start_workflow_operation=self._open(request.project_id),
        )

    def _open(self, project_id: str) -> WithStartWorkflowOperation[None, None]:
        return WithStartWorkflowOperation(
            "Ledger",
            LedgerState(project_id=project_id),
            id=f"ledger/{project_id}",
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary="Open and silent fingerprints of this project",
        )
