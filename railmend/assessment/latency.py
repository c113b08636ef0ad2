"""Rules on latency: a level that rose, a slow share under a good median, short heavy bursts."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import history_of, share_above
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.statistics import Flags, Numbers, median, onset, quantile
from railmend.contracts.scan import Finding, FindingKind, Severity

# The level a service starts from: low, so that an incident as long as half of the slice does not hide itself.
BASE_QUANTILE = 0.25
# Of the past minutes so many are quicker than what is rare.
RARE = 0.97
BEYOND_RARE = 1.5


@dataclass(frozen=True)
class LatencyRise:
    onset: int
    base: float
    line: float
    level: float


def latency(look: MetricFrame) -> Finding | None:
    """At most one finding: the level before the tail before a burst."""
    if not look.slice.latency:
        return None
    if not look.has_past:
        return _absolute(look)
    return _level(look) or _burst(look)


def _requests(look: MetricFrame, steps: Flags) -> float:
    return float(look.total[steps].sum())


def _level(look: MetricFrame) -> Finding | None:
    """p95 a multiple of the service's own level, or the p99 alone a larger one."""
    s = look.settings
    rise = risen(look, look.p95, "p95", s.latency_floor_ms, s.latency_ratio)
    name = "p95"
    if rise is None:
        rise = risen(look, look.p99, "p99", s.tail_floor_ms, s.tail_ratio)
        name = "p99"
    if rise is None:
        return None
    ratio = rise.level / rise.base
    critical = name == "p95" and (ratio >= s.latency_critical_ratio or rise.level >= s.latency_critical_ms)
    p50 = look.p50[-look.recent :]
    typical = median(p50[np.isfinite(p50)])
    sentence = (
        f"The {name} of {look.service.name} rose from {rise.base:.0f} to {rise.level:.0f} ms since "
        f"{look.at(rise.onset):%H:%M}; the median request takes {typical:.0f} ms."
    )
    return look.finding(
        FindingKind.LATENCY,
        Severity.CRITICAL if critical else Severity.WARNING,
        (rise.level, rise.line, f"ms {name}"),
        rise.onset,
        margin(rise.level, rise.line),
        "level" if name == "p95" else "tail",
        sentence,
    )


def risen(look: MetricFrame, values: Numbers, name: str, floor: float, ratio: float) -> LatencyRise | None:
    """Whether most of the newest steps lie above `floor` and `ratio` times the level before the onset."""
    s = look.settings
    if np.count_nonzero(values[-look.recent :] >= floor) < look.steps(s.lasting_minutes):
        return None
    known = np.isfinite(values)
    base = baseline(look, values, known)
    if base is None:
        return None
    line = max(floor, ratio * base)
    bad = known & (values >= line)
    if np.count_nonzero(bad[-look.recent :]) < look.steps(s.lasting_minutes):
        return None
    start, last = onset(bad, known), int(np.flatnonzero(bad)[-1])
    during, before = known[start : last + 1], known[:start]
    if last < look.points - look.steps(s.ended_minutes) or before.sum() < look.steps(s.past_minutes):
        return None
    enough = _requests(look, bad & (np.arange(look.points) >= start)) >= s.latency_min_requests
    hits = int(bad[start:].sum())
    mostly = hits >= max(0.6 * during.sum(), look.steps(s.lasting_minutes))
    past = (bad[:start].sum() + 1) / (before.sum() + 2)  # Laplace's rule of succession
    sigmas = (hits - during.sum() * past) / np.sqrt(during.sum() * past * (1 - past))
    if not enough or not mostly or past > s.latency_usual_share or sigmas < s.burst_sigmas:
        return None
    if _known_of_old(look, name, line):
        return None
    newest = values[start : last + 1][during]
    level = median(newest[-look.steps(s.lasting_minutes) :])
    return LatencyRise(start, base, line, level) if level >= line else None


def baseline(look: MetricFrame, values: Numbers, known: Flags) -> float | None:
    """The level before the newest stretch, in the unit of the values; None: too little is known."""
    past = values[: -look.recent][known[: -look.recent]]
    if len(past) < look.steps(look.settings.past_minutes):
        return None
    return quantile(past, BASE_QUANTILE)


