"""Survey an environment coarsely in a few requests, then fetch the candidates in detail."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from railmend.contracts.scan import PlatformIncident, Service, ServiceKind, Window
from railmend.railway import parse, plan
from railmend.railway.compose import Query
from railmend.railway.drift import NODE
from railmend.railway.errors import NotAuthorized, RailwayError, SchemaDrift
from railmend.railway.lateness import earlier, late_steps, without_newest
from railmend.railway.limits import RateLimits
from railmend.railway.listing import Listing
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults, Reader

# Newest failed deployments of the environment, and newest runs of each cron.
FAILED_DEPLOYMENTS, RUNS = 200, 10
# A window that ends later than this by Railway's own clock has steps without samples.
AHEAD, SETTLE = timedelta(seconds=5), timedelta(seconds=60)
WHAT = {"resources": "CPU and memory", "statuses": "HTTP status counts", "durations": "latency"}
# Without these fields nobody can say whether a service is well: what they would have told.
JUDGING = {
    ("environment", f"{NODE}.domains"): "whether it has a domain",
    ("environment", f"{NODE}.domains.serviceDomains"): "whether it has a domain",
    ("environment", f"{NODE}.domains.serviceDomains.domain"): "whether it has a domain",
    ("environment", f"{NODE}.cronSchedule"): "whether it is a cron",
    ("deployed", f"{NODE}.latestDeployment"): "its newest deployment",
    ("deployed", f"{NODE}.activeDeployments"): "the deployment that serves",
    ("deployed", f"{NODE}.activeDeployments.instances"): "the state of its processes",
    ("deployed", f"{NODE}.activeDeployments.instances.status"): "the state of its processes",
}


@dataclass
class Survey:
    """All services of an environment, with their slices.

    `fine`: the project is small enough that the slices have the window's own step, and `history` holds the
    day before, in the order of `slices`. Otherwise `history` is empty. `window`: what was judged, which ends
    earlier than what was asked for where samples are late. `unread`: by service id, what could not be read
    of it, so that nobody can call it healthy.
    """

    project_name: str
    environment_name: str
    ephemeral: bool
    services: list[Service]
    slices: list[Slice]
    fine: bool
    window: Window
    history: list[Slice] = field(default_factory=list)
    platform: PlatformIncident | None = None
    unread: dict[str, list[str]] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DetailedSlices:
    """One service at the window's step, and its longer, coarser history."""

    slice: Slice
    history: Slice


@dataclass
class Details:
    """Services in detail. `unread`: as in `Survey`. `stopped`: why nothing more was asked for."""

    services: list[DetailedSlices]
    unread: dict[str, list[str]]
    unseen: list[str]
    stopped: RailwayError | None


@dataclass(frozen=True)
class _Known:
    """Services seen by the last survey of an environment: the next one can query everything at once."""

    services: int
    web: Mapping[str, str]  # name by id
    volumes: int
    crons: Mapping[str, str]


@dataclass
class _Lists:
    """What is listed of an environment, page after page."""

    services: Listing
    deployed: Listing
    triggers: Listing
    variables: Listing
    volumes: Listing

    def all(self) -> tuple[Listing, ...]:
        return self.services, self.deployed, self.triggers, self.variables, self.volumes


