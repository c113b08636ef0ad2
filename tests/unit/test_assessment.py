"""Which slices are trouble, and which only look like it."""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from railmend.assessment.rules import assess
from railmend.assessment.screening import is_candidate
from railmend.assessment.settings import AssessmentRules, AssessmentSettings, Ignore
from railmend.contracts.scan import Finding, FindingKind, ServiceKind, Severity
from railmend.railway.model import Series, Slice
from tests import samples

POINTS = 180


def slice_of(step: int = 60, points: int = POINTS, name: str = "checkout", **series: Any) -> Slice:
    start = samples.NOW - timedelta(seconds=step * points)
    return Slice(service_id=f"id-{name}", start=start, step_seconds=step, **series)


def findings_of(original: Slice, **options: Any) -> list[Finding]:
    return assess(original, samples.service("checkout"), environment_id="env", **options)


def kinds(**series: Any) -> list[FindingKind]:
    return [finding.kind for finding in findings_of(slice_of(**series))]


def noisy(values: Any, share: float = 0.02, seed: int = 7) -> Series:
    values = np.asarray(values, dtype=float)
    wobble = np.random.default_rng(seed).normal(0, share, len(values))
    return [float(v) for v in values * (1 + wobble)]


def flat(value: float, share: float = 0.02) -> Series:
    return noisy(np.full(POINTS, value), share)


def since(minutes: int, before: float, after: float, points: int = POINTS) -> Series:
    """One level, and another for the newest minutes."""
    return noisy([*[before] * (points - minutes), *[after] * minutes])


def http(ok: Any, failed: Any = 0.0, refused: Any = 0.0) -> dict[str, Series]:
    every = {"2xx": ok, "4xx": refused, "5xx": failed}
    return {name: v if isinstance(v, list) else [float(v)] * POINTS for name, v in every.items()}


def latency(p95: Series) -> dict[str, Series]:
    return {"p50": [None if v is None else v / 2 for v in p95], "p95": p95, "p99": p95}


