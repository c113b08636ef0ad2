"""Summarise HTTP rows by route: what failed, what is slow against the rest, traffic before and since."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Protocol

from railmend.evidence.condense import Condensed
from railmend.evidence.ranking import tells_new
from railmend.evidence.templates import route
from railmend.evidence.tokens import cut, estimate

MAX_ROUTES = 2000
# Durations fall into buckets 5 % wide: percentiles are right within 2.5 %, in constant memory.
BUCKET_WIDTH = math.log(1.05)
MAX_FAILING, MAX_SLOW, MAX_CLIENT_ERRORS, MAX_BUSY = 8, 6, 3, 3
MAX_PATH = 160
# A route is slow if its p95 is at least this, or at least a fifth of it and many times the service's median.
SLOW_MS = 500.0
TIMES_MEDIAN = 5
# A web socket's request lasts as long as its connection: that is no slowness.
UPGRADED = 101
# So many children of one parent are names, not routes of the program: if most were asked for rarely, or many.
RARE_SIBLINGS, MANY_SIBLINGS = 25, 100
RARE_COUNT, RARE_SHARE = 5, 0.01
NAME = "{name}"
OTHER = ("", "(other routes)")


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
class Route:
    """Requests of one method and route. `before`, `since`: by status, before the onset and from then on."""

    first: datetime
    last: datetime
    example: str
    slowest: float = -1.0
    total_ms: float = 0.0
    before: Counter[int] = field(default_factory=Counter)
    since: Counter[int] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, row: HttpRow, *, before: bool) -> None:
        (self.before if before else self.since)[row.status] += 1
        self.first, self.last = min(self.first, row.timestamp), max(self.last, row.timestamp)
        if row.status == UPGRADED:
            return
        self.total_ms += row.duration_ms
        self.buckets[int(math.log(max(row.duration_ms, 0.01)) // BUCKET_WIDTH)] += 1
        if row.duration_ms > self.slowest:  # the slowest is the example: it shows what is slow
            self.slowest, self.example = row.duration_ms, row.path[:MAX_PATH]

    def absorb(self, other: "Route") -> None:
        """Take over another route's requests."""
        for mine, theirs in (
            (self.before, other.before),
            (self.since, other.since),
            (self.buckets, other.buckets),
        ):
            mine.update(theirs)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.total_ms += other.total_ms
        if other.slowest > self.slowest:
            self.slowest, self.example = other.slowest, other.example

    @property
    def statuses(self) -> Counter[int]:
        return self.before + self.since

    def count(self, lowest: int = 0, highest: int = 999) -> int:
        """Return how many were answered with a status from `lowest` to `highest`."""
        return sum(n for status, n in self.statuses.items() if lowest <= status <= highest)


Routes = dict[tuple[str, str], Route]


class HttpCondenser:
    """Summarises HTTP rows page by page. `onset`: when the incident began, to compare traffic around it."""

    def __init__(self, *, onset: datetime | None = None) -> None:
        self._onset = onset
        self._routes: Routes = {}

    def read(self, rows: Iterable[HttpRow]) -> None:
        for row in rows:
            key = (row.method, route(row.path))
            found = self._routes.get(key)
            if found is None:
                if len(self._routes) >= MAX_ROUTES:
                    self._routes = _with_names_folded(self._routes)
                    key = key if len(self._routes) < MAX_ROUTES else OTHER
                found = self._routes.setdefault(key, Route(row.timestamp, row.timestamp, row.path[:MAX_PATH]))
            found.add(row, before=self._onset is not None and row.timestamp < self._onset)

    def result(self, budget_tokens: int) -> Condensed:
        """Return failing routes first, then slow ones, then those answered 4xx, then the busiest."""
        if not self._routes:
            return Condensed("No request in this stretch of time.", 0, 0, 0)
        return _render(_with_names_folded(self._routes), budget_tokens, self._onset)


def condense_http(
    rows: Iterable[HttpRow], *, budget_tokens: int = 600, onset: datetime | None = None
) -> Condensed:
    """Return the summary of all rows."""
    condenser = HttpCondenser(onset=onset)
    condenser.read(rows)
    return condenser.result(budget_tokens)


def _with_names_folded(routes: Routes) -> Routes:
    """Return the routes with segments that are names, such as slugs, as `{name}`: level by level."""
    paths = {key: key[1].split("/") for key in routes}
    for level in range(max(map(len, paths.values()))):
        children: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for key, segments in paths.items():
            if level < len(segments):
                children[tuple(segments[:level])][segments[level]] += routes[key].count()
        names = {parent: _names(counts) for parent, counts in children.items()}
        for segments in paths.values():
            if level < len(segments) and segments[level] in names[tuple(segments[:level])]:
                segments[level] = NAME
    folded: Routes = {}
    for key, segments in paths.items():
        new = (key[0], "/".join(segments))
        if new in folded:
            folded[new].absorb(routes[key])
        else:
            folded[new] = routes[key]
    return folded


def _names(counts: Counter[str]) -> frozenset[str]:
    """Return those children of a parent that are names, by how many there are and how often each came."""
    children = {child: count for child, count in counts.items() if not child.startswith("{")}
    few = len(children) < RARE_SIBLINGS
    if NAME not in counts and (
        few or (len(children) < MANY_SIBLINGS and median(children.values()) > RARE_COUNT)
    ):
        return frozenset()
    most = max(2 * RARE_COUNT, RARE_SHARE * counts.total())
    return frozenset(child for child, count in children.items() if count <= most)


