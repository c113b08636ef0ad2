"""Which slices are trouble, and which only look like it."""

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from railmend.assessment import assess
from railmend.contracts.scan import FindingKind, Severity
from railmend.railway.model import Series, Slice
from tests import samples

POINTS = 180


def look(step: int = 60, name: str = "checkout", **series: object) -> list[FindingKind]:
    one = Slice(
        service_id=f"id-{name}",
        start=samples.NOW - timedelta(seconds=step * POINTS),
        step_seconds=step,
        **series,  # type: ignore[arg-type]
    )
    return [f.kind for f in assess(one, samples.service(name), environment_id="env")]


def noisy(values: "np.typing.ArrayLike", share: float = 0.02) -> Series:
    values = np.asarray(values, dtype=float)
    wobble = np.random.default_rng(7).normal(0, share, len(values))
    return [float(v) for v in values * (1 + wobble)]


def flat(value: float) -> Series:
    return noisy(np.full(POINTS, value))


def http(ok: float, failed: float) -> dict[str, Series]:
    return {"2xx": [ok] * POINTS, "5xx": [failed] * POINTS}


RISING = np.linspace(0.2, 0.8, POINTS)
LEVELLED = 0.2 + 0.5 * (1 - np.exp(-np.arange(POINTS) / 20))
SAWTOOTH = np.concatenate([np.linspace(0.2, 0.9, 90), np.linspace(0.2, 0.9, 90)])
LIMIT: Series = [1.0] * POINTS


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ({"memory_gb": noisy(RISING), "memory_limit_gb": LIMIT}, [FindingKind.MEMORY_LEAK]),
        ({"memory_gb": noisy(RISING)}, [FindingKind.MEMORY_LEAK]),
        ({"memory_gb": noisy(SAWTOOTH), "memory_limit_gb": LIMIT}, [FindingKind.MEMORY_LEAK]),
        ({"memory_gb": noisy(LEVELLED), "memory_limit_gb": LIMIT}, []),
        ({"memory_gb": flat(0.8), "memory_limit_gb": LIMIT}, []),
        ({"memory_gb": flat(0.98), "memory_limit_gb": LIMIT}, [FindingKind.MEMORY_SATURATION]),
        ({"cpu": flat(7.9), "cpu_limit": [8.0] * POINTS, "http": http(500, 0)}, []),
        ({"http": http(95, 5)}, [FindingKind.ERROR_RATE]),
        ({"http": http(1000, 1)}, []),
        ({"http": {"2xx": [None] * POINTS, "5xx": [1.0, *[None] * (POINTS - 1)]}}, []),
        ({"http": http(10, 0), "latency": {"p95": flat(1800)}}, [FindingKind.LATENCY]),
        ({"http": http(10, 0), "latency": {"p95": flat(120)}}, []),
        ({"http": http(0, 0), "latency": {"p95": flat(1800)}}, []),
        ({}, []),
        ({"memory_gb": [0.5], "http": {"5xx": [1.0]}, "latency": {"p95": [9000.0]}}, []),
    ],
    ids=[
        "leak",
        "leak without a limit",
        "leak across a restart",
        "cache that levels off",
        "high and flat",
        "at the limit",
        "busy and well",
        "errors",
        "few errors of many",
        "one failed request",
        "slow",
        "quick",
        "slow without traffic",
        "nothing measured",
        "one sample",
    ],
)
def test_trouble_is_told_from_noise(series: dict[str, object], expected: list[FindingKind]) -> None:
    assert look(**series) == expected


def test_a_finding_explains_itself() -> None:
    one = Slice(
        service_id="id-checkout",
        start=samples.NOW,
        step_seconds=60,
        memory_gb=noisy(np.linspace(0.2, 0.95, POINTS), 0.0),
        memory_limit_gb=LIMIT,
    )
    (found,) = assess(one, samples.service(), environment_id="env")
    assert found.severity is Severity.CRITICAL
    assert found.value == pytest.approx(0.75 / (179 / 60), rel=0.01)
    assert found.unit == "GB/h"
    assert "from 0.200 to 0.950 GB" in found.sentence
    assert "limit of 1.00 GB is reached in 12 min" in found.sentence


def test_a_sleeping_service_is_left_in_peace() -> None:
    one = Slice(service_id="x", start=samples.NOW, step_seconds=60, http=http(0, 50))
    assert assess(one, samples.service(asleep=True), environment_id="env") == []


@pytest.mark.parametrize(
    ("status", "active", "kind", "severity"),
    [
        ("FAILED", "d0", FindingKind.DEPLOYMENT_FAILED, Severity.WARNING),
        ("FAILED", None, FindingKind.DEPLOYMENT_FAILED, Severity.CRITICAL),
        ("CRASHED", "d1", FindingKind.CRASH_LOOP, Severity.CRITICAL),
    ],
)
def test_the_newest_deployment_counts(
    status: str, active: str | None, kind: FindingKind, severity: Severity
) -> None:
    one = Slice(service_id="x", start=samples.NOW, step_seconds=60)
    service = samples.service(latest_status=status, active_deployment_id=active)
    (found,) = assess(one, service, environment_id="env")
    assert (found.kind, found.severity) == (kind, severity)


VALUES = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.just(math.nan)), max_size=60
)


@given(memory=VALUES, limit=VALUES, errors=VALUES, p95=VALUES)
def test_no_series_makes_it_raise(memory: Series, limit: Series, errors: Series, p95: Series) -> None:
    length = len(errors)
    one = Slice(
        service_id="x",
        start=samples.NOW,
        step_seconds=60,
        memory_gb=memory,
        memory_limit_gb=limit,
        http={"5xx": errors, "2xx": [1.0] * length},
        latency={"p95": p95},
    )
    assess(one, samples.service(), environment_id="env")
