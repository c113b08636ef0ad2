"""One slice prepared for the rules: arrays of equal length, durations in steps, wording of findings."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, cached_property

import numpy as np

from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import LARGEST, Flags, Numbers, numbers, zeroed
from railmend.contracts.scan import Finding, FindingKind, Service, Severity
from railmend.railway.model import Slice

DAY = timedelta(days=1)
# Up to this many missing steps in a row are dropped samples; longer gaps mean no traffic.
LOST_STEPS = 3
# Kinds whose rules compare with the day before, if its history is available.
COMPARED = frozenset(
    {
        FindingKind.MEMORY_LEAK,
        FindingKind.ERROR_RATE,
        FindingKind.CLIENT_ERRORS,
        FindingKind.TRAFFIC_DROP,
        FindingKind.CPU_SATURATION,
    }
)
FIRST_DAY = " The day before was not there to compare with."


class MetricFrame:
    """One service's metrics as every rule reads them, computed once as rows of one array.

    `past`: the service's longer, coarser past, if any; `history`: its newest day. `points`: number of steps;
    shorter series end in NaN. `has_past`: whether the slice is long enough to be compared with itself.
    `recent`: number of steps of the newest stretch, which decides. `total`, `failed` (5xx), `refused` (4xx):
    requests per step.
    """

    def __init__(
        self,
        slice: Slice,
        service: Service,
        environment_id: str,
        settings: AssessmentSettings,
        history: Slice | None = None,
    ) -> None:
        self.slice = slice
        self.service = service
        self.environment_id = environment_id
        self.settings = settings
        self.past = history
        self.history = history.newest(int(DAY.total_seconds()) // history.step_seconds) if history else None
        rows = _rows(slice)
        self.cpu, self.memory = rows[0], rows[1]
        self._http, latency = rows[2 : 2 + len(slice.http)], rows[2 + len(slice.http) :]
        self._percentiles = dict(zip(slice.latency, latency, strict=True))
        self.points = int(rows.shape[1])
        self.has_past = self.points * slice.step_seconds >= settings.shortest_minutes * 60
        # Steps per minute, as the rules count them.
        self._pace: float = 60 / slice.step_seconds if self.has_past else 1.0
        self.recent: int = min(self.steps(settings.recent_minutes), self.points)
        # The beginning of the slice, for trouble that has lasted for most of it.
        self.oldest: int = min(2 * self.recent, max(self.points - self.recent, 0))
        self._counts = zeroed(self._http)
        self.total: Numbers = self._counts.sum(axis=0)
        self.failed = self._requests("5xx")
        self.refused = self._requests("4xx")
        self.has_http = bool(slice.http) and bool(self.total.any())

    def steps(self, minutes: float) -> int:
        """Return a duration in steps, at least 1."""
        return _steps(minutes, self._pace)

    @cached_property
    def cpu_limit(self) -> float | None:
        return _limit(self.slice.cpu_limit)

    @cached_property
    def memory_limit(self) -> float | None:
        return _limit(self.slice.memory_limit_gb)

    @cached_property
    def disk(self) -> Numbers:
        """Return GB in use on all volumes together; empty without a volume."""
        return numbers(self.slice.disk_gb)

    @cached_property
    def disk_limit(self) -> float | None:
        return _limit(self.slice.disk_limit_gb)

    @cached_property
    def served(self) -> Numbers:
        return self._requests("2xx") + self._requests("3xx")

    def _requests(self, status: str) -> Numbers:
        names = list(self.slice.http)
        if status not in names:
            return np.zeros(self.points)
        counts: Numbers = self._counts[names.index(status)]
        return counts

    @cached_property
    def sampled(self) -> Flags:
        """Return the mask of steps with request data.

        Gaps of up to `LOST_STEPS` are dropped samples; in longer ones there was no traffic.
        """
        sampled: Flags = np.logical_or.reduce(np.isfinite(self._http), axis=0)
        if sampled.all():
            return sampled
        edges = np.flatnonzero(np.diff(np.concatenate([[True], sampled, [True]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            if end - start > LOST_STEPS:
                sampled[start:end] = True
        return sampled

    @property
    def p50(self) -> Numbers:
        """Return latency in milliseconds, NaN in steps without requests or samples."""
        return self.percentile("p50")

    @property
    def p95(self) -> Numbers:
        return self.percentile("p95")

    @property
    def p99(self) -> Numbers:
        return self.percentile("p99")

    def percentile(self, name: str) -> Numbers:
        """Return one percentile's latency as `p50` is, NaN where it is not measured."""
        values = self._percentiles.get(name)
        return np.full(self.points, np.nan) if values is None else values

    def at(self, index: int) -> datetime:
        return self.slice.start + timedelta(seconds=int(index) * self.slice.step_seconds)

    def step(self, at: datetime) -> int:
        """Return the step at which a time lies."""
        return int((at - self.slice.start).total_seconds()) // self.slice.step_seconds

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
        """Make a finding. `measured`: value, threshold, unit; `onset`: a step; `confidence`: 0 to 1."""
        value, threshold, unit = measured
        alone = self.history is None and self.has_past and kind in COMPARED
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
            sentence=sentence + FIRST_DAY if alone else sentence,
            requests=int(self.total.sum()) if self.has_http else None,
        )


@cache
def _steps(minutes: float, pace: float) -> int:
    """Convert minutes to steps; cached because every rule asks for the same few settings."""
    return max(round(minutes * pace), 1)


def _rows(slice: Slice) -> Numbers:
    """Return CPU, memory, requests by class and latency by percentile, in this order, padded with NaN."""
    rows = [slice.cpu, slice.memory_gb, *slice.http.values(), *slice.latency.values()]
    points = max(map(len, rows))
    return numbers([row if len(row) == points else [*row, *[None] * (points - len(row))] for row in rows])


def margin(value: float, threshold: float) -> float:
    """Return a confidence from the distance to a threshold: 0.5 at it, approaching 1 far beyond."""
    return 1 - 0.5 * threshold / value if value > 0 else 0.5


def _limit(series: Sequence[float | None]) -> float | None:
    """Return the limit in force, which is the newest plausible sample."""
    return next((limit for limit in reversed(series) if limit and 0 < limit < LARGEST), None)
