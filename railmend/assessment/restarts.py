"""The lives of a process as its memory tells them: collections of garbage, restarts, kills."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import Numbers, median, spread

# Noise makes no such fall.
DEEP = 0.4
# Standard deviations of the differences between two samples.
NOISY = 5
# Samples on both sides of a fall that are compared.
FEW = 3


@dataclass(frozen=True)
class MemoryDrop:
    """`at`: position of the first low sample; `depth`: share of the peak that was lost."""

    at: int
    peak: float
    depth: float


def falls(values: Numbers, least: float) -> list[MemoryDrop]:
    """Every loss of at least this share of the level from one sample to the next; finite values only.

    A fall that goes on over several samples is one. One that noise makes is none: it is no deeper than what
    lies between any two samples, or the samples after it are not lower than those before it.
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


def kills(look: MetricFrame, found: list[MemoryDrop]) -> list[MemoryDrop]:
    """Falls from the limit: the kernel's out-of-memory killer."""
    limit, s = look.memory_limit, look.settings
    if limit is None:
        return []
    return [one for one in found if one.peak >= s.memory_near_limit * limit and one.depth >= s.restart_fall]


def restart_steps(look: MetricFrame, window: int) -> list[int]:
    """Steps of the newest `window` at which the process was gone: no sample after one, or a deep fall."""
    memory = look.memory[-window:]
    alive = memory > 0
    if alive.all() and memory.min() > memory.max() * (1 - look.settings.restart_fall):
        return []
    gone = np.flatnonzero(alive[:-1] & ~alive[1:]) + 1
    pairs = alive[:-1] & alive[1:]
    fell = np.flatnonzero(pairs & (memory[1:] <= memory[:-1] * (1 - look.settings.restart_fall))) + 1
    first = look.points - window
    return sorted({first + int(one) for one in (*gone, *fell)})


def restarted_below_baseline(look: MetricFrame, dead: list[int]) -> list[int]:
    """Those deaths after which the process began anew, below what it usually holds.

    A lost sample is followed by the same level; work that ends falls back to the usual level.
    """
    memory = look.memory
    before = memory[: dead[0]] if dead else memory
    before = before[np.isfinite(before) & (before > 0)]
    usual = float(np.sort(before)[len(before) // 10]) if len(before) else np.inf
    low = []
    for at in dead:
        later = memory[at:]
        later = later[later > 0]
        last = float(memory[at - 1])
        if not len(later):
            low.append(at)  # not yet back
        elif later[0] < 0.7 * usual or (not np.isfinite(memory[at]) and later[0] < 0.6 * last):
            low.append(at)
    return low
