"""The ledger workflow, reached by updates with deterministic ids: a retried call is answered once."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio import activity
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.ledger_recovery import recovered
from activities.runs import described
from railmend.contracts.base import Contract
from railmend.contracts.ledger import (
    PAUSED_ERROR,
    ClaimAnswer,
    ClaimAnswers,
    ClaimBatch,
    ClaimRequest,
    ClaimState,
    LedgerState,
    Reserve,
    ReserveAnswer,
    RunReference,
    SettlementBatch,
    Spend,
)

Answer = TypeVar("Answer")
LEDGER_SUMMARY = "Open and suppressed fingerprints of this project"
# Who waits for a resume asks again after this.
ASK_AGAIN = timedelta(seconds=30)
# Claims of one call that are sent side by side.
AT_ONCE = 10
# A workflow task that failed so often will not mend itself: its code or its input is wrong.
STUCK_ATTEMPTS = 3


@dataclass(frozen=True)
class Standing:
    """How a holder is now. `attempt`: of the workflow task that it fails; 0: it fails none."""

    open: bool
    attempt: int = 0

    @property
    def stuck(self) -> bool:
        return self.attempt >= STUCK_ATTEMPTS


class LedgerActivities:
    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    @activity.defn
    async def claim(self, request: ClaimBatch) -> ClaimAnswers:
        """Claim each fingerprint by itself: a refusal does not affect the others."""
        answers: list[ClaimAnswer] = []
        for start in range(0, len(request.claims), AT_ONCE):
            claims = request.claims[start : start + AT_ONCE]
            answers += await asyncio.gather(*(self._claim(request.project_id, claim) for claim in claims))
        return ClaimAnswers(answers=tuple(answers))

    @activity.defn
    async def confirm(self, request: ClaimBatch) -> ClaimAnswer:
        """Claim again what the asking workflow has. While paused it fails and is repeated: so it waits."""
        (claim,) = request.claims
        answer = await self._claim(request.project_id, claim)
        if answer.state is ClaimState.PAUSED:
            raise ApplicationError(answer.detail, type=PAUSED_ERROR, next_retry_delay=ASK_AGAIN)
        return answer

    @activity.defn
    async def run_is_open(self, run: RunReference) -> bool:
        now = await described(self._client, run.workflow_id, run.run_id)
        return now is not None and now.status is WorkflowExecutionStatus.RUNNING

    @activity.defn
    async def settle(self, request: SettlementBatch) -> None:
        for settlement in request.settlements:
            await self._update(request.project_id, "settle", settlement.settle_id, settlement, type(None))

    @activity.defn
    async def reserve(self, request: Reserve) -> ReserveAnswer:
        """Reserve the cost of a model call; refused where it would exceed a limit of the budget."""
        reservation = request.reservation
        try:
            return await self._update(
                request.project_id, "reserve", reservation.reserve_id, reservation, ReserveAnswer
            )
        except WorkflowUpdateFailedError as error:
            limit = f"no model calls while {_paused(error)}"
            return ReserveAnswer(granted=False, limit=limit, again_at=reservation.at + ASK_AGAIN)

    @activity.defn
    async def spend(self, request: Spend) -> None:
        spending = request.spending
        update_id = f"spent/{spending.reserve_id}"
        await self._update(request.project_id, "spend", update_id, spending, type(None))

    async def _claim(self, project_id: str, claim: ClaimRequest) -> ClaimAnswer:
        """Claim; take over what only the dead hold, by the number of their grant.

        A hand-over is refused instead: what the scan had is somebody else's now.
        """
        answer = await self._ask(project_id, claim)
        while answer.state is ClaimState.HELD and not claim.handed_by:
            standing = await self._standing(answer)
            if standing.open or answer.grant in claim.replaces:
                return await self._with_advice(project_id, claim, answer, standing)
            claim = claim.model_copy(
                update={
                    "claim_id": f"{claim.claim_id}/after/{answer.grant}",
                    "replaces": (*claim.replaces, answer.grant),
                }
            )
            answer = await self._ask(project_id, claim)
        return answer

    async def _with_advice(
        self, project_id: str, claim: ClaimRequest, answer: ClaimAnswer, standing: Standing
    ) -> ClaimAnswer:
        """Say of a holder that is stuck what a person can do."""
        if not standing.stuck:
            return answer
        told = await self._ask(
            project_id, claim.model_copy(update={"claim_id": f"{claim.claim_id}/stuck", "stuck": True})
        )
        detail = (
            f"{answer.detail} It fails its workflow task (attempt {standing.attempt}): its history says why. "
            f"To end it and free the fault: `starter.py ledger release {answer.fingerprint} --terminate`."
        )
        return answer.model_copy(update={"detail": detail, "tell": told.tell})

    async def _ask(self, project_id: str, claim: ClaimRequest) -> ClaimAnswer:
        try:
            return await self._update(project_id, "claim", claim.claim_id, claim, ClaimAnswer)
        except WorkflowUpdateFailedError as error:
            return ClaimAnswer(state=ClaimState.PAUSED, holder="", detail=f"{_paused(error)}.")

    async def _standing(self, answer: ClaimAnswer) -> Standing:
        """Describe who has the claim; a repair that has not asked for it yet counts with its scan."""
        holder = await standing_of(self._client, answer.holder, answer.first_run_id)
        if holder.open or not answer.handed_by:
            return holder
        return await standing_of(self._client, answer.handed_by, answer.handed_by_run)

    async def _update(
        self, project_id: str, name: str, update_id: str, argument: Contract, answer: type[Answer]
    ) -> Answer:
        """Update the ledger; open it first, with what is known of an earlier one, where none is open."""
        ledger = self._client.get_workflow_handle(f"ledger/{project_id}")
        result: Answer
        try:
            result = await ledger.execute_update(name, argument, id=update_id, result_type=answer)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            result = await self._client.execute_update_with_start_workflow(
                name,
                argument,
                id=update_id,
                result_type=answer,
                start_workflow_operation=WithStartWorkflowOperation(
                    "Ledger",
                    args=await recovered(self._client, project_id),
                    id=ledger.id,
                    task_queue=self._task_queue,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    static_summary=LEDGER_SUMMARY,
                ),
            )
        return result


async def refuse_a_retry_while_paused(project_id: str) -> None:
    """Let an activity that ran when a pause began not ask a model again; it was allowed once, by `reserve`.

    Raise `ApplicationError` (type `PAUSED_ERROR`), which is not retried: the workflow looks again later.
    """
    if not (project_id and activity.in_activity() and activity.info().attempt > 1):
        return
    ledger = activity.client().get_workflow_handle(f"ledger/{project_id}")
    state: LedgerState = await ledger.query("state", result_type=LedgerState)
    if state.paused is not None:
        raise ApplicationError(str(state.paused), type=PAUSED_ERROR, non_retryable=True)


async def standing_of(client: Client, workflow_id: str, first_run_id: str) -> Standing:
    """Describe the chain of runs that began with `first_run_id`; empty: whichever has the ID."""
    run = await described(client, workflow_id)
    if run is None:
        return Standing(open=False)
    another = first_run_id not in ("", run.raw_info.first_run_id or first_run_id)
    if another or run.status is not WorkflowExecutionStatus.RUNNING:
        return Standing(open=False)
    return Standing(open=True, attempt=_attempt(run))


def _attempt(run: WorkflowExecutionDescription) -> int:
    """Return which attempt of its workflow task a run is at; it restarts after each one that succeeds."""
    return int(run.raw_description.pending_workflow_task.attempt)


def _paused(error: WorkflowUpdateFailedError) -> str:
    """Return why a paused ledger refuses. Raises any other error again, to be repeated."""
    if isinstance(error.cause, ApplicationError) and error.cause.type == PAUSED_ERROR:
        return error.cause.message
    raise error
