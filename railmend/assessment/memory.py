"""Memory rules: leaks, as opposed to caches, garbage collection and traffic; and memory at its limit."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import history_of
from railmend.assessment.frame import MetricFrame
from railmend.assessment.restarts import MemoryDrop, memory_drops, oom_kills
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
from railmend.assessment.wording import duration, gigabytes, percent
from railmend.contracts.scan import Finding, FindingKind, Severity

# A leak may begin within the slice: the longest of these newest parts that rises throughout gives its onset.
PARTS = (1.0, 2 / 3, 1 / 2, 1 / 3)
MIN_BLOCKS = 8
# A rise continues while its newest slope is at least this share of it.
STILL = 0.3
# Share of the whole rise that may precede the onset.
BEGUN = 0.05
# Less than this, in GB, is never a leak without a limit in sight.
LEAST_GB = 0.05
# Half-hour steps of the day before that tell of it: half of them.
FEW_STEPS = 24
# Blocks over which memory may lag behind traffic.
LAG = 4


@dataclass(frozen=True)
class MemoryRise:
    """`slope`: GB per step; `share`: of rising pairs; `start`: first step used; `first`, `last`: GB."""

    start: int
    onset: int
    slope: float
    share: float
    first: float
    last: float


def memory_leak(frame: MetricFrame) -> Finding | None:
    """Find memory that keeps rising: Theil-Sen slope, Mann-Kendall share, not levelling off, not usual."""
    index = np.flatnonzero(np.isfinite(frame.memory))
    if len(index) < frame.steps(frame.settings.leak_min_minutes) // 2:
        return None
    values = frame.memory[index]
    drops = memory_drops(values, frame.settings.collected_fall)
    killed = oom_kills(frame, drops)
    ended = _killed(frame, index, values, drops, killed) if killed else None
    if ended is not None:
        return ended
    start = _process_start(frame, values, drops)
    if start is None:
        return None
    rise = _rise(frame, index[start:], values[start:])
    if rise is None and not drops:
        return _over_the_day(frame, values)
    if rise is None or _seen_before(frame, rise):
        return None
    hours = _hours_left(frame, rise)
    if hours is not None and hours > frame.settings.leak_horizon_hours and not _doubles(frame, rise):
        return None
    soon = hours is not None and hours <= frame.settings.leak_urgent_minutes / 60
    short = frame.points - rise.start < frame.steps(frame.settings.leak_sure_minutes)
    if not soon and (short or _by_traffic(frame, index[start:], values[start:], rise)):
        return None
    return _leak(frame, rise, hours)


def _over_the_day(frame: MetricFrame, values: Numbers) -> Finding | None:
    """Find a rise that is slow for the window, but has doubled memory since the day before, and goes on."""
    s, history = frame.settings, frame.history
    if history is None:
        return None
    old, newest_blocks = history_of(history.memory_gb), blocks(values)
    if len(old) < FEW_STEPS or theil_sen(_steps(newest_blocks), newest_blocks) <= 0:
        return None
    size = history.step_seconds // frame.slice.step_seconds
    newest = [float(values[at : at + size].mean()) for at in range(len(values) % size, len(values), size)]
    level, half = np.append(old, newest), (len(old) + len(newest)) // 2
    x, first, last = _steps(level), float(level[0]), float(values[-frame.recent :].mean())
    early, late = theil_sen(x[:half], level[:half]), theil_sen(x[half:], level[half:])
    share = mann_kendall(level)
    doubled = last >= max(2 * first, first + LEAST_GB) and share >= s.leak_rising_share
    if not doubled or late < s.leak_levelled_share * early:
        return None
    rate = late * 3600 / history.step_seconds
    sentence = (
        f"Memory of {frame.service.name} has doubled within a day, from {gigabytes(first)} to "
        f"{gigabytes(last)}, and goes on at {gigabytes(rate)} an hour."
    )
    measured = (rate, 0.0, "GB/h")
    found = frame.finding(FindingKind.MEMORY_LEAK, Severity.WARNING, measured, 0, share, "day", sentence)
    return found.model_copy(update={"onset": history.start})


def _steps(values: Numbers) -> Numbers:
    return np.arange(len(values), dtype=np.float64)


def _process_start(frame: MetricFrame, values: Numbers, drops: list[MemoryDrop]) -> int | None:
    """Return the position at which the judged process begins; None if the rise is the usual wave."""
    if not drops:
        return 0
    collected = [drop for drop in drops if drop.depth < frame.settings.restart_fall]
    restarts = [drop for drop in drops if drop.depth >= frame.settings.restart_fall]
    waves = collected if len(restarts) < 2 else drops
    if waves and values[-1] <= 1.05 * max(drop.peak for drop in waves):
        return None
    return drops[-1].at


def _rise(frame: MetricFrame, index: Steps, values: Numbers) -> MemoryRise | None:
    """Return the rise of the longest newest part that rises throughout."""
    s = frame.settings
    least = frame.steps(s.leak_min_minutes)
    total = len(values)
    quick = values[-max(total // 10, 1) :].min() - median(values[: max(total // 5, 1)])
    if quick <= 0:  # fast path: most series do not rise at all
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
        if rise >= _least_rise(frame, y) and _still(frame, index.astype(np.float64), values, late):
            begun = int(np.flatnonzero(y <= y.min() + BEGUN * (y[-1] - y.min()))[-1])
            return MemoryRise(
                int(index[-kept]), int(x[begun]), late, share, float(y[begun]), float(values[-1])
            )
    return None


def _still(frame: MetricFrame, x: Numbers, values: Numbers, slope: float) -> bool:
    """Return whether the newest stretch rises too; it is lengthened where noise would hide the slope."""
    few, noise = frame.recent, spread(np.diff(values))
    while few < len(values) // 2 and slope * few < 2 * noise:
        few *= 2
    return theil_sen(blocks(x[-few:]), blocks(values[-few:])) >= STILL * slope


def _least_rise(frame: MetricFrame, y: Numbers) -> float:
    s = frame.settings
    own = max(s.leak_min_rise_of_level * float(y[0]), LEAST_GB)
    return own if frame.memory_limit is None else min(own, s.leak_min_rise * frame.memory_limit)


def _by_traffic(frame: MetricFrame, index: Steps, values: Numbers, rise: MemoryRise) -> bool:
    """Return whether memory follows the requests: it rises no more than they do, and bends where they do."""
    if not frame.has_http:
        return False
    memory, traffic = blocks(values), blocks(frame.total[index])
    # Sessions and pools outlive their request, so memory lags a little.
    traffic = np.convolve(
        np.concatenate([np.repeat(traffic[:1], LAG - 1), traffic]), np.full(LAG, 1 / LAG), "valid"
    )
    end = max(len(memory) // 5, 1)
    grown = median(traffic[-end:]) / max(median(traffic[:end]), 1e-9)
    if grown < rise.last / max(median(memory[:end]), 1e-9):
        return False
    bends = correlation(detrended(memory), detrended(traffic))
    least = frame.settings.leak_traffic_correlation
    return correlation(memory, traffic) >= least and bends >= 2 / 3 * least


def _seen_before(frame: MetricFrame, rise: MemoryRise) -> bool:
    """Return whether the history reached this level, far from the limit, and came back from it.

    Its steps are means, and end anywhere on a wave: of its peak they show what two steps before it hold. Of
    waves within one step they show the middle, from below which such a rise begins.
    """
    near = frame.settings.memory_near_limit * (frame.memory_limit or np.inf)
    if frame.history is None or rise.last >= near:
        return False
    old = history_of(frame.history.memory_gb)
    newest = finite(frame.memory[-2 * frame.history.step_seconds // frame.slice.step_seconds :])
    if not len(old):
        return False
    now, usual, fall = float(newest.mean()), median(old), frame.settings.collected_fall
    if rise.first < (1 - fall) * usual and now <= (1 + fall) * usual:
        return True
    reached = np.flatnonzero(old >= now)
    return len(reached) > 0 and bool(old[reached[0] :].min() < (1 - fall) * now)


def _hours_left(frame: MetricFrame, rise: MemoryRise) -> float | None:
    """Return hours until the limit at the current slope; None without a limit."""
    if frame.memory_limit is None:
        return None
    return max(frame.memory_limit - rise.last, 0.0) / rise.slope * frame.slice.step_seconds / 3600


def _doubles(frame: MetricFrame, rise: MemoryRise) -> bool:
    """Return whether memory has risen by what counts without a limit, and doubles soon at its slope."""
    s = frame.settings
    grown = rise.last - rise.first >= max(s.leak_min_rise_of_level * rise.first, LEAST_GB)
    hours = rise.last / rise.slope * frame.slice.step_seconds / 3600
    return grown and hours <= s.leak_doubling_hours


def _leak(frame: MetricFrame, rise: MemoryRise, hours: float | None) -> Finding:
    rate = rise.slope * 3600 / frame.slice.step_seconds
    until = (
        f"; its limit of {gigabytes(frame.memory_limit or 0)} is reached in {duration(60 * hours)}"
        if hours is not None
        else ""
    )
    sentence = (
        f"Memory of {frame.service.name} rose from {gigabytes(rise.first)} to {gigabytes(rise.last)} since "
        f"{frame.at(rise.onset):%H:%M}, {gigabytes(rate)} an hour{until}."
    )
    critical = hours is not None and hours * 60 <= frame.settings.leak_critical_minutes
    return frame.finding(
        FindingKind.MEMORY_LEAK,
        Severity.CRITICAL if critical else Severity.WARNING,
        (rate, 0.0, "GB/h"),
        rise.onset,
        rise.share,
        "slope",
        sentence,
    )


def _killed(
    frame: MetricFrame, index: Steps, values: Numbers, drops: list[MemoryDrop], killed: list[MemoryDrop]
) -> Finding | None:
    """Report a leak that the limit ended and that starts again."""
    last = killed[-1]
    begins = max([drop.at for drop in drops if drop.at < last.at], default=0)
    before = values[begins : last.at]
    now, x = values[last.at :], index[last.at :].astype(np.float64)
    if len(before) < MIN_BLOCKS or before[0] > 0.8 * last.peak:
        return None
    y = blocks(before)
    slope, share = theil_sen(blocks(index[begins : last.at].astype(np.float64)), y), mann_kendall(y)
    again = (
        len(now) >= frame.steps(frame.settings.lasting_minutes)
        and theil_sen(blocks(x), blocks(now)) > 0.3 * slope
    )
    fresh = frame.points - int(index[last.at]) <= frame.recent
    if share < frame.settings.leak_rising_share or not (again or fresh) or values[-1] > 1.05 * last.peak:
        return None
    start = int(index[max([drop.at for drop in drops if drop.at < killed[0].at], default=0)])
    sentence = (
        f"Memory of {frame.service.name} ran into its limit of {gigabytes(frame.memory_limit or 0)} "
        f"{_times(len(killed))} since {frame.at(start):%H:%M}, and rises again."
    )
    rate = slope * 3600 / frame.slice.step_seconds
    return frame.finding(
        FindingKind.MEMORY_LEAK, Severity.CRITICAL, (rate, 0.0, "GB/h"), start, share, "sawtooth", sentence
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def memory_saturation(frame: MetricFrame) -> Finding | None:
    """Find memory that stays at its limit after a rise, leaves nothing to spare, or is about to reach it."""
    least = min(frame.settings.surge_share, frame.settings.memory_share)
    if frame.memory_limit is None or not (frame.memory[-frame.recent :] >= least * frame.memory_limit).any():
        return None
    share = frame.memory / frame.memory_limit
    return _at_limit(frame, share) or _surge(frame)


def _at_limit(frame: MetricFrame, share: Numbers) -> Finding | None:
    s = frame.settings
    bad = share >= s.memory_share
    if np.count_nonzero(bad[-frame.recent :]) < frame.steps(s.lasting_minutes):
        return None
    valid = np.isfinite(frame.memory)
    start, last = onset(bad, valid), int(np.flatnonzero(bad)[-1])
    if last < frame.points - frame.steps(s.ended_minutes):
        return None
    before = finite(share[:start][valid[:start]])
    level = median(share[start:][bad[start:]])
    rose = len(before) >= frame.steps(s.past_minutes) and median(before) < s.memory_near_limit
    if not rose and level < s.memory_flat_share:
        return None
    # Memory that was lower even for a short while may have risen; only what never was is flat.
    rule = "level" if (before < s.memory_near_limit).any() else "flat"
    sentence = (
        f"Memory of {frame.service.name} stays at {percent(level)} of its limit of "
        f"{gigabytes(frame.memory_limit or 0)} since {frame.at(start):%H:%M}."
    )
    measured = (level, s.memory_share, "share of limit")
    confidence = 0.95 if rose else 0.8
    return frame.finding(
        FindingKind.MEMORY_SATURATION,
        Severity.CRITICAL,
        measured,
        start,
        confidence,
        rule,
        sentence,
    )


def _surge(frame: MetricFrame) -> Finding | None:
    """Find a steep rise, higher than ever, that reaches the limit within minutes."""
    s, limit = frame.settings, frame.memory_limit or 0.0
    few = frame.steps(s.lasting_minutes)
    newest, past = finite(frame.memory[-few - 1 :]), finite(frame.memory[: -frame.recent])
    if len(newest) < 3 or len(past) < frame.steps(s.past_minutes) or newest[-1] < s.surge_share * limit:
        return None
    pace = float(newest[-1] - newest[0]) / few
    minutes = frame.minutes(1) * max(limit - float(newest[-1]), 0.0) / pace if pace > 0 else float("inf")
    if newest[-1] - past.max() < s.surge_rise * limit or minutes > s.surge_minutes:
        return None
    start = (
        frame.points
        - frame.recent
        + onset(frame.memory[-frame.recent :] > past.max() + 0.25 * s.surge_rise * limit)
    )
    sentence = (
        f"Memory of {frame.service.name} rose to {percent(newest[-1] / limit)} of its limit of "
        f"{gigabytes(limit)} since {frame.at(start):%H:%M}, higher than ever, and meets it in "
        f"{duration(minutes)}."
    )
    measured = (float(newest[-1]) / limit, s.surge_share, "share of limit")
    return frame.finding(
        FindingKind.MEMORY_SATURATION, Severity.CRITICAL, measured, start, 0.85, "surge", sentence
    )
