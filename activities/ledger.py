"""The ledger workflow, reached by updates with deterministic ids: a retried call is answered once."""

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from railmend.contracts.ledger import ClaimAnswer, ClaimAnswers, Claims, LedgerState, Settlements


class LedgerActivities:
    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    @activity.defn
    async def claim(self, request: Claims) -> ClaimAnswers:
        """Each claim stands for itself: one that is refused does not touch the others."""
        answers = []
        for claim in request.claims:
            answer: ClaimAnswer = await self._client.execute_update_with_start_workflow(
                "claim",
                claim,
                id=claim.claim_id,
                result_type=ClaimAnswer,
                start_workflow_operation=self._open(request.project_id),
            )
            answers.append(answer)
        return ClaimAnswers(answers=tuple(answers))

    @activity.defn
    async def settle(self, request: Settlements) -> None:
        for settlement in request.settlements:
            await self._client.execute_update_with_start_workflow(
                "settle",
                settlement,
                id=settlement.settle_id,
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
