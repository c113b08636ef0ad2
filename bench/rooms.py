"""How long the pure rooms take: slices assessed per second. Logs stand in `bench.evidence`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from railmend.assessment import assess
from railmend.contracts.scan import Service, ServiceKind
from railmend.railway.model import Slice

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = Service(service_id="s", name="bench", kind=ServiceKind.WEB)
REPEATS = 3


def slices(count: int, points: int) -> list[Slice]:
    """Ten series each: CPU, memory, two limits, two classes of status, four percentiles."""
    random = np.random.default_rng(1)

    def series() -> list[float | None]:
        return [float(value) for value in random.gamma(2.0, 1.0, points)]

    return [
        Slice(
            service_id="s",
            start=NOW,
            step_seconds=60,
            cpu=series(),
            cpu_limit=[8.0] * points,
            memory_gb=series(),
            memory_limit_gb=[8.0] * points,
            http={"2xx": series(), "5xx": series()},
            latency={name: series() for name in ("p50", "p90", "p95", "p99")},
        )
        for _ in range(count)
    ]


def best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of a few runs."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    print(f"{'what':<40}{'seconds':>10}{'per second':>14}")
    for points in (90, 180, 360):
        some = slices(200, points)
        seconds = best(lambda some=some: [assess(one, SERVICE, environment_id="e") for one in some])  # type: ignore[misc]
        print(f"{f'assess 200 slices of {points} points':<40}{seconds:>10.3f}{200 / seconds:>14.0f}")
