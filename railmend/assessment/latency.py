"""Latency rules: a level that rose, a slow tail beside a good median, and short heavy bursts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import at_this_hour, history_of, share_above
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.recorded import PERCENTILES
from railmend.assessment.statistics import (
    OVERDUE,
    Flags,
    Numbers,
    finite,
    median,
    numbers,
    onset,
    quantile,
    share_onset,
    wilson,
)
from railmend.assessment.wording import milliseconds
from railmend.contracts.scan import Finding, FindingKind, Severity
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
# Low, so that an incident as long as half of the slice does not raise its own baseline.
BASE_QUANTILE = 0.25
# Share of past minutes that are faster than the rare ones.
RARE = 0.97
BEYOND_RARE = 1.5
# Requests at least this share as slow are of the same sort.
SAME = 0.5
# As slow as at this hour of the day before: at least this share of now.
AS_THEN = 0.7
# Minutes that keep coming back are at least this share of all: every sixth, or every fifteenth of an hour in
# which even the median request waits.
RECURS, RECURS_FOR_ALL = 1 / 6, 1 / 15


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


@dataclass(frozen=True)
class LatencyRise:
    """`onset`: a step; `base`, `line` (threshold) and `level` in milliseconds."""

    onset: int
    base: float
    line: float
    level: float


def latency(frame: MetricFrame) -> Finding | None:
    """Return at most one finding: a raised level, a slow tail, a burst, or minutes that keep coming back."""
    if not frame.slice.latency:
        return None
    if not frame.has_past:
        return _absolute(frame)
    hour = frame.steps(frame.settings.sparse_minutes)
    finding = (
        _level(frame)
        or _burst(frame)
        or _recurring(frame, frame.p95, frame.recent, RECURS, frame.settings.burst_floor_ms)
        # What is rarer must be felt: 1 s breaks the flow.
        or _recurring(frame, frame.p50, min(hour, frame.points), RECURS_FOR_ALL, frame.settings.latency_ms)
    )
    return None if finding is None else _weighed(frame, finding)


def _requests(frame: MetricFrame, steps: Flags) -> float:
    return float(frame.total[steps].sum())


def _level(frame: MetricFrame) -> Finding | None:
    """Compare the p95 with a multiple of the service's own level, then the p99 with a larger one."""
    s = frame.settings
    rise = _find_rise(frame, frame.p95, "p95", s.latency_floor_ms, s.latency_ratio)
    name = "p95"
    if rise is None:
        rise = _find_rise(frame, frame.p99, "p99", s.tail_floor_ms, s.tail_ratio)
        name = "p99"
    if rise is None:
        return None
    grave = rise.level >= min(s.latency_critical_ratio * rise.base, s.latency_critical_ms)
    critical = name == "p95" and grave
    typical = milliseconds(median(finite(frame.p50[-frame.recent :])))
    sentence = (
        f"The {name} of {frame.service.name} rose from {milliseconds(rise.base)} to "
        f"{milliseconds(rise.level)} since {frame.at(rise.onset):%H:%M}; the median request takes {typical}."
    )
    return frame.finding(
        FindingKind.LATENCY,
        Severity.CRITICAL if critical else Severity.WARNING,
        (rise.level, rise.line, f"ms {name}"),
        rise.onset,
        margin(rise.level, rise.line),
        "level" if name == "p95" else "tail",
        sentence,
    )


