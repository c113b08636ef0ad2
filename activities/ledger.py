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
        """Each claim stands for itself: one that is refused does not touch the others."""
        answers = [
            await self._update(request.project_id, "claim", claim.claim_id, claim, ClaimAnswer)
            for claim in request.claims
        ]
        return ClaimAnswers(answers=tuple(answers))

    @activity.defn
    async def settle(self, request: SettlementBatch) -> None:
        for one in request.settlements:
            await self._update(request.project_id, "settle", one.settle_id, one, type(None))

    @activity.defn
    async def reserve(self, request: Reserve) -> ReserveAnswer:
        """Asked before a model is: refused where a limit of the budget would be passed."""
        one = request.reservation
        return await self._update(request.project_id, "reserve", one.reserve_id, one, ReserveAnswer)

    @activity.defn
    async def spend(self, request: Spend) -> None:
        one = request.spending
        await self._update(request.project_id, "spend", f"spent/{one.reserve_id}", one, type(None))

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