RISING = np.linspace(0.2, 0.8, POINTS)
LEVELLED = 0.2 + 0.5 * (1 - np.exp(-np.arange(POINTS) / 20))
SAWTOOTH = np.concatenate([np.linspace(0.2, 0.97, 90), np.linspace(0.2, 0.9, 90)])
COLLECTED = 0.5 + 0.3 * (np.arange(POINTS) % 40) / 40
WITH_TRAFFIC = 1 + 0.6 / (1 + np.exp(-(np.arange(POINTS) - 110) / 15))
LIMIT: Series = [1.0]
CORES: Series = [8.0]
BATCH = np.where(np.arange(POINTS) % 40 < 10, 0.95, 0.1) * 8
CRASHES = [None if i >= 150 and i % 5 in (3, 4) else (0.1 if i >= 150 else 0.5) for i in range(POINTS)]
M = FindingKind


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ({"memory_gb": noisy(RISING), "memory_limit_gb": LIMIT}, [M.MEMORY_LEAK]),
        ({"memory_gb": noisy(RISING)}, [M.MEMORY_LEAK]),
        ({"memory_gb": noisy(SAWTOOTH), "memory_limit_gb": LIMIT}, [M.MEMORY_LEAK]),
        ({"memory_gb": noisy(LEVELLED), "memory_limit_gb": LIMIT}, []),
        ({"memory_gb": noisy(COLLECTED, 0.005), "memory_limit_gb": LIMIT}, []),
        (
            {
                "memory_gb": noisy(0.4 * WITH_TRAFFIC, 0.002),
                "memory_limit_gb": LIMIT,
                "http": http(noisy(500 * WITH_TRAFFIC)),
            },
            [],
        ),
        ({"memory_gb": flat(0.85), "memory_limit_gb": LIMIT}, []),
        ({"memory_gb": since(20, 0.4, 0.98), "memory_limit_gb": LIMIT}, [M.MEMORY_SATURATION]),
        ({"memory_gb": flat(0.99, 0.001), "memory_limit_gb": LIMIT}, [M.MEMORY_SATURATION]),
        ({"cpu": flat(7.9), "cpu_limit": CORES, "http": http(500)}, []),
        ({"cpu": noisy(BATCH), "cpu_limit": CORES}, []),
        ({"cpu": since(30, 1, 7.9), "cpu_limit": CORES}, [M.CPU_SATURATION]),
        (
            {
                "cpu": since(30, 1, 7.9),
                "cpu_limit": CORES,
                "http": http(500),
                "latency": latency(since(30, 10, 30)),
            },
            [M.CPU_SATURATION],
        ),
        ({"http": http(95, 5)}, [M.ERROR_RATE]),
        ({"http": http(1000, 1)}, []),
        ({"http": http([None] * POINTS, [1.0, *[None] * (POINTS - 1)])}, []),
        ({"http": http(500, [0.0] * 178 + [300.0, 0.0])}, []),
        ({"http": http(since(20, 500, 250), 0, since(20, 5, 255))}, [M.CLIENT_ERRORS]),
        ({"http": http(flat(500), 0, since(20, 5, 500))}, []),
        ({"http": http(400, 0, 100)}, []),
        ({"http": http(flat(500)), "latency": latency(since(20, 100, 600))}, [M.LATENCY]),
        ({"http": http(flat(500)), "latency": latency(since(20, 5, 20))}, []),
        ({"http": http(flat(500)), "latency": latency(flat(1800))}, []),
        ({"http": http(0), "latency": latency(since(20, 100, 900))}, []),
        ({"http": http(since(20, 500, 100))}, [M.TRAFFIC_DROP]),
        ({"http": http([5.0] * 160 + [0.0] * 20), "memory_gb": [0.5] * 160 + [None] * 20}, [M.OUTAGE]),
        ({"http": http(since(15, 500, 0), since(15, 0, 500))}, [M.OUTAGE]),
        ({"cpu": since(20, 2, 0.001), "cpu_limit": CORES}, [M.OUTAGE]),
        ({"memory_gb": [0.5] * 165 + [None] * 15}, [M.OUTAGE]),
        ({"memory_gb": [0.5] * 160 + [None] * 6 + [0.5] * 14}, []),
        ({"memory_gb": CRASHES, "http": http(since(30, 50, 20), since(30, 0, 30))}, [M.CRASH_LOOP]),
        ({}, []),
        ({"memory_gb": [0.5], "http": {"5xx": [1.0]}, "latency": {"p95": [9000.0]}}, []),
    ],
    ids=[
        "leak",
        "leak without a limit",
        "leak across kills",
        "cache that levels off",
        "collector's saw-tooth",
        "memory that follows traffic",
        "high and flat",
        "reached its limit",
        "always at the limit",
        "busy and well",
        "batch work",
        "worker newly at its limit",
        "slow for want of CPU",
        "errors",
        "few errors of many",
        "one failed request",
        "one bad minute",
        "refused in place of served",
        "scanned for what is not there",
        "always many 4xx",
        "slower than before",
        "multiplied and still quick",
        "always slow",
        "slow without traffic",
        "fewer requests",
        "gone with its process",
        "nothing but 5xx",
        "a worker that does nothing any more",
        "a worker that is gone",
        "samples that got lost",
        "dies again and again",
        "nothing measured",
        "one sample",
    ],
)
def test_trouble_is_told_from_noise(series: dict[str, Any], expected: list[FindingKind]) -> None:
    assert kinds(**series) == expected


def test_a_finding_explains_itself() -> None:
    (leak,) = findings_of(
        slice_of(memory_gb=noisy(np.linspace(0.2, 0.95, POINTS), 0.0), memory_limit_gb=LIMIT)
    )
    assert leak.severity is Severity.CRITICAL
    assert leak.value == pytest.approx(0.75 / (179 / 60), rel=0.01)
    assert leak.unit == "GB/h"
    assert leak.rule == "memory_leak.slope"
    assert "to 950 MB" in leak.sentence
    assert "limit of 1 GB is reached in 12 min" in leak.sentence
    assert leak.sentence.endswith("The day before was not there to compare with.")


def test_the_onset_is_when_it_began() -> None:
    rising = np.concatenate([np.full(100, 0.3), np.linspace(0.3, 0.8, 80)])
    (leak,) = findings_of(slice_of(memory_gb=noisy(rising, 0.003), memory_limit_gb=LIMIT))
    assert abs(leak.onset - (samples.NOW - timedelta(minutes=80))) <= timedelta(minutes=10)
    (slow,) = findings_of(slice_of(http=http(flat(500)), latency=latency(since(25, 100, 600))))
    assert slow.onset == samples.NOW - timedelta(minutes=25)
    assert (slow.threshold, slow.unit) == (pytest.approx(250, rel=0.05), "ms p95")


