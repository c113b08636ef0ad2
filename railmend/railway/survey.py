"""Survey an environment coarsely in a few requests, then fetch the candidates in detail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, islice, repeat
from typing import Any

from railmend.contracts.scan import PlatformIncident, Service, ServiceKind, Window
from railmend.railway import parse, plan, unread
from railmend.railway.compose import Query
from railmend.railway.errors import NotAuthorized, RailwayError, SchemaDrift
from railmend.railway.limits import RateLimits, batches
from railmend.railway.listing import Listing, Listings
from railmend.railway.model import HttpLogLine, Series, Slice
from railmend.railway.reader import QueryResults, Reader

# All series may end so much before the window, as single samples arrive late.
USUAL = timedelta(minutes=3)
# Share of requests after the samples' end that must succeed for the end to be the samples' alone.
SERVED = 0.5
Row = tuple[Service, Slice, Slice | None]
# Rows of before the window, and of its end.
Requests = tuple[list[HttpLogLine], list[HttpLogLine]]
# Newest runs of each cron.
RUNS = 10
# A window that ends later than this by Railway's own clock has steps without samples.
AHEAD, SETTLE = timedelta(seconds=5), timedelta(seconds=60)


def late_steps(slices: Sequence[Slice]) -> int:
    """Return by how many steps the samples of a whole project end before the window, 0 if they are in time.

    At least two services must end together, and they must be half of those that run; requests that fail from
    then on tell of a real outage.
    """
    running = [(each, end) for each in slices if (end := _end(each.memory_gb, each.cpu)) is not None]
    if len(running) < 2:
        return 0
    newest = max(end for _, end in running)
    together = [each for each, end in running if end >= newest - 1]
    step = timedelta(seconds=running[0][0].step_seconds)
    late = max(len(each.memory_gb) or len(each.cpu) for each, _ in running) - newest
    if late * step < USUAL or len(together) < max(2, len(running) / 2):
        return 0
    return late if _served(together, newest) else 0


def _end(*series: Series) -> int | None:
    """Return the number of steps up to the last sample, None without any."""
    ends = (index + 1 for values in series for index, value in enumerate(values) if value is not None)
    return max(ends, default=None)


def _served(slices: Iterable[Slice], since: int) -> bool:
    failed = total = 0.0
    for each in slices:
        for status, values in each.http.items():
            count = sum(filter(None, values[since:]))
            total += count
            failed += count if status == "5xx" else 0
    return failed <= (1 - SERVED) * total


def without_newest(source: Slice, steps: int) -> Slice:
    """Return a slice that ends so many steps earlier."""
    return source.between(0, source.points - steps) if steps else source


def earlier(window: Window, by: timedelta) -> Window:
    return window.model_copy(update={"start": window.start - by, "end": window.end - by})


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

    @property
    def rows(self) -> list[Row]:
        """Return each service with its slice and its history, None for none."""
        return list(zip(self.services, self.slices, self.history or repeat(None), strict=False))


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
class LastSurvey:
    """What the last survey of an environment listed: the next one can query everything at once.

    The services' names are reported where the next one can list none.
    """

    services: Sequence[Service] = ()
    project_name: str = ""
    environment_name: str = ""


class Surveyor:
    """Surveys environments; keeps only what is known of each between surveys."""

    def __init__(self, reader: Reader, limits: RateLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._known: dict[str, LastSurvey] = {}
        self._tcp: dict[str | None, bool] = {}  # by service id, of those that were asked about

    async def survey(self, project_id: str, environment_id: str, window: Window) -> Survey:
        """Survey all services of an environment. Raise where not even its services can be listed.

        Takes 1 request, 1 more per ten services with HTTP traffic beyond the first five, and 1 more for
        the first survey of an environment.
        """
        lists = Listings(environment_id, project_id, self._limits)
        window = self._not_ahead(window)
        _, early = self._planned(environment_id, window, self._known.get(environment_id))
        # One request; what does not fit goes along with further pages, so that these cost nothing.
        first = [*lists.queries(), *early.values()][: self._limits.aliases]
        results = await self._reader.read(first)
        await self._list_services(lists, results)
        asked, window = window, self._not_ahead(window)
        draft = parse.services(lists.inventory(results))
        known = self._known[environment_id] = LastSurvey(draft, *lists.names(results))
        readings, planned = self._planned(environment_id, window, known)
        queries = {key: early.get(key, query) for key, query in planned.items()}
        rest = [query for query in queries.values() if query not in first]
        queries |= (proxies := self._proxies(environment_id, draft, rest))
        await self._read_along(lists, [*rest, *proxies.values()], results)
        await self._resources_one_by_one(environment_id, draft, queries, results)
        services = parse.services(lists.inventory(results, queries))
        slices, *past = (plan.slices(services, results, queries, reading) for reading in readings)
        late = late_steps(slices)
        judged = earlier(readings[0].window, timedelta(seconds=late * readings[0].window.step_seconds))
        lasting, passing = unread.of_series(services, results, queries)
        unread.of_lists(lasting, services, slices, lists, results, self._reader.drift)
        self._tcp |= {
            key[1]: bool(rows) for key, query in proxies.items() if (rows := results.get(query)) is not None
        }
        more = {
            s.service_id: {"unread": tuple(lasting[s.service_id]), "tcp": self._tcp.get(s.service_id, False)}
            for s in services
        }
        return Survey(
            project_name=known.project_name,
            environment_name=known.environment_name,
            ephemeral=bool(lists.services.root.get("isEphemeral")),
            services=[service.model_copy(update=more[service.service_id]) for service in services],
            slices=[without_newest(each, late) for each in slices],
            fine=len(readings) > 1,
            window=judged.model_copy(update={"step_seconds": window.step_seconds}),
            history=past[0] if past else [],
            platform=_incident(results.get(lists.status)),
            unread=passing,
            unseen=[
                *unread.shifted(asked, window, judged if late else None),
                *results.unseen([lists.status, lists.project]),
                *(sentence for listing in lists.all() for sentence in listing.unseen()),
                *unread.fallen(self._reader.drift),
            ],
        )

    def last_seen(self, environment_id: str) -> LastSurvey:
        return self._known.get(environment_id, LastSurvey())

    async def examine(self, environment_id: str, services: Sequence[Service], window: Window) -> Details:
        """Read services at the window's step with their history, as far as they can be had.

        Takes 3 requests for every ten services.
        """
        now, past = readings = plan.suspect_readings(window)
        queries = plan.for_each(environment_id, readings, services)
        results, requests = await self._with_requests(queries, services, window)
        current, history = (plan.slices(services, results, queries, reading) for reading in (now, past))
        for each in current:
            each.requests = requests.get(each.service_id)
        late = late_steps(current)  # by less than a coarse step
        return Details(
            services=[
                DetailedSlices(without_newest(each, late), day)
                for each, day in zip(current, history, strict=True)
            ],
            unread=unread.of_series(services, results, queries)[1],
            unseen=results.unseen(queries.values()),
            stopped=results.stopped,
        )

    async def recall(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[Slice], dict[str, Requests]]:
        """Read the longer past of suspects, with percentiles; empty slices for what cannot be read.

        Takes 1 request for every six services. Return also requests by service id, as `_with_requests`.
        """
        _, past = plan.suspect_readings(window)
        queries = plan.for_each(environment_id, [past], services)
        results, requests = await self._with_requests(queries, services, window)
        return plan.slices(services, results, queries, past), requests

    async def _with_requests(
        self, queries: plan.Queries, services: Sequence[Service], window: Window
    ) -> tuple[QueryResults, dict[str, Requests]]:
        """Read series, and rows of requests of the first services as far as that costs no request more."""
        rows = {service.service_id: plan.rows_of(service, window) for service in services}
        free = self._free(list(queries.values()), filter(None, rows.values()))
        results = await self._reader.read([*queries.values(), *chain.from_iterable(free)])
        requests: dict[str, Requests] = {}
        for service_id, asked in rows.items():
            answers = [results.get(query) for query in asked]
            if answers and None not in answers:
                before, now = (list(map(HttpLogLine.model_validate, answer)) for answer in answers)
                requests[service_id] = before, now
        return results, requests

    def _free(self, rest: Sequence[Query], more: Iterable[tuple[Query, ...]]) -> list[tuple[Query, ...]]:
        """Return the first of these groups of queries, as many as cost no request beside the rest."""
        free: list[tuple[Query, ...]] = []

        def cost() -> int:
            return sum(1 for _ in batches([*rest, *chain.from_iterable(free)], self._limits))

        most = cost()
        for group in more:
            free.append(group)
            if cost() > most:
                return free[:-1]
        return free

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

    def _planned(
        self, environment_id: str, window: Window, known: LastSurvey | None
    ) -> tuple[tuple[plan.Reading, ...], dict[plan.Key, Query]]:
        """Plan series, in detail if that stays within one document's points, and the runs of crons.

        Before the first survey, which `known` tells, that is CPU and memory at a coarse step.
        """
        services = known.services if known else ()
        for readings in (plan.detailed_readings(window), plan.coarse_readings(window)):
            queries = plan.for_all(environment_id, readings, services)
            if known and plan.points(queries) <= self._limits.points:
                break
        for service in services:
            if service.kind is ServiceKind.CRON:
                ids = {"environmentId": environment_id, "serviceId": service.service_id}
                runs = Query("executions", {"input": ids, "first": RUNS}, f"Runs of {service.name}")
                queries[None, service.service_id, "executions"] = runs
        return readings, queries

    def _proxies(
        self, environment_id: str, services: Sequence[Service], rest: Sequence[Query]
    ) -> dict[plan.Key, Query]:
        """Plan to ask who has a TCP proxy, as far as that costs no request: it tells what is unseen."""
        asked: dict[plan.Key, Query] = {}
        for service in services:
            if service.serves_http or service.kind is ServiceKind.CRON or service.service_id in self._tcp:
                continue
            ids = {"environmentId": environment_id, "serviceId": service.service_id}
            query = Query("tcp_proxies", ids, f"TCP proxies of {service.name}", 1)
            asked[None, service.service_id, "tcp_proxies"] = query
        free = len(self._free(rest, ((query,) for query in asked.values())))
        return dict(islice(asked.items(), free))

    async def _list_services(self, lists: Listings, results: QueryResults) -> None:
        """Take the first pages, and read those of services to the end: all else is planned from them."""
        for listing in lists.all():
            listing.take(results)
        lists.services.require()
        while pages := [listing for listing in (lists.services, lists.deployed) if listing.more]:
            await self._next_pages(pages, [], results)

    async def _read_along(self, lists: Listings, rest: Sequence[Query], results: QueryResults) -> None:
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
    ) -> None:
        """Ask for each service's CPU and memory where all in one are too much for Railway."""
        for key, query in list(queries.items()):
            error = results.error(query)
            if key[0] is None or key[1] is not None or error is None or results.stopped is not None:
                continue
            if isinstance(error, (SchemaDrift, NotAuthorized)):
                continue
            del queries[key]
            each = plan.resources_of_each(environment_id, key[0], services)
            # The failure of all in one says nothing about one alone.
            results.give_another_chance(query.document)
            await self._reader.read(list(each.values()), results)
            queries |= each


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
