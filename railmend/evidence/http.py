"""Summarise HTTP rows by method, route and status: failing and slow routes, traffic before and since."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from railmend.evidence.condense import Condensed
from railmend.evidence.templates import route
from railmend.evidence.tokens import cut, estimate

MAX_GROUPS = 2000
# Durations fall into buckets 5 % wide: percentiles are right within 2.5 %, in constant memory.
BUCKET_WIDTH = math.log(1.05)
MAX_FAILING, MAX_SLOW, MAX_CLIENT_ERRORS, MAX_BUSY = 8, 6, 3, 3
MAX_PATH = 160
# A route is slow if its p95 is at least this, or at least a fifth of it and many times the service's median.
SLOW_MS = 500.0
TIMES_MEDIAN = 5


class HttpRow(Protocol):
    """A request as Railway's edge logged it."""

    @property
    def timestamp(self) -> datetime: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def duration_ms(self) -> float: ...


@dataclass
class RouteGroup:
    """Requests of one method, route and status. `before`: how many preceded the onset."""

    method: str
    route: str
    status: int
    first: datetime
    last: datetime
    example: str
    slowest: float = -1.0
    count: int = 0
    before: int = 0
    total_ms: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, row: HttpRow, *, before: bool) -> None:
        self.count += 1
        self.before += before
        self.total_ms += row.duration_ms
        self.first, self.last = min(self.first, row.timestamp), max(self.last, row.timestamp)
        bucket = int(math.log(max(row.duration_ms, 0.01)) // BUCKET_WIDTH)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        if row.duration_ms > self.slowest:  # the slowest is the example: it shows what is slow
            self.slowest, self.example = row.duration_ms, row.path[:MAX_PATH]

    def percentile(self, share: float) -> float:
        """Return milliseconds: the middle of the bucket in which this share of the rows is reached."""
        target, seen = self.count * share, 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= target:
                return min(math.exp((bucket + 0.5) * BUCKET_WIDTH), max(self.slowest, 0.0))
        return max(self.slowest, 0.0)

    @property
    def since(self) -> int:
        return self.count - self.before


class HttpCondenser:
    """Summarises HTTP rows page by page. `onset`: when the incident began, to compare traffic around it."""

    def __init__(self, *, onset: datetime | None = None) -> None:
        self._onset = onset
        self._rows = 0
        self._groups: dict[tuple[str, str, int], RouteGroup] = {}

    def read(self, rows: Iterable[HttpRow]) -> None:
        for row in rows:
            self._rows += 1
            key = (row.method, route(row.path), row.status)
            group = self._groups.get(key)
            if group is None:
                if len(self._groups) >= MAX_GROUPS:
                    key = (row.method, "(other routes)", row.status)
                new = RouteGroup(*key, row.timestamp, row.timestamp, row.path[:MAX_PATH])
                group = self._groups.setdefault(key, new)
            group.add(row, before=self._onset is not None and row.timestamp < self._onset)

    def result(self, budget_tokens: int) -> Condensed:
        """Return failing routes first, then slow ones, then those answered 4xx, then the busiest."""
        if not self._groups:
            return Condensed("No request in this stretch of time.", 0, 0, 0)
        return _render(list(self._groups.values()), self._rows, budget_tokens, self._onset)


def condense_http(
    rows: Iterable[HttpRow], *, budget_tokens: int = 600, onset: datetime | None = None
) -> Condensed:
    """Return the summary of all rows."""
    condenser = HttpCondenser(onset=onset)
    condenser.read(rows)
    return condenser.result(budget_tokens)


def _chosen(groups: list[RouteGroup]) -> list[RouteGroup]:
    failing = sorted((g for g in groups if g.status >= 500), key=lambda g: -g.since)[:MAX_FAILING]
    median = _median(groups)
    slow = sorted((g for g in groups if g.status < 500 and _slow(g, median)), key=lambda g: -g.total_ms)
    slow = slow[:MAX_SLOW]
    client_errors = sorted((g for g in groups if 400 <= g.status < 500), key=lambda g: -g.since)[
        :MAX_CLIENT_ERRORS
    ]
    busy = sorted(groups, key=lambda g: -g.count)[:MAX_BUSY]
    return list({id(g): g for g in (*failing, *slow, *client_errors, *busy)}.values())


def _slow(group: RouteGroup, median: float) -> bool:
    p95 = group.percentile(0.95)
    return p95 >= SLOW_MS or p95 >= max(SLOW_MS / 5, TIMES_MEDIAN * median)


def _median(groups: list[RouteGroup]) -> float:
    """Of all routes together, in milliseconds."""
    medians = sorted((g.percentile(0.5), g.count) for g in groups)
    target, seen = sum(count for _, count in medians) / 2, 0
    for median, count in medians:
        seen += count
        if seen >= target:
            return median
    return 0.0


def _render(groups: list[RouteGroup], count: int, budget: int, onset: datetime | None) -> Condensed:
    start, end = min(g.first for g in groups), max(g.last for g in groups)
    head = [
        f"{count} requests, {len(groups)} kinds of method, route and status, "
        f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC."
    ]
    if onset is not None and start < onset < end:
        head.append(_traffic_around(groups, onset, start, end))
    lines: list[str] = []
    used = estimate("\n".join(head)) + 30
    for group in _chosen(groups):
        line = _line(group, count, onset)
        used += estimate(line) + 1
        if used > budget and lines:
            break
        lines.append(line)
    left_out = len(groups) - len(lines)
    tail = [f"({left_out} more kinds left out)"] if left_out else []
    return Condensed(cut("\n".join([*head, *lines, *tail]), budget), count, len(groups), left_out, start, end)


def _line(group: RouteGroup, count: int, onset: datetime | None) -> str:
    example = f", slowest {group.slowest:.0f} ms: {group.example}" if group.example != group.route else ""
    new = ", new since the onset" if onset is not None and group.before == 0 and group.status >= 500 else ""
    return (
        f"{group.method} {group.route} -> {group.status}: {group.count}x ({group.count / count:.1%}), "
        f"p50 {group.percentile(0.5):.0f} ms, p95 {group.percentile(0.95):.0f} ms, "
        f"{group.first:%H:%M:%S} to {group.last:%H:%M:%S}{example}{new}"
    )


def _traffic_around(groups: list[RouteGroup], onset: datetime, start: datetime, end: datetime) -> str:
    """Return requests and failures per minute, before the onset and since."""
    minutes = (max((onset - start).total_seconds(), 1) / 60, max((end - onset).total_seconds(), 1) / 60)
    before = sum(g.before for g in groups) / minutes[0]
    since = sum(g.since for g in groups) / minutes[1]
    failed_before = sum(g.before for g in groups if g.status >= 500) / minutes[0]
    failed_since = sum(g.since for g in groups if g.status >= 500) / minutes[1]
    return (
        f"Before the onset at {onset:%H:%M:%S}: {before:.1f} requests a minute, {failed_before:.1f} of them "
        f"5xx; since: {since:.1f}, {failed_since:.1f} of them 5xx."
    )
