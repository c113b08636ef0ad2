"""A few robust estimators; each is a handful of lines and costs well under a millisecond a series."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
MAX_POINTS = 200  # pairs grow with the square: longer series are thinned first


def numbers(series: Sequence[float | None]) -> Numbers:
    """The series with NaN for None and for what is not finite."""
    array = np.array([np.nan if value is None else value for value in series], dtype=np.float64)
    array[~np.isfinite(array)] = np.nan
    return array


def _pairs(x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    step = -(-len(x) // MAX_POINTS) if len(x) else 1
    x, y = x[::step], y[::step]
    first, second = np.triu_indices(len(x), 1)
    return x[second] - x[first], y[second] - y[first]


def theil_sen(x: Numbers, y: Numbers) -> float:
    """Median of the slopes of all pairs (Theil 1950, Sen 1968), in units of y per unit of x."""
    dx, dy = _pairs(x, y)
    return float(np.median(dy / dx)) if len(dx) else 0.0


def rising_share(x: Numbers, y: Numbers) -> float:
    """Share of pairs that rise: 0.5 is no trend, 1 is monotone (Mann-Kendall's statistic, rescaled)."""
    _, dy = _pairs(x, y)
    return float(np.mean(dy > 0)) if len(dy) else 0.5


def wilson_lower(hits: float, total: float, z: float = 1.96) -> float:
    """Lower bound of a binomial share (Wilson 1927); z = 1.96 for 95 %."""
    if total <= 0:
        return 0.0
    share = hits / total
    centre = share + z * z / (2 * total)
    spread = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return float(max((centre - spread) / (1 + z * z / total), 0.0))
