"""The ledger of one project: claims and cool-downs, budgets, the track record of fixes."""

from temporalio import workflow

from railmend.contracts.ledger import (
    ClaimAnswer,
    ClaimRequest,
    LedgerState,
    ReserveAnswer,
    ReserveRequest,
    SettleRequest,
    SpendRequest,
)
from workflows.ledger.budget import BudgetStore
from workflows.ledger.claims import ClaimStore
from workflows.ledger.track_record import TrackRecordStore

# About 600 bytes each at most: with the totals of the spending and the record of fixes the state stays below
# 64 KiB.
MAX_ENTRIES = 55


@workflow.defn
class Ledger:
    """Always open; handlers only change state, so that two claims can never both be granted."""

    @workflow.init
    def __init__(self, state: LedgerState) -> None:
        self._begun_with = state  # with what a newer version keeps in it
        self._claims = ClaimStore(state.entries)
        self._budget = BudgetStore(state.days, state.incidents, state.reservations, state.total)
        self._track_record = TrackRecordStore(state.track)

    @workflow.run
    async def run(self, state: LedgerState) -> None:
        await workflow.wait_condition(workflow.info().is_continue_as_new_suggested)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._state())

    @workflow.update(description="Claim fingerprints for an investigation or a repair")
    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        answer = self._claims.claim(request)
        if request.autonomy_query is None:
            return answer
        return answer.model_copy(update={"autonomy": self._track_record.decide(request.autonomy_query)})

    @workflow.update(description="End a claim and keep its fingerprints quiet for a while")
    def settle(self, request: SettleRequest) -> None:
        if self._claims.settle(request):
            self._track_record.add(request.fixes)

    @workflow.update(description="Reserve money and a run before a model is asked")
    def reserve(self, request: ReserveRequest) -> ReserveAnswer:
        return self._budget.reserve(request)

    @workflow.update(description="Say what a reservation came to")
    def spend(self, request: SpendRequest) -> None:
        self._budget.spend(request)

    @workflow.query(description="Everything that is open, suppressed or remembered, and what was spent")
    def state(self) -> LedgerState:
        return self._state()

    def _state(self) -> LedgerState:
        now = workflow.now()
        return self._begun_with.model_copy(
            update={
                "entries": self._claims.entries(now, MAX_ENTRIES),
                "days": self._budget.days(now),
                "incidents": self._budget.incidents(now),
                "reservations": self._budget.reservations(now),
                "total": self._budget.total,
                "track": self._track_record.track(),
            }
        )
