"""A coarse survey of everything in a handful of requests, then the suspects finely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from railmend.contracts.scan import Service, Window
from railmend.railway import parse, plan
from railmend.railway.compose import Query
from railmend.railway.limits import RateLimits
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults, Reader

CONNECTIONS = {
    "services": "serviceInstances",
    "triggers": "deploymentTriggers",
    "variables": "variables",
    "volumes": "volumeInstances",
}


@dataclass
class Survey:
    """What a scan sees at first.

    `fine`: the project is small enough that the slices are already at the window's step, and `history`
    holds the day before, service by service as in `slices`. Else `history` is empty.
    """

    project_name: str
    environment_name: str
    ephemeral: bool
    services: list[Service]
    slices: list[Slice]
    fine: bool
    history: list[Slice] = field(default_factory=list)
    platform_incident: str | None = None
    unseen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DetailedSlices:
    """A suspect at the window's step, and its longer, coarser past."""

    slice: Slice
    history: Slice


@dataclass(frozen=True)
class _Known:
    """What the last survey of an environment found: lets the next one ask for everything at once."""

    services: int
    web: Mapping[str, str]  # name by id
    volumes: int


class Surveyor:
    """Remembers between surveys which services there are, nothing else."""

    def __init__(self, reader: Reader, limits: RateLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._known: dict[str, _Known] = {}

    async def survey(self, project_id: str, environment_id: str, window: Window) -> Survey:
        """1 request for a known environment, 1 more for every ten services with HTTP traffic after the
        first eight; 1 more where the services are not known yet."""
        status = Query("platform_status", {}, "Railway's own status")
        project = Query("project", {"projectId": project_id}, "The project's name")
        environment = _environment(project_id, environment_id, self._limits.page)
        early = self._early(environment_id, window)
        answers = await self._reader.read([status, project, environment, *early.values()])
        found = await self._whole(environment, answers)
        services = parse.services(*(found[name] for name in CONNECTIONS))
        known = _Known(
            services=len(services),
            web={s.service_id: s.name for s in services if s.serves_http},
            volumes=sum(s.volume_gb is not None for s in services),
        )
        self._known[environment_id] = known
        readings, wanted = self._series(environment_id, window, known)
        asks = {key: early.get(key, ask) for key, ask in wanted.items()}
        answers.add(await self._reader.read([ask for key, ask in asks.items() if key not in early]))
        incident = (answers.get(status) or {}).get("incident")
        first, *past = (plan.slices(services, answers, asks, reading) for reading in readings)
        return Survey(
            project_name=(answers.get(project) or {}).get("name") or project_id,
            environment_name=answers.need(environment)["name"],
            ephemeral=answers.need(environment)["isEphemeral"],
            services=services,
            slices=first,
            fine=readings == plan.deciding(window),
            history=past[0] if past else [],
            platform_incident=f"{incident['message']} {incident['url'] or ''}".strip() if incident else None,
            unseen=answers.unseen([status, project, *asks.values()]),
        )

    async def fetch_detailed(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[DetailedSlices], list[str]]:
        """The suspects at the window's step with their past: 1 request for every four."""
        now, past = readings = plan.deciding(window)
        asks = plan.for_each(environment_id, readings, services)
        answers = await self._reader.read(list(asks.values()))
        pairs = zip(
            plan.slices(services, answers, asks, now),
            plan.slices(services, answers, asks, past),
            strict=True,
        )
        return [DetailedSlices(one, before) for one, before in pairs], answers.unseen(list(asks.values()))

    def _early(self, environment_id: str, window: Window) -> dict[plan.Key, Query]:
        """What can be asked for before the architecture is known: for a first look, CPU and memory."""
        known = self._known.get(environment_id)
        if known is None:
            return plan.for_all(environment_id, plan.screening(window), 1, {})
        return self._series(environment_id, window, known)[1]

    def _series(
        self, environment_id: str, window: Window, known: _Known
    ) -> tuple[tuple[plan.Reading, ...], dict[plan.Key, Query]]:
        """Finely where that stays within one document's points, else coarsely."""
        readings = plan.deciding(window)
        asks = plan.for_all(environment_id, readings, known.services, known.web, known.volumes)
        if plan.points(asks) > self._limits.points:
            readings = plan.screening(window)
            asks = plan.for_all(environment_id, readings, known.services, known.web, known.volumes)
        return readings, asks

    async def _whole(self, ask: Query, answers: QueryResults) -> dict[str, list[dict[str, Any]]]:
        """All nodes of the environment's connections, page after page."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONNECTIONS}
        while True:
            environment = answers.need(ask)
            more: dict[str, Any] = {}
            for name, field_name in CONNECTIONS.items():
                connection = environment[field_name]
                found[name] += parse.nodes(connection)
                page = connection["pageInfo"]
                # A connection that is done is asked for nothing more, while the others go on.
                more[name] = self._limits.page if page["hasNextPage"] else 0
                more[f"{name}After"] = page["endCursor"] if page["hasNextPage"] else None
            if not any(more[name] for name in CONNECTIONS):
                return found
            ask = Query(ask.document, {**ask.variables, **more}, ask.label)
            answers = await self._reader.read([ask])


def _environment(project_id: str, environment_id: str, page: int) -> Query:
    pages: dict[str, Any] = {f"{name}After": None for name in CONNECTIONS}
    pages |= dict.fromkeys(CONNECTIONS, page)
    variables = {"environmentId": environment_id, "projectId": project_id, **pages}
    return Query("environment", variables, "The architecture")
