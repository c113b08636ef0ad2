"""Plan which series a scan queries, and assemble their results into slices. Pure code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from railmend.contracts.scan import Service, Window
from railmend.railway import parse
from railmend.railway.compose import Query, breadth
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults

# About thirty points a series suffice for screening.
COARSE_POINTS = 30
# History compared with the window: a day, so that it holds each hour once.
HISTORY = timedelta(hours=24)
# Of a suspect also the same hours a week ago: people work, and rest, by the week.
SUSPECT_HISTORY = timedelta(days=7)
HISTORY_STEP = timedelta(minutes=30)
# Rows of requests that tell which routes became slower: the newest of the window, and of the hour before it.
ROUTE_ROWS, ROUTES_NOW, ROUTES_BEFORE = 300, timedelta(minutes=15), timedelta(hours=1)
# Series of a service in one result: CPU and memory with their limits, status codes in use, percentiles.
SERIES = {"resources": 4, "statuses": 5, "durations": 4}
WHAT = {"resources": "CPU and memory", "statuses": "HTTP status counts", "durations": "latency"}


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


# What a query is for: the reading (None: no series), the service (None: all of them), the document.
Key = tuple[Reading | None, str | None, str]
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


def history_window(window: Window, length: timedelta = HISTORY) -> Window:
    """Return the time that ends where the window starts, at a step of half an hour."""
    step = int(HISTORY_STEP.total_seconds())
    return aligned(Window(start=window.start - length, end=window.start, step_seconds=step))


def coarse_readings(window: Window) -> tuple[Reading, ...]:
    """Return the coarse readings that screen all services."""
    return (Reading(coarse(window)),)


def detailed_readings(window: Window) -> tuple[Reading, ...]:
    """Return the readings that decide: the window at its own step, and its history."""
    window = aligned(window)
    return Reading(window), Reading(history_window(window), latency=False)


def suspect_readings(window: Window) -> tuple[Reading, Reading]:
    """Return the readings that decide about suspects: percentiles of the past too, and a week of it."""
    window = aligned(window)
    return Reading(window), Reading(history_window(window, SUSPECT_HISTORY))


def for_all(
    environment_id: str, readings: Sequence[Reading], services: Sequence[Service]
) -> dict[Key, Query]:
    """Plan CPU, memory and disk of the environment in one query, and HTTP series service by service."""
    together = {
        (reading, None, "resources"): _query(environment_id, reading, services) for reading in readings
    }
    own = for_each(environment_id, readings, services)
    return together | {key: query for key, query in own.items() if key[2] != "resources"}


def for_each(
    environment_id: str, readings: Sequence[Reading], services: Sequence[Service]
) -> dict[Key, Query]:
    """Plan all series of each service in queries of its own, service by service."""
    return {
        (reading, service.service_id, document): _query(environment_id, reading, [service], document, service)
        for service in services
        for reading in readings
        for document in WHAT
        if document == "resources" or (service.serves_http and (document == "statuses" or reading.latency))
    }


def resources_of_each(environment_id: str, reading: Reading, services: Sequence[Service]) -> dict[Key, Query]:
    """Plan CPU, memory and disk of each service by itself, where all in one are too much for Railway."""
    own = for_each(environment_id, [reading], services)
    return {key: query for key, query in own.items() if key[2] == "resources"}


def rows_of(service: Service, window: Window) -> tuple[Query, ...]:
    """Plan requests of before the window and of its end, to compare routes; none without HTTP."""
    if not service.serves_http or service.active_deployment_id is None:
        return ()
    spans = ((window.start - ROUTES_BEFORE, window.start), (window.end - ROUTES_NOW, window.end))
    of = {"deploymentId": service.active_deployment_id, "filter": "", "limit": ROUTE_ROWS}
    return tuple(
        Query(
            "http_logs",
            {**of, "start": parse.iso(start), "end": parse.iso(end)},
            f"Requests of {service.name}",
            ROUTE_ROWS * breadth("http_logs"),
        )
        for start, end in spans
    )


def points(queries: Queries) -> int:
    """Return the most values that all results may hold."""
    return sum(query.points for query in queries.values())


def _query(
    environment_id: str,
    reading: Reading,
    services: Sequence[Service],
    document: str = "resources",
    of: Service | None = None,
) -> Query:
    """Return the query for series of `services`: of one of them by itself, or of the whole environment."""
    series = max(len(services), 1) * SERIES[document]
    if document == "resources":
        series += sum(service.volume_gb is not None for service in services)
    variables = reading.variables(environment_id, of.service_id if of else None)
    what = WHAT[document][0].upper() + WHAT[document][1:]
    return Query(document, variables, f"{what} of {of.name}" if of else what, reading.points * series)


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
            for answered in by_id.values() if service_id is None else [by_id[service_id]]:
                # An answer without the service is one too: there are no samples of it.
                answered.memory_gb = answered.memory_gb or [None] * reading.points
            parse.fill_resources(by_id, result, window)
        elif service_id in by_id:  # else it was deleted since the last survey
            fill = parse.fill_statuses if document == "statuses" else parse.fill_durations
            fill(by_id[service_id], result, window)
    return list(by_id.values())
