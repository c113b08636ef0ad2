"""Compute what is usual for a service, from its slice before an onset and from its history, if any."""

from datetime import timedelta

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import Numbers, finite, numbers, quantile, zeroed
from railmend.railway.model import Slice

DAY = timedelta(days=1)


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


def usual_cpu(frame: MetricFrame, step: int) -> float:
    """Return the least vCPU of the history around this time of day; infinite without a history."""
    return _least(at_this_hour(frame, step, numbers(frame.history.cpu))) if frame.history else float("inf")


def usual_rate(frame: MetricFrame, step: int) -> float:
    """Return the lowest number of requests per step in the history around this time of day.

    Scaled to the slice's step. Infinite without a history, so that it never limits anything.
    """
    history = frame.history
    if history is None:
        return float("inf")
    rates = history_counts(history) * frame.slice.step_seconds / history.step_seconds
    # While no process ran, as before the first deployment, nothing was usual.
    memory = numbers(history.memory_gb)[: len(rates)]
    if np.isfinite(memory).any():
        rates[: len(memory)][~np.isfinite(memory)] = np.nan
    return _least(at_this_hour(frame, step, rates))


def _least(values: Numbers) -> float:
    return float(values.min()) if len(values) else float("inf")


def at_this_hour(frame: MetricFrame, step: int, values: Numbers) -> Numbers:
    """Return a history's samples around the same time of the day before, from a step to the end."""
    if frame.history is None:
        return values[:0]
    length = timedelta(seconds=frame.history.step_seconds)
    first = (frame.at(step) - DAY - frame.history.start) / length
    last = (frame.at(frame.points) - DAY - frame.history.start) / length
    return finite(values[max(int(first) - 1, 0) : max(int(last) + 2, 0)])


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
