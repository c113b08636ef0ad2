"""What makes one group of log events more telling than another."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from railmend.evidence.event_groups import EventGroup
from railmend.evidence.frames import Folded
from railmend.evidence.log_level import LogLevel
from railmend.evidence.ranking import RankedGroup, Span, rank, tells_new
from railmend.evidence.report import HIGH_SCORE, LOW_SCORE, MAX_EVENT_TOKENS, render
from railmend.evidence.tokens import estimate
from tests import samples

ONSET = samples.NOW
HOUR = timedelta(hours=1)
ROWS = 10_000


def group(
    text: str,
    level: LogLevel = LogLevel.ORDINARY,
    *,
    at: timedelta = HOUR / 2,
    until: timedelta = HOUR,
    trace: tuple[str | None, int] = (None, 0),
    **fields: Any,
) -> EventGroup:
    """Events from `at` to `until` after the onset. `trace`: the innermost own frame, and how many frames."""
    made = EventGroup(
        text.split(),
        level,
        Folded((text,), own=trace[0], frames=trace[1]),
        {},
        first=ONSET + at,
        last=ONSET + until,
        last_position=0,
        latest=text,
        on_stderr=False,
        access=False,
        variants={},
        count=1,
    )
    return replace(made, **fields)


ERROR, NOTICE = LogLevel.ERROR, LogLevel.NOTICE
NEARBY = timedelta(seconds=5)
# The first of two says more than the second.
PAIRS = {
    "a trace through the service's own code": (
        group("a b", ERROR, trace=("cart.py", 2)),
        group("c d", ERROR, trace=(None, 2)),
    ),
    "any trace": (group("a b", ERROR, trace=(None, 2)), group("c d", ERROR)),
    "what is on standard error, where little is": (group("a b", on_stderr=True), group("c d")),
    "a rare line at the onset": (group("a b", NOTICE, at=NEARBY), group("c d", NOTICE)),
    "a rare line at the onset, though it came again": (
        group("a b", NOTICE, at=NEARBY, count=2),
        group("c d", NOTICE, at=-HOUR / 2, until=NEARBY, count=2, before=1),
    ),
    "a line of the program, not an access": (
        group("a b", NOTICE, at=NEARBY),
        group("c d", NOTICE, at=NEARBY, access=True),
    ),
    "a warning, not what is often said around the onset": (
        group("a b", LogLevel.WARNING),
        group("c d", NOTICE, at=NEARBY, count=9),
    ),
    "what grew": (
        group("a b", ERROR, before=10, count=100, at=-HOUR),
        group("c d", ERROR, before=50, count=100, at=-HOUR),
    ),
    "what is new": (group("a b", ERROR, count=100), group("c d", ERROR, before=20, count=100, at=-HOUR)),
    "a fault, not advice": (group("disk is slow", ERROR), group("x is deprecated", ERROR)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_one_group_says_more_than_another(pair: tuple[EventGroup, EventGroup]) -> None:
    span = Span(onset=ONSET, start=ONSET - HOUR, end=ONSET + HOUR, stderr_share=0.01)
    for order in (pair, pair[::-1]):
        first, second = rank(order, span, ROWS)
        assert first.group is pair[0]
        assert first.score > second.score


def test_the_end_of_a_build_says_more_than_its_beginning() -> None:
    span = Span(build=True, start=ONSET, end=ONSET + HOUR)
    groups = [group("copied 9 files", last_position=10), group("no space left", last_position=ROWS - 5)]
    assert [ranked.group for ranked in rank(groups, span, ROWS)] == groups[::-1]


@pytest.mark.parametrize(("before", "after", "told"), [(60, 60, True), (10, 1, False), (60, 6000, False)])
def test_what_is_new_can_be_told_where_enough_came_before(before: int, after: int, told: bool) -> None:
    start, end = ONSET - timedelta(seconds=before), ONSET + timedelta(seconds=after)
    assert tells_new(start, ONSET, end) is told
    (ranked,) = rank([group("a b", ERROR, count=9)], Span(onset=ONSET, start=start, end=end), ROWS)
    assert ranked.new is told


SPAN = Span(onset=ONSET, start=ONSET - HOUR, end=ONSET + HOUR)


def rendered(groups: list[EventGroup], score: float, budget: int = 2000) -> str:
    ranked = [RankedGroup(each, score, new=False) for each in groups]
    return render(ranked, SPAN, rows=ROWS, forgotten=0, budget=budget)[0]


def test_what_is_left_out_is_counted_by_kinds_warnings_and_events() -> None:
    text = rendered([group("a", count=50), group("b", LogLevel.WARNING, count=7), group("c", count=3)], 0)
    assert (
        "Left out: 3 kinds of event, 1 of them warnings or errors (60 events). The most frequent:\n50x a"
        in text
    )


def test_lines_that_are_rare_and_no_more_get_a_part_of_the_room() -> None:
    groups = [group(f"{n} " + "word " * 20) for n in range(60)]
    assert estimate(rendered(groups, LOW_SCORE - 1)) < estimate(rendered(groups, LOW_SCORE)) / 1.5


def test_of_a_long_event_the_beginning_and_the_end_are_shown() -> None:
    lines = ("Error: outer", *(f"  at step {n} of the long way" for n in range(900)), "Caused by: inner")
    made = group("x", ERROR)
    text = rendered([replace(made, example=made.example._replace(lines=lines))], HIGH_SCORE)
    assert "Error: outer" in text
    assert "(lines left out)" in text
    assert "Caused by: inner" in text
    assert estimate(text) <= MAX_EVENT_TOKENS + 100


def test_a_group_that_takes_over_another_counts_all_that_came_before() -> None:
    mine, other = group("a", before=1, count=2), group("b", before=3, count=4)
    mine.absorb(other)
    assert (mine.before, mine.count) == (4, 6)
