"""Which series a scan asks for, and how their answers become slices. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from railmend.contracts.scan import Service, Window
from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults

# About thirty points a series tell a suspect from a service that is well.
COARSE_POINTS = 30
# The past beside the window that services are compared with: a day, so that each hour is in it once.
HISTORY = timedelta(hours=24)
HISTORY_STEP = timedelta(minutes=30)
# Codes that one service answers with at once, and the series of the other answers.
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

    def span(self) -> dict[str, Any]:
        return {"start": parse.iso(self.window.start), "end": parse.iso(self.window.end)}


# Which answer an ask is for: the reading, the service (None: all of the environment), the document.
Key = tuple[Reading, str | None, str]
Asks = Mapping[Key, Query]


def coarse(window: Window) -> Window:
    """The same stretch of time at about thirty points, in whole multiples of the window's step."""
    wanted = window.length.total_seconds() / COARSE_POINTS
    step = max(round(wanted / window.step_seconds), 1) * window.step_seconds
    return window.model_copy(update={"step_seconds": step})


def past_of(window: Window) -> Window:
    """The day that ends where the window starts, at a step of half an hour."""
    step = int(HISTORY_STEP.total_seconds())
    return Window(start=window.start - HISTORY, end=window.start, step_seconds=step)


def screening(window: Window) -> tuple[Reading, ...]:
    """The cheap look at everything."""
    return (Reading(coarse(window)),)


def deciding(window: Window) -> tuple[Reading, ...]:
    """The close look: the window at its own step, and its past."""
    return Reading(window), Reading(past_of(window), latency=False)


def for_all(
    environment_id: str,
    readings: Sequence[Reading],
    services: int,
    web: Mapping[str, str],
    volumes: int = 0,
) -> dict[Key, Query]:
    """CPU, memory and disk of every service in one field, and the HTTP series of each of `web` (name by id).

    `services`, `volumes`: how many answer with their own series, and with one of their disk.
    """
    series = max(services, 1) * RESOURCE_SERIES + volumes
    asks: dict[Key, Query] = {
        (reading, None, "resources"): _resources(environment_id, None, "CPU and memory", reading, series)
        for reading in readings
    }
    for service_id, name in web.items():
        for reading in readings:
            asks |= dict(_http(environment_id, service_id, name, reading))
    return asks


def for_each(
    environment_id: str, readings: Sequence[Reading], services: Sequence[Service]
) -> dict[Key, Query]:
    """Everything of each service in fields of its own, one service after the other."""
    asks: dict[Key, Query] = {}
    for service in services:
        label = f"CPU and memory of {service.name}"
        for reading in readings:
            key = (reading, service.service_id, "resources")
            series = RESOURCE_SERIES + (service.volume_gb is not None)
            asks[key] = _resources(environment_id, service.service_id, label, reading, series)
            if service.serves_http:
                asks |= dict(_http(environment_id, service.service_id, service.name, reading))
    return asks


def points(asks: Asks) -> int:
    """Values that the answers may hold in all."""
    return sum(ask.points for ask in asks.values())


def _resources(
    environment_id: str, service_id: str | None, label: str, reading: Reading, series: int
) -> Query:
    variables = {
        "environmentId": environment_id,
        "serviceId": service_id,
        "step": reading.window.step_seconds,
        **reading.span(),
    }
    return Query("resources", variables, label, reading.points * series)


def _http(environment_id: str, service_id: str, name: str, reading: Reading) -> Iterator[tuple[Key, Query]]:
    base = {"environmentId": environment_id, "serviceId": service_id, **reading.span()}
    step = reading.window.step_seconds
    label = f"HTTP status counts of {name}"
    counts = Query("statuses", {**base, "step": step}, label, reading.points * STATUS_SERIES)
    yield (reading, service_id, "statuses"), counts
    if reading.latency:
        values = LATENCY_SERIES * reading.points
        asked = {**base, "step": step}
        yield (reading, service_id, "durations"), Query("durations", asked, f"Latency of {name}", values)


def slices(services: Sequence[Service], answers: QueryResults, asks: Asks, reading: Reading) -> list[Slice]:
    """One slice per service, with whatever could be had of this reading."""
    window = reading.window
    found = {
        service.service_id: Slice(
            service_id=service.service_id,
            start=window.start,
            step_seconds=window.step_seconds,
            disk_limit_gb=[] if service.volume_gb is None else [service.volume_gb],
        )
        for service in services
    }
    for (of, service_id, document), ask in asks.items():
        answer = answers.get(ask)
        if answer is None or of != reading:
            continue
        if document == "resources":
            parse.fill_resources(found, answer, window)
        elif service_id in found and document == "statuses":
            parse.fill_statuses(found[service_id], answer, window)
        elif service_id in found:  # else it is gone since the last survey
            parse.fill_durations(found[service_id], answer, window)
    return list(found.values())