@pytest.mark.parametrize(
    ("series", "severity"),
    [
        ({"http": http(since(20, 500, 485), since(20, 0, 15))}, Severity.WARNING),
        ({"http": http(since(20, 500, 250), since(20, 0, 250))}, Severity.CRITICAL),
        ({"http": http(since(20, 500, 200))}, Severity.WARNING),
        ({"http": http(since(20, 500, 50))}, Severity.CRITICAL),
        ({"http": http(flat(500)), "latency": latency(since(20, 100, 280))}, Severity.WARNING),
        ({"http": http(flat(500)), "latency": latency(since(20, 100, 500))}, Severity.CRITICAL),
        ({"memory_gb": noisy(RISING * 0.5, 0.005), "memory_limit_gb": LIMIT}, Severity.WARNING),
    ],
    ids=[
        "one endpoint",
        "half fails",
        "less traffic",
        "hardly any",
        "slower",
        "much slower",
        "hours are left",
    ],
)
def test_severity_follows_what_users_feel(series: dict[str, Any], severity: Severity) -> None:
    assert [finding.severity for finding in findings_of(slice_of(**series))] == [severity]


def test_what_piles_up_behind_something_slow_follows_from_it() -> None:
    slow = {"http": http(flat(500)), "latency": latency(since(60, 100, 3000)), "memory_limit_gb": LIMIT}
    piled_up = noisy([*[0.2] * 120, *np.linspace(0.2, 0.5, 60)], 0.003)
    leaked = noisy(np.linspace(0.2, 0.9, POINTS), 0.003)
    assert kinds(memory_gb=piled_up, **slow) == [M.LATENCY, M.MEMORY_LEAK]
    assert kinds(memory_gb=leaked, **slow) == [M.MEMORY_LEAK, M.LATENCY]


def test_a_warning_must_last_and_a_critical_burst_need_not() -> None:
    brief = slice_of(http=http(flat(500)), latency=latency(since(3, 100, 280)))
    burst = slice_of(http=http(flat(500)), latency=latency(since(3, 100, 4000)))
    over = slice_of(http=http(flat(500)), latency=latency([*since(60, 100, 600)[:-30], *[100.0] * 30]))
    assert findings_of(brief) == findings_of(over) == []
    assert [finding.rule for finding in findings_of(burst)] == ["latency.burst"]


def test_without_a_past_absolute_limits_decide() -> None:
    """A platform that samples each second, and a slice of less than a minute."""
    slow = slice_of(step=1, points=55, http={"2xx": [10.0] * 55}, latency=latency([1800.0] * 55))
    assert [finding.rule for finding in findings_of(slow)] == ["latency.absolute"]


def day_before(**series: Any) -> Slice:
    start = samples.NOW - timedelta(minutes=POINTS, hours=24)
    return Slice(service_id="id-checkout", start=start, step_seconds=1800, **series)


def test_what_the_day_before_shows_is_usual() -> None:
    fewer = slice_of(http=http(since(20, 500, 100)))
    full_of_memory = slice_of(memory_gb=noisy(RISING, 0.005), memory_limit_gb=LIMIT)
    night = day_before(http={"2xx": [3000.0] * 48})
    wave = day_before(memory_gb=[*np.linspace(0.2, 0.85, 24), *np.linspace(0.2, 0.6, 24)])
    assert findings_of(fewer)
    assert findings_of(full_of_memory)
    assert findings_of(fewer, history=night) == []
    assert findings_of(full_of_memory, history=wave) == []
    assert findings_of(fewer, history=day_before(http={"2xx": [15000.0] * 48}))
    assert findings_of(fewer, history=day_before())
    young = day_before(memory_gb=[None] * 48, http={"2xx": [None] * 48})
    assert findings_of(fewer, history=young)
    half_a_day = {"memory_gb": [None] * 24 + [0.5] * 24, "http": {"2xx": [None] * 24 + [15000.0] * 24}}
    assert findings_of(fewer, history=day_before(**half_a_day))


def test_what_fails_since_the_first_deployment_is_not_usual_for_want_of_better() -> None:
    """A request every two minutes, and every second one fails."""
    served, failed = [1.0, 0.0, 0.0, 0.0] * 45, [0.0, 0.0, 1.0, 0.0] * 45
    failing = slice_of(http=http(served, failed))
    assert [finding.rule for finding in findings_of(failing)] == ["error_rate.share"]
    (always,) = findings_of(failing, history=day_before(http={"2xx": [8.0] * 48, "5xx": [7.0] * 48}))
    assert (always.kind, always.chronic) == (M.ERROR_RATE, True)
    assert findings_of(failing, history=day_before(http={"2xx": [15.0] * 48, "5xx": [0.0] * 48}))


