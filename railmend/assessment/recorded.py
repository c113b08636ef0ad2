"""Recorded slices as JSON lines: the format that `record` writes and `backtest` reads."""

from datetime import datetime
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from railmend.assessment.statistics import numbers, zeroed
from railmend.contracts.scan import Service, ServiceKind
from railmend.railway.model import Series, Slice, last_value

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# Ranks at which the requests of one step are sampled, linearly between its percentiles.
SAMPLED = np.linspace(0.005, 0.995, 100)


class Recorded(BaseModel):
    """One service's series: vCPU, GB, requests per step by class, milliseconds by percentile.

    A null in a list is a step without a sample; `http` is None where no HTTP traffic is measured.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    service: str
    start: datetime
    step_seconds: int
    minutes: float | None = None
    cpu: Series = []
    cpu_limit: float | None = None
    memory_gb: Series = []
    memory_limit: float | None = None
    disk_gb: Series = []
    disk_limit: float | None = None
    http: dict[str, Series] | None = None
    latency_ms: dict[str, Series] | None = None
    history: "Recorded | None" = None

    @property
    def points(self) -> int:
        return max(len(self.cpu), len(self.memory_gb), *map(len, (self.http or {}).values()), 0)

    @classmethod
    def from_slice(cls, id: str, service: Service, source: Slice, history: Slice | None = None) -> Self:
        return cls(
            id=id,
            service=service.name,
            start=source.start,
            step_seconds=source.step_seconds,
            minutes=source.points * source.step_seconds / 60,
            cpu=source.cpu,
            cpu_limit=last_value(source.cpu_limit),
            memory_gb=source.memory_gb,
            memory_limit=last_value(source.memory_limit_gb),
            disk_gb=source.disk_gb,
            disk_limit=last_value(source.disk_limit_gb),
            http=source.http or None,
            latency_ms=source.latency or None,
            history=cls.from_slice(f"{id}/history", service, history) if history else None,
        )

    def subject(self) -> Service:
        """Return a service that fits the recording: a worker without HTTP, else a web service."""
        kind = ServiceKind.WORKER if self.http is None else ServiceKind.WEB
        return Service(service_id=self.service, name=self.service, kind=kind)

    def slice(self) -> Slice:
        return Slice(
            service_id=self.service,
            start=self.start,
            step_seconds=self.step_seconds,
            cpu=self.cpu,
            cpu_limit=[self.cpu_limit],
            memory_gb=self.memory_gb,
            memory_limit_gb=[self.memory_limit],
            disk_gb=self.disk_gb,
            disk_limit_gb=[self.disk_limit],
            http=self.http or {},
            latency=self.latency_ms or {},
        )


def coarsen(source: Slice, step_seconds: int) -> Slice:
    """Return the slice at a coarser step, as a survey reads it.

    CPU, memory and disk become means, requests sums, latency the percentiles of all requests of a step.
    """
    size = max(step_seconds // source.step_seconds, 1)
    points = max(map(len, source.latency.values()), default=0)
    steps = [percentiles(source, slice(first, first + size)) for first in range(0, points, size)]
    return source.model_copy(
        update={
            "step_seconds": size * source.step_seconds,
            "cpu": _downsampled(source.cpu, size, mean=True),
            "memory_gb": _downsampled(source.memory_gb, size, mean=True),
            "disk_gb": _downsampled(source.disk_gb, size, mean=True),
            "http": {name: _downsampled(series, size, mean=False) for name, series in source.http.items()},
            "latency": {name: [step.get(name) for step in steps] for name in PERCENTILES} if steps else {},
        }
    )


def _downsampled(series: Series, size: int, *, mean: bool) -> Series:
    values = numbers(series)
    values = np.concatenate([values, np.full(-len(values) % size, np.nan)]).reshape(-1, size)
    counts = np.isfinite(values).sum(axis=1)
    sums = np.where(np.isfinite(values), values, 0).sum(axis=1)
    return [
        None if not count else float(total / count if mean else total)
        for total, count in zip(sums, counts, strict=True)
    ]


def percentiles(source: Slice, part: slice) -> dict[str, float]:
    """Return percentiles (ms) over several steps from those of each step; empty without requests."""
    if not set(PERCENTILES) <= set(source.latency):
        return {}
    steps = np.stack([numbers(source.latency[name][part]) for name in PERCENTILES])
    counts = np.zeros(steps.shape[1])
    for series in source.http.values():
        values = zeroed(numbers(series[part]))
        counts[: len(values)] += values[: len(counts)]
    used = np.isfinite(steps).all(axis=0) & (counts > 0)
    if not used.any():
        return {}
    shares = [0.0, *PERCENTILES.values(), 1.0]
    requests = np.concatenate(
        [np.interp(SAMPLED, shares, [column[0] / 2, *column, column[-1]]) for column in steps[:, used].T]
    )
    order = np.argsort(requests)
    weights = np.repeat(counts[used], len(SAMPLED))[order].cumsum()
    return {
        name: float(requests[order][np.searchsorted(weights, share * weights[-1])])
        for name, share in PERCENTILES.items()
    }
