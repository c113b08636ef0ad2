"""Choose two comparable windows, and reduce a service's slice to its numbers over each."""

from datetime import datetime, timedelta

import numpy as np

from railmend.assessment.statistics import Numbers, numbers, zeroed
from railmend.contracts.incident import MeasuredSeries
from railmend.contracts.measurement import MAX_POINTS, WindowMetrics
from railmend.contracts.scan import Window
from railmend.railway.model import Slice

# A process that has just started fills caches and pools: this share of its uptime is left out.
WARM_UP_SHARE = 0.1
LONGEST_WARM_UP = timedelta(minutes=5)
FEWEST_STEPS = 5


def matched_windows(incident: Window, up_since: datetime, now: datetime) -> tuple[Window, Window] | None:
    """Return windows of equal length before and after the fix, at most as long as the incident's.

    Return None if the fix has been live too short a time.
    """
    up = now - up_since
    warm = min(up * WARM_UP_SHARE, LONGEST_WARM_UP)
    step = incident.step_seconds
    steps = int(min(up - warm, incident.length).total_seconds()) // step
    if steps < FEWEST_STEPS:
        return None
    length = timedelta(seconds=steps * step)
    return (
        Window(start=incident.end - length, end=incident.end, step_seconds=step),
        Window(start=now - length, end=now, step_seconds=step),
    )


def window_metrics(source: Slice, window: Window) -> WindowMetrics:
    """Reduce a slice to one number per series, and a short series each for charts."""
    memory, cpu = numbers(source.memory_gb), numbers(source.cpu)
    p95 = numbers(source.latency.get("p95", ()))
    http = {name: zeroed(numbers(values)) for name, values in source.http.items()}
    total: Numbers = np.sum(list(http.values()), axis=0) if http else np.zeros(0)
    requests = float(total.sum()) if http else None
    minutes = window.length.total_seconds() / 60
    sampled = [np.isfinite(series) for series in (memory, cpu, p95, np.where(total > 0, total, np.nan))]
    steps = max(len(series) for series in sampled)
    covered = np.zeros(steps, dtype=bool)
    for series in sampled:
        covered[: len(series)] |= series
    level, load = _median(memory), _median(cpu)
    return WindowMetrics(
        window=window,
        known=float(covered.mean()) if steps else 0.0,
        requests=requests,
        memory_gb=level,
        memory_slope_gb_per_hour=_slope(memory, window.step_seconds),
        memory_share=_share(level, _median(numbers(source.memory_limit_gb))),
        cpu_cores=load,
        cpu_share=_share(load, _median(numbers(source.cpu_limit))),
        error_share=_status_share(http, "5xx", requests),
        client_error_share=_status_share(http, "4xx", requests),
        p95_ms=_p95(p95, total),
        requests_per_minute=requests / minutes if requests is not None else None,
        series={
            name: charted(values)
            for name, values in (
                (MeasuredSeries.MEMORY_GB, memory),
                (MeasuredSeries.CPU_CORES, cpu),
                (MeasuredSeries.P95_MS, p95),
                (MeasuredSeries.ERROR_SHARE, _errors(http, total)),
                (MeasuredSeries.REQUESTS_PER_MINUTE, total * 60 / window.step_seconds),
            )
            if np.isfinite(values).any()
        },
    )


def charted(values: Numbers) -> tuple[float | None, ...]:
    """Return at most `MAX_POINTS` medians of blocks of equal length, None for a block without samples."""
    size = max(-(-len(values) // MAX_POINTS), 1)
    blocks = (values[start : start + size] for start in range(0, len(values), size))
    medians = (_median(block) for block in blocks)
    return tuple(None if value is None else float(f"{value:.4g}") for value in medians)


def _median(values: Numbers) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def _slope(memory: Numbers, step_seconds: int) -> float | None:
    """Return GB/h by least squares over the samples."""
    index = np.flatnonzero(np.isfinite(memory))
    if len(index) < FEWEST_STEPS:
        return None
    hours, values = index * step_seconds / 3600, memory[index]
    hours = hours - hours.mean()
    return float((hours * (values - values.mean())).sum() / (hours * hours).sum())


def _share(value: float | None, limit: float | None) -> float | None:
    return value / limit if value is not None and limit else None


def _status_share(http: dict[str, Numbers], name: str, requests: float | None) -> float | None:
    return float(http[name].sum()) / requests if requests and name in http else (0.0 if requests else None)


def _errors(http: dict[str, Numbers], total: Numbers) -> Numbers:
    failed = http.get("5xx", np.zeros(len(total)))
    shares: Numbers = np.divide(failed, total, out=np.full(len(total), np.nan), where=total > 0)
    return shares


def _p95(p95: Numbers, total: Numbers) -> float | None:
    """Return the median over the steps with requests, so that single slow steps do not decide."""
    if len(total) == len(p95):
        p95 = p95[total > 0]
    return _median(p95)
