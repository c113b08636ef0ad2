"""The ledger workflow, reached by updates with deterministic ids: a retried call is answered once."""

from typing import TypeVar

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from railmend.contracts.base import Contract
from railmend.contracts.ledger import (
    ClaimAnswer,
    ClaimAnswers,
    ClaimBatch,
    LedgerState,
    Reserve,
    ReserveAnswer,
    SettlementBatch,
    Spend,
)

Answer = TypeVar("Answer")


class LedgerActivities:
    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    @activity.defn
    async def claim(self, request: ClaimBatch) -> ClaimAnswers:
        """Claim each fingerprint by itself: a refusal does not affect the others."""
        answers = [
            await self._update(request.project_id, "claim", claim.claim_id, claim, ClaimAnswer)
            for claim in request.claims
        ]
        return ClaimAnswers(answers=tuple(answers))

    @activity.defn
    async def settle(self, request: SettlementBatch) -> None:
        for settlement in request.settlements:
            await self._update(request.project_id, "settle", settlement.settle_id, settlement, type(None))

    @activity.defn
    async def reserve(self, request: Reserve) -> ReserveAnswer:
        """Reserve the cost of a model call; refused where it would exceed a limit of the budget."""
        reservation = request.reservation
        return await self._update(
            request.project_id, "reserve", reservation.reserve_id, reservation, ReserveAnswer
        )

    @activity.defn
    async def spend(self, request: Spend) -> None:
        spending = request.spending
        update_id = f"spent/{spending.reserve_id}"
        await self._update(request.project_id, "spend", update_id, spending, type(None))

    async def _update(
        self, project_id: str, name: str, update_id: str, argument: Contract, answer: type[Answer]
    ) -> Answer:
        result: Answer = await self._client.execute_update_with_start_workflow(
            name,
            argument,
            id=update_id,
            result_type=answer,
            start_workflow_operation=self._open(project_id),
        )
        return result

    def _open(self, project_id: str) -> WithStartWorkflowOperation[None, None]:
        return WithStartWorkflowOperation(
            "Ledger",
            LedgerState(project_id=project_id),
            id=f"ledger/{project_id}",
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary="Open and suppressed fingerprints of this project",
        )
