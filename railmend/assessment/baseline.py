"""What is usual for a service: from its slice before an onset, and from its history if there is one."""

from datetime import timedelta

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import Numbers, finite, numbers, quantile, zeroed
from railmend.railway.model import Slice

DAY = timedelta(days=1)


def usual_share(look: MetricFrame, status: str, before: int, most: float = 1.0) -> float:
    """Share of the requests with this class of status before a step, or in the history if that is higher.

    `most`: what the slice alone can make usual; beyond it only the history can.
    """
    of = look.failed if status == "5xx" else look.refused
    total = float(look.total[:before].sum())
    share = min(float(of[:before].sum()) / total, most) if total else 0.0
    if look.history is None:
        return share
    requests, answers = history_counts(look.history), history_counts(look.history, status)
    busy = requests > 0
    return max(share, quantile(answers[busy] / requests[busy], 0.75)) if busy.any() else share


def usual_rate(look: MetricFrame, step: int) -> float:
    """The least requests a step of the history around this time of day, scaled to the slice's step.

    Infinite without a history: then it says nothing.
    """
    history = look.history
    if history is None:
        return float("inf")
    rates = history_counts(history) * look.slice.step_seconds / history.step_seconds
    # Where the process was not there, as before the first deployment, nothing was usual.
    memory = numbers(history.memory_gb)[: len(rates)]
    if np.isfinite(memory).any():
        rates[: len(memory)][~np.isfinite(memory)] = np.inf
    first = (look.at(step) - DAY - history.start) / timedelta(seconds=history.step_seconds)
    last = (look.at(look.points) - DAY - history.start) / timedelta(seconds=history.step_seconds)
    around = rates[max(int(first) - 1, 0) : max(int(last) + 2, 0)]
    return float(around.min()) if len(around) else float("inf")


def history_counts(history: Slice, status: str | None = None) -> Numbers:
    """Requests per step of the history, of one class of status or of all."""
    points = max(map(len, history.http.values()), default=0)
    total = np.zeros(points)
    for name, series in history.http.items():
        if status in (None, name):
            total[: len(series)] += zeroed(numbers(series))
    return total


def history_of(series: list[float | None]) -> Numbers:
    """The known samples of one series of a history."""
    return finite(numbers(series))


def share_above(values: Numbers, line: float) -> float:
    """Share of the samples at or above a line; 0 of none."""
    return float(np.count_nonzero(values >= line)) / len(values) if len(values) else 0.0
