"""Survey an environment coarsely in a few requests, then fetch the candidates in detail."""

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
    """All services of an environment, with their slices.

    `fine`: the project is small enough that the slices have the window's own step, and `history` holds the
    day before, in the order of `slices`. Otherwise `history` is empty.
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
    """One service at the window's step, and its longer, coarser history."""

    slice: Slice
    history: Slice


@dataclass(frozen=True)
class _Inventory:
    """Services seen by the last survey of an environment: the next one can query everything at once."""

    services: int
    web: Mapping[str, str]  # name by id
    volumes: int


class Surveyor:
    """Surveys environments; keeps only an inventory of each between surveys."""

    def __init__(self, reader: Reader, limits: RateLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._inventories: dict[str, _Inventory] = {}

    async def survey(self, project_id: str, environment_id: str, window: Window) -> Survey:
        """Survey all services of an environment.

        Takes 1 request, 1 more per ten services with HTTP traffic beyond the first eight, and 1 more for
        the first survey of an environment.
        """
        status = Query("platform_status", {}, "Railway's own status")
        project = Query("project", {"projectId": project_id}, "The project's name")
        environment = _environment(project_id, environment_id, self._limits.page)
        early = self._early(environment_id, window)
        results = await self._reader.read([status, project, environment, *early.values()])
        nodes = await self._all_pages(environment, results)
        services = parse.services(*(nodes[name] for name in CONNECTIONS))
        inventory = _Inventory(
            services=len(services),
            web={s.service_id: s.name for s in services if s.serves_http},
            volumes=sum(s.volume_gb is not None for s in services),
        )
        self._inventories[environment_id] = inventory
        readings, planned = self._series(environment_id, window, inventory)
        queries = {key: early.get(key, query) for key, query in planned.items()}
        results.add(await self._reader.read([query for key, query in queries.items() if key not in early]))
        incident = (results.get(status) or {}).get("incident")
        first, *past = (plan.slices(services, results, queries, reading) for reading in readings)
        return Survey(
            project_name=(results.get(project) or {}).get("name") or project_id,
            environment_name=results.require(environment)["name"],
            ephemeral=results.require(environment)["isEphemeral"],
            services=services,
            slices=first,
            fine=readings == plan.detailed_readings(window),
            history=past[0] if past else [],
            platform_incident=f"{incident['message']} {incident['url'] or ''}".strip() if incident else None,
            unseen=results.unseen([status, project, *queries.values()]),
        )

    async def fetch_detailed(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[DetailedSlices], list[str]]:
        """Return services at the window's step with their history, and what could not be read.

        Takes 1 request for every four services.
        """
        now, past = readings = plan.detailed_readings(window)
        queries = plan.for_each(environment_id, readings, services)
        results = await self._reader.read(list(queries.values()))
        pairs = zip(
            plan.slices(services, results, queries, now),
            plan.slices(services, results, queries, past),
            strict=True,
        )
        detailed = [DetailedSlices(current, history) for current, history in pairs]
        return detailed, results.unseen(list(queries.values()))

    def _early(self, environment_id: str, window: Window) -> dict[plan.Key, Query]:
        """Plan the queries to send along with the inventory; in a first survey, CPU and memory only."""
        inventory = self._inventories.get(environment_id)
        if inventory is None:
            return plan.for_all(environment_id, plan.coarse_readings(window), 1, {})
        return self._series(environment_id, window, inventory)[1]

    def _series(
        self, environment_id: str, window: Window, inventory: _Inventory
    ) -> tuple[tuple[plan.Reading, ...], dict[plan.Key, Query]]:
        """Plan in detail if that stays within one document's points, else coarsely."""
        readings = plan.detailed_readings(window)
        queries = plan.for_all(environment_id, readings, inventory.services, inventory.web, inventory.volumes)
        if plan.points(queries) > self._limits.points:
            readings = plan.coarse_readings(window)
            queries = plan.for_all(
                environment_id, readings, inventory.services, inventory.web, inventory.volumes
            )
        return readings, queries

    async def _all_pages(self, query: Query, results: QueryResults) -> dict[str, list[dict[str, Any]]]:
        """Return all nodes of the environment's connections, page after page."""
        nodes: dict[str, list[dict[str, Any]]] = {name: [] for name in CONNECTIONS}
        while True:
            environment = results.require(query)
            more: dict[str, Any] = {}
            for name, field_name in CONNECTIONS.items():
                connection = environment[field_name]
                nodes[name] += parse.nodes(connection)
                page = connection["pageInfo"]
                # A connection without further pages is queried with a page size of 0 from then on.
                more[name] = self._limits.page if page["hasNextPage"] else 0
                more[f"{name}After"] = page["endCursor"] if page["hasNextPage"] else None
            if not any(more[name] for name in CONNECTIONS):
                return nodes
            query = Query(query.document, {**query.variables, **more}, query.label)
            results = await self._reader.read([query])


def _environment(project_id: str, environment_id: str, page: int) -> Query:
    pages: dict[str, Any] = {f"{name}After": None for name in CONNECTIONS}
    pages |= dict.fromkeys(CONNECTIONS, page)
    variables = {"environmentId": environment_id, "projectId": project_id, **pages}
    return Query("environment", variables, "The architecture")
