"""One slice as the rules see it: arrays of one length, durations in steps, and how a finding is worded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import LARGEST, Flags, Numbers, numbers, zeroed
from railmend.contracts.scan import Finding, FindingKind, Service, Severity
from railmend.railway.model import Slice

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
    def series(self) -> dict[str, Numbers]:
        """All series by name, of one length: the shorter ones end in NaN."""
        one = self.slice
        named = {"cpu": one.cpu, "memory": one.memory_gb, **one.http, **one.latency}
        points = max(map(len, named.values()))
        rows = [
            row if len(row) == points else [*row, *[None] * (points - len(row))] for row in named.values()
        ]
        return dict(zip(named, numbers(rows), strict=True))

    @cached_property
    def points(self) -> int:
        return len(self.series["cpu"])

    @cached_property
    def has_past(self) -> bool:
        """Whether the slice is long enough to be compared with itself."""
        return self.points * self.slice.step_seconds >= self.settings.shortest_minutes * 60

    @cached_property
    def _pace(self) -> float:
        """Steps that the rules take for a minute."""
        return 60 / self.slice.step_seconds if self.has_past else 1.0

    def steps(self, minutes: float) -> int:
        return max(round(minutes * self._pace), 1)

    @cached_property
    def recent(self) -> int:
        """The steps of the newest stretch, which decides."""
        return min(self.steps(self.settings.recent_minutes), self.points)

    @property
    def cpu(self) -> Numbers:
        return self.series["cpu"]

    @property
    def memory(self) -> Numbers:
        return self.series["memory"]

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
        return self._requests(*self.slice.http)

    @cached_property
    def failed(self) -> Numbers:
        return self._requests("5xx")

    @cached_property
    def refused(self) -> Numbers:
        return self._requests("4xx")

    @cached_property
    def served(self) -> Numbers:
        return self._requests("2xx", "3xx")

    def _requests(self, *names: str) -> Numbers:
        total = np.zeros(self.points)
        for name in names:
            if name in self.series:
                total += zeroed(self.series[name])
        return total

    @cached_property
    def sampled(self) -> Flags:
        """Steps whose requests are known: a few missing ones are lost samples, many are silence."""
        known = np.zeros(self.points, dtype=np.bool_)
        for name in self.slice.http:
            known |= np.isfinite(self.series[name])
        if known.all():
            return known
        edges = np.flatnonzero(np.diff(np.concatenate([[True], known, [True]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            if end - start > LOST_STEPS:
                known[start:end] = True
        return known

    @property
    def p50(self) -> Numbers:
        """Latency in milliseconds, NaN where nothing was requested or measured."""
        return self._percentile("p50")

    @property
    def p95(self) -> Numbers:
        return self._percentile("p95")

    @property
    def p99(self) -> Numbers:
        return self._percentile("p99")

    def _percentile(self, name: str) -> Numbers:
        known = self.series.get(name)
        return np.full(self.points, np.nan) if known is None else known

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
            requests=int(self.total.sum()) if self.has_http else None,
        )


def margin(value: float, threshold: float) -> float:
    """Confidence from the distance to a threshold that must be exceeded: 0.5 at it, towards 1 far beyond."""
    return 1 - 0.5 * threshold / value if value > 0 else 0.5


def _limit(series: Sequence[float | None]) -> float | None:
    """The limit in force: the newest that is known."""
    return next((limit for limit in reversed(series) if limit and 0 < limit < LARGEST), None)
