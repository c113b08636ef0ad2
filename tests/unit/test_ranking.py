"""What makes one group of log events more telling than another."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from railmend.evidence.event_groups import EventGroup
from railmend.evidence.frames import Folded
from railmend.evidence.log_level import LogLevel
from railmend.evidence.ranking import Span, rank, tells_new
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
