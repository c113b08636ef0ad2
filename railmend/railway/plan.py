"""Plan which series a scan queries, and assemble their results into slices. Pure code."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from railmend.contracts.scan import Service, Window
from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults

# About thirty points a series suffice for screening.
COARSE_POINTS = 30
# History compared with the window: a day, so that it holds each hour once.
HISTORY = timedelta(hours=24)
HISTORY_STEP = timedelta(minutes=30)
# Series per service: status codes in use, latency percentiles, CPU and memory with their limits.
STATUS_SERIES, LATENCY_SERIES, RESOURCE_SERIES = 5, 4, 4


@dataclass(frozen=True)
class Reading:
    """Series over one window, with or without percentiles."""

    window: Window
    latency: bool = True

    @property
    def points(self) -> int:
        """Values of one series."""
        return max(int(self.window.length.total_seconds()) // self.window.step_seconds, 1)

    def variables(self, environment_id: str, service_id: str | None) -> dict[str, Any]:
        """Return the variables of a document of series."""
        ids = {"environmentId": environment_id, "serviceId": service_id}
        span = {"start": parse.iso(self.window.start), "end": parse.iso(self.window.end)}
        return {**ids, **span, "step": self.window.step_seconds}


# What a query is for: the reading, the service (None: the whole environment), the document.
Key = tuple[Reading, str | None, str]
Queries = Mapping[Key, Query]


def aligned(window: Window) -> Window:
    """Return the whole steps of a window: Railway's begin at multiples of the step since 1970.

    A partial step holds fewer requests and another mean, and would look like a change.
    """
    step = window.step_seconds
    end = int(window.end.timestamp()) // step * step
    length = max(int(window.length.total_seconds()) // step, 1) * step
    ends = datetime.fromtimestamp(end, UTC)
    return window.model_copy(update={"start": ends - timedelta(seconds=length), "end": ends})


def coarse(window: Window) -> Window:
    """Return the window at about thirty points, its step a multiple of the window's own."""
    wanted = window.length.total_seconds() / COARSE_POINTS
    step = max(round(wanted / window.step_seconds), 1) * window.step_seconds
    return aligned(window.model_copy(update={"step_seconds": step}))


def history_window(window: Window) -> Window:
    """Return the day that ends where the window starts, at a step of half an hour."""
    step = int(HISTORY_STEP.total_seconds())
    return aligned(Window(start=window.start - HISTORY, end=window.start, step_seconds=step))


def coarse_readings(window: Window) -> tuple[Reading, ...]:
    """Return the coarse readings that screen all services."""
    return (Reading(coarse(window)),)


def detailed_readings(window: Window) -> tuple[Reading, ...]:
    """Return the readings that decide: the window at its own step, and its history."""
    window = aligned(window)
    return Reading(window), Reading(history_window(window), latency=False)


def for_all(
    environment_id: str,
    readings: Sequence[Reading],
    services: int,
    web: Mapping[str, str],
    volumes: int = 0,
) -> dict[Key, Query]:
    """Plan CPU, memory and disk of all services in one query, and HTTP series of each of `web` (name by id).

    `services`, `volumes`: how many services, and how many of them have a volume.
    """
    series = max(services, 1) * RESOURCE_SERIES + volumes
    queries: dict[Key, Query] = {
        (reading, None, "resources"): _resources(environment_id, None, "CPU and memory", reading, series)
        for reading in readings
    }
    for service_id, name in web.items():
        for reading in readings:
            queries |= dict(_http(environment_id, service_id, name, reading))
    return queries


def for_each(
    environment_id: str, readings: Sequence[Reading], services: Sequence[Service]
) -> dict[Key, Query]:
    """Plan all series of each service in queries of its own, service by service."""
    queries: dict[Key, Query] = {}
    for service in services:
        for reading in readings:
            queries |= resources_of_each(environment_id, reading, [service])
            if service.serves_http:
                queries |= dict(_http(environment_id, service.service_id, service.name, reading))
    return queries


def resources_of_each(environment_id: str, reading: Reading, services: Sequence[Service]) -> dict[Key, Query]:
    """Plan CPU, memory and disk of each service by itself, where all in one are too much for Railway."""
    queries: dict[Key, Query] = {}
    for service in services:
        label, series = f"CPU and memory of {service.name}", RESOURCE_SERIES + (service.volume_gb is not None)
        query = _resources(environment_id, service.service_id, label, reading, series)
        queries[reading, service.service_id, "resources"] = query
    return queries


def points(queries: Queries) -> int:
    """Return the most values that all results may hold."""
    return sum(query.points for query in queries.values())


def _resources(
    environment_id: str, service_id: str | None, label: str, reading: Reading, series: int
) -> Query:
    variables = reading.variables(environment_id, service_id)
    return Query("resources", variables, label, reading.points * series)


def _http(environment_id: str, service_id: str, name: str, reading: Reading) -> Iterator[tuple[Key, Query]]:
    variables = reading.variables(environment_id, service_id)
    label = f"HTTP status counts of {name}"
    counts = Query("statuses", variables, label, reading.points * STATUS_SERIES)
    yield (reading, service_id, "statuses"), counts
    if reading.latency:
        values = LATENCY_SERIES * reading.points
        yield (reading, service_id, "durations"), Query("durations", variables, f"Latency of {name}", values)


def slices(
    services: Sequence[Service], results: QueryResults, queries: Queries, reading: Reading
) -> list[Slice]:
    """Return one slice per service, with all results of this reading that arrived."""
    window = reading.window
    by_id = {
        service.service_id: Slice(
            service_id=service.service_id,
            start=window.start,
            step_seconds=window.step_seconds,
            disk_limit_gb=[] if service.volume_gb is None else [service.volume_gb],
        )
        for service in services
    }
    for (queried, service_id, document), query in queries.items():
        result = results.get(query)
        if result is None or queried != reading:
            continue
        if document == "resources":
            asked = by_id if service_id is None else {service_id: by_id[service_id]}
            for answered in asked.values():
                # An answer without the service is one too: there are no samples of it.
                answered.memory_gb = answered.memory_gb or [None] * reading.points
            parse.fill_resources(by_id, result, window)
        elif service_id in by_id and document == "statuses":
            parse.fill_statuses(by_id[service_id], result, window)
        elif service_id in by_id:  # else it was deleted since the last survey
            parse.fill_durations(by_id[service_id], result, window)
    return list(by_id.values())