def _known_of_old(look: MetricFrame, name: str, line: float) -> bool:
    """Whether the history was above the line as often as makes it usual."""
    if look.history is None:
        return False
    old = history_of(look.history.latency.get(name, []))
    return share_above(old, line) > look.settings.latency_usual_share


def _burst(look: MetricFrame) -> Finding | None:
    """A few minutes in a row in which even the median request is far slower than anything usual.

    A service that has single such minutes now and then must have more of them than chance would bring: their
    number is taken for Poisson's, at the rate of the single ones before. Where there are many, only minutes
    slower than nearly all of them count.
    """
    s = look.settings
    p50, p95 = look.p50, look.p95
    if np.count_nonzero(p95[-look.recent :] >= s.burst_floor_ms) < look.steps(s.burst_minutes):
        return None
    known = np.isfinite(p50) & np.isfinite(p95)
    past = known[: -look.recent]
    if past.sum() < look.steps(s.past_minutes):
        return None
    before = [np.sort(values[: -look.recent][past]) for values in (p50, p95)]
    typical = [float(values[(len(values) - 1) // 2]) for values in before]
    rare = [float(values[int(RARE * (len(values) - 1))]) for values in before]
    usual = [s.burst_ratio * one for one in typical]
    extreme = [max(one, BEYOND_RARE * other) for one, other in zip(usual, rare, strict=True)]
    for line50, line95 in (usual, extreme):
        line95 = max(line95, s.burst_floor_ms)
        now = _unusual(look, known & (p95 >= line95) & (p50 >= line50), past)
        if now is None or _requests(look, now) < s.latency_min_requests or _known_of_old(look, "p95", line95):
            continue
        value = median(p95[now])
        sentence = (
            f"For {look.minutes(int(now.sum())):.0f} of the last {look.minutes(look.recent):.0f} min the p95 "
            f"of {look.service.name} was {value:.0f} ms or more; {typical[1]:.0f} ms are usual."
        )
        measured = (value, line95, "ms p95")
        start, confidence = int(np.flatnonzero(now)[0]), margin(value, line95)
        return look.finding(
            FindingKind.LATENCY, Severity.CRITICAL, measured, start, confidence, "burst", sentence
        )
    return None


def _unusual(look: MetricFrame, bad: Flags, past: Flags) -> Flags | None:
    """The newest bad steps, if enough of them are together and they are more than chance would bring."""
    s = look.settings
    least = look.steps(s.burst_minutes)
    now = bad.copy()
    now[: -look.recent] = False
    if now.sum() < least:
        return None
    together = _together(bad, least)
    single, usually = (
        float(flags[: -look.recent].sum()) / float(past.sum()) for flags in (bad & ~together, bad)
    )
    expected = look.recent * single
    enough = now.sum() >= expected + s.burst_sigmas * np.sqrt(expected) and usually <= s.latency_usual_share
    return now if enough and (together & now).any() else None


def _together(bad: Flags, least: int) -> Flags:
    """The bad steps that have at least `least` bad ones among `least` + 1 in a row."""
    width = least + 1
    counts = np.convolve(bad, np.ones(width, dtype=np.int64))  # counts[i]: of the `width` steps up to i
    full = (counts >= least).astype(np.int64)
    spread = np.convolve(full[::-1], np.ones(width, dtype=np.int64))[::-1]
    return bad & (spread[width - 1 :][: len(bad)] > 0)


def _absolute(look: MetricFrame) -> Finding | None:
    """Without a past: the median over the newest steps' p95 against a fixed limit."""
    s = look.settings
    half = look.points // 2
    recent = look.p95[half:]
    recent = recent[np.isfinite(recent)]
    if len(recent) < s.burst_minutes:
        return None
    value = median(recent)
    few = float(look.total[half:].sum()) < s.latency_min_requests / 2
    # Where each request takes that long, there cannot be many.
    if value < (s.latency_critical_ms if few else s.latency_ms):
        return None
    sentence = f"The slowest 5 % of the requests to {look.service.name} take {value:.0f} ms or longer."
    bad = look.p95 >= s.latency_ms
    return look.finding(
        FindingKind.LATENCY,
        Severity.CRITICAL if value >= s.latency_critical_ms else Severity.WARNING,
        (value, s.latency_ms, "ms p95"),
        int(np.flatnonzero(bad)[0]),
        margin(value, s.latency_ms),
        "absolute",
        sentence,
    )
