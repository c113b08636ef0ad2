"""Infer restarts, garbage collections and out-of-memory kills from the memory series."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import Numbers, median, spread

# Noise causes no drop of this share.
DEEP = 0.4
# A drop within this many standard deviations of sample-to-sample differences is noise.
NOISY = 5
# Samples compared on each side of a drop.
FEW = 3
# Share of the requests of a step that fail while the process is gone.
FELT = 0.5


@dataclass(frozen=True)
class MemoryDrop:
    """`at`: position of the first low sample; `peak` in GB; `depth`: share of the peak that was freed."""

    at: int
    peak: float
    depth: float


def memory_drops(values: Numbers, least: float) -> list[MemoryDrop]:
    """Return every drop by at least this share of the level between samples; `values` must be finite.

    A drop over several samples counts once. Noise does not count: it is no deeper than the usual difference
    of two samples, or the samples after it are not lower than those before it.
    """
    if not (values[1:] < values[:-1] * (1 - least)).any():
        return []
    least = max(least, NOISY * spread(np.diff(values)) / max(median(values), 1e-9))
    index = np.flatnonzero(values[1:] < values[:-1] * (1 - least)) + 1
    if not len(index):
        return []
    new = np.diff(index) > 1
    first, last = index[np.concatenate([[True], new])], index[np.concatenate([new, [True]])]
    peaks = values[first - 1]
    depths = 1 - values[last] / peaks
    return [
        MemoryDrop(at, peak, depth)
        for start, at, peak, depth in zip(
            first.tolist(), last.tolist(), peaks.tolist(), depths.tolist(), strict=True
        )
        if depth >= DEEP or _lasts(values, start, at, least)
    ]


def _lasts(values: Numbers, first: int, last: int, least: float) -> bool:
    before, after = values[max(first - FEW, 0) : first], values[last : last + FEW]
    return median(after) <= median(before) * (1 - 0.7 * least)


def oom_kills(frame: MetricFrame, drops: list[MemoryDrop]) -> list[MemoryDrop]:
    """Return the drops from near the limit, which the kernel's out-of-memory killer causes."""
    limit, s = frame.memory_limit, frame.settings
    if limit is None:
        return []
    return [
        drop for drop in drops if drop.peak >= s.memory_near_limit * limit and drop.depth >= s.killed_fall
    ]


def restart_steps(frame: MetricFrame, window: int) -> list[int]:
    """Return the steps of the newest `window` steps at which the process was gone.

    That is a step without memory after one with, or a drop by the share of a restart.
    """
    memory = frame.memory[-window:]
    alive = memory > 0
    if alive.all() and memory.min() > memory.max() * (1 - frame.settings.restart_fall):
        return []
    gone = np.flatnonzero(alive[:-1] & ~alive[1:]) + 1
    pairs = alive[:-1] & alive[1:]
    fell = np.flatnonzero(pairs & (memory[1:] <= memory[:-1] * (1 - frame.settings.restart_fall))) + 1
    first = frame.points - window
    return sorted({first + int(step) for step in (*gone, *fell)})


def restarted_below_baseline(frame: MetricFrame, restarts: list[int]) -> list[int]:
    """Keep the steps after which memory starts below its usual level, as a new process's does.

    After a dropped sample the level is the same; after work that ended it is the usual one. Where most
    requests fail meanwhile, it is a restart at any level: a loop that began before the window has no other.
    """
    memory = frame.memory
    before = memory[: restarts[0]] if restarts else memory
    before = before[np.isfinite(before) & (before > 0)]
    usual = float(np.sort(before)[len(before) // 10]) if len(before) else np.inf
    low = []
    for at in restarts:
        later = memory[at:]
        later = later[later > 0]
        last = float(memory[at - 1])
        near = slice(max(at - 1, 0), at + 2)
        if (frame.failed[near] > FELT * frame.total[near]).any():
            low.append(at)
        elif not len(later):
            low.append(at)  # not running again yet
        elif later[0] < 0.7 * usual or (not np.isfinite(memory[at]) and later[0] < 0.6 * last):
            low.append(at)
    return low