def test_a_sleeping_service_is_left_in_peace() -> None:
    original = slice_of(http=http(0, 50))
    service = samples.service(asleep=True)
    assert assess(original, service, environment_id="env") == []
    assert not is_candidate(original, service)


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
    service = samples.service(latest_status=status, active_deployment_id=active)
    (finding,) = assess(slice_of(), service, environment_id="env")
    assert (finding.kind, finding.severity) == (kind, severity)
    assert is_candidate(slice_of(), service)


@pytest.mark.parametrize(
    ("fill", "disk", "severity"),
    [
        (0.5, [], None),
        (0.92, [], Severity.WARNING),
        (0.98, [], Severity.CRITICAL),
        (None, np.linspace(4, 6, POINTS), Severity.WARNING),
        (None, np.linspace(6, 6.01, POINTS), None),
    ],
    ids=["half full", "nearly full", "full", "full in six hours", "hardly growing"],
)
def test_a_volume_that_fills_up(fill: float | None, disk: Any, severity: Severity | None) -> None:
    original = slice_of(disk_gb=[float(v) for v in disk], disk_limit_gb=[10.0])
    findings = assess(original, samples.service(volume_fill=fill), environment_id="env")
    assert [finding.severity for finding in findings] == ([severity] if severity else [])
    assert is_candidate(original, samples.service(volume_fill=fill)) or not severity


def test_a_cron_job_that_ended_is_no_outage() -> None:
    ended = slice_of(memory_gb=[0.5] * 165 + [None] * 15)
    assert assess(ended, samples.service(kind=ServiceKind.CRON), environment_id="env") == []


def test_thresholds_of_ones_own() -> None:
    slow = slice_of(http=http(flat(500)), latency=latency(since(20, 100, 600)))
    tolerant = AssessmentRules(services={"checkout": {"latency_ratio": 8, "burst_ratio": 20}})
    assert findings_of(slow, settings=AssessmentSettings(latency_ratio=8, burst_ratio=20)) == []
    assert findings_of(slow, settings=tolerant) == []
    assert findings_of(slow, settings=AssessmentRules(services={"other": {"latency_ratio": 8}}))
    with pytest.raises(ValidationError, match=r"services.checkout: no such threshold: latency_ration"):
        AssessmentRules(services={"checkout": {"latency_ration": 8}})
    with pytest.raises(ValidationError, match="latency_ratio"):
        AssessmentRules(services={"checkout": {"latency_ratio": 0.5}})


def test_a_project_s_rules_are_laid_over_the_general_ones() -> None:
    general = AssessmentRules(error_share=0.02, services={"checkout": {"latency_ms": 500}})
    ignore = Ignore(service="blog", until=date(2026, 12, 31))
    project = AssessmentRules(services={"checkout": {"cpu_share": 0.9}}, ignore=(ignore,))
    both = general.over(project)
    assert both.settings_for(samples.service("checkout")).model_dump(
        include={"error_share", "latency_ms", "cpu_share"}
    ) == {"error_share": 0.02, "latency_ms": 500, "cpu_share": 0.9}
    assert both.ignore == (ignore,)


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        (Ignore(service="checkout", until=samples.NOW.date()), 0),
        (Ignore(service="check*", kind=FindingKind.LATENCY, until=samples.NOW.date()), 0),
        (Ignore(service="checkout", kind=FindingKind.MEMORY_LEAK, until=samples.NOW.date()), 1),
        (Ignore(service="other", until=samples.NOW.date()), 1),
        (Ignore(service="checkout", until=samples.NOW.date() - timedelta(days=1)), 1),
    ],
    ids=["everything", "its latency", "another kind", "another service", "expired"],
)
def test_findings_to_ignore(ignore: Ignore, left: int) -> None:
    slow = slice_of(http=http(flat(500)), latency=latency(since(20, 100, 600)))
    assert len(findings_of(slow, settings=AssessmentRules(ignore=(ignore,)))) == left


# -- properties

TROUBLED = {
    "leak": {"memory_gb": noisy(RISING, 0.01), "memory_limit_gb": LIMIT, "http": http(flat(100))},
    "errors": {
        "memory_gb": flat(0.3),
        "memory_limit_gb": LIMIT,
        "http": http(since(30, 100, 80), since(30, 0, 20)),
    },
    "slow": {"http": http(flat(500)), "latency": latency(since(25, 100, 700))},
    "busy": {"cpu": since(40, 1, 7.9), "cpu_limit": CORES},
    "well": {
        "cpu": flat(1),
        "cpu_limit": CORES,
        "memory_gb": flat(0.3),
        "memory_limit_gb": LIMIT,
        "http": http(flat(500), 0, flat(5)),
        "latency": latency(flat(80)),
    },
}


