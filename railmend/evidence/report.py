"""Render ranked groups of log events within a budget of tokens."""

from collections.abc import Sequence
from datetime import datetime

from railmend.evidence.event_groups import EventGroup
from railmend.evidence.log_level import LogLevel
from railmend.evidence.ranking import RankedGroup, Span, hinted
from railmend.evidence.tokens import cut, estimate

# Up to so many tokens every group from `MIN_SCORE` on is shown; beyond, only those from `HIGH_SCORE` on.
ENOUGH_TOKENS = 800
MIN_SCORE = 14.0
HIGH_SCORE = 58.0
MAX_HIGH = 12
# Ordinary lines that are shown for being rare have so many tokens together.
LOW_SCORE, LOW_TOKENS = 20.0, 350
# One event's limits: a share of the budget, and tokens.
MAX_EVENT_SHARE = 0.6
MAX_EVENT_TOKENS = 600
MAX_FREQUENT = 3
MAX_TEMPLATE = 110
MAX_ATTRIBUTES = 320
# Reserved for the first and the last line.
FRAME_TOKENS = 60


def render(
    groups: Sequence[RankedGroup], span: Span, *, rows: int, forgotten: int, budget: int
) -> tuple[str, int]:
    """Return the text, and how many of the groups are not in it.

    `rows` were read; `forgotten` groups were dropped while reading; `budget` is in tokens.
    """
    if not groups:
        return "No line in this stretch of time.", 0
    room = max(budget - FRAME_TOKENS, budget // 2)
    blocks: list[str] = []
    shown: set[int] = set()
    used = 0
    for ranked in groups:
        if not _wanted(ranked, used, len(blocks)):
            continue
        block = _block(ranked, span, min(int(room * MAX_EVENT_SHARE), MAX_EVENT_TOKENS))
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


def _wanted(ranked: RankedGroup, used: int, shown: int) -> bool:
    if ranked.score < MIN_SCORE:
        return False
    if ranked.score < LOW_SCORE and used > LOW_TOKENS:
        return False
    return used < ENOUGH_TOKENS or (ranked.score >= HIGH_SCORE and shown < MAX_HIGH)


def _head(span: Span, rows: int, groups: int) -> str:
    start, end = span.bounds()
    onset = f"; onset {_clock(span.onset, span)}" if span.onset else ""
    many = "1 line" if rows == 1 else f"{rows} lines"
    return f"{many}, {groups} kinds of event, {start:%Y-%m-%d %H:%M:%S} to {_clock(end, span)} UTC{onset}."


def _clock(at: datetime, span: Span) -> str:
    same = span.start is not None and at.date() == span.start.date()
    return f"{at:%H:%M:%S}" if same else f"{at:%m-%d %H:%M:%S}"


def _block(ranked: RankedGroup, span: Span, max_tokens: int) -> str:
    group = ranked.group
    when = _clock(group.first, span)
    if group.count > 1:
        when = f"{when} to {_clock(group.last, span)}"
    new = ", new since the onset" if ranked.new and group.count > 1 else ""
    lines = [f"{group.count}x {when}{new}", *group.example.lines]
    if hinted(group, span) and group.count > 1 and group.latest != group.example.lines[0]:
        lines.append(f"  the last one: {group.latest[:240]}")  # growth shows in its first and last line
    if group.attributes:
        pairs = " ".join(f"{key}={value}" for key, value in group.attributes.items())
        lines.append(f"  {pairs[:MAX_ATTRIBUTES]}")
    text = "\n".join(lines)
    if estimate(text) > max_tokens:
        text = _shortened(lines, max_tokens)
    others = [head for head in list(group.variants.values())[1:] if head not in text]
    return "\n".join([text, *(f"  also: {head[:240]}" for head in others)])


def _shortened(lines: list[str], max_tokens: int) -> str:
    """Return the beginning and the end: the end of a trace holds its root cause."""
    half = max_tokens // 2
    head = cut("\n".join(lines), half)
    if len(lines) - head.count("\n") < 3:  # one long line
        return f"{head} … {lines[-1][-len(head) * 3 // 4 :]}"
    end: list[str] = []
    size = 0
    for line in reversed(lines[head.count("\n") + 1 :]):
        size += estimate(line) + 1
        if size > half - 10:
            break
        end.insert(0, line)
    return "\n".join([head, "  (lines left out)", *end])


def _tail(rest: Sequence[EventGroup], forgotten: int, room: int) -> list[str]:
    """How much is not shown, and the most frequent of it: what the service logs when all is well."""
    if not rest and not forgotten:
        return []
    frequent = sorted(
        (group for group in rest if group.level <= LogLevel.NOTICE), key=lambda group: -group.count
    )[:MAX_FREQUENT]
    warnings = sum(group.level >= LogLevel.WARNING for group in rest)
    events = sum(group.count for group in rest)
    kinds = len(rest) + forgotten
    total = f"Left out: {kinds} kinds of event, {warnings} of them warnings or errors ({events} events)."
    lines = [total]
    if frequent:
        lines[0] += " The most frequent:"
        lines += [f"{group.count}x {' '.join(group.template)[:MAX_TEMPLATE]}" for group in frequent]
    text = "\n".join(lines)
    return [text if estimate(text) <= max(room, 0) + FRAME_TOKENS // 2 else total]
