"""Which groups of log events tell the most about a trouble."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2
from typing import TYPE_CHECKING

from railmend.evidence.log_level import LogLevel

if TYPE_CHECKING:
    from railmend.evidence.condense import EventGroup

BASE = {
    LogLevel.ORDINARY: 0.0,
    LogLevel.NOTICE: 8.0,
    LogLevel.WARNING: 25.0,
    LogLevel.ERROR: 50.0,
    LogLevel.FATAL: 60.0,
}
OWN_TRACE, ANY_TRACE = 28.0, 14.0
NEW, OLD = 12.0, -15.0
CONTEXT = 26.0  # rare, and close to the onset
HINTED = 24.0
TAIL = 18.0  # among a build's last rows
MOST_FOR_COUNT = 8.0
# A group is new when its first event lies past this share of the time that was read.
EARLY = 0.05
RARE = 3
CONTEXT_SECONDS = 30.0
CONTEXT_SHARE = 0.01
MAX_CONTEXT = 6
TAIL_ROWS = 40
NAGGING = ("deprecat", "experimental", "update available", "npm notice", "fund")


@dataclass
class Span:
    """The stretch of time that was read; the onset of the trouble and words that hint at it, where known."""

    onset: datetime | None = None
    build: bool = False
    hints: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None

    def see(self, at: datetime) -> None:
        if self.start is None or at < self.start:
            self.start = at
        if self.end is None or at > self.end:
            self.end = at

    def bounds(self) -> tuple[datetime, datetime]:
        """Raises `ValueError` before the first event was seen."""
        if self.start is None or self.end is None:
            raise ValueError("no event was seen")
        return self.start, self.end

    def share(self, at: datetime) -> float:
        """How far into the stretch of time, 0 to 1."""
        if self.start is None or self.end is None or self.end == self.start:
            return 0.0
        return (at - self.start) / (self.end - self.start)


@dataclass(frozen=True)
class Ranked:
    group: "EventGroup"
    score: float
    new: bool


def rank(groups: Sequence["EventGroup"], span: Span, rows: int) -> list[Ranked]:
    """The most telling first."""
    scores = {id(group): _said(group) for group in groups}
    new = {id(group): _new(group, span) for group in groups}
    for group in groups:
        scores[id(group)] += HINTED if hinted(group, span) else _novelty(group, span, new=new[id(group)])
        if span.build and rows - group.last_position <= TAIL_ROWS and group.count <= RARE:
            scores[id(group)] += TAIL
    onset = span.onset or _estimate(groups, scores, span)
    for group in _context(groups, onset, span):
        scores[id(group)] += CONTEXT
    order = sorted(groups, key=lambda group: (-scores[id(group)], -group.count, group.first))
    return [Ranked(group, scores[id(group)], new[id(group)]) for group in order]


def hinted(group: "EventGroup", span: Span) -> bool:
    """Whether the line speaks of what the finding is about."""
    words = " ".join(group.template).lower()
    return any(hint in words for hint in span.hints)


def _said(group: "EventGroup") -> float:
    score = BASE[group.gravity] + min(log2(group.count + 1), MOST_FOR_COUNT)
    if group.example.own:
        score += OWN_TRACE
    elif group.example.frames:
        score += ANY_TRACE
    words = " ".join(group.template).lower()
    if group.gravity <= LogLevel.ERROR and any(word in words for word in NAGGING):
        score -= 20
    return score


def _new(group: "EventGroup", span: Span) -> bool:
    if span.onset is not None and span.start is not None and span.start < span.onset:
        return group.before == 0
    return span.share(group.first) > EARLY


def _novelty(group: "EventGroup", span: Span, *, new: bool) -> float:
    """What was there before at the same pace is the service's ordinary noise, however loud."""
    if new:
        return NEW
    if span.onset is not None and span.start is not None and span.start >= span.onset:
        return 0.0  # nothing is known of the time before
    if span.onset is not None and group.before:
        return OLD if group.before * 2 > group.count - group.before else 0.0
    return OLD if group.count >= 5 and not group.example.own and span.share(group.last) > 0.5 else 0.0


def _estimate(groups: Sequence["EventGroup"], scores: dict[int, float], span: Span) -> datetime | None:
    """The first event of the gravest group, unless it was there from the beginning."""
    grave = [group for group in groups if group.gravity >= LogLevel.ERROR]
    if not grave:
        return None
    top = max(grave, key=lambda group: scores[id(group)])
    return top.first if span.share(top.first) > EARLY else None


def _context(groups: Sequence["EventGroup"], onset: datetime | None, span: Span) -> list["EventGroup"]:
    """Rare lines around the onset, below errors: a saturated pool, a reload, a restart."""
    if onset is None or span.start is None or span.end is None:
        return []
    near = max(timedelta(seconds=CONTEXT_SECONDS), (span.end - span.start) * CONTEXT_SHARE)
    found = [
        group
        for group in groups
        if group.count <= RARE
        and group.gravity <= LogLevel.WARNING
        and not group.access
        and abs(group.first - onset) <= near
    ]
    return sorted(found, key=lambda group: abs(group.first - onset))[:MAX_CONTEXT]
