"""Rank groups of log events by how much they say about an incident."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2

from railmend.evidence.event_groups import EventGroup
from railmend.evidence.log_level import LogLevel

# Scores, in points of no unit; report.py's thresholds are on the same scale.
BY_LEVEL = {
    LogLevel.ORDINARY: 0.0,
    LogLevel.NOTICE: 8.0,
    LogLevel.WARNING: 25.0,
    LogLevel.ERROR: 50.0,
    LogLevel.FATAL: 60.0,
}
OWN_TRACE, ANY_TRACE = 28.0, 14.0
NEW, OLD = 12.0, -15.0
CONTEXT = 26.0  # rare and close to the onset
HINTED = 24.0
# Standard error says little where much is written to it, and something where next to nothing is.
ON_STDERR, STDERR_SHARE = 20.0, 0.05
MAX_FOR_RARITY = 5.0  # reached by an ordinary line that is one of a thousand
TAIL = 18.0  # among a build's last rows
MAX_FOR_COUNT = 8.0
# A group is new if its first event lies beyond this share of the span. What is new since the onset can be
# told if as much, and no less than a few seconds, was read before it.
EARLY, LEAST_BEFORE = 0.05, timedelta(seconds=20)
RARE = 3
CONTEXT_SECONDS = 30.0
CONTEXT_SHARE = 0.01
MAX_CONTEXT = 6
TAIL_ROWS = 40
ROUTINE_WARNINGS = ("deprecat", "experimental", "update available", "npm notice", "fund")


@dataclass
class Span:
    """The time that was read; the onset of the incident and words that hint at it, where known.

    `stderr_share`: of the rows, 0 to 1.
    """

    onset: datetime | None = None
    build: bool = False
    hints: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    stderr_share: float = 1.0

    def extend_to(self, at: datetime) -> None:
        """Widen the span so that it contains this moment."""
        if self.start is None or at < self.start:
            self.start = at
        if self.end is None or at > self.end:
            self.end = at

    def bounds(self) -> tuple[datetime, datetime]:
        """Return start and end. Raise `ValueError` before the first event."""
        if self.start is None or self.end is None:
            raise ValueError("no event was read")
        return self.start, self.end

    def share(self, at: datetime) -> float:
        """Return how far into the span a moment lies, 0 to 1."""
        if self.start is None or self.end is None or self.end == self.start:
            return 0.0
        return (at - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class RankedGroup:
    """A group with its score. `new`: it did not occur before the onset, and enough was read to say so."""

    group: EventGroup
    score: float
    new: bool


def rank(groups: Sequence[EventGroup], span: Span, rows: int) -> list[RankedGroup]:
    """Return the groups with the most informative first. `rows`: how many were read, for a build's tail."""
    scores = {id(group): _content(group) for group in groups}
    known = span.onset is not None and tells_new(span.start, span.onset, span.end)
    new = {id(group): group.before == 0 if known else span.share(group.first) > EARLY for group in groups}
    for group in groups:
        if group.level <= LogLevel.NOTICE and group.count <= RARE:
            scores[id(group)] += min(log2(rows / group.count) / 2, MAX_FOR_RARITY)
        if group.level <= LogLevel.NOTICE and group.on_stderr and span.stderr_share < STDERR_SHARE:
            scores[id(group)] += ON_STDERR
        scores[id(group)] += HINTED if hinted(group, span) else _novelty(group, span, new=new[id(group)])
        if span.build and rows - group.last_position <= TAIL_ROWS and group.count <= RARE:
            scores[id(group)] += TAIL
    onset = span.onset or _estimated_onset(groups, scores, span)
    for group in _context(groups, onset, span):
        scores[id(group)] += CONTEXT
    order = sorted(groups, key=lambda group: (-scores[id(group)], -group.count, group.first))
    return [RankedGroup(group, scores[id(group)], known and new[id(group)]) for group in order]


def hinted(group: EventGroup, span: Span) -> bool:
    """Return whether the template contains a word that belongs to the finding."""
    words = " ".join(group.template).lower()
    return any(hint in words for hint in span.hints)


def _content(group: EventGroup) -> float:
    """By level, count and trace, whenever it happened."""
    score = BY_LEVEL[group.level] + min(log2(group.count + 1), MAX_FOR_COUNT)
    if group.example.own:
        score += OWN_TRACE
    elif group.example.frames:
        score += ANY_TRACE
    words = " ".join(group.template).lower()
    if group.level <= LogLevel.ERROR and any(word in words for word in ROUTINE_WARNINGS):
        score -= 20
    return score


def tells_new(start: datetime | None, onset: datetime, end: datetime | None) -> bool:
    """Return whether enough was read before the onset to say what is new since."""
    return start is not None and end is not None and onset - start > max(EARLY * (end - start), LEAST_BEFORE)


def _novelty(group: EventGroup, span: Span, *, new: bool) -> float:
    """Tell whether it occurred before at the same rate: the service's usual noise, whatever its level."""
    if new:
        return NEW
    if span.onset is not None and span.start is not None and span.start >= span.onset:
        return 0.0  # the time before the onset was not read
    if span.onset is not None and group.before:
        return OLD if group.before * 2 > group.count - group.before else 0.0
    return OLD if group.count >= 5 and not group.example.own and span.share(group.last) > 0.5 else 0.0


def _estimated_onset(groups: Sequence[EventGroup], scores: dict[int, float], span: Span) -> datetime | None:
    """Return the first event of the highest-ranked error, unless it was there from the beginning."""
    errors = [group for group in groups if group.level >= LogLevel.ERROR]
    if not errors:
        return None
    top = max(errors, key=lambda group: scores[id(group)])
    return top.first if span.share(top.first) > EARLY else None


def _context(groups: Sequence[EventGroup], onset: datetime | None, span: Span) -> list[EventGroup]:
    """Rare lines around the onset, at most warnings: a saturated pool, a reload, a restart."""
    if onset is None or span.start is None or span.end is None:
        return []
    distance = max(timedelta(seconds=CONTEXT_SECONDS), (span.end - span.start) * CONTEXT_SHARE)
    nearby = [
        group
        for group in groups
        if group.count <= RARE
        and group.level <= LogLevel.WARNING
        and not group.access
        and abs(group.first - onset) <= distance
    ]
    return sorted(nearby, key=lambda group: abs(group.first - onset))[:MAX_CONTEXT]
