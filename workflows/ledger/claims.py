"""Claims on fingerprints: which are open or suppressed, and what became of those that are neither."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache

from railmend.contracts.ledger import (
    ACCEPTED,
    OPEN,
    SETTLED,
    ClaimAnswer,
    ClaimRequest,
    ClaimState,
    LedgerEntry,
    PastRepair,
    SettleRequest,
    SuppressRequest,
)
from railmend.contracts.scan import CHRONIC

MAX_DETAIL = 200
MAX_PAST = 5
# All entries that are open or suppressed, as JSON: four payloads of less than 64 KiB. An open one will need
# room for what comes of it.
MOST_BYTES = 4 * 56 * 1024
OUTCOME_BYTES = 200
# What is over may be forgotten: details, and then the oldest entries.
PAST_BYTES = 32 * 1024
# A person is told at most this often of a holder that is stuck.
TOLD_EVERY = timedelta(days=1)
NOBODY = {"handed_by": "", "handed_by_run": ""}


class ClaimStore:
    """Entries by fingerprint. A claim is all or nothing, so two can never both be granted.

    Each grant has a number; who takes over from a dead holder names the number that it replaces, so that
    of two who try only one succeeds.
    """

    def __init__(self, entries: Iterable[LedgerEntry], grants: int = 0) -> None:
        self._entries = {entry.fingerprint: entry for entry in entries}
        self.grants = grants

    def claim(self, request: ClaimRequest) -> ClaimAnswer:
        """Grant all fingerprints or none: one that is held or suppressed refuses the whole claim."""
        for fingerprint in request.fingerprints:
            refusal = self._refusal(self._entries.get(fingerprint), request)
            if refusal is not None:
                return refusal
        if self._is_full(request):
            return ClaimAnswer(state=ClaimState.FULL, holder="", detail=self._full(request.at))
        past = self._past(request.fingerprints)
        grant = self._grant(request)
        return ClaimAnswer(
            state=ClaimState.GRANTED,
            holder=request.holder,
            first_run_id=request.first_run_id,
            grant=grant,
            past=past,
        )

    def _grant(self, request: ClaimRequest) -> int:
        """Open all entries under one new number; what the holder has already keeps its own."""
        entries = [self._entries.get(fingerprint) for fingerprint in request.fingerprints]
        if all(entry is not None and _owns(entry, request) for entry in entries):
            for entry in filter(None, entries):
                update = {
                    "first_run_id": request.first_run_id,
                    "handed_by": request.handed_by,
                    "handed_by_run": request.handed_by_run,
                }
                self._entries[entry.fingerprint] = entry.model_copy(update=update)
            return max((entry.grant for entry in entries if entry), default=0)
        self.grants += 1
        for fingerprint in request.fingerprints:
            self._open(fingerprint, request)
        return self.grants

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
        if entry is None or not entry.alive(request.at):
            return None
        if entry.state == OPEN:
            if _owns(entry, request) or entry.grant in request.replaces:
                return None
            return self._held(entry, request)
        if request.by_person or (request.again and _is_of(entry, request)):
            return None
        changed = request.deployment != entry.deployment
        if changed and (entry.cooldown_until is None or entry.cooldown_until <= request.at):
            return None
        return ClaimAnswer(
            state=ClaimState.SUPPRESSED,
            holder=entry.holder,
            fingerprint=entry.fingerprint,
            accepted=entry.outcome == ACCEPTED and entry.fingerprint.endswith(CHRONIC),
            detail=_format_settled(entry),
        )

    def _held(self, entry: LedgerEntry, request: ClaimRequest) -> ClaimAnswer:
        tell = request.stuck and (entry.told_at is None or entry.told_at + TOLD_EVERY <= request.at)
        if tell:
            self._entries[entry.fingerprint] = entry.model_copy(update={"told_at": request.at})
        return ClaimAnswer(
            state=ClaimState.HELD,
            holder=entry.holder,
            first_run_id=entry.first_run_id,
            handed_by=entry.handed_by,
            handed_by_run=entry.handed_by_run,
            grant=entry.grant,
            fingerprint=entry.fingerprint,
            detail=f"{entry.holder} has held it since {entry.since:%Y-%m-%d %H:%M} UTC.",
            tell=tell,
        )

    def _open(self, fingerprint: str, request: ClaimRequest) -> None:
        entry, earlier = _blank(fingerprint, request, self.grants), self._entries.get(fingerprint)
        if earlier is not None:
            update = {
                "deployment": request.deployment or earlier.deployment,
                # What came of it before stays readable until this one ends.
                "outcome": earlier.outcome,
                "detail": earlier.detail,
                "pull_request": earlier.pull_request,
                "times": earlier.times + (earlier.state != OPEN),
            }
            # A copy of the earlier one keeps what a newer version stored with it.
            entry = earlier.model_copy(update={**dict(entry), **update})
        self._entries[fingerprint] = entry

    def settle(self, request: SettleRequest) -> bool:
        """Settle the holder's own claim; one that another has taken over is left alone.

        Return False where nothing was open, as when the same settlement arrives again.
        """
        settled = False
        cooldown = request.at + timedelta(seconds=request.cooldown_seconds)
        unchanged = request.at + timedelta(seconds=request.unchanged_cooldown_seconds)
        for fingerprint in request.fingerprints:
            entry = self._entries.get(fingerprint)
            if entry is None or entry.state != OPEN or not _owns(entry, request):
                continue
            settled = True
            if not request.outcome:
                self._release(entry, request.at)
                continue
            self._entries[fingerprint] = entry.model_copy(
                update={
                    **NOBODY,
                    "state": SETTLED,
                    "until": max(cooldown, unchanged),
                    "cooldown_until": cooldown,
                    "outcome": request.outcome,
                    "detail": request.detail[:MAX_DETAIL],
                    "pull_request": request.pull_request or entry.pull_request,
                    "told_at": None,
                }
            )
        return settled

    def _release(self, entry: LedgerEntry, at: datetime) -> None:
        """End a claim that nothing came of: the fingerprint is as it was before."""
        if not entry.outcome:
            del self._entries[entry.fingerprint]
            return
        update = {"state": SETTLED, "until": at, "times": entry.times - 1, "told_at": None}
        self._entries[entry.fingerprint] = entry.model_copy(update={**update, **NOBODY})

    def suppress(self, request: SuppressRequest) -> None:
        """Suppress fingerprints at a person's request."""
        until = request.at + timedelta(seconds=request.seconds)
        for fingerprint in request.fingerprints:
            holder = f"person/{request.by}"
            blank = LedgerEntry(
                fingerprint=fingerprint, holder=holder, state=SETTLED, since=request.at, times=0
            )
            self._entries[fingerprint] = self._entries.get(fingerprint, blank).model_copy(
                update={
                    "holder": holder,
                    "first_run_id": "",
                    "since": request.at,
                    "until": until,
                    "cooldown_until": until,
                    "outcome": ACCEPTED if request.accepted else "suppressed",
                    "detail": request.reason,
                }
            )

    def open_among(self, fingerprints: Iterable[str]) -> list[LedgerEntry]:
        entries = filter(None, map(self._entries.get, fingerprints))
        return [entry for entry in entries if entry.state == OPEN]

    def entries(self, now: datetime) -> tuple[LedgerEntry, ...]:
        """Return entries, newest first: all that are open or suppressed; of the others what has room.

        Where room is scarce the details of older ones go first.
        """
        ordered = sorted(self._entries.values(), key=lambda entry: entry.since, reverse=True)
        room = MOST_BYTES - sum(_need(entry) for entry in ordered if entry.alive(now))
        past = PAST_BYTES
        kept = []
        for entry in ordered:
            size = _size(entry)
            if entry.alive(now):
                short = entry if size - _need(entry) <= room else entry.model_copy(update={"detail": ""})
                room -= max(_size(short) - _need(entry), 0)
                kept.append(short)
            elif size <= min(room, past):
                room, past = room - size, past - size
                kept.append(entry)
        return tuple(kept)

    def _is_full(self, request: ClaimRequest) -> bool:
        """Tell whether there is no room for what the claim adds."""
        known = {f for f, entry in self._entries.items() if entry.alive(request.at)}
        new = [fingerprint for fingerprint in request.fingerprints if fingerprint not in known]
        if not new:
            return False
        needed = sum(_need(self._entries[fingerprint]) for fingerprint in known)
        return needed + sum(_need(_blank(fingerprint, request)) for fingerprint in new) > MOST_BYTES

    def _full(self, now: datetime) -> str:
        alive = [entry for entry in self._entries.values() if entry.alive(now)]
        held = sum(entry.state == OPEN for entry in alive)
        return (
            f"The ledger is full: {held} faults are open and {len(alive) - held} suppressed, and none may be "
            "forgotten. `starter.py ledger show` lists them."
        )


