"""Turn samples and request rows into the series of the metrics queries."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from railyard.platform.model import HttpRow, Sample
from railyard.platform.service import ServiceRunner

Json = dict[str, Any]
PERCENTILES = (50, 90, 95, 99)
EPOCH = "1970-01-01T00:00:00Z"


def moment(value: str | datetime | None) -> datetime:
    """Parse a DateTime argument, UTC without a zone; None is now. Raise ValueError."""
    if value is None:
        return datetime.now(UTC)
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _bucket(at: float, start: float, step: int) -> int:
    return int(start + (at - start) // step * step)


def resource(
    runner: ServiceRunner, measurement: str, start: datetime, end: datetime, step: int
) -> list[Json]:
    """Return one value per step with samples: the mean for usage, the constant for limits."""
    values: dict[str, Callable[[Sample], float]] = {
        "CPU_USAGE": lambda sample: sample.cpu,
        "MEMORY_USAGE_GB": lambda sample: sample.memory,
        "CPU_LIMIT": lambda _: runner.spec.cpu_limit,
        "MEMORY_LIMIT_GB": lambda _: runner.spec.memory_limit_gb,
    }
    if measurement not in values:
        return []
    first, last = start.timestamp(), end.timestamp()
    steps: dict[int, list[float]] = defaultdict(list)
    for sample in list(runner.samples):
        if first <= sample.at < last:
            steps[_bucket(sample.at, first, step)].append(values[measurement](sample))
    return [{"ts": ts, "value": sum(samples) / len(samples)} for ts, samples in sorted(steps.items())]


def added(parts: Iterable[list[Json]]) -> list[Json]:
    """Return the sums per step of several series."""
    sums: dict[int, float] = defaultdict(float)
    for part in parts:
        for point in part:
            sums[point["ts"]] += point["value"]
    return [{"ts": ts, "value": value} for ts, value in sorted(sums.items())]


def requests(runner: ServiceRunner, start: datetime, end: datetime) -> list[HttpRow]:
    return [row for row in list(runner.edge.rows) if start <= row.at < end]


def by_status(rows: Iterable[HttpRow], start: datetime, step: int | None) -> list[Json]:
    first = start.timestamp()
    counts: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        ts = _bucket(row.at.timestamp(), first, step) if step else int(first)
        counts[row.status][ts] += 1
    return [
        {
            "statusCode": status,
            "samples": [{"ts": ts, "value": float(count)} for ts, count in sorted(by_step.items())],
        }
        for status, by_step in sorted(counts.items())
    ]


def durations(rows: Iterable[HttpRow], start: datetime, step: int | None) -> list[Json]:
    """Return percentiles per step; without a step, one sample for the whole window."""
    first = start.timestamp()
    steps: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        steps[_bucket(row.at.timestamp(), first, step) if step else int(first)].append(row.total_ms)
    return [
        {"ts": ts, **{f"p{q}": _percentile(sorted(values), q) for q in PERCENTILES}}
        for ts, values in sorted(steps.items())
    ]


def _percentile(ordered: Sequence[float], q: int) -> float:
    return ordered[min(int(len(ordered) * q / 100), len(ordered) - 1)]
