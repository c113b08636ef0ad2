"""A trouble never disappears by becoming worse, by lasting longer, by more history or by another phase."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from bench.shapes import DAY, Service, T, between, newest, simulated
from commands.backtest import assess_recorded
from railmend.assessment.overrides import AssessmentRules
from railmend.assessment.recorded import Recorded, coarsen
from railmend.contracts.scan import Severity

RULES = AssessmentRules()
HALF_HOUR = 1800
# Of a trouble: how bad it is, since how many minutes, in every which minute.
Trouble = Callable[[float, int, int], Callable[[Service], None]]


def _fail(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    def simulate(s: Service) -> None:
        s.failing[s.every(period) & (-minutes <= T)] = bad

    return simulate


def _refuse(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    def simulate(s: Service) -> None:
        s.refused[s.every(period) & (-minutes <= T)] = bad

    return simulate


def _slow(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    def simulate(s: Service) -> None:
        s.median_ms[s.every(period) & (-minutes <= T)] *= bad

    return simulate


def _leak(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    def simulate(s: Service) -> None:
        s.memory = np.minimum(np.where(-minutes <= T, 0.3 + bad * (T + minutes) / 60, 0.3), 7.9)

    return simulate


def _leave(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    def simulate(s: Service) -> None:
        s.rate[-minutes <= T] *= 1 - bad

    return simulate


def _busy(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    def simulate(s: Service) -> None:
        s.cpu[-minutes <= T] = s.cpu_limit * min(bad, 1)
        s.median_ms[-minutes <= T] *= 3 * bad

    return simulate


LEVELS: dict[Trouble, Sequence[float]] = {
    _fail: (0.03, 0.1, 0.3, 0.6, 0.95, 1.0),
    _refuse: (0.15, 0.3, 0.6, 0.9, 1.0),
    _slow: (3, 6, 20, 100, 400),
    _leak: (0.2, 0.5, 1, 2, 2.5),
    _leave: (0.5, 0.7, 0.9, 0.97, 1.0),
    _busy: (0.8, 0.9, 0.98, 1.2),
}
INTERMITTENT = (_fail, _refuse, _slow)


def _weeks(day: Recorded, days: int) -> Recorded:
    """Return a history of so many days, all like this one."""
    whole = coarsen(day.slice(), HALF_HOUR)
    past = Recorded.from_slice("past", day.subject(), whole)

    def repeated(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: repeated(part) for name, part in value.items()}
        return value * days if isinstance(value, list) else value

    names = ("cpu", "memory_gb", "http", "latency_ms")
    start = past.start.timestamp() - (days - 1) * 86_400
    more = {name: repeated(getattr(past, name)) for name in names}
    return Recorded.model_validate({**past.model_dump(), **more, "start": start})


def _grave(
    simulate: Callable[[Service], None], rate: float, window: int = 180, days: int = 0, earlier: int = 0
) -> int:
    """Return 0 for nothing, 1 for a warning, 2 for critical."""
    row = simulated(simulate, rate)
    recorded = Recorded.model_validate(between(row, len(T) - earlier - window, len(T) - earlier))
    if days:
        day = Recorded.model_validate(between(row, 0, DAY))
        recorded = recorded.model_copy(update={"history": _weeks(day, days)})
    found = [finding for finding in assess_recorded(recorded, RULES) if not finding.chronic]
    return 0 if not found else 2 if found[0].severity is Severity.CRITICAL else 1


@pytest.mark.parametrize("trouble", LEVELS)
@pytest.mark.parametrize("rate", [12.0, 2000.0])
def test_deeper_trouble_is_found_and_is_no_less_grave(trouble: Trouble, rate: float) -> None:
    for period in (3, 1) if trouble in INTERMITTENT else (1,):
        for minutes, window in ((20, 60), (20, 180), (150, 180)):
            told = [_grave(trouble(bad, minutes, period), rate, window) for bad in LEVELS[trouble]]
            assert told == sorted(told), (period, minutes, window, told)
            assert told[-1] or trouble is _leak, (period, minutes, window)


@pytest.mark.parametrize("trouble", LEVELS)
def test_what_lasts_longer_is_still_found_at_any_phase_and_with_any_history(trouble: Trouble) -> None:
    worst = LEVELS[trouble][-2]
    for minutes in (65, 95, 130):
        simulate = trouble(worst, minutes, 1)
        assert _grave(simulate, 150.0), minutes
        for days in (1, 8):
            assert _grave(simulate, 150.0, days=days), (minutes, days)
        for earlier in (1, 7, 13):
            assert _grave(simulate, 150.0, earlier=earlier), (minutes, earlier)


@pytest.mark.parametrize("trouble", [_slow, _leave])
def test_a_short_time_of_it_yesterday_does_not_make_two_hours_of_it_usual(trouble: Trouble) -> None:
    def simulate(s: Service) -> None:
        trouble(0.9 if trouble is _leave else 20, 120, 1)(s)
        short = (T >= -DAY - 90) & (T < -DAY - 60)  # a whole step of the history
        if trouble is _slow:
            s.median_ms[short] *= 20
        else:
            s.rate[short] *= 0.1

    row = simulated(simulate, 150.0)
    day = Recorded.model_validate(between(row, 0, DAY))
    now = Recorded.model_validate(newest(row, 180)).model_copy(update={"history": _weeks(day, 1)})
    assert assess_recorded(now, RULES)