def _find_rise(
    frame: MetricFrame, values: Numbers, name: str, floor: float, ratio: float
) -> LatencyRise | None:
    """Return the rise if most of the newest steps lie above `floor` and `ratio` times the level before it."""
    s = frame.settings
    if np.count_nonzero(values[-frame.recent :] >= floor) < frame.steps(s.lasting_minutes):
        return None
    valid = np.isfinite(values)
    base = _base_level(frame, values, valid)
    if base is None:
        return None
    # It may have lasted since before the window: only the day before tells.
    day = _day_before(frame, name)
    lasted = len(day) > 0 and base >= s.latency_critical_ratio * median(day)
    base = median(day) if lasted else base
    line = max(floor, ratio * base)
    bad = valid & (values >= line)
    if np.count_nonzero(bad[-frame.recent :]) < frame.steps(s.lasting_minutes):
        return None
    start, last = onset(bad, valid), int(np.flatnonzero(bad)[-1])
    during, before = valid[start : last + 1], day < line if lasted else valid[:start]
    known = lasted or before.sum() >= frame.steps(s.lasting_minutes)
    if last < frame.points - frame.steps(s.ended_minutes) or not known:
        return None
    enough = _requests(frame, bad & (np.arange(frame.points) >= start)) >= s.latency_min_requests
    hits = int(bad[start:].sum())
    mostly = hits >= max(0.6 * during.sum(), frame.steps(s.lasting_minutes))
    usual = np.count_nonzero(~before) if lasted else bad[:start].sum()
    past = (usual + 1) / ((len(day) if lasted else before.sum()) + 2)  # Laplace's rule of succession
    sigmas = (hits - during.sum() * past) / np.sqrt(during.sum() * past * (1 - past))
    if not enough or not mostly or past > s.latency_usual_share or sigmas < s.burst_sigmas:
        return None
    newest = values[start : last + 1][during]
    level = median(newest[-frame.steps(s.lasting_minutes) :])
    if level < line or _usual_in_history(frame, name, line, level, start):
        return None
    if _same_requests(frame, level, start):
        return None
    return LatencyRise(start, base, line, level)


def _same_requests(frame: MetricFrame, level: float, start: int) -> bool:
    """Return whether requests as slow were usual before, so that only their share grew past a percentile.

    Sockets, uploads and exports are logged when they end: more of them lift the p95 while none got slower.
    """
    past = _past(frame, "p99", start)
    if not len(past) or share_above(past, SAME * level) <= frame.settings.latency_sort_share:
        return False
    before, now = _past(frame, "p50", start), finite(frame.p50[start:])
    return median(now) < frame.settings.latency_rest_ratio * median(before)


def _past(frame: MetricFrame, name: str, start: int) -> Numbers:
    """Return a percentile before a step; what began before the window has its past in the day before."""
    if start or frame.history is None:
        return finite(frame.percentile(name)[:start])
    return _day_before(frame, name)


def _day_before(frame: MetricFrame, name: str) -> Numbers:
    """Return a percentile's finite samples of the history; none without one."""
    return history_of(frame.history.latency.get(name, []) if frame.history is not None else [])


def _weighed(frame: MetricFrame, finding: Finding) -> Finding | None:
    """Return the finding, but for one that a shifted mix of requests explains: none, or a warning at most.

    The rows of requests tell it by route. Without them, where the median, CPU and 5xx stand still, slow
    requests of which fewer than one runs at once (Little 1961) may be a single client's.
    """
    requests, name = frame.slice.requests, finding.unit.removeprefix("ms ")
    slower = became_slower(*requests, SAME * finding.value) if requests else None
    before = np.arange(frame.points) < frame.step(finding.onset)
    slow = ~before & (frame.percentile(name) >= finding.threshold)
    if slower or not slow.any():
        return finding
    failing, _ = wilson(float(frame.failed[slow].sum()), float(frame.total[slow].sum()))
    # What began before the window has its past in the day before.
    cpu = history_of(frame.history.cpu if frame.history is not None else [])
    moved = failing >= frame.settings.error_share or any(
        median(finite(values[slow]))
        >= frame.settings.latency_rest_ratio * median(finite(values[before]) if before.any() else old)
        for values, old in ((frame.p50, _day_before(frame, "p50")), (frame.cpu, cpu))
    )
    if slower is None and moved:
        return finding
    busy = _slow_requests(frame, finding.threshold, ~before) * finding.value
    if slower is False or busy < 60_000 * frame.minutes(int(np.count_nonzero(~before))):
        return None
    return finding.model_copy(update={"severity": Severity.WARNING})


def _slow_requests(frame: MetricFrame, line: float, steps: Flags) -> float:
    """Return about how many requests of these steps took longer: linear between percentiles."""
    names, ranks = zip(*PERCENTILES.items(), strict=True)
    columns = np.stack([frame.percentile(name)[steps] for name in names]).T
    shares = [1 - np.interp(line, column, ranks, right=1) for column in columns]
    return float(np.nansum(frame.total[steps] * shares))


