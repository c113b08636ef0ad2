"""Ranked groups of log events as text within a budget of tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from railmend.evidence.log_level import LogLevel
from railmend.evidence.ranking import Ranked, Span, hinted
from railmend.evidence.tokens import cut, estimate

if TYPE_CHECKING:
    from railmend.evidence.condense import EventGroup

# Up to here anything that tells something is shown; beyond, only what is grave.
ENOUGH = 800
TELLING = 14.0
GRAVE = 58.0
# No single event takes more than this share of the budget, nor more than so many tokens.
LARGEST = 0.6
MAX_EVENT = 600
MAX_GRAVE = 12
ORDINARY = 3
MAX_ORDINARY = 110
MAX_ATTRIBUTES = 320
# Kept free for the lines at the head and the end.
FRAME_TOKENS = 60


def render(
    groups: Sequence[Ranked], span: Span, *, rows: int, forgotten: int, budget: int
) -> tuple[str, int]:
    """The text, and how many of the groups are not in it."""
    if not groups:
        return "No line in this stretch of time.", 0
    room = max(budget - FRAME_TOKENS, budget // 2)
    blocks: list[str] = []
    shown: set[int] = set()
    used = 0
    for ranked in groups:
        if not _wanted(ranked, used, len(blocks)):
            continue
        block = _block(ranked, span, min(int(room * LARGEST), MAX_EVENT))
        size = estimate(block) + 2
        if used + size > room:
            continue
        blocks.append(block)
        shown.add(id(ranked.group))
        used += size
    rest = [ranked.group for ranked in groups if id(ranked.group) not in shown]
    head = _head(span, rows, len(groups) + forgotten)
    tail = _tail(rest, forgotten, room - used)
    return cut("\n\n".join([head, *blocks, *tail]), budget), len(rest)


def _wanted(ranked: Ranked, used: int, shown: int) -> bool:
    if ranked.score < TELLING:
        return False
    return used < ENOUGH or (ranked.score >= GRAVE and shown < MAX_GRAVE)


def _head(span: Span, rows: int, groups: int) -> str:
    start, end = span.bounds()
    onset = f"; onset {_clock(span.onset, span)}" if span.onset else ""
    many = "1 line" if rows == 1 else f"{rows} lines"
    return f"{many}, {groups} kinds of event, {start:%Y-%m-%d %H:%M:%S} to {_clock(end, span)} UTC{onset}."


def _clock(at: datetime, span: Span) -> str:
    same = span.start is not None and at.date() == span.start.date()
    return f"{at:%H:%M:%S}" if same else f"{at:%m-%d %H:%M:%S}"


def _block(ranked: Ranked, span: Span, most: int) -> str:
    group = ranked.group
    when = _clock(group.first, span)
    if group.count > 1:
        when = f"{when} to {_clock(group.last, span)}"
    new = ", new" if ranked.new and group.count > 1 else ""
    lines = [f"{group.count}x {when}{new}", *group.example.lines]
    if hinted(group, span) and group.count > 1 and group.latest != group.example.lines[0]:
        lines.append(f"  the last one: {group.latest[:240]}")  # what grows is seen by both ends
    if group.attributes:
        pairs = " ".join(f"{key}={value}" for key, value in group.attributes.items())
        lines.append(f"  {pairs[:MAX_ATTRIBUTES]}")
    text = "\n".join(lines)
    if estimate(text) > most:
        text = _shorter(lines, most)
    others = [head for head in list(group.variants.values())[1:] if head not in text]
    return "\n".join([text, *(f"  also: {head[:240]}" for head in others)])


def _shorter(lines: list[str], most: int) -> str:
    """Head and end: the end of a trace holds its root cause."""
    half = most // 2
    head = cut("\n".join(lines), half)
    kept: list[str] = []
    size = 0
    for line in reversed(lines[head.count("\n") + 1 :]):
        size += estimate(line) + 1
        if size > half - 10:
            break
        kept.insert(0, line)
    return "\n".join([head, "  (lines left out)", *kept])


def _tail(rest: Sequence["EventGroup"], forgotten: int, room: int) -> list[str]:
    """What the service says when all is well, and how much is not shown."""
    if not rest and not forgotten:
        return []
    calm = sorted(
        (group for group in rest if group.gravity <= LogLevel.NOTICE), key=lambda group: -group.count
    )[:ORDINARY]
    loud = sum(group.gravity >= LogLevel.WARNING for group in rest)
    events = sum(group.count for group in rest)
    kinds = len(rest) + forgotten
    said = f"Left out: {kinds} kinds of event, {loud} of them warnings or errors ({events} events)."
    lines = [said]
    if calm:
        lines[0] += " The most frequent:"
        lines += [f"{group.count}x {' '.join(group.template)[:MAX_ORDINARY]}" for group in calm]
    text = "\n".join(lines)
    return [text if estimate(text) <= max(room, 0) + FRAME_TOKENS // 2 else said]
