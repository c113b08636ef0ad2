"""What findings say, as people say it: rounded, in units in which numbers are neither tiny nor huge."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.detection import generate
from bench.shapes import CHRONIC, SHAPES, newest, simulated
from commands.backtest import assess_recorded
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.settings import AssessmentRules
from railmend.assessment.wording import duration, gigabytes, milliseconds, per_minute, percent, rounded
from railmend.contracts.scan import Finding

RULES = AssessmentRules()
# What no person says: shares of nothing, zero durations, steps, tiny or unrounded numbers, powers of ten.
WRONG = re.compile(
    r"\ba step\b|\b0 (?:min|h|ms|s|MB|GB)\b|\b0\.\d+ (?:GB|h|s)\b|\b\d{4,} (?:ms|MB|min)\b|"
    r"\d\.\d{3,}|\d{2,}\.\d{2,}|\d{3,}\.\d|\de[+-]\d|\bnan\b|\binf\b|\.0\b(?! %)|\b1 times\b"
)


def _recordings() -> Iterator[Recorded]:
    for row, _ in generate(each=3, seed=29):
        recorded = Recorded.model_validate(row)
        yield recorded
        coarse = coarsen(recorded.slice(), 300)  # steps of five minutes
        yield Recorded.from_slice("coarse", recorded.subject(), coarse)
    for simulate in (*(shape.simulate for shape in SHAPES.values()), *CHRONIC.values()):
        yield Recorded.model_validate(newest(simulated(simulate, 12.0), 180))


def _findings() -> list[Finding]:
    return [finding for recorded in _recordings() for finding in assess_recorded(recorded, RULES)]


def test_every_sentence_is_one_that_a_person_would_say() -> None:
    findings = _findings()
    assert len({finding.rule for finding in findings}) >= 18
    for finding in findings:
        assert not WRONG.search(finding.sentence), finding.sentence
        assert finding.unit != "requests a step"


def test_the_same_traffic_is_told_alike_at_any_step() -> None:
    """A fall to a tenth, sampled each minute and every five minutes."""
    told = []
    for size in (1, 5):
        kept = 180 // size
        counts = [150.0 * size] * (kept - 30 // size) + [15.0 * size] * (30 // size)
        recorded = Recorded.model_validate(
            {
                "id": "fall",
                "service": "app",
                "start": 1_772_000_000,
                "step_seconds": 60 * size,
                "cpu": [0.1] * kept,
                "memory_gb": [0.2] * kept,
                "http": {"2xx": counts},
            }
        )
        (finding,) = assess_recorded(recorded, RULES)
        told.append(re.search(r"fell from .* a minute", finding.sentence))
        assert (finding.value, finding.unit) == (15.0, "requests a minute")
    assert [match and match.group() for match in told] == ["fell from 150 to 15 a minute"] * 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (gigabytes(0.034), "34 MB"),
        (gigabytes(0.9998), "1 GB"),
        (gigabytes(1.234), "1.2 GB"),
        (gigabytes(31.6), "32 GB"),
        (duration(0.2), "less than a minute"),
        (duration(119), "119 min"),
        (duration(150), "2.5 h"),
        (duration(60 * 72), "3 days"),
        (milliseconds(420.4), "420 ms"),
        (milliseconds(28_400), "28 s"),
        (milliseconds(1400), "1.4 s"),
        (percent(0.0004), "less than 0.1%"),
        (percent(0.9996), "more than 99%"),
        (percent(1.0), "100%"),
        (percent(0.017), "1.7%"),
        (percent(0.04), "4%"),
        (gigabytes(5e-235), "0 MB"),
        (percent(0.266), "27%"),
        (per_minute(0.25), "one every 4 min"),
        (per_minute(1234.5), "1234 a minute"),
    ],
)
def test_numbers_are_said_as_people_say_them(said: str, expected: str) -> None:
    assert said == expected


@given(st.floats(1e-5, 1e6), st.integers(1, 4))
def test_rounding_keeps_the_number(value: float, digits: int) -> None:
    assert float(rounded(value, digits)) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) + 1e-9)
