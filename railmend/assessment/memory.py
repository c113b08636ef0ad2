"""Memory: leaks, told from caches, collectors and traffic; and memory at its limit."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import history_of
from railmend.assessment.frame import MetricFrame
from railmend.assessment.restarts import MemoryDrop, falls, kills
from railmend.assessment.statistics import (
    Numbers,
    Steps,
    blocks,
    correlation,
    detrended,
    finite,
    mann_kendall,
    median,
    onset,
    spread,
    theil_sen,
)
from railmend.contracts.scan import Finding, FindingKind, Severity

# A leak may begin within the slice: the longest of these newest parts that rises throughout tells since when.
PARTS = (1.0, 2 / 3, 1 / 2, 1 / 3)
MIN_BLOCKS = 8
# Share of its slope at which a rise has not ended.
STILL = 0.3
# Share of the whole rise that the onset may have behind it.
BEGUN = 0.05
LAG = 4


@dataclass(frozen=True)
class MemoryRise:
    """`slope`: GB a step; `share`: of rising pairs; `start`: first step looked at; `onset`: of the rise."""

    start: int
    onset: int
    slope: float
    share: float
    first: float
    last: float


def memory_leak(look: MetricFrame) -> Finding | None:
    """Memory that keeps rising: Theil-Sen slope, Mann-Kendall share, no levelling off, not its usual wave."""
    index = np.flatnonzero(np.isfinite(look.memory))
    if len(index) < look.steps(look.settings.leak_min_minutes) // 2:
        return None
    values = look.memory[index]
    found = falls(values, look.settings.collected_fall)
    killed = kills(look, found)
    if killed:
        return _killed(look, index, values, found, killed)
    start = _life(look, values, found)
    if start is None:
        return None
    rise = _rise(look, index[start:], values[start:])
    if rise is None or _seen_before(look, rise.last):
        return None
    hours = _hours_left(look, rise)
    if hours is not None and hours > look.settings.leak_horizon_hours:
        return None
    soon = hours is not None and hours <= look.settings.leak_urgent_minutes / 60
    short = look.points - rise.start < look.steps(look.settings.leak_sure_minutes)
    if not soon and (short or _by_traffic(look, index[start:], values[start:], rise)):
        return None
    return _leak(look, rise, hours)


def _life(look: MetricFrame, values: Numbers, found: list[MemoryDrop]) -> int | None:
    """Position at which the life begins that is judged; None: the rise is the usual wave."""
    if not found:
        return 0
    collected = [one for one in found if one.depth < look.settings.restart_fall]
    restarts = [one for one in found if one.depth >= look.settings.restart_fall]
    waves = collected if len(restarts) < 2 else found
    if waves and values[-1] <= 1.05 * max(one.peak for one in waves):
        return None
    return found[-1].at


def _rise(look: MetricFrame, index: Steps, values: Numbers) -> MemoryRise | None:
    s = look.settings
    least = look.steps(s.leak_min_minutes)
    total = len(values)
    quick = values[-max(total // 10, 1) :].min() - median(values[: max(total // 5, 1)])
    if quick <= 0:  # cheap: most series do not rise at all
        return None
    for part in PARTS:
        kept = int(total * part)
        if kept < 0.8 * least or index[-1] - index[-kept] < 0.8 * least:
            break
        y = blocks(values[-kept:])
        if len(y) < MIN_BLOCKS:
            break
        share = mann_kendall(y)
        if share < s.leak_rising_share:
            continue
        x = blocks(index[-kept:].astype(np.float64))
        slope = theil_sen(x, y)
        if slope <= 0:
            continue
        half = len(y) // 2
        early, late = theil_sen(x[:half], y[:half]), theil_sen(x[half:], y[half:])
        rise = slope * float(x[-1] - x[0])
        noise = spread(y - slope * x)
        if late < s.leak_levelled_share * early or late <= 0 or rise < s.leak_rise_over_noise * noise:
            continue
        if rise >= _least_rise(look, y) and _still(look, index.astype(np.float64), values, late):
            begun = int(np.flatnonzero(y <= y.min() + BEGUN * (y[-1] - y.min()))[-1])
            return MemoryRise(
                int(index[-kept]), int(x[begun]), late, share, float(y[begun]), float(values[-1])
            )
    return None


def _still(look: MetricFrame, x: Numbers, values: Numbers, slope: float) -> bool:
    """Whether it rises in the newest stretch as well; a longer one where noise would hide it."""
    few, noise = look.recent, spread(np.diff(values))
    while few < len(values) // 2 and slope * few < 2 * noise:
        few *= 2
    return theil_sen(blocks(x[-few:]), blocks(values[-few:])) >= STILL * slope


def _least_rise(look: MetricFrame, y: Numbers) -> float:
    s = look.settings
    if look.memory_limit is None:
        return s.leak_min_rise_of_level * float(y[0])
    return s.leak_min_rise * look.memory_limit


def _by_traffic(look: MetricFrame, index: Steps, values: Numbers, rise: MemoryRise) -> bool:
    """Memory that follows the requests: it rises no more than they do, and bends where they bend."""
    if not look.has_http:
        return False
    memory, traffic = blocks(values), blocks(look.total[index])
    # Sessions and pools outlive the request that made them: memory lags a little.
    traffic = np.convolve(
        np.concatenate([np.repeat(traffic[:1], LAG - 1), traffic]), np.full(LAG, 1 / LAG), "valid"
    )
    end = max(len(memory) // 5, 1)
    grown = median(traffic[-end:]) / max(median(traffic[:end]), 1e-9)
    if grown < rise.last / max(median(memory[:end]), 1e-9):
        return False
    bends = correlation(detrended(memory), detrended(traffic))
    least = look.settings.leak_traffic_correlation
    return correlation(memory, traffic) >= least and bends >= 2 / 3 * least


def _seen_before(look: MetricFrame, level: float) -> bool:
    """Whether the history was at this level, far from the limit, and came back from it."""
    if look.history is None or look.memory_limit is None:
        return False
    old = history_of(look.history.memory_gb)
    if not len(old) or level >= look.settings.memory_near_limit * look.memory_limit:
        return False
    top = int(old.argmax())
    return bool(old[top] >= level and old[top:].min() < level * (1 - look.settings.collected_fall))


def _hours_left(look: MetricFrame, rise: MemoryRise) -> float | None:
    """Hours until the limit at the present slope; None: no limit is known."""
    if look.memory_limit is None:
        return None
    return max(look.memory_limit - rise.last, 0.0) / rise.slope * look.slice.step_seconds / 3600


def _leak(look: MetricFrame, rise: MemoryRise, hours: float | None) -> Finding:
    rate = rise.slope * 3600 / look.slice.step_seconds
    until = (
        f"; its limit of {look.memory_limit:.2f} GB is reached in {_span(hours)}" if hours is not None else ""
    )
    sentence = (
        f"Memory of {look.service.name} rose from {rise.first:.3f} to {rise.last:.3f} GB since "
        f"{look.at(rise.onset):%H:%M}, {rate:.2f} GB an hour{until}."
    )
    critical = hours is not None and hours * 60 <= look.settings.leak_critical_minutes
    return look.finding(
        FindingKind.MEMORY_LEAK,
        Severity.CRITICAL if critical else Severity.WARNING,
        (rate, 0.0, "GB/h"),
        rise.onset,
        rise.share,
        "slope",
        sentence,
    )


def _killed(
    look: MetricFrame, index: Steps, values: Numbers, found: list[MemoryDrop], killed: list[MemoryDrop]
) -> Finding | None:
    """A leak that was ended by the limit, and begins again."""
    last = killed[-1]
    begins = max([one.at for one in found if one.at < last.at], default=0)
    life = values[begins : last.at]
    now, x = values[last.at :], index[last.at :].astype(np.float64)
    if len(life) < MIN_BLOCKS or life[0] > 0.8 * last.peak:
        return None
    y = blocks(life)
    slope, share = theil_sen(blocks(index[begins : last.at].astype(np.float64)), y), mann_kendall(y)
    again = (
        len(now) >= look.steps(look.settings.lasting_minutes)
        and theil_sen(blocks(x), blocks(now)) > 0.3 * slope
    )
    fresh = look.points - int(index[last.at]) <= look.recent
    if share < look.settings.leak_rising_share or not (again or fresh) or values[-1] > 1.05 * last.peak:
        return None
    start = int(index[max([one.at for one in found if one.at < killed[0].at], default=0)])
    sentence = (
        f"Memory of {look.service.name} ran into its limit of {look.memory_limit:.2f} GB "
        f"{_times(len(killed))} since {look.at(start):%H:%M}, and rises again."
    )
    rate = slope * 3600 / look.slice.step_seconds
    return look.finding(
        FindingKind.MEMORY_LEAK, Severity.CRITICAL, (rate, 0.0, "GB/h"), start, share, "sawtooth", sentence
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(hours: float) -> str:
    minutes = hours * 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{hours:.1f} h"


def memory_saturation(look: MetricFrame) -> Finding | None:
    """Memory at its limit: it stays there after a rise, leaves nothing to spare, or is about to get there."""
    least = min(look.settings.surge_share, look.settings.memory_share)
    if look.memory_limit is None or not (look.memory[-look.recent :] >= least * look.memory_limit).any():
        return None
    share = look.memory / look.memory_limit
    return _at_limit(look, share) or _surge(look)


def _at_limit(look: MetricFrame, share: Numbers) -> Finding | None:
    s = look.settings
    bad = share >= s.memory_share
    if np.count_nonzero(bad[-look.recent :]) < look.steps(s.lasting_minutes):
        return None
    known = np.isfinite(look.memory)
    start, last = onset(bad, known), int(np.flatnonzero(bad)[-1])
    if last < look.points - look.steps(s.ended_minutes):
        return None
    before = finite(share[:start][known[:start]])
    level = median(share[start:][bad[start:]])
    rose = len(before) >= look.steps(s.past_minutes) and median(before) < s.memory_near_limit
    if not rose and level < s.memory_flat_share:
        return None
    # What was lower for a short while may have risen: only what was not lower at all is flat.
    rule = "level" if (before < s.memory_near_limit).any() else "flat"
    sentence = (
        f"Memory of {look.service.name} stays at {level:.0%} of its limit of {look.memory_limit:.2f} GB "
        f"since {look.at(start):%H:%M}."
    )
    measured = (level, s.memory_share, "share of limit")
    confidence = 0.95 if rose else 0.8
    return look.finding(
        FindingKind.MEMORY_SATURATION,
        Severity.CRITICAL,
        measured,
        start,
        confidence,
        rule,
        sentence,
    )


def _surge(look: MetricFrame) -> Finding | None:
    """A steep rise, higher than ever, that meets the limit within minutes."""
    s, limit = look.settings, look.memory_limit or 0.0
    few = look.steps(s.lasting_minutes)
    newest, past = finite(look.memory[-few - 1 :]), finite(look.memory[: -look.recent])
    if len(newest) < 3 or len(past) < look.steps(s.past_minutes) or newest[-1] < s.surge_share * limit:
        return None
    pace = float(newest[-1] - newest[0]) / few
    minutes = look.minutes(1) * max(limit - float(newest[-1]), 0.0) / pace if pace > 0 else float("inf")
    if newest[-1] - past.max() < s.surge_rise * limit or minutes > s.surge_minutes:
        return None
    start = (
        look.points
        - look.recent
        + onset(look.memory[-look.recent :] > past.max() + 0.25 * s.surge_rise * limit)
    )
    sentence = (
        f"Memory of {look.service.name} rose to {newest[-1] / limit:.0%} of its limit of {limit:.2f} GB "
        f"since {look.at(start):%H:%M}, higher than ever, and meets it in {minutes:.0f} min."
    )
    measured = (float(newest[-1]) / limit, s.surge_share, "share of limit")
    return look.finding(
        FindingKind.MEMORY_SATURATION, Severity.CRITICAL, measured, start, 0.85, "surge", sentence
    )
