"""What requests cost a service: share failed, times, memory and processor time for each, with intervals.

Memory and processor time are those of all processes in the sandbox, as they are measured for the quota; the
relay to the service is among them, the same on both sides.
"""

import math
from collections.abc import Callable, Sequence
from statistics import linear_regression, mean

from railmend.assessment.statistics import wilson
from railmend.coding.sandbox.resource_usage import ResourceUsage
from railmend.contracts.proof import SERVER_ERROR, Estimate, RequestCost

# Of a normal distribution, both sides of 95 %.
Z = 1.96
# With fewer measurements no line is drawn through them.
LEAST_MEASUREMENTS = 5


class LoadRecord:
    """Answers to requests, and what the sandbox used after so many of them."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, float]] = []
        self._usages: list[tuple[int, ResourceUsage]] = []

    def used(self, usage: ResourceUsage) -> None:
        self._usages.append((len(self.answers), usage))

    @property
    def measured(self) -> bool:
        """Return whether usage was measured often enough, after different numbers of answers."""
        return len({count for count, _ in self._usages if count}) >= LEAST_MEASUREMENTS

    def cost(self) -> RequestCost | None:
        """Return the figures; None without an answer."""
        asked = len(self.answers)
        if not asked:
            return None
        times = sorted(ms for _, ms in self.answers)
        failed = sum(status == 0 or status >= SERVER_ERROR for status, _ in self.answers)
        low, high = wilson(failed, asked)
        return RequestCost(
            asked=asked,
            failed=Estimate(value=failed / asked, low=low, high=high),
            p50_ms=quantile(times, 0.5),
            p95_ms=quantile(times, 0.95),
            memory_kib=self._slope(lambda usage: usage.memory / 1024),
            cpu_ms=self._slope(lambda usage: usage.cpu * 1000),
        )

    def _slope(self, of: Callable[[ResourceUsage], float]) -> Estimate | None:
        return slope([(count, of(usage)) for count, usage in self._usages if count])


def quantile(ordered: Sequence[float], share: float) -> Estimate:
    """Return a quantile; its interval goes from one value in order to another (Conover 1999, 3.2)."""
    count, width = len(ordered), Z * math.sqrt(len(ordered) * share * (1 - share))
    low, middle, high = (
        ordered[min(max(math.ceil(count * share + step) - 1, 0), count - 1)] for step in (-width, 0, width)
    )
    return Estimate(value=middle, low=low, high=high)


def _student(free: int) -> float:
    """Return Student's t for both sides of 95 % (Abramowitz and Stegun 26.7.5)."""
    return Z + (Z**3 + Z) / (4 * free) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * free**2)


def slope(points: Sequence[tuple[float, float]]) -> Estimate | None:
    """Return the slope of the line through the points, by least squares; None where they are too few."""
    x, y = [point[0] for point in points], [point[1] for point in points]
    if len(points) < LEAST_MEASUREMENTS or min(x) == max(x) or not any(y):
        return None
    line = linear_regression(x, y)
    left = sum((b - line.intercept - line.slope * a) ** 2 for a, b in points)
    width = _student(len(points) - 2) * math.sqrt(
        left / (len(points) - 2) / sum((each - mean(x)) ** 2 for each in x)
    )
    return Estimate(value=line.slope, low=line.slope - width, high=line.slope + width)


def compared(base: RequestCost, change: RequestCost) -> str:
    """Return what both sides cost, side by side, as a sentence."""
    share, ms, kib = (lambda value: f"{100 * value:.0f} %", lambda value: f"{value:.1f} ms", _kib)
    parts = [
        f"{name} {_told(old, form)} → {_told(new, form)}"
        for name, old, new, form in (
            ("failed", base.failed, change.failed, share),
            ("p50", base.p50_ms, change.p50_ms, ms),
            ("p95", base.p95_ms, change.p95_ms, ms),
            ("memory", base.memory_kib, change.memory_kib, kib),
            ("CPU", base.cpu_ms, change.cpu_ms, ms),
        )
        if old is not None and new is not None
    ]
    return f"Per request, of {base.asked} → {change.asked}, with 95 % intervals: {', '.join(parts)}."


def _kib(value: float) -> str:
    return f"{value:+.1f} KiB"


def _told(estimate: Estimate, form: Callable[[float], str]) -> str:
    low, high = (form(value).split()[0] for value in (estimate.low, estimate.high))
    return f"{form(estimate.value)} ({low} to {high})"
