"""Compute what is usual for a service, from its slice before an onset and from its history, if any."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from railmend.assessment.frame import DAY, MetricFrame
from railmend.assessment.statistics import Numbers, finite, numbers, quantile, zeroed
from railmend.railway.model import Slice

WEEK = timedelta(days=7)
# What was so for this share of the time, around the same hour, is usual.
AS_LONG = 0.5


def usual_share(frame: MetricFrame, status: str, before: int, most: float = 1.0) -> float:
    """Return the share of requests (0..1) with this status class before a step, or the history's if higher.

    `most`: cap on the share taken from the slice; only the history can raise it further.
    """
    counts = frame.failed if status == "5xx" else frame.refused
    total = float(frame.total[:before].sum())
    share = min(float(counts[:before].sum()) / total, most) if total else 0.0
    if frame.history is None:
        return share
    requests, matching = history_counts(frame.history), history_counts(frame.history, status)
    busy = requests > 0
    return max(share, quantile(matching[busy] / requests[busy], 0.75)) if busy.any() else share


def usual_rate(frame: MetricFrame, step: int) -> float:
    """Return the requests per step to which traffic fell around this time of day.

    Infinite without a history, so that it never limits anything.
    """

    def rates(past: Slice) -> Numbers:
        values = history_counts(past) * frame.slice.step_seconds / past.step_seconds
        # While no process ran, as before the first deployment, nothing was usual.
        memory = numbers(past.memory_gb)[: len(values)]
        if np.isfinite(memory).any():
            values[: len(memory)][~np.isfinite(memory)] = np.nan
        return values

    return at_this_hour(frame, step, rates)


def at_this_hour(
    frame: MetricFrame, step: int, series: Callable[[Slice], Numbers], *, highest: bool = False
) -> float:
    """Return how low a series fell around the same time a day or a week ago, or how high it rose.

    It must have stayed there for `AS_LONG` of the time since the step: a short dip then does not make a long
    one now usual. Where the past does not reach so far it limits nothing: infinite, the highest negative.
    """
    past, sign = frame.past, -1 if highest else 1
    if past is None:
        return sign * float("inf")
    length = timedelta(seconds=past.step_seconds)
    values = sign * series(past)
    least = max(round(AS_LONG * (frame.at(frame.points) - frame.at(step)) / length), 1)
    found = []
    for ago in (DAY, WEEK):
        first, last = ((frame.at(at) - ago - past.start) / length for at in (step, frame.points))
        then = np.sort(finite(values[max(int(first) - 1, 0) : max(int(last) + 2, 0)]))
        if len(then):
            found.append(float(then[min(least, len(then)) - 1]))
    return sign * min(found, default=float("inf"))


def history_counts(history: Slice, status: str | None = None) -> Numbers:
    """Return requests per step of the history, of one status class or of all."""
    points = max(map(len, history.http.values()), default=0)
    total = np.zeros(points)
    for name, series in history.http.items():
        if status in (None, name):
            total[: len(series)] += zeroed(numbers(series))
    return total


def history_of(series: list[float | None]) -> Numbers:
    """Return the finite samples of one history series."""
    return finite(numbers(series))


def share_above(values: Numbers, threshold: float) -> float:
    """Return the share (0..1) of samples at or above a threshold; 0 without samples."""
    return float(np.count_nonzero(values >= threshold)) / len(values) if len(values) else 0.0
