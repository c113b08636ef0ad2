"""Rules on latency: a level that rose, a slow share under a good median, short heavy bursts."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.look import Look, margin
from railmend.assessment.past import history_of, share_above
from railmend.assessment.statistics import Flags, Numbers, median, onset, quantile
from railmend.contracts.scan import Finding, FindingKind, Severity

# The level a service starts from: low, so that an incident as long as half of the slice does not hide itself.
BASE_QUANTILE = 0.25


@dataclass(frozen=True)
class Rise:
    onset: int
    base: float
    line: float
    level: float


def latency(look: Look) -> Finding | None:
    """At most one finding: the level before the tail before a burst."""
    if not look.slice.latency:
        return None
    if not look.has_past:
        return _absolute(look)
    return _level(look) or _burst(look)


def _requests(look: Look, steps: Flags) -> float:
    return float(look.total[steps].sum())


def _level(look: Look) -> Finding | None:
    """p95 a multiple of the service's own level, or the p99 alone a larger one."""
    s = look.settings
    rise = risen(look, look.p95, "p95", s.latency_floor_ms, s.latency_ratio)
    name = "p95"
    if rise is None:
        rise = risen(look, look.percentile("p99"), "p99", s.tail_floor_ms, s.tail_ratio)
        name = "p99"
    if rise is None:
        return None
    ratio = rise.level / rise.base
    critical = name == "p95" and (ratio >= s.latency_critical_ratio or rise.level >= s.latency_critical_ms)
    p50 = look.percentile("p50")[-look.recent :]
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


def risen(look: Look, values: Numbers, name: str, floor: float, ratio: float) -> Rise | None:
    """Whether most of the newest steps lie above `floor` and `ratio` times the level before the onset."""
    s = look.settings
    known = np.isfinite(values)
    base = baseline(look, values, known)
    if base is None:
        return None
    line = max(floor, ratio * base)
    bad = known & (np.nan_to_num(values) >= line)
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
    return Rise(start, base, line, median(newest[-look.steps(s.lasting_minutes) :]))


def baseline(look: Look, values: Numbers, known: Flags) -> float | None:
    """The level before the newest stretch, in the unit of the values; None: too little is known."""
    past = values[: -look.recent][known[: -look.recent]]
    if len(past) < look.steps(look.settings.past_minutes):
        return None
    return quantile(past, BASE_QUANTILE)


def _known_of_old(look: Look, name: str, line: float) -> bool:
    """Whether the history was above the line as often as makes it usual."""
    if look.history is None:
        return False
    old = history_of(look.history.latency.get(name, []))
    return share_above(old, line) > look.settings.latency_usual_share


def _burst(look: Look) -> Finding | None:
    """A few minutes in a row in which even the median request is far slower than anything usual.

    A service that has single such minutes now and then must have more of them than chance would bring: their
    number is taken for Poisson's, at the rate of the single ones before.
    """
    s = look.settings
    known = np.isfinite(look.p95)
    past = known[: -look.recent]
    if past.sum() < look.steps(s.past_minutes):
        return None
    p50 = look.percentile("p50")
    usual = [median(values[: -look.recent][past & np.isfinite(values[: -look.recent])]) for values in (p50, look.p95)]
    line = max(s.burst_floor_ms, s.burst_ratio * usual[1])
    bad = (np.nan_to_num(look.p95) >= line) & (np.nan_to_num(p50) >= s.burst_ratio * usual[0])
    least = look.steps(s.burst_minutes)
    together = _together(bad, least)
    now = bad.copy()
    now[: -look.recent] = False
    if not (together & now).any() or now.sum() < least:
        return None
    single, usually = (float(flags[: -look.recent].sum()) / float(past.sum()) for flags in (bad & ~together, bad))
    expected = look.recent * single
    if usually > s.latency_usual_share or now.sum() < expected + s.burst_sigmas * np.sqrt(expected):
        return None
    if _requests(look, now) < s.latency_min_requests or _known_of_old(look, "p95", line):
        return None
    value = median(look.p95[now])
    sentence = (
        f"For {look.minutes(int(now.sum())):.0f} of the last {look.minutes(look.recent):.0f} min the p95 of "
        f"{look.service.name} was {value:.0f} ms or more; {usual[1]:.0f} ms are usual."
    )
    return look.finding(
        FindingKind.LATENCY,
        Severity.CRITICAL,
        (value, line, "ms p95"),
        int(np.flatnonzero(now)[0]),
        margin(value, line),
        "burst",
        sentence,
    )


def _together(bad: Flags, least: int) -> Flags:
    """The bad steps that have at least `least` bad ones among `least` + 1 in a row."""
    width = least + 1
    counts = np.convolve(bad, np.ones(width, dtype=np.int64))  # counts[i]: of the `width` steps up to i
    full = (counts >= least).astype(np.int64)
    spread = np.convolve(full[::-1], np.ones(width, dtype=np.int64))[::-1]
    return bad & (spread[width - 1 :][: len(bad)] > 0)


def _absolute(look: Look) -> Finding | None:
    """Without a past: the median over the newest steps' p95 against a fixed limit."""
    s = look.settings
    half = look.points // 2
    recent = look.p95[half:]
    recent = recent[np.isfinite(recent)]
    if len(recent) < s.burst_minutes or float(look.total[half:].sum()) < s.latency_min_requests / 2:
        return None
    value = median(recent)
    if value < s.latency_ms:
        return None
    sentence = f"The slowest 5 % of the requests to {look.service.name} take {value:.0f} ms or longer."
    bad = np.nan_to_num(look.p95) >= s.latency_ms
    return look.finding(
        FindingKind.LATENCY,
        Severity.CRITICAL if value >= s.latency_critical_ms else Severity.WARNING,
        (value, s.latency_ms, "ms p95"),
        int(np.flatnonzero(bad)[0]),
        margin(value, s.latency_ms),
        "absolute",
        sentence,
    )
