"""Tell a service that became slower from one that is asked for its slow routes more often."""

from collections import Counter
from collections.abc import Iterable, Sequence

from railmend.assessment.statistics import wilson
from railmend.evidence.templates import route
from railmend.railway.model import HttpLogLine

# A web socket's request lasts as long as its connection.
UPGRADED = 101
# Share of the slow requests that must be of routes that were as slow before, or not asked for.
EXPLAINED = 0.5
# A route was as slow if it had at least this part of its present share of slow requests.
AS_SLOW = 0.5
# So many slow rows tell anything.
FEWEST = 3
Routes = Counter[tuple[str, str]]


def became_slower(before: Sequence[HttpLogLine], now: Sequence[HttpLogLine], line_ms: float) -> bool | None:
    """Return whether any route has more slow requests than before, by Wilson's bounds.

    False if its mix of routes explains that a service is slower; None if too few rows tell. `line_ms`: from
    which duration on a request is slow.
    """
    (slow_then, all_then), (slow_now, all_now) = _counts(before, line_ms), _counts(now, line_ms)
    if slow_now.total() < FEWEST or not before:
        return None
    explained = 0
    for name, slow in slow_now.items():
        share = slow / all_now[name]
        if wilson(slow, all_now[name])[0] > wilson(slow_then[name], all_then[name])[1]:
            return True
        if slow_then[name] >= AS_SLOW * share * all_then[name]:
            explained += slow
    return False if explained >= EXPLAINED * slow_now.total() else None


def _counts(rows: Iterable[HttpLogLine], line_ms: float) -> tuple[Routes, Routes]:
    """Return the slow requests and all of them, by method and route."""
    slow, every = Routes(), Routes()
    for row in rows:
        if row.status != UPGRADED:
            name = row.method, route(row.path)
            every[name] += 1
            slow[name] += row.duration_ms >= line_ms
    return +slow, every