class Surveyor:
    """Surveys environments; keeps only what is known of each between surveys."""

    def __init__(self, reader: Reader, limits: RateLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._known: dict[str, _Known] = {}

    async def survey(self, project_id: str, environment_id: str, window: Window) -> Survey:
        """Survey all services of an environment. Raise where not even its services can be listed.

        Takes 1 request, 1 more per ten services with HTTP traffic beyond the first five, and 1 more for
        the first survey of an environment.
        """
        ids = {"environmentId": environment_id, "projectId": project_id}
        status = Query("platform_status", {}, "Railway's own status")
        project = Query("project", {"projectId": project_id}, "The project's name")
        failed = _failed_deployments(ids)
        lists = _lists(ids, self._limits)
        window = self._not_ahead(window)
        early, early_runs = self._early(environment_id, window)
        first = [status, project, failed, *(listing.query for listing in lists.all())]
        first += [*early.values(), *early_runs.values()]
        # One request; what does not fit goes along with further pages, so that these cost nothing.
        held = first[self._limits.aliases :]
        results = await self._reader.read(first[: self._limits.aliases])
        await self._list_services(lists, results)
        asked, window = window, self._not_ahead(window)
        draft = parse.services(_inventory(lists, results, failed, {}))
        known = self._remember(environment_id, draft)
        readings, planned = self._series(environment_id, window, known)
        queries = {key: early.get(key, query) for key, query in planned.items()}
        runs = {key: early_runs.get(key) or _runs(environment_id, key, known) for key in known.crons}
        wanted = {id(query) for query in (*queries.values(), *runs.values())}
        rest = [query for query in held if id(query) in wanted]
        rest += [query for key, query in queries.items() if key not in early]
        rest += [query for key, query in runs.items() if key not in early_runs]
        await self._read_along(lists, rest, results)
        queries = await self._resources_one_by_one(environment_id, draft, queries, results)
        services = parse.services(_inventory(lists, results, failed, runs))
        slices, *past = (plan.slices(services, results, queries, reading) for reading in readings)
        late = late_steps(slices)
        judged = earlier(readings[0].window, timedelta(seconds=late * readings[0].window.step_seconds))
        reasons = self._unread_of_lists(services, slices, lists)
        _unread_history(reasons, services, results, failed, runs)
        services = [s.model_copy(update={"unread": tuple(reasons[s.service_id])}) for s in services]
        return Survey(
            project_name=(results.get(project) or {}).get("name") or project_id,
            environment_name=lists.services.root.get("name") or environment_id,
            ephemeral=bool(lists.services.root.get("isEphemeral")),
            services=services,
            slices=[without_newest(each, late) for each in slices],
            fine=len(readings) > 1,
            window=judged.model_copy(update={"step_seconds": window.step_seconds}),
            history=past[0] if past else [],
            platform=_incident(results.get(status)),
            unread=_unread(services, results, queries),
            unseen=[
                *_shifted(asked, window, judged if late else None),
                *results.unseen([status, project]),
                *(sentence for listing in lists.all() for sentence in listing.unseen()),
                *self._fallen(),
            ],
        )

    async def examine(self, environment_id: str, services: Sequence[Service], window: Window) -> Details:
        """Read services at the window's step with their history, as far as they can be had.

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
        return Details(
            services=[DetailedSlices(current, history) for current, history in pairs],
            unread=_unread(services, results, queries),
            unseen=results.unseen(queries.values()),
            stopped=results.stopped,
        )

    async def fetch_detailed(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[DetailedSlices], list[str]]:
        """Return services in detail, and what could not be read. Raise what stopped the reading."""
        details = await self.examine(environment_id, services, window)
        if details.stopped is not None:
            raise details.stopped
        return details.services, details.unseen

    def _not_ahead(self, window: Window) -> Window:
        """Return the window, moved back where it ends in the future by Railway's own clock."""
        now = self._reader.now
        if now is None or window.end <= now + AHEAD:
            return window
        return earlier(window, window.end - (now - SETTLE).replace(microsecond=0))

    def _early(self, environment_id: str, window: Window) -> tuple[dict[plan.Key, Query], dict[str, Query]]:
        """Plan what is sent along with the lists: series, and runs of crons.

        In a first survey that is CPU and memory only.
        """
        known = self._known.get(environment_id)
        if known is None:
            return plan.for_all(environment_id, plan.coarse_readings(window), 1, {}), {}
        runs = {service_id: _runs(environment_id, service_id, known) for service_id in known.crons}
        return self._series(environment_id, window, known)[1], runs

    def _series(
        self, environment_id: str, window: Window, known: _Known
    ) -> tuple[tuple[plan.Reading, ...], dict[plan.Key, Query]]:
        """Plan in detail if that stays within one document's points, else coarsely."""
        readings = plan.detailed_readings(window)
        queries = plan.for_all(environment_id, readings, known.services, known.web, known.volumes)
        if plan.points(queries) > self._limits.points:
            readings = plan.coarse_readings(window)
            queries = plan.for_all(environment_id, readings, known.services, known.web, known.volumes)
        return readings, queries

    def _remember(self, environment_id: str, services: Sequence[Service]) -> _Known:
        known = _Known(
            services=len(services),
            web={service.service_id: service.name for service in services if service.serves_http},
            volumes=sum(service.volume_gb is not None for service in services),
            crons={
                service.service_id: service.name for service in services if service.kind is ServiceKind.CRON
            },
        )
        self._known[environment_id] = known
        return known

    async def _list_services(self, lists: _Lists, results: QueryResults) -> None:
        """Take the first pages, and read those of services to the end: all else is planned from them."""
        for listing in lists.all():
            listing.take(results)
        lists.services.require()
        while pages := [listing for listing in (lists.services, lists.deployed) if listing.more]:
            await self._next_pages(pages, [], results)

    async def _read_along(self, lists: _Lists, rest: Sequence[Query], results: QueryResults) -> None:
        """Read what is left of the lists along with the other queries: further pages cost no request."""
        while pages := [listing for listing in lists.all() if listing.more]:
            room = max(self._limits.aliases - len(pages), 0)
            await self._next_pages(pages, rest[:room], results)
            rest = rest[room:]
        await self._reader.read(rest, results)

    async def _next_pages(
        self, listings: Iterable[Listing], others: Sequence[Query], results: QueryResults
    ) -> None:
        listings = list(listings)
        await self._reader.read([*(listing.next_page() for listing in listings), *others], results)
        for listing in listings:
            listing.take(results)

    async def _resources_one_by_one(
        self,
        environment_id: str,
        services: Sequence[Service],
        queries: dict[plan.Key, Query],
        results: QueryResults,
    ) -> dict[plan.Key, Query]:
        """Ask for each service's CPU and memory where all in one are too much for Railway."""
        for key, query in list(queries.items()):
            error = results.error(query)
            if key[1] is not None or error is None or results.stopped is not None:
                continue
            if isinstance(error, (SchemaDrift, NotAuthorized)):
                continue
            each = plan.resources_of_each(environment_id, key[0], services)
            # The failure of all in one says nothing about one alone.
            results.give_another_chance(query.document)
            await self._reader.read(list(each.values()), results)
            queries = {**{other: one for other, one in queries.items() if other != key}, **each}
        return queries

    def _unread_of_lists(
        self, services: Sequence[Service], slices: Sequence[Slice], lists: _Lists
    ) -> dict[str, list[str]]:
        """Return by service id why its deployments, its volume or what it is could not be read."""
        missing = [
            f"{what} could not be read. {DRIFTED}"
            for (document, path), what in JUDGING.items()
            if path in self._reader.drift.dropped(document)
        ]
        unread: dict[str, list[str]] = {}
        deployed = {node["serviceId"] for node in lists.deployed.nodes.values()}
        for service, series in zip(services, slices, strict=True):
            reasons = unread[service.service_id] = list(dict.fromkeys(missing))
            if service.service_id not in deployed:
                reasons.append(f"its deployments could not be read. {lists.deployed.why}".strip())
            if lists.volumes.error is not None and any(value is not None for value in series.disk_gb):
                reasons.append(f"the size of its volume could not be read. {lists.volumes.why}")
        return unread

    def _fallen(self) -> list[str]:
        """Return one sentence about the fields that Railway no longer has, each tried again after an hour."""
        fields = {
            path.rpartition(".")[2]
            for document in ("environment", "deployed", "platform_status")
            for path in self._reader.drift.dropped(document)
        }
        if not fields:
            return []
        return [
            f"Railway's API no longer answers {', '.join(sorted(fields))}: what these tell is missing. They "
            "are asked for again within the hour; update Railmend if that does not help."
        ]


DRIFTED = "Railway changed its API, or refuses this; it is tried again within the hour."


def _lists(ids: Mapping[str, str], limits: RateLimits) -> _Lists:
    def listing(document: str, connection: str, label: str, page: int) -> Listing:
        return Listing(document, connection, label, {**ids, "first": page, "after": None})

    return _Lists(
        services=listing("environment", "serviceInstances", "The list of services", limits.page),
        deployed=listing("deployed", "serviceInstances", "The list of deployments", limits.page),
        triggers=listing("triggers", "deploymentTriggers", "The branches of services", limits.page),
        variables=listing("references", "variables", "Which service needs which", limits.small_page),
        volumes=listing("volumes", "volumeInstances", "The list of volumes", limits.page),
    )


def _failed_deployments(ids: Mapping[str, str]) -> Query:
    wanted = {**ids, "status": {"in": ["FAILED", "CRASHED"]}}
    return Query(
        "failed_deployments", {"input": wanted, "first": FAILED_DEPLOYMENTS}, "Deployments that failed"
    )


def _runs(environment_id: str, service_id: str, known: _Known) -> Query:
    wanted = {"environmentId": environment_id, "serviceId": service_id}
    return Query("executions", {"input": wanted, "first": RUNS}, f"Runs of {known.crons[service_id]}")


def _inventory(
    lists: _Lists, results: QueryResults, failed: Query, runs: Mapping[str, Query]
) -> parse.Inventory:
    failures, ran = results.get(failed), {key: results.get(query) for key, query in runs.items()}
    return parse.Inventory(
        instances=lists.services.nodes.values(),
        deployed={node["serviceId"]: node for node in lists.deployed.nodes.values()},
        failed=None if failures is None else parse.nodes(failures),
        triggers=lists.triggers.nodes.values(),
        variables=lists.variables.nodes.values(),
        volumes=lists.volumes.nodes.values(),
        runs={key: parse.nodes(listed) for key, listed in ran.items() if listed is not None},
    )


def _unread(
    services: Sequence[Service], results: QueryResults, queries: plan.Queries
) -> dict[str, list[str]]:
    """Return by service id which series could not be read, and why."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for (_, service_id, document), query in queries.items():
        error = results.error(query)
        if error is None:
            continue
        reason = f"{WHAT[document]} could not be read. {error.plain}"
        for service in services:
            if service_id in (None, service.service_id):
                found[service.service_id][reason] = None
    return {service_id: list(reasons) for service_id, reasons in found.items()}


def _unread_history(
    unread: dict[str, list[str]],
    services: Sequence[Service],
    results: QueryResults,
    failed: Query,
    runs: Mapping[str, Query],
) -> None:
    """Note whose earlier deployments or runs could not be read, where they decide."""
    for service in services:
        hidden = results.error(failed)
        if hidden is not None and service.under_way is not None:
            unread[service.service_id].append(
                f"its newest deployment is {service.under_way}, and those before it could not be read. "
                f"{hidden.plain}"
            )
        ran = runs.get(service.service_id)
        error = results.error(ran) if ran is not None else None
        if error is not None:
            unread[service.service_id].append(f"its runs could not be read. {error.plain}")


def _incident(answer: dict[str, Any] | None) -> PlatformIncident | None:
    incident = (answer or {}).get("incident")
    if not incident:
        return None
    return PlatformIncident(
        message=incident["message"],
        url=incident.get("url") or "",
        status=incident.get("status") or "",
        begun=incident.get("createdAt"),
    )


def _shifted(asked: Window, read: Window, judged: Window | None) -> list[str]:
    """Say why an earlier window was looked at than was asked for."""
    sentences = []
    if read.end < asked.end:
        minutes = (asked.end - read.end).total_seconds() / 60
        sentences.append(
            f"The clock of this installation is about {minutes:.0f} min ahead of Railway's: what was looked "
            f"at ends at {read.end:%H:%M} UTC by Railway's. Set the clock."
        )
    if judged is not None:
        sentences.append(
            f"Railway's samples are late: those of all services end at {judged.end:%H:%M} UTC, so what came "
            "after is not judged in this scan."
        )
    return sentences
