"""Claims on fingerprints: which are open or suppressed, and what became of those that are neither."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from railmend.contracts.ledger import (
    ClaimAnswer,
    ClaimRequest,
    ClaimState,
    LedgerEntry,
    PastRepair,
    SettleRequest,
)

MAX_DETAIL = 200
MAX_PAST = 5


class ClaimStore:
    """Entries by fingerprint. A claim is all or nothing, so two can never both be granted."""

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        self._entries = {entry.fingerprint: entry for entry in entries}

    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        """Grant all fingerprints or none: one that is held or suppressed refuses the whole claim."""
        for fingerprint in request.fingerprints:
            refusal = self._refusal(self._entries.get(fingerprint), request)
            if refusal is not None:
                return refusal
        until = request.at + timedelta(seconds=request.lease_seconds)
        past = self._past(request.fingerprints)
        for fingerprint in request.fingerprints:
            self._open(fingerprint, request, until)
        return ClaimAnswer(state=ClaimState.GRANTED, holder=request.holder, past=past)

    def _past(self, fingerprints: Iterable[str]) -> tuple[PastRepair, ...]:
        """Return earlier repairs of the same services, whatever the kind of trouble was."""
        services = {fingerprint.rpartition("/")[0] for fingerprint in fingerprints}
        ended = [
            entry
            for entry in self._entries.values()
            if entry.outcome and entry.fingerprint.rpartition("/")[0] in services
        ]
        ended.sort(key=lambda entry: entry.since, reverse=True)
        return tuple(
            PastRepair(
                at=entry.since,
                outcome=f"{entry.fingerprint.rpartition('/')[2]}: {entry.outcome}",
                summary=entry.detail,
                pull_request=entry.pull_request or None,
            )
            for entry in ended[:MAX_PAST]
        )

    def _refusal(self, entry: LedgerEntry | None, request: ClaimRequest) -> ClaimAnswer | None:
        if entry is None or entry.until <= request.at:
            return None
        if entry.state == "open":
            if entry.holder in (request.holder, request.takes_over_from):
                return None
            return ClaimAnswer(state=ClaimState.HELD, holder=entry.holder, detail=entry.detail)
        changed = request.deployment != entry.deployment
        if changed and (entry.cooldown_until is None or entry.cooldown_until <= request.at):
            return None
        return ClaimAnswer(state=ClaimState.SUPPRESSED, holder=entry.holder, detail=_format_settled(entry))

    def _open(self, fingerprint: str, request: ClaimRequest, until: datetime) -> None:
        earlier = self._entries.get(fingerprint)
        again = earlier is not None and earlier.state != "open"
        entry = LedgerEntry(
            fingerprint=fingerprint,
            holder=request.holder,
            state="open",
            since=request.at,
            until=until,
            deployment=request.deployment or (earlier.deployment if earlier else None),
            # What came of it before stays readable until this one ends.
            outcome=earlier.outcome if earlier else "",
            detail=earlier.detail if earlier else "",
            pull_request=earlier.pull_request if earlier else "",
            times=(earlier.times if earlier else 0) + (1 if again or earlier is None else 0),
        )
        # A copy keeps what a newer version stored with the earlier one.
        self._entries[fingerprint] = earlier.model_copy(update=dict(entry)) if earlier else entry

    def settle(self, request: SettleRequest) -> bool:
        """Settle the holder's own claim; one that another has taken over is left alone.

        Return False where nothing was open, as when the same settlement arrives again.
        """
        settled = False
        cooldown = request.at + timedelta(seconds=request.cooldown_seconds)
        unchanged = request.at + timedelta(seconds=request.unchanged_cooldown_seconds)
        for fingerprint in request.fingerprints:
            entry = self._entries.get(fingerprint)
            if entry is None or entry.holder != request.holder:
                continue
            settled = settled or entry.state == "open"
            self._entries[fingerprint] = entry.model_copy(
                update={
                    "state": "suppressed",
                    "until": max(cooldown, unchanged),
                    "cooldown_until": cooldown,
                    "outcome": request.outcome,
                    "detail": request.detail[:MAX_DETAIL],
                    "pull_request": request.pull_request or entry.pull_request,
                }
            )
        return settled

    def entries(self, now: datetime, most: int) -> tuple[LedgerEntry, ...]:
        """Return entries, newest first: all that are open or suppressed, and the newest of the others."""
        ordered = sorted(self._entries.values(), key=lambda entry: entry.since, reverse=True)
        alive = [entry for entry in ordered if entry.until > now]
        past = [entry for entry in ordered if entry.until <= now]
        kept = {entry.fingerprint for entry in [*alive, *past[: max(most - len(alive), 0)]]}
        return tuple(entry for entry in ordered if entry.fingerprint in kept)


def _format_settled(entry: LedgerEntry) -> str:
    parts = (entry.outcome, entry.pull_request, entry.detail)
    return ": ".join(part for part in parts if part)