def _owns(entry: LedgerEntry, by: ClaimRequest | SettleRequest) -> bool:
    """Whether `by` has the claim: the same workflow, and the same chain of runs as soon as one has asked."""
    return entry.state == OPEN and _is_of(entry, by)


def _is_of(entry: LedgerEntry, by: ClaimRequest | SettleRequest) -> bool:
    return entry.holder == by.holder and entry.first_run_id in ("", by.first_run_id)


def _blank(fingerprint: str, request: ClaimRequest, grant: int = 0) -> LedgerEntry:
    return LedgerEntry(
        fingerprint=fingerprint,
        holder=request.holder,
        first_run_id=request.first_run_id,
        handed_by=request.handed_by,
        handed_by_run=request.handed_by_run,
        grant=grant,
        state=OPEN,
        since=request.at,
        deployment=request.deployment,
    )


def _size(entry: LedgerEntry) -> int:
    return len(entry.model_dump_json().encode()) + 1


@lru_cache(maxsize=2048)
def _need(entry: LedgerEntry) -> int:
    """Return the bytes that an entry will take at least: of its details none, of its outcome all."""
    short = _size(entry.model_copy(update={"detail": "", **NOBODY}))
    if entry.state != OPEN:
        return short
    handed = len(entry.handed_by) + len(entry.handed_by_run)
    return short + max(OUTCOME_BYTES, handed + 40)


def _format_settled(entry: LedgerEntry) -> str:
    parts = (entry.outcome, entry.pull_request, entry.detail)
    return ": ".join(part for part in parts if part)
