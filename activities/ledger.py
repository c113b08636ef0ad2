"""The ledger workflow, reached by updates with deterministic ids: a retried call is answered once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
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
# Updates of one ledger under way at once: Temporal refuses more than 10, and there may be two workers, and
# people. The others wait here for their turn.
AT_ONCE = 4
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
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    @activity.defn
    async def claim(self, request: ClaimBatch) -> ClaimAnswers:
        """Claim each by itself, in one update: a refusal does not affect the others."""
        return ClaimAnswers(answers=await self._claim(request.project_id, request.claims))

    @activity.defn
    async def confirm(self, request: ClaimBatch) -> ClaimAnswer:
        """Claim again what the asking workflow has. While paused it fails and is repeated: so it waits."""
        (answer,) = await self._claim(request.project_id, request.claims)
        if answer.state is ClaimState.PAUSED:
            raise ApplicationError(answer.detail, type=PAUSED_ERROR, next_retry_delay=ASK_AGAIN)
        return answer

    @activity.defn
    async def run_is_open(self, run: RunReference) -> bool:
        now = await described(self._client, run.workflow_id, run.run_id)
        return now is not None and now.status is WorkflowExecutionStatus.RUNNING

    @activity.defn
    async def settle(self, request: SettlementBatch) -> None:
        update_id = _update_id(settlement.settle_id for settlement in request.settlements)
        await self._update(request.project_id, "settle_all", update_id, request, type(None))

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

    async def _claim(self, project_id: str, claims: Sequence[ClaimRequest]) -> tuple[ClaimAnswer, ...]:
        """Claim, and ask again for what may be had after all; return one answer each, in order."""
        asked, answers = dict(enumerate(claims)), dict[int, ClaimAnswer]()
        while asked:
            found = dict(zip(asked, await self._ask(project_id, tuple(asked.values())), strict=True))
            looks = await asyncio.gather(*(self._look(asked[number], found[number]) for number in found))
            answers |= {number: answer for number, (answer, _) in zip(found, looks, strict=True)}
            asked = {number: again for number, (_, again) in zip(found, looks, strict=True) if again}
        return tuple(answers[number] for number in range(len(claims)))

    async def _look(
        self, claim: ClaimRequest, answer: ClaimAnswer
    ) -> tuple[ClaimAnswer, ClaimRequest | None]:
        """Return the answer, and what to ask instead: what only the dead hold is taken over by its number.

        A hand-over is refused instead: what the scan had is somebody else's now. Of a holder that is stuck
        the ledger is told, and the answer says what a person can do.
        """
        if answer.state is not ClaimState.HELD or claim.handed_by:
            return answer, None
        standing = await self._standing(answer)
        if not standing.open and answer.grant not in claim.replaces:
            claim_id, replaces = f"{claim.claim_id}/after/{answer.grant}", (*claim.replaces, answer.grant)
            return answer, claim.model_copy(update={"claim_id": claim_id, "replaces": replaces})
        if not standing.stuck:
            return answer, None
        if not claim.stuck:
            update = {"claim_id": f"{claim.claim_id}/stuck", "stuck": True}
            return answer, claim.model_copy(update=update)
        detail = (
            f"{answer.detail} It fails its workflow task (attempt {standing.attempt}): its history says why. "
            f"To end it and free the fault: `starter.py ledger release {answer.fingerprint} --terminate`."
        )
        return answer.model_copy(update={"detail": detail}), None

    async def _ask(self, project_id: str, claims: tuple[ClaimRequest, ...]) -> Sequence[ClaimAnswer]:
        batch = ClaimBatch(project_id=project_id, claims=claims)
        update_id = _update_id(claim.claim_id for claim in claims)
        try:
            found = await self._update(project_id, "claim_all", update_id, batch, ClaimAnswers)
        except WorkflowUpdateFailedError as error:
            paused = ClaimAnswer(state=ClaimState.PAUSED, holder="", detail=f"{_paused(error)}.")
            return [paused] * len(claims)
        return found.answers

    async def _standing(self, answer: ClaimAnswer) -> Standing:
        """Describe who has the claim; a repair that has not asked for it yet counts with its scan."""
        holder = await standing_of(self._client, answer.holder, answer.first_run_id)
        if holder.open or not answer.handed_by:
            return holder
        return await standing_of(self._client, answer.handed_by, answer.handed_by_run)

    async def _update(
        self, project_id: str, name: str, update_id: str, argument: Contract, answer: type[Answer]
    ) -> Answer:
        """Update the ledger in turn; open it, with what is known of an earlier one, where none is open."""
        async with self._turns[project_id]:
            return await self._update_now(project_id, name, update_id, argument, answer)

    async def _update_now(
        self, project_id: str, name: str, update_id: str, argument: Contract, answer: type[Answer]
    ) -> Answer:
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


def _update_id(of: Iterable[str]) -> str:
    """Return the id of one update that holds several requests: the same whenever these are sent again."""
    ids = list(of)
    return ids[0] if len(ids) == 1 else f"all/{sha256(chr(10).join(ids).encode()).hexdigest()}"


def _attempt(run: WorkflowExecutionDescription) -> int:
    """Return which attempt of its workflow task a run is at; it restarts after each one that succeeds."""
    return int(run.raw_description.pending_workflow_task.attempt)


def _paused(error: WorkflowUpdateFailedError) -> str:
    """Return why a paused ledger refuses. Raises any other error again, to be repeated."""
    if isinstance(error.cause, ApplicationError) and error.cause.type == PAUSED_ERROR:
        return error.cause.message
    raise error