def _recurring(
    frame: MetricFrame, waits: Numbers, newest: int, recurs: float, floor: float
) -> Finding | None:
    """Find minutes far slower than usual that keep coming back, as when one worker of several blocks.

    `waits`: the percentile that must be slow beside the p95, in the share `recurs` of the `newest` steps.
    `floor`: how slow the p95 must be at least, in ms.
    """
    s = frame.settings
    values = frame.p95
    valid = np.isfinite(values)
    base, other = (_base_level(frame, each, np.isfinite(each)) for each in (values, waits))
    if base is None or other is None:
        return None
    line = max(floor, s.burst_ratio * base)
    bad = valid & (values >= line) & (waits >= s.burst_ratio * other)
    hits = np.flatnonzero(bad[-newest:])
    few = len(hits) < max(frame.steps(s.burst_minutes), recurs * newest)
    if few or hits[-1] - hits[0] < frame.steps(s.lasting_minutes):
        return None
    last, share = int(np.flatnonzero(bad)[-1]), len(hits) / max(int(valid[-newest:].sum()), 1)
    start = share_onset(bad.astype(float), valid.astype(float), share / 4, share)
    span, before = valid[start : last + 1].sum(), valid[:start].sum()
    count, past = float(bad[start:].sum()), (bad[:start].sum() + 1) / (before + 2)
    short = span < min(newest, 2 * frame.recent) or before < 2 * frame.recent or count < recurs * span
    if short or frame.points - last > max(frame.steps(s.ended_minutes), OVERDUE * np.diff(hits).max()):
        return None
    sigmas = (count - span * past) / np.sqrt(span * past * (1 - past))
    level = median(values[start:][bad[start:]])
    rare = share_above(values[:start][valid[:start]], line) < s.cpu_usual_share
    if sigmas < s.burst_sigmas or not rare or _requests(frame, bad) < s.latency_min_requests:
        return None
    if _usual_in_history(frame, "p95", line, level, start) or _same_requests(frame, level, start):
        return None
    sentence = (
        f"In {frame.minutes(int(count)):.0f} of the last {frame.minutes(frame.points - start):.0f} min the "
        f"p95 of {frame.service.name} was {milliseconds(line)} or more, {milliseconds(level)} as a rule; "
        f"{milliseconds(base)} is usual."
    )
    severity = Severity.CRITICAL if level >= s.latency_ms else Severity.WARNING
    confidence = margin(level, line)
    return frame.finding(
        FindingKind.LATENCY, severity, (level, line, "ms p95"), start, confidence, "recurring", sentence
    )


def _base_level(frame: MetricFrame, values: Numbers, valid: Flags) -> float | None:
    """Return the level before the newest stretch, in the unit of the values; None with too few samples.

    Where most of the slice is far slower than its beginning, that is the level.
    """
    past, oldest = values[: -frame.recent][valid[: -frame.recent]], finite(values[: frame.oldest])
    least = frame.steps(frame.settings.past_minutes)
    if len(past) < least:
        return None
    base = quantile(past, BASE_QUANTILE)
    began = median(oldest) if len(oldest) >= least else base
    return began if base >= frame.settings.latency_ratio * began else base


def _usual_in_history(frame: MetricFrame, name: str, line: float, level: float, start: int) -> bool:
    """Return whether the history was nearly as slow often, or about as slow as now at this hour.

    Its percentiles are those of more requests: they may lie above the line, and now far above them.
    """
    if frame.history is None:
        return False
    old = _day_before(frame, name)
    if share_above(old, max(line, level / frame.settings.latency_ratio)) > frame.settings.latency_usual_share:
        return True
    then = at_this_hour(frame, start, lambda past: numbers(past.latency.get(name, [])), highest=True)
    return then >= max(line, AS_THEN * level)


