"""The ledger of one project: claims and cool-downs, budgets, the track record of fixes, and the pause."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from railmend.contracts.ledger import (
    PAUSED_ERROR,
    ClaimAnswer,
    ClaimAnswers,
    ClaimBatch,
    ClaimRequest,
    LedgerState,
    Pause,
    ReserveAnswer,
    ReserveRequest,
    SettlementBatch,
    SettleRequest,
    SpendRequest,
    SuppressRequest,
)
from railmend.contracts.ledger_parts import merge, split
from workflows.ledger.budget import BudgetStore
from workflows.ledger.claims import ClaimStore
from workflows.ledger.track_record import TrackRecordStore
from workflows.shared import details, policies


@workflow.defn
class Ledger:
    """Always open; handlers only change state, so that two claims can never both be granted.

    A new run gets the state in parts, as `split` makes them, each a payload of its own. Their number varies,
    so the SDK leaves them as they were stored.
    """

    @workflow.init
    def __init__(self, *parts: Any) -> None:
        self._begun_with = state = merge(parts)  # with what a newer version keeps in it
        self._paused = state.paused
        self._claims = ClaimStore(state.entries, state.grants)
        self._budget = BudgetStore(state.days, state.incidents, state.reservations, state.total)
        self._track_record = TrackRecordStore(state.track)

    @workflow.run
    async def run(self, *parts: Any) -> None:
        self._show()
        await workflow.wait_condition(_is_long)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(args=split(self._state()))

    @workflow.update(description="Claim fingerprints for investigations or a repair, each claim by itself")
    def claim_all(self, request: ClaimBatch) -> ClaimAnswers:
        return ClaimAnswers(answers=tuple(map(self._claim, request.claims)))

    @claim_all.validator
    def _may_claim_all(self, request: ClaimBatch) -> None:
        """Refuse while paused; a scan hands on what it has investigated, and its repair waits."""
        if not all(claim.handed_by for claim in request.claims):
            self._refuse_while_paused()

    @workflow.update(description="End claims and suppress their fingerprints for a while")
    def settle_all(self, request: SettlementBatch) -> None:
        for settlement in request.settlements:
            self._settle(settlement)

    # One at a time: as versions before 0.2.0 ask, and people.
    @workflow.update(description="Claim fingerprints for an investigation or a repair")
    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        return self._claim(request)

    @claim.validator
    def _may_claim(self, request: ClaimRequest) -> None:
        if not request.handed_by:
            self._refuse_while_paused()

    @workflow.update(description="End a claim and suppress its fingerprints for a while")
    def settle(self, request: SettleRequest) -> None:
        self._settle(request)

    @workflow.update(description="Suppress fingerprints at a person's request")
    def suppress(self, request: SuppressRequest) -> None:
        # By the server's clock: that of who asks may be wrong.
        self._claims.suppress(request.model_copy(update={"at": workflow.now()}))

    @suppress.validator
    def _may_suppress(self, request: SuppressRequest) -> None:
        for entry in self._claims.open_among(request.fingerprints):
            raise ApplicationError(f"{entry.fingerprint} is open: {entry.holder} holds it.", type="Open")

    @workflow.update(description="Reserve money and a run before a model is asked")
    def reserve(self, request: ReserveRequest) -> ReserveAnswer:
        return self._budget.reserve(request)

    @reserve.validator
    def _may_reserve(self, request: ReserveRequest) -> None:
        self._refuse_while_paused()

    @workflow.update(description="Record what a reservation cost")
    def spend(self, request: SpendRequest) -> None:
        self._budget.spend(request)

    # Signals, so that a pause is kept by the server even while no worker runs.
    @workflow.signal(description="Start nothing new until resumed")
    def pause(self, pause: Pause) -> None:
        self._paused = self._paused or pause
        self._show()

    @workflow.signal(description="End the pause")
    def resume(self) -> None:
        self._paused = None
        self._show()

    @workflow.query(description="Everything that is open, suppressed or remembered, and what was spent")
    def state(self) -> LedgerState:
        return self._state()

    def _claim(self, request: ClaimRequest) -> ClaimAnswer:
        answer = self._claims.claim(request)
        if request.autonomy_query is None:
            return answer
        return answer.model_copy(update={"autonomy": self._track_record.decide(request.autonomy_query)})

    def _settle(self, request: SettleRequest) -> None:
        if self._claims.settle(request):
            self._track_record.add(request.fixes)

    def _show(self) -> None:
        details.show("{}", f"{self._paused}." if self._paused else "")

    def _refuse_while_paused(self) -> None:
        """Refuse in a validator: what waits asks again and again, and leaves nothing in the history."""
        if self._paused is not None:
            raise ApplicationError(str(self._paused), type=PAUSED_ERROR)

    def _state(self) -> LedgerState:
        now = workflow.now()
        return self._begun_with.model_copy(
            update={
                "grants": self._claims.grants,
                "paused": self._paused,
                "entries": self._claims.entries(now),
                "days": self._budget.days(now),
                "incidents": self._budget.incidents(now),
                "reservations": self._budget.reservations(now),
                "total": self._budget.total,
                "track": self._track_record.track(),
            }
        )


def _is_long() -> bool:
    info = workflow.info()
    return (
        info.is_continue_as_new_suggested()
        or info.get_current_history_length() > policies.LEDGER_EVENTS
        or info.get_current_history_size() > policies.LEDGER_BYTES
    )