def _percentile(buckets: Counter[int], share: float, slowest: float = math.inf) -> float:
    """Return milliseconds: the middle of the bucket in which this share of the requests is reached."""
    target, seen = buckets.total() * share, 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if buckets[bucket] and seen >= target:
            return min(math.exp((bucket + 0.5) * BUCKET_WIDTH), slowest)
    return 0.0


class _Service:
    """All routes together, to compare one with the rest."""

    def __init__(self, routes: Routes, onset: datetime | None) -> None:
        self.statuses: Counter[int] = Counter()
        self.buckets: Counter[int] = Counter()
        for each in routes.values():
            self.statuses.update(each.statuses)
            self.buckets.update(each.buckets)
        self.count = self.statuses.total()
        self.median = _percentile(self.buckets, 0.5)
        self.start, self.end = min(r.first for r in routes.values()), max(r.last for r in routes.values())
        told = onset is not None and onset < self.end and tells_new(self.start, onset, self.end)
        self.onset = onset if told else None

    def is_slow(self, each: Route) -> bool:
        p95 = _percentile(each.buckets, 0.95, each.slowest)
        return p95 >= SLOW_MS or p95 >= max(SLOW_MS / 5, TIMES_MEDIAN * self.median)

    def rest(self, each: Route) -> str:
        """Return how the other routes fared, "" where there is none."""
        count = self.count - each.count()
        if not count:
            return ""
        failed = _failed(self.statuses - each.statuses)
        p95 = _percentile(self.buckets - each.buckets, 0.95)
        return f" (the rest: {failed / count:.1%} failed, p95 {p95:.0f} ms)"

    def is_new(self, each: Route) -> bool:
        """Whether a route fails only since the onset, and would have failed before as often as since."""
        if self.onset is None or _failed(each.before):
            return False
        return each.before.total() * _failed(each.since) >= each.since.total() > 0


def _failed(statuses: Counter[int]) -> int:
    return sum(count for status, count in statuses.items() if status >= 500)


def _chosen(routes: Routes, service: _Service) -> list[tuple[str, str]]:
    """Return the keys of the routes to show, the most telling first."""
    failing = [key for key, each in routes.items() if _failed(each.statuses)]
    failing.sort(key=lambda key: (-_failed(routes[key].since), -_failed(routes[key].before)))
    slow = [key for key, each in routes.items() if service.is_slow(each)]
    slow.sort(key=lambda key: -routes[key].total_ms)
    refused = [key for key, each in routes.items() if each.count(400, 499)]
    refused.sort(key=lambda key: -routes[key].count(400, 499))
    busy = sorted(routes, key=lambda key: -routes[key].count())
    return list(
        dict.fromkeys(
            (*failing[:MAX_FAILING], *slow[:MAX_SLOW], *refused[:MAX_CLIENT_ERRORS], *busy[:MAX_BUSY])
        )
    )


def _render(routes: Routes, budget: int, onset: datetime | None) -> Condensed:
    service = _Service(routes, onset)
    count, start, end = service.count, service.start, service.end
    head = [
        f"{count} requests on {len(routes)} routes, {start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC.",
        f"By status: {_by_status(service.statuses, count)}.",
    ]
    if service.onset is not None:
        head.append(_traffic_around(routes, service.onset, start, end))
    lines: list[str] = []
    used = estimate("\n".join(head)) + 30
    for key in _chosen(routes, service):
        line = _line(key, routes[key], service)
        used += estimate(line) + 1
        if used > budget and lines:
            break
        lines.append(line)
    left_out = len(routes) - len(lines)
    tail = [f"({left_out} more routes left out)"] if left_out else []
    return Condensed(cut("\n".join([*head, *lines, *tail]), budget), count, len(routes), left_out, start, end)


def _by_status(statuses: Counter[int], count: int = 0) -> str:
    """Return the failures first, then the most frequent; with their shares of `count`, where it is given."""
    ordered = sorted(statuses.items(), key=lambda item: (item[0] < 500, -item[1]))
    return ", ".join(f"{status} {n}x" + (f" ({n / count:.1%})" if count else "") for status, n in ordered)


def _line(key: tuple[str, str], each: Route, service: _Service) -> str:
    count, failed = each.count(), _failed(each.statuses)
    text = f"{key[0]} {key[1]}: {count}x ({count / service.count:.1%} of all)"
    if failed:
        text += f", {failed / count:.1%} failed"
    text += f" [{_by_status(each.statuses)}]"
    if each.buckets:
        p50, p95 = (_percentile(each.buckets, share, each.slowest) for share in (0.5, 0.95))
        text += f", p50 {p50:.0f} ms, p95 {p95:.0f} ms"
    if failed or service.is_slow(each):
        text += service.rest(each)
    text += f", {each.first:%H:%M:%S} to {each.last:%H:%M:%S}"
    if each.example != key[1]:
        text += f", slowest {each.slowest:.0f} ms: {each.example}"
    return text + (", failing only since the onset" if failed and service.is_new(each) else "")


def _traffic_around(routes: Routes, onset: datetime, start: datetime, end: datetime) -> str:
    """Return requests and failures per minute, before the onset and since."""
    minutes = (max((onset - start).total_seconds(), 1) / 60, max((end - onset).total_seconds(), 1) / 60)
    before = sum((each.before for each in routes.values()), Counter[int]())
    since = sum((each.since for each in routes.values()), Counter[int]())
    rates = (before.total() / minutes[0], since.total() / minutes[1])
    failures = (_failed(before) / minutes[0], _failed(since) / minutes[1])
    return (
        f"Before the onset at {onset:%H:%M:%S}: {rates[0]:.1f} requests a minute, {failures[0]:.1f} of them "
        f"5xx; since: {rates[1]:.1f}, {failures[1]:.1f} of them 5xx."
    )
