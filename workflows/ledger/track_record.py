"""Keep what became of fixes, and decide how far the next one may go."""

from collections import Counter
from collections.abc import Iterable

from railmend.contracts.autonomy import LADDER, Autonomy, EarnedAutonomy, level_of
from railmend.contracts.track_record import (
    AutonomyDecision,
    AutonomyQuery,
    FaultRecord,
    FixRecord,
    TrackRecord,
)

# About 350 bytes each: with the entries and the spending the ledger's state stays below 64 KiB.
MOST_RECORDS = 25
# Fixes that autonomy looks back at, and medians are made of.
MOST_RECENT = 20
LETTERS = {"held": "h", "not_held": "n", "worse": "w", "closed": "c"}
HELD, WORSE = LETTERS["held"], LETTERS["worse"]


class TrackRecordStore:
    """By repository and kind of fault. The longest untouched go first, into one record of all others."""

    def __init__(self, track: TrackRecord) -> None:
        self._begun_with = track  # with what a newer version keeps in it
        self._records = {(record.repository, record.kind): record for record in track.records}
        self._opened = track.opened_seconds
        self._recovered = track.recovered_seconds
        self._proofs = Counter(track.proofs)

    def add(self, fixes: Iterable[FixRecord]) -> None:
        for fix in fixes:
            record = self._records.get((fix.repository, fix.kind))
            record = record or FaultRecord(repository=fix.repository, kind=fix.kind, at=fix.at)
            self._records[fix.repository, fix.kind] = _with(record, fix)
            if fix.proof:
                self._proofs[f"{fix.proof}/{fix.outcome}"] += 1
            self._opened = _newest(self._opened, fix.opened_seconds)
            self._recovered = _newest(self._recovered, fix.recovered_seconds)
        while len(self._records) > MOST_RECORDS:
            self._fold()

    def decide(self, query: AutonomyQuery) -> AutonomyDecision:
        """Decide how far the next fix may go: never above what is configured, below it with the reason."""
        if not query.policy.enabled:
            return AutonomyDecision(autonomy=query.configured)
        record = self._records.get((query.repository, query.kind))
        recent = record.recent if record else ""
        level = earned_autonomy(recent, query.policy)
        if level_of(level) >= level_of(query.configured):
            return AutonomyDecision(autonomy=query.configured)
        return AutonomyDecision(autonomy=level, reason=_reason(level, recent, query))

    def track(self) -> TrackRecord:
        ordered = sorted(self._records.values(), key=lambda record: record.at, reverse=True)
        return self._begun_with.model_copy(
            update={
                "records": tuple(ordered),
                "proofs": dict(self._proofs),
                "opened_seconds": self._opened,
                "recovered_seconds": self._recovered,
            }
        )

    def _fold(self) -> None:
        """Fold the oldest record into that of all others. Counts stay; autonomy is earned anew."""
        others = self._records.pop(("", ""), None)
        key = min(self._records, key=lambda each: (self._records[each].at, each))
        oldest = self._records.pop(key)
        others = others or FaultRecord(repository="", kind="", at=oldest.at)
        self._records["", ""] = others.model_copy(
            update={
                "outcomes": dict(Counter(oldest.outcomes) + Counter(others.outcomes)),
                "merged": oldest.merged + others.merged,
                "edited": oldest.edited + others.edited,
                "at": oldest.at,
            }
        )


def earned_autonomy(recent: str, policy: EarnedAutonomy) -> Autonomy:
    """Decide by the newest `policy.fixes` outcomes: the share that held, one step less after a worse one.

    It falls at once, and rises by one step for each fix. Before there are so many it is `policy.start`.
    """
    level = level_of(policy.start)
    for end in range(1, len(recent) + 1):
        level = min(level + 1, _deserved(recent[max(end - policy.fixes, 0) : end], policy))
    return LADDER[level]


def _deserved(newest: str, policy: EarnedAutonomy) -> int:
    share = newest.count(HELD) / len(newest)
    if len(newest) < policy.fixes:
        level = policy.start
    elif share >= policy.pull_request_share:
        level = Autonomy.PULL_REQUEST
    else:
        level = Autonomy.DRAFT if share >= policy.draft_share else Autonomy.PLAN
    return max(level_of(level) - (WORSE in newest), level_of(Autonomy.PLAN))


def _reason(level: Autonomy, recent: str, query: AutonomyQuery) -> str:
    newest, of = recent[-query.policy.fixes :], f"{query.kind} in {query.repository}"
    if len(newest) < query.policy.fixes and WORSE not in newest:
        return f"{level.value}, because only {len(newest)} of {query.policy.fixes} fixes of {of} are settled"
    worse = f", and {newest.count(WORSE)} made it worse" if WORSE in newest else ""
    held = f"{newest.count(HELD)} of the last {len(newest)} fixes of {of} held{worse}"
    return f"{level.value}, because {held}"


def _with(record: FaultRecord, fix: FixRecord) -> FaultRecord:
    # What a person changed before the merge says nothing of what Railmend does alone.
    letter = "" if fix.edited else LETTERS.get(fix.outcome, "")
    return record.model_copy(
        update={
            "outcomes": record.outcomes | {fix.outcome: record.outcomes.get(fix.outcome, 0) + 1},
            "merged": record.merged + fix.merged,
            "edited": record.edited + fix.edited,
            "recent": (record.recent + letter)[-MOST_RECENT:],
            "at": fix.at,
        }
    )


def _newest(past: tuple[int, ...], seconds: int | None) -> tuple[int, ...]:
    return past if seconds is None else (*past, seconds)[-MOST_RECENT:]
