"""Troubles that began before the window, come back seldom, or are few: each as single public reports tell."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.shapes import DAY, Service, T, between, newest, simulated, since
from commands.backtest import assess_recorded
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.settings import AssessmentRules
from railmend.contracts.scan import Finding, FindingKind, Severity

RULES = AssessmentRules()


def _found(
    simulate: Callable[[Service], None], rate: float, *, history: bool = False, minutes: int = 180
) -> list[Finding]:
    row = simulated(simulate, rate)
    recorded = Recorded.model_validate(newest(row, minutes))
    if history:
        day = Recorded.model_validate(between(row, 0, DAY))
        past = Recorded.from_slice("past", day.subject(), coarsen(day.slice(), 1800))
        recorded = recorded.model_copy(update={"history": past})
    return [finding for finding in assess_recorded(recorded, RULES) if not finding.chronic]


def grows_all_day(s: Service) -> None:
    """Grow to 20 s within ten hours (yegor256/jare#24)."""
    s.median_ms = 80 + 8000 * np.maximum(T + 540, 0) / 540


def slow_since_last_night(s: Service) -> None:
    s.median_ms = np.where(since(400), 900.0, 80.0)


def four_days(s: Service) -> None:
    """Grow from 250 MB to 16 GB in four days (aniketcodes.in)."""
    s.memory_limit, s.memory = 32.0, 0.25 + 0.164 * (T + 1620) / 60


def spins_for_hours(s: Service) -> None:
    s.web, s.cpu_limit, s.cpu = False, 1.0, np.where(since(200), 0.99, 0.1)


@pytest.mark.parametrize(
    ("simulate", "kind"),
    [
        (grows_all_day, FindingKind.LATENCY),
        (slow_since_last_night, FindingKind.LATENCY),
        (four_days, FindingKind.MEMORY_LEAK),
        (spins_for_hours, FindingKind.CPU_SATURATION),
    ],
)
def test_the_day_before_tells_what_began_before_the_window(
    simulate: Callable[[Service], None], kind: FindingKind
) -> None:
    assert [finding.kind for finding in _found(simulate, 60, history=True)][:1] == [kind]
    assert _found(simulate, 60) == [], "without it nobody can tell that it was ever otherwise"


def fills_a_cache(s: Service) -> None:
    s.memory_limit, s.memory = 32.0, 0.5 + 4 * (1 - np.exp(-(T + 1620) / 400))


def as_each_day(s: Service) -> None:
    s.median_ms = np.where(np.isin(np.floor_divide(T, 300) % 5, (3, 4)), 900.0, 80.0)


@pytest.mark.parametrize("simulate", [fills_a_cache, as_each_day])
def test_the_day_before_makes_no_trouble_of_what_levels_off_or_comes_each_day(
    simulate: Callable[[Service], None],
) -> None:
    assert _found(simulate, 60, history=True) == []


def killed_now_and_then(s: Service, period: int = 27) -> None:
    """Be killed each 20 to 30 minutes without any climb (Screenly/Anthias#2915)."""
    s.web, s.memory_limit = False, 1.0
    s.memory = np.minimum(0.74 * s.random.lognormal(0, 0.09, len(T)), 0.93)
    at = np.flatnonzero((T + 7) % period == 0)
    s.memory[at - 1], s.memory[at] = 0.985, 0.0
    s.memory[np.minimum(at + 1, len(T) - 1)] = 0.3


@pytest.mark.parametrize("minutes", [60, 180])
@pytest.mark.parametrize("period", [23, 27])
def test_a_process_that_is_killed_again_and_again_is_found_between_two_kills(
    minutes: int, period: int
) -> None:
    found = _found(lambda s: killed_now_and_then(s, period), 1, minutes=minutes)
    assert (found[0].kind, found[0].severity) == (FindingKind.RESTART, Severity.CRITICAL)
    assert f"times since {found[0].onset:%H:%M}, every" in found[0].sentence


def pauses(s: Service, period: int = 10, begun: int = 90) -> None:
    """Let everything wait for a minute of each ten (benoitc/gunicorn#538)."""
    s.median_ms[s.every(period) & since(begun)] = 40_000


def test_a_minute_of_ten_in_which_everything_waits_is_found_if_it_is_new() -> None:
    assert _found(pauses, 150)[0].rule == "latency.recurring"
    assert _found(lambda s: pauses(s, 14, 95), 150)[0].rule == "latency.recurring"
    assert _found(lambda s: pauses(s, 18, 2000), 150) == [], "always so"
    assert _found(lambda s: pauses(s, 25), 150) == [], "seldom"


def test_nearly_all_refused_of_a_request_a_minute_is_found() -> None:
    """All users are refused since a release (DISSINET/InkVisitor#2305, d-r-e/rncp#181)."""

    def refused(s: Service, share: float = 0.95) -> None:
        s.refused[since(55)] = share

    assert _found(refused, 1.2)[0].kind is FindingKind.CLIENT_ERRORS
    assert _found(lambda s: refused(s, 0.2), 1.2) == []
