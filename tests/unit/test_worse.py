"""A trouble never disappears by becoming worse, by lasting longer, by more history or by another phase."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from bench.shapes import DAY, Service, T, between, newest, simulated
from commands.backtest import assess_recorded
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.settings import AssessmentRules
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


def _gone(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    """Take the process away, so that this share of requests fails."""

    def simulate(s: Service) -> None:
        s.memory, s.failing[-minutes <= T] = np.where(-minutes <= T, np.nan, 0.22), bad

    return simulate


def _die(bad: float, minutes: int, period: int) -> Callable[[Service], None]:
    """Die every four minutes, with this share of requests lost while nothing runs."""

    def simulate(s: Service) -> None:
        dying = (-minutes <= T) & s.every(4, 2)
        s.memory = np.where(dying, 0.05, np.where(-minutes <= T, 0.2, 0.4))
        s.failing[dying] = bad

    return simulate


LEVELS: dict[Trouble, Sequence[float]] = {
    _fail: (0.03, 0.1, 0.3, 0.6, 0.95, 1.0),
    _refuse: (0.15, 0.3, 0.6, 0.9, 1.0),
    _slow: (3, 6, 20, 100, 400),
    _leak: (0.2, 0.5, 1, 2, 2.5),
    _leave: (0.5, 0.7, 0.9, 0.97, 1.0),
    _busy: (0.8, 0.9, 0.98, 1.2),
    _gone: (0.5, 0.9, 1.0, 1.0),
    _die: (0.2, 0.5, 0.9, 1.0),
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


# Two windows and several pasts are looked at of one simulation.
_made = lru_cache(64)(lambda trouble, bad, minutes, period: trouble(bad, minutes, period))
_simulated = lru_cache(64)(simulated)


def _grave(
    simulate: Callable[[Service], None], rate: float, window: int = 180, days: int = 0, earlier: int = 0
) -> int:
    """Return 0 for nothing, 1 for a warning, 2 for critical."""
    row = _simulated(simulate, rate)
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
            told = [_grave(_made(trouble, bad, minutes, period), rate, window) for bad in LEVELS[trouble]]
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


@pytest.mark.parametrize("trouble", sorted({*LEVELS} - {_leak}, key=str))
def test_windows_of_half_an_hour_an_hour_and_three_tell_alike(trouble: Trouble) -> None:
    for minutes in (12, 18):
        simulate = trouble(LEVELS[trouble][-2], minutes, 1)
        told = {window: _grave(simulate, 150.0, window) for window in (30, 60, 180)}
        first = 60 if trouble in (_leave, _refuse) or minutes > 15 else 30  # a past to compare with
        assert all(grave for window, grave in told.items() if window >= first), (minutes, told)


@pytest.mark.parametrize("trouble", sorted({*LEVELS} - {_busy, _leak}, key=str))
def test_a_higher_limit_hides_no_trouble(trouble: Trouble) -> None:
    row = newest(simulated(trouble(LEVELS[trouble][-2], 25, 1), 150.0), 180)
    for limit in (0.5, 8.0, 64.0, None):
        recorded = Recorded.model_validate({**row, "cpu_limit": limit, "memory_limit": limit})
        assert assess_recorded(recorded, RULES), limit


def _memory(values: np.ndarray[Any, np.dtype[np.float64]], window: int) -> Recorded:
    """Return the newest minutes of a worker's memory, with the day before them as its history."""
    noisy = values * (1 + 0.01 * np.random.default_rng(4).standard_normal(len(T)))
    row = {"id": "m", "service": "app", "start": 1_772_000_000, "step_seconds": 60}
    whole = Recorded.model_validate({**row, "memory_gb": noisy.tolist(), "cpu": [0.1] * len(T)})
    past = coarsen(whole.slice().between(0, len(T) - window), HALF_HOUR)
    now = Recorded.from_slice("now", whole.subject(), whole.slice().between(len(T) - window, len(T)))
    return now.model_copy(update={"history": Recorded.from_slice("past", whole.subject(), past)})


@pytest.mark.parametrize("limit", [None, 4.0, 32.0])
@pytest.mark.parametrize("period", [20, 38, 55, 75, 90, 130, 170])
def test_a_wave_that_comes_back_is_no_leak_at_any_phase_and_one_that_outgrows_all_before_is(
    period: int, limit: float | None
) -> None:
    for phase in range(0, period, max(period // 6, 1)):
        at = ((T + phase) % period) / period
        for wave in (0.5 + 0.5 * at, 0.9 + 0.4 * np.sin(2 * np.pi * at)):
            for window in (60, 180):
                now = _memory(wave, window).model_copy(update={"memory_limit": limit})
                assert assess_recorded(now, RULES) == [], (phase, window)
    grown = np.where(T < -100, 0.5 + 0.5 * (T % period) / period, 0.75 + (T + 100) / 60)
    assert assess_recorded(_memory(grown, 180).model_copy(update={"memory_limit": limit}), RULES)


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
