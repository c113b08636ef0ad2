"""How long the pure rooms take: log lines condensed per second."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from railmend.evidence.condense import condense_logs
from railmend.railway.model import LogLine

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPEATS = 3


def lines(count: int) -> list[LogLine]:
    return [
        LogLine(
            timestamp=NOW + timedelta(milliseconds=number),
            severity="info",
            message=f"request {number} of user {number % 977} took {number % 83} ms",
        )
        for number in range(count)
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
    for count in (10_000, 100_000):
        rows = lines(count)
        seconds = best(lambda rows=rows: condense_logs(rows))  # type: ignore[misc]
        print(f"{f'condense {count:,} log lines':<40}{seconds:>10.3f}{count / seconds:>14.0f}")