def verdict(original: Slice) -> list[tuple[FindingKind, Severity]]:
    return [(finding.kind, finding.severity) for finding in findings_of(original)]


@given(
    case=st.sampled_from(sorted(TROUBLED)),
    days=st.integers(-900, 900),
    factor=st.sampled_from([0.001, 0.5, 1024]),
)
@settings(max_examples=40, deadline=None)
def test_time_and_units_do_not_matter(case: str, days: int, factor: float) -> None:
    original = slice_of(**TROUBLED[case])
    scaled = {
        name: [None if v is None else v * factor for v in getattr(original, name)]
        for name in ("cpu", "cpu_limit", "memory_gb", "memory_limit_gb")
    }
    moved = original.model_copy(update={**scaled, "start": original.start + timedelta(days=days)})
    assert verdict(moved) == verdict(original)


@given(case=st.sampled_from(sorted(TROUBLED)), seed=st.integers(0, 10_000), share=st.floats(0, 0.1))
@settings(max_examples=60, deadline=None)
def test_a_tenth_of_the_samples_may_be_lost(case: str, seed: int, share: float) -> None:
    original = slice_of(**TROUBLED[case])
    lost = np.random.default_rng(seed).random(POINTS) < share

    def thinned(series: Series) -> Series:
        return [None if len(series) == POINTS and gone else v for v, gone in zip(series, lost, strict=False)]

    fewer = original.model_copy(
        update={
            "cpu": thinned(original.cpu),
            "memory_gb": thinned(original.memory_gb),
            "http": {name: thinned(series) for name, series in original.http.items()},
            "latency": {name: thinned(series) for name, series in original.latency.items()},
        }
    )
    assert verdict(fewer) == verdict(original)


@given(case=st.sampled_from(sorted(TROUBLED)), more=st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_constant_far_from_the_limit_does_not_matter(case: str, more: float) -> None:
    """Memory against a limit of 100 GB, with a constant on both."""
    original = slice_of(**TROUBLED[case])
    wide = {
        "memory_gb": [None if v is None else v * 100 for v in original.memory_gb],
        "memory_limit_gb": [100.0],
    }
    shifted = {"memory_gb": [None if v is None else v * 100 - more for v in original.memory_gb]}
    base = original.model_copy(update=wide)
    assert verdict(base.model_copy(update=shifted)) == verdict(base)


VALUES = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.just(math.nan)), max_size=60
)


@given(
    memory=VALUES,
    limit=VALUES,
    cpu=VALUES,
    errors=VALUES,
    p95=VALUES,
    disk=VALUES,
    step=st.sampled_from([1, 60, 600]),
)
@settings(deadline=None)
def test_no_series_makes_it_raise(
    memory: Series, limit: Series, cpu: Series, errors: Series, p95: Series, disk: Series, step: int
) -> None:
    original = slice_of(
        step=step,
        cpu=cpu,
        cpu_limit=limit,
        memory_gb=memory,
        memory_limit_gb=limit,
        http={"5xx": errors, "2xx": [1.0] * len(errors), "4xx": memory},
        latency={"p50": p95, "p95": p95},
        disk_gb=disk,
        disk_limit_gb=limit,
    )
    findings_of(original, history=original)
    is_candidate(original, samples.service())


# What comes and goes in a rhythm: a few steps again and again, then a few others, as cliffs and gaps do.
RHYTHM = st.lists(
    st.tuples(st.lists(st.sampled_from([None, 0.0, 1.0, 500.0]), min_size=1, max_size=4), st.integers(1, 60)),
    min_size=1,
    max_size=3,
).map(lambda parts: [value for steps, times in parts for value in steps * times][:POINTS])


@given(rhythms=st.tuples(*[RHYTHM] * 7), limit=st.sampled_from([1.0, 500.0]))
@settings(deadline=None, max_examples=300)
def test_no_rhythm_makes_it_raise(rhythms: tuple[Series, ...], limit: float) -> None:
    ok, refused, failed, p50, p95, memory, cpu = (each + [0.0] * (POINTS - len(each)) for each in rhythms)
    original = slice_of(
        http={"2xx": ok, "4xx": refused, "5xx": failed},
        latency={"p50": p50, "p95": p95},
        memory_gb=memory,
        memory_limit_gb=[limit],
        cpu=cpu,
        cpu_limit=[limit],
    )
    findings_of(original)
    findings_of(original, history=original)
