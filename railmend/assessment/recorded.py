"""Recorded slices, one a line of JSON: what `backtest` reads and `record` writes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from railmend.assessment.statistics import numbers, zeroed
from railmend.contracts.scan import Service, ServiceKind
from railmend.railway.model import Series, Slice

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# Where the requests of one step lie, as a fraction of the step's: between its percentiles, linearly.
SAMPLED = np.linspace(0.005, 0.995, 100)


class Recorded(BaseModel):
    """One service's series: vCPU, GB, requests per step by class, milliseconds by percentile.

    A null in a list is a step without a sample; no `http` at all: none is measured.
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
    def of(cls, id: str, service: Service, one: Slice, history: Slice | None = None) -> Self:
        points = max(len(one.cpu), len(one.memory_gb), *map(len, one.http.values()), 0)
        return cls(
            id=id,
            service=service.name,
            start=one.start,
            step_seconds=one.step_seconds,
            minutes=points * one.step_seconds / 60,
            cpu=one.cpu,
            cpu_limit=_newest(one.cpu_limit),
            memory_gb=one.memory_gb,
            memory_limit=_newest(one.memory_limit_gb),
            disk_gb=one.disk_gb,
            disk_limit=_newest(one.disk_limit_gb),
            http=one.http or None,
            latency_ms=one.latency or None,
            history=cls.of(f"{id}/history", service, history) if history else None,
        )

    def subject(self) -> Service:
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


def _newest(series: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(series) if value is not None), None)


def coarsened(one: Slice, step_seconds: int) -> Slice:
    """The slice as a survey would read it: means, sums of requests, percentiles of all requests of a step."""
    size = max(step_seconds // one.step_seconds, 1)
    points = max(map(len, one.latency.values()), default=0)
    steps = [percentiles(one, slice(first, first + size)) for first in range(0, points, size)]
    return one.model_copy(
        update={
            "step_seconds": size * one.step_seconds,
            "cpu": _condensed(one.cpu, size, mean=True),
            "memory_gb": _condensed(one.memory_gb, size, mean=True),
            "disk_gb": _condensed(one.disk_gb, size, mean=True),
            "http": {name: _condensed(series, size, mean=False) for name, series in one.http.items()},
            "latency": {name: [step.get(name) for step in steps] for name in PERCENTILES} if steps else {},
        }
    )


def _condensed(series: Series, size: int, *, mean: bool) -> Series:
    values = numbers(series)
    values = np.concatenate([values, np.full(-len(values) % size, np.nan)]).reshape(-1, size)
    known = np.isfinite(values).sum(axis=1)
    sums = np.where(np.isfinite(values), values, 0).sum(axis=1)
    return [
        None if not count else float(total / count if mean else total)
        for total, count in zip(sums, known, strict=True)
    ]


def percentiles(one: Slice, part: slice) -> dict[str, float]:
    """Percentiles of all requests of some steps, from those of each step; empty without requests."""
    if not set(PERCENTILES) <= set(one.latency):
        return {}
    steps = np.stack([numbers(one.latency[name][part]) for name in PERCENTILES])
    counts = np.zeros(steps.shape[1])
    for series in one.http.values():
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
