"""One slice as the rules see it: arrays of one length, durations in steps, and how a finding is worded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import Flags, Numbers, finite, median, numbers
from railmend.contracts.scan import Finding, FindingKind, Service, Severity
from railmend.railway.model import Slice

SUCCESSES = ("2xx", "3xx")
# Missing steps in a row that are taken for lost samples, not for silence.
LOST_STEPS = 3


@dataclass
class Look:
    """`history`: the service's longer, coarser past, where there is one."""

    slice: Slice
    service: Service
    environment_id: str
    settings: AssessmentSettings
    history: Slice | None = None

    @cached_property
    def points(self) -> int:
        s = self.slice
        series = (s.cpu, s.memory_gb, *s.http.values(), *s.latency.values())
        return max(map(len, series))

    @cached_property
    def has_past(self) -> bool:
        """Whether the slice is long enough to be compared with itself."""
        return self.points * self.slice.step_seconds >= self.settings.shortest_minutes * 60

    def steps(self, minutes: float) -> int:
        seconds = 60 if self.has_past else self.slice.step_seconds
        return max(round(minutes * seconds / self.slice.step_seconds), 1)

    @cached_property
    def recent(self) -> int:
        """The steps of the newest stretch, which decides."""
        return min(self.steps(self.settings.recent_minutes), self.points)

    @cached_property
    def cpu(self) -> Numbers:
        return numbers(self.slice.cpu, self.points)

    @cached_property
    def memory(self) -> Numbers:
        return numbers(self.slice.memory_gb, self.points)

    @cached_property
    def cpu_limit(self) -> float | None:
        return _limit(self.slice.cpu_limit)

    @cached_property
    def memory_limit(self) -> float | None:
        return _limit(self.slice.memory_limit_gb)

    @cached_property
    def has_http(self) -> bool:
        return bool(self.slice.http) and bool(self.total.any())

    @cached_property
    def total(self) -> Numbers:
        """Requests per step."""
        return sum_of(self.slice.http, tuple(self.slice.http), self.points)

    @cached_property
    def failed(self) -> Numbers:
        return sum_of(self.slice.http, ("5xx",), self.points)

    @cached_property
    def refused(self) -> Numbers:
        return sum_of(self.slice.http, ("4xx",), self.points)

    @cached_property
    def served(self) -> Numbers:
        return sum_of(self.slice.http, SUCCESSES, self.points)

    @cached_property
    def sampled(self) -> Flags:
        """Steps whose requests are known: a few missing ones are lost samples, many are silence."""
        known = np.zeros(self.points, dtype=np.bool_)
        for series in self.slice.http.values():
            known |= np.isfinite(numbers(series, self.points))
        if known.all():
            return known
        edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            if end - start > LOST_STEPS:
                known[start:end] = True
        return known

    def percentile(self, name: str) -> Numbers:
        """Latency in milliseconds, NaN where nothing was requested."""
        return numbers(self.slice.latency.get(name, ()), self.points)

    @cached_property
    def p95(self) -> Numbers:
        return self.percentile("p95")

    def at(self, index: int) -> datetime:
        return self.slice.start + timedelta(seconds=int(index) * self.slice.step_seconds)

    def minutes(self, steps: int) -> float:
        return steps * self.slice.step_seconds / 60

    def finding(
        self,
        kind: FindingKind,
        severity: Severity,
        measured: tuple[float, float, str],
        onset: int,
        confidence: float,
        rule: str,
        sentence: str,
    ) -> Finding:
        """`measured`: value, threshold, unit; `onset`: a step; `confidence`: 0 to 1."""
        value, threshold, unit = measured
        return Finding(
            environment_id=self.environment_id,
            service_id=self.service.service_id,
            service_name=self.service.name,
            kind=kind,
            severity=severity,
            value=round(value, 4),
            threshold=round(threshold, 4),
            unit=unit,
            onset=self.at(onset),
            confidence=round(min(max(confidence, 0.5), 0.99), 3),
            rule=f"{kind.value}.{rule}",
            sentence=sentence,
        )


def margin(value: float, threshold: float) -> float:
    """Confidence from the distance to a threshold that must be exceeded: 0.5 at it, towards 1 far beyond."""
    return 1 - 0.5 * threshold / value if value > 0 else 0.5


def sum_of(http: Mapping[str, Sequence[float | None]], names: tuple[str, ...], points: int) -> Numbers:
    total = np.zeros(points)
    for name in names:
        series = http.get(name)
        if series:
            total += np.maximum(np.nan_to_num(numbers(series, points)), 0)
    return total


def _limit(series: Sequence[float | None]) -> float | None:
    """The limit in force: the newest; None where none is known."""
    limits = finite(numbers(series[-9:]))
    limits = limits[limits > 0]
    return median(limits) if len(limits) else None
