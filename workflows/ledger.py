"""The ledger of one project: which fingerprints are open or silent, and who holds them."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from railmend.contracts.ledger import (
        ClaimAnswer,
        ClaimRequest,
        ClaimState,
        LedgerEntry,
        LedgerState,
        SettleRequest,
    )

# Entries that say nothing any more are dropped at continue-as-new; a project has at most this many kept.
MAX_ENTRIES = 500


@workflow.defn
class Ledger:
    """Always open; handlers only change state, so that two claims can never both be granted."""

    @workflow.init
    def __init__(self, state: LedgerState) -> None:
        self._project_id = state.project_id
        self._entries = {entry.fingerprint: entry for entry in state.entries}

    @workflow.run
    async def run(self, state: LedgerState) -> None:
        await workflow.wait_condition(workflow.info().is_continue_as_new_suggested)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._state())

    @workflow.update(description="Claim fingerprints for an investigation or a repair")
    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        """All or nothing: one fingerprint that is held or silent refuses the whole claim."""
        for fingerprint in request.fingerprints:
            entry = self._entries.get(fingerprint)
            if entry is None or entry.until <= request.at:
                continue
            if entry.holder in (request.holder, request.takes_over_from) and entry.state == "open":
                continue
            state = ClaimState.HELD if entry.state == "open" else ClaimState.SILENT
            return ClaimAnswer(state=state, holder=entry.holder, detail=entry.detail)
        until = request.at + timedelta(seconds=request.lease_seconds)
        for fingerprint in request.fingerprints:
            self._entries[fingerprint] = LedgerEntry(
                fingerprint=fingerprint, holder=request.holder, state="open", since=request.at, until=until
            )
        return ClaimAnswer(state=ClaimState.GRANTED, holder=request.holder)

    @workflow.update(description="End a claim and keep its fingerprints quiet for a while")
    def settle(self, request: SettleRequest) -> None:
        """Only the holder settles; a claim that another has taken over is left alone."""
        until = request.at + timedelta(seconds=request.silent_seconds)
        for fingerprint in request.fingerprints:
            entry = self._entries.get(fingerprint)
            if entry is not None and entry.holder == request.holder:
                self._entries[fingerprint] = entry.model_copy(
                    update={
                        "state": "silent",
                        "until": until,
                        "outcome": request.outcome,
                        "detail": request.detail,
                    }
                )

    @workflow.query(description="Everything that is open or silent")
    def state(self) -> LedgerState:
        return self._state()

    def _state(self) -> LedgerState:
        now: datetime = workflow.now()
        alive = [entry for entry in self._entries.values() if entry.until > now]
        alive.sort(key=lambda entry: entry.since, reverse=True)
        return LedgerState(project_id=self._project_id, entries=tuple(alive[:MAX_ENTRIES]))