def _burst(frame: MetricFrame) -> Finding | None:
    """Find a few consecutive minutes in which even the median request is far slower than usual.

    A service with isolated slow minutes must have more of them than chance explains: their number is taken
    as Poisson distributed, at the rate of the isolated ones before. Where such minutes are frequent, only
    those slower than nearly all of them count.
    """
    s = frame.settings
    p50, p95 = frame.p50, frame.p95
    if np.count_nonzero(p95[-frame.recent :] >= s.burst_floor_ms) < frame.steps(s.burst_minutes):
        return None
    valid = np.isfinite(p50) & np.isfinite(p95)
    past = valid[: -frame.recent]
    if past.sum() < frame.steps(s.past_minutes):
        return None
    before = [np.sort(values[: -frame.recent][past]) for values in (p50, p95)]
    typical = [float(values[(len(values) - 1) // 2]) for values in before]
    rare = [float(values[int(RARE * (len(values) - 1))]) for values in before]
    usual = [s.burst_ratio * level for level in typical]
    extreme = [max(line, BEYOND_RARE * level) for line, level in zip(usual, rare, strict=True)]
    for line50, line95 in (usual, extreme):
        line95 = max(line95, s.burst_floor_ms)
        now = _unusual(frame, valid & (p95 >= line95) & (p50 >= line50), past)
        if now is None or _requests(frame, now) < s.latency_min_requests:
            continue
        value = median(p95[now])
        if _usual_in_history(frame, "p95", line95, value, int(np.flatnonzero(now)[0])):
            continue
        sentence = (
            f"For {frame.minutes(int(now.sum())):.0f} of the last {frame.minutes(frame.recent):.0f} min the "
            f"p95 of {frame.service.name} was {milliseconds(value)} or more; {milliseconds(typical[1])} is "
            "usual."
        )
        measured = (value, line95, "ms p95")
        start, confidence = int(np.flatnonzero(now)[0]), margin(value, line95)
        return frame.finding(
            FindingKind.LATENCY, Severity.CRITICAL, measured, start, confidence, "burst", sentence
        )
    return None


def _unusual(frame: MetricFrame, bad: Flags, past: Flags) -> Flags | None:
    """Return the newest bad steps if enough are consecutive and they are more than chance explains."""
    s = frame.settings
    least = frame.steps(s.burst_minutes)
    now = bad.copy()
    now[: -frame.recent] = False
    if now.sum() < least:
        return None
    clustered = _clustered(bad, least)
    single, usually = (
        float(flags[: -frame.recent].sum()) / float(past.sum()) for flags in (bad & ~clustered, bad)
    )
    expected = frame.recent * single
    enough = now.sum() >= expected + s.burst_sigmas * np.sqrt(expected) and usually <= s.latency_usual_share
    return now if enough and (clustered & now).any() else None


def _clustered(bad: Flags, least: int) -> Flags:
    """Return the bad steps that lie in a run of `least` + 1 steps of which at least `least` are bad."""
    width = least + 1
    counts = np.convolve(
        bad, np.ones(width, dtype=np.int64)
    )  # counts[i]: bad ones of the `width` steps up to i
    full = (counts >= least).astype(np.int64)
    spread = np.convolve(full[::-1], np.ones(width, dtype=np.int64))[::-1]
    return bad & (spread[width - 1 :][: len(bad)] > 0)


def _absolute(frame: MetricFrame) -> Finding | None:
    """Compare the median of the newest steps' p95 with a fixed limit, for a slice without a past."""
    s = frame.settings
    half = frame.points // 2
    recent = frame.p95[half:]
    recent = recent[np.isfinite(recent)]
    if len(recent) < s.burst_minutes:
        return None
    value = median(recent)
    few = float(frame.total[half:].sum()) < s.latency_min_requests / 2
    # Slow requests are few: a lower count then needs a higher latency.
    if value < (s.latency_critical_ms if few else s.latency_ms):
        return None
    sentence = (
        f"The slowest 5 % of the requests to {frame.service.name} take {milliseconds(value)} or longer."
    )
    bad = frame.p95 >= s.latency_ms
    return frame.finding(
        FindingKind.LATENCY,
        Severity.CRITICAL if value >= s.latency_critical_ms else Severity.WARNING,
        (value, s.latency_ms, "ms p95"),
        int(np.flatnonzero(bad)[0]),
        margin(value, s.latency_ms),
        "absolute",
        sentence,
    )
