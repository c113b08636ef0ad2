"""Shapes of trouble that people report in public, and that no slice of old holds: found, at any length."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.shapes import CHRONIC, DAY, SHAPES, Service, Shape, T, between, newest, simulated
from commands.backtest import assess_recorded
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.settings import AssessmentRules
from railmend.contracts.scan import CHRONIC_KINDS, Finding, FindingKind, Severity

RULES = AssessmentRules()
HALF_HOUR = 1800
NAMES = sorted(SHAPES)
# What begins when a limit is reached is nothing below a higher one.
BY_LIMIT = {"small_and_killed", "spins_without_its_queue", "spins_after_reconnect", "page_cache_grows"}
TROUBLES = sorted(name for name, shape in SHAPES.items() if shape.kinds)


@cache
def _simulated(name: str, rate: float, phase: int) -> dict[str, Any]:
    return simulated(SHAPES[name].simulate, rate, phase=phase)


def _findings(row: dict[str, Any], minutes: int, *, history: bool = False, limit: float = 0) -> list[Finding]:
    recorded = Recorded.model_validate(newest(row, minutes))
    if limit:
        recorded = recorded.model_copy(update={"cpu_limit": limit, "memory_limit": limit})
    if history:
        day = Recorded.model_validate(between(row, 0, DAY))
        past = Recorded.from_slice("past", day.subject(), coarsen(day.slice(), HALF_HOUR))
        recorded = recorded.model_copy(update={"history": past})
    return [finding for finding in assess_recorded(recorded, RULES) if not finding.chronic]


def _is_right(shape: Shape, findings: list[Finding]) -> bool:
    if not shape.kinds:
        return not findings
    return bool(findings) and findings[0].kind.value in shape.kinds


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_is_judged_alike_at_any_length_and_with_the_day_before(name: str) -> None:
    shape = SHAPES[name]
    for rate in shape.rates:
        row = _simulated(name, rate, 0)
        for minutes in shape.windows:
            for history in (False, True):
                if history >= shape.needs_history:
                    found = _findings(row, minutes, history=history)
                    assert _is_right(shape, found), (rate, minutes, history, found)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_does_not_depend_on_the_phase_of_the_window(name: str) -> None:
    shape = SHAPES[name]
    row = _simulated(name, shape.rates[-1], 0)
    for earlier in range(3):
        found = _found_earlier(row, earlier)
        assert _is_right(shape, found), (earlier, found)


def _found_earlier(row: dict[str, Any], earlier: int) -> list[Finding]:
    recorded = Recorded.model_validate(between(row, len(T) - earlier - 180, len(T) - earlier))
    return [finding for finding in assess_recorded(recorded, RULES) if not finding.chronic]


@pytest.mark.parametrize("name", sorted({*TROUBLES} - BY_LIMIT))
def test_a_higher_limit_hides_nothing(name: str) -> None:
    shape = SHAPES[name]
    row = _simulated(name, shape.rates[-1], 0)
    for limit in (32.0, 64.0):
        assert _is_right(shape, _findings(row, 180, limit=limit)), limit


def test_more_failures_longer_failures_and_deeper_ones_are_found_and_are_no_less_grave() -> None:
    """In one minute of three and in each; from a tenth to all of the requests; for 20 to 150 minutes."""
    for rate in (12.0, 2000.0):
        for period in (3, 1):
            for minutes in (20, 150):
                worst = Severity.WARNING
                for share in (0.1, 0.3, 0.6, 1.0):

                    def simulate(s: Service, p: int = period, m: int = minutes, x: float = share) -> None:
                        s.failing[s.every(p) & (-m <= T)] = x

                    found = _findings(simulated(simulate, rate), 180)
                    assert found, (rate, period, minutes, share)
                    assert found[0].kind in (FindingKind.ERROR_RATE, FindingKind.OUTAGE)
                    grave = found[0].severity is Severity.CRITICAL
                    assert grave or worst is Severity.WARNING, (rate, period, minutes, share)
                    worst = found[0].severity


@pytest.mark.parametrize("kind", sorted(CHRONIC))
def test_what_was_always_bad_is_chronic_and_no_incident(kind: str) -> None:
    row = simulated(CHRONIC[kind], 400.0)
    for history in (False, True):
        assert _findings(row, 180, history=history) == []
    always = assess_recorded(Recorded.model_validate(newest(row, 180)), RULES)
    assert (always[0].kind.value, always[0].chronic) == (kind, True)
    assert kind in CHRONIC_KINDS, "what can be reported as chronic can be accepted"
    assert always[0].fingerprint.endswith(f"/{kind}.chronic")


def test_share_and_bound_of_a_sentence_come_from_one_stretch() -> None:
    """The bound is below the share, and both are what the counted requests make."""
    for seed in range(6):
        random = np.random.default_rng(seed)
        share, since, period = (
            float(random.uniform(0.05, 0.9)),
            int(random.integers(12, 170)),
            int(random.integers(1, 4)),
        )

        def simulate(s: Service, x: float = share, m: int = since, p: int = period) -> None:
            s.failing[s.every(p) & (-m <= T)] = x

        for finding in _findings(simulated(simulate, 150.0, seed), 180):
            if finding.kind is FindingKind.ERROR_RATE:
                words = finding.sentence.replace("(", "").replace("%)", "%").split()
                failed, total = int(words[0]), int(words[2])
                told = float(next(word for word in words if word.endswith("%")).rstrip("%"))
                bound = float(finding.sentence.partition("at least ")[2].partition("%")[0])
                assert told == pytest.approx(100 * failed / total, abs=0.51)
                assert bound <= told
