"""Robust estimators, each costing a few microseconds a series."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Steps = NDArray[np.intp]
# Pairs grow quadratically: longer series are first reduced to this many block medians.
MAX_BLOCKS = 40
# So many intervals after the last time, what kept coming back is over.
OVERDUE = 1.5
# Larger samples are implausible, and their sums could overflow.
LARGEST = 1e15


def numbers(series: Sequence[float | None] | Sequence[Sequence[float | None]]) -> Numbers:
    """Return an array of one series, or of several of equal length; NaN for None and implausible numbers."""
    array = np.array(series, dtype=np.float64)
    plausible = np.abs(array) < LARGEST
    if not plausible.all():
        array[~plausible] = np.nan
    return array


def zeroed(values: Numbers) -> Numbers:
    """Return counts with 0 for NaN and for negative values."""
    return np.fmax(values, 0.0)


def finite(values: Numbers) -> Numbers:
    return values[np.isfinite(values)]


def quantile(values: Numbers, share: float) -> float:
    """Return the lower sample quantile of finite values, NaN if empty. Several times faster than numpy's."""
    if not len(values):
        return float("nan")
    ordered = values.copy()
    ordered.sort()
    return float(ordered[int(share * (len(ordered) - 1))])


def median(values: Numbers) -> float:
    return quantile(values, 0.5)


def spread(values: Numbers) -> float:
    """Return the median absolute deviation, scaled to a normal standard deviation (Hampel 1974)."""
    return 1.4826 * median(np.abs(values - median(values))) if len(values) else 0.0


def blocks(values: Numbers) -> Numbers:
    """Return medians of at most `MAX_BLOCKS` blocks of equal length, oldest first, NaN for an empty block.

    A remainder at the old end is left out.
    """
    size = -(-len(values) // MAX_BLOCKS) if len(values) else 1
    kept = len(values) // size * size
    if size == 1:
        return values
    rows = values[len(values) - kept :].reshape(-1, size).copy()
    rows.sort(axis=1)  # NaN sorts last
    if not np.isnan(rows[:, -1]).any():
        return rows[:, (size - 1) // 2].copy()
    have = np.isfinite(rows).sum(axis=1)
    medians: Numbers = rows[np.arange(len(rows)), np.maximum(have - 1, 0) // 2]
    return medians


@cache
def _pairs(count: int) -> tuple[Steps, Steps]:
    first, second = np.triu_indices(count, 1)
    return first, second


@cache
def _later(count: int) -> Flags:
    """Return a mask that is true in row i, column j where j comes after i."""
    return np.triu(np.ones((count, count), dtype=np.bool_), 1)


def mann_kendall(y: Numbers) -> float:
    """Return the share of rising pairs (Mann 1945, Kendall, rescaled): 0.5 is no trend, 1 monotone."""
    count = len(y)
    if count < 2:
        return 0.5
    rise = np.less.outer(y, y) & _later(count)
    return int(np.count_nonzero(rise)) / (count * (count - 1) // 2)


def theil_sen(x: Numbers, y: Numbers) -> float:
    """Return the slope as the median over all pairs (Theil 1950, Sen 1968). Reduce points with `blocks`."""
    first, second = _pairs(len(x))
    return median((y[second] - y[first]) / (x[second] - x[first])) if len(first) else 0.0


def wilson(hits: float, total: float) -> tuple[float, float]:
    """Return both bounds of a binomial share with 95 % confidence (Wilson 1927)."""
    if total < 1e-6:
        return 0.0, 1.0
    z = 1.96
    share = min(hits / total, 1.0)
    centre = share + z * z / (2 * total)
    width = z * float(np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)))
    scale = 1 + z * z / total
    return max((centre - width) / scale, 0.0), min((centre + width) / scale, 1.0)


def onset(bad: Flags, valid: Flags | None = None) -> int:
    """Return the step at which the newest stretch of mostly bad steps begins (cumulative sum, Page 1954).

    Each bad step counts 1, each good one -1, invalid ones 0; the start that gives the steps up to the last
    bad one the largest sum is the onset. At least one step must be bad.
    """
    last = int(np.flatnonzero(bad)[-1])
    score = np.where(bad[: last + 1], 1, -1)
    if valid is not None:
        score[~valid[: last + 1]] = 0
    return last - int(np.argmax(np.cumsum(score[::-1])))


def share_onset(hits: Numbers, trials: Numbers, before: float, now: float) -> int:
    """Return the step at which a share rose from `before` to `now`: log-likelihood ratios (Page 1954).

    Each step counts by its hits and misses, so hits that come and go belong to one stretch, and a step of
    many trials outweighs one of few. At least one step must have hits.
    """
    last = int(np.flatnonzero(hits)[-1])
    now = min(max(now, 1e-9), 0.98)
    before = min(max(before, 1e-9), 0.9 * now)
    gain, loss = np.log(now / before), np.log((1 - now) / (1 - before))
    score = hits[: last + 1] * gain + (trials - hits)[: last + 1] * loss
    total = np.cumsum(score[::-1])
    first = last - int(np.argmax(total))
    # A stretch begins with a hit.
    return first + int(np.flatnonzero(hits[first : last + 1])[0])


def correlation(x: Numbers, y: Numbers) -> float:
    """Return Pearson's correlation, 0 if one of the two does not vary."""
    dx, dy = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((dx * dx).sum() * (dy * dy).sum()))
    return float((dx * dy).sum()) / norm if norm > 0 else 0.0


def detrended(values: Numbers) -> Numbers:
    """Return a series minus its least-squares line."""
    x = np.arange(len(values), dtype=np.float64)
    x -= x.mean()
    slope = float((x * values).sum()) / max(float((x * x).sum()), 1e-9)
    left: Numbers = values - values.mean() - slope * x
    return left
