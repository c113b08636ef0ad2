"""Reads a project in a handful of requests: a coarse survey of everything, then the suspects finely."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from railmend.contracts.scan import Service, ServiceKind, Window
from railmend.railway import parse
from railmend.railway.actions import Actions
from railmend.railway.compose import Ask
from railmend.railway.limits import Gate, Limits
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine, Slice
from railmend.railway.reader import PAUSE_SECONDS, Answers, Reader
from railmend.railway.transport import TokenKind, Transport

# About thirty points a series tell a suspect from a service that is well.
COARSE_POINTS = 30
# The past beside the window that suspects are compared with.
HISTORY = timedelta(hours=24)
HISTORY_STEP = timedelta(minutes=30)
# Codes that one service answers with at once, and the series of one percentile answer.
STATUS_SERIES, LATENCY_SERIES, RESOURCE_SERIES = 5, 4, 4
CONNECTIONS = {
    "services": "serviceInstances",
    "triggers": "deploymentTriggers",
    "variables": "variables",
    "volumes": "volumeInstances",
}
LOG_PAGE = 1000
Row = TypeVar("Row", LogLine, HttpLogLine)


@dataclass
class Survey:
    """What a scan sees at first. `fine`: small enough that the slices are already at the window's step."""

    project_name: str
    environment_name: str
    ephemeral: bool
    services: list[Service]
    slices: list[Slice]
    fine: bool
    platform_incident: str | None = None
    unseen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Close:
    """A suspect at the window's step, and its longer, coarser past."""

    slice: Slice
    history: Slice


@dataclass(frozen=True)
class _Known:
    """What the last survey of an environment found: lets the next one ask for everything at once."""

    services: int
    web: dict[str, str]  # name by id


class RailwayClient:
    """One per process and token. Every method raises the errors of `railmend.railway.errors`."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        token_kind: TokenKind = "project",  # noqa: S107 - a kind, not a token
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30.0,
        limits: Limits | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._limits = limits or Limits()
        self.gate = Gate(self._limits)
        self._transport = Transport(url, token, token_kind, transport, timeout, self.gate)
        self._reader = Reader(self._transport, self._limits, pause_seconds)
        self.actions = Actions(self._transport)
        self._known: dict[str, _Known] = {}

    async def aclose(self) -> None:
        await self._transport.aclose()

    @property
    def requests(self) -> int:
        """Requests sent since the start."""
        return self._transport.requests

    # -- the scan

    async def survey(self, project_id: str, environment_id: str, window: Window) -> Survey:
        """Everything of an environment: 1 request, and 1 more for every ten services with HTTP traffic."""
        known = self._known.get(environment_id)
        fine = known is not None and self._fits(known.services, len(known.web), window)
        shown = window if fine else coarse(window)
        status = Ask("platform_status", {}, "Railway's own status")
        project = Ask("project", {"projectId": project_id}, "The project's name")
        environment = _environment(project_id, environment_id, self._limits.page)
        resources = _resources(environment_id, shown, RESOURCE_SERIES * (known.services if known else 1))
        early = [
            ask
            for one, name in (known.web if known else {}).items()
            for ask in _http(environment_id, one, name, shown, fine=fine)
        ]
        answers = await self._reader.read([status, project, environment, resources, *early])
        found = await self._whole(environment, answers)
        services = parse.services(*(found[name] for name in CONNECTIONS))
        return await self._finish(
            _Scan(project_id, environment_id, window, services, answers),
            [status, project, resources],
            early,
            answers.need(environment),
        )

    async def _finish(
        self, scan: "_Scan", first: list[Ask], early: list[Ask], environment: dict[str, Any]
    ) -> Survey:
        """The rest of the survey, now that the services are known."""
        status, project, resources = first
        web = {s.service_id: s.name for s in scan.services if s.kind is ServiceKind.WEB}
        fine = self._fits(len(scan.services), len(web), scan.window)
        shown = scan.window if fine else coarse(scan.window)
        asked = [ask for ask in early if ask.variables["step_of"] == shown.step_seconds]
        have = {ask.variables["serviceId"] for ask in asked}
        late = [
            ask
            for one, name in web.items()
            if one not in have
            for ask in _http(scan.environment_id, one, name, shown, fine=fine)
        ]
        if fine and resources.variables["step"] != shown.step_seconds:
            resources = _resources(scan.environment_id, shown, RESOURCE_SERIES * len(scan.services))
            late.append(resources)
        more = await self._reader.read(late)
        self._known[scan.environment_id] = _Known(len(scan.services), web)
        answers = Answers({**scan.answers.data, **more.data}, {**scan.answers.errors, **more.errors})
        asks = [resources, *asked, *late]
        incident = (answers.get(status) or {}).get("incident")
        return Survey(
            project_name=(answers.get(project) or {}).get("name") or scan.project_id,
            environment_name=environment["name"],
            ephemeral=environment["isEphemeral"],
            services=scan.services,
            slices=_fill(scan.services, answers, asks, resources, shown, fine=fine),
            fine=fine,
            platform_incident=f"{incident['message']} {incident['url'] or ''}".strip() if incident else None,
            unseen=answers.unseen(list(dict.fromkeys([status, project, *asks]))),
        )

    def _fits(self, services: int, web: int, window: Window) -> bool:
        """Whether everything at the window's step stays within one document's points."""
        points = _points(window)
        return (
            points * (RESOURCE_SERIES * services + (STATUS_SERIES + LATENCY_SERIES) * web)
            <= self._limits.points
        )

    async def _whole(self, ask: Ask, answers: Answers) -> dict[str, list[dict[str, Any]]]:
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
            ask = Ask(ask.document, {**ask.variables, **more}, ask.label)
            answers = await self._reader.read([ask])

    async def look_closely(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[Close], list[str]]:
        """The suspects at the window's step with their past: 1 request for every four."""
        past = Window(
            start=window.start - HISTORY, end=window.start, step_seconds=int(HISTORY_STEP.total_seconds())
        )
        fine: list[Ask] = []
        old: list[Ask] = []
        groups: list[Ask] = []
        for service in services:
            ids = (environment_id, service.service_id, service.name)
            now = [_resources_of(*ids, window), *(_http(*ids, window, fine=True) if _web(service) else ())]
            before = [_resources_of(*ids, past), *(_http(*ids, past, fine=True)[:1] if _web(service) else ())]
            fine, old = [*fine, *now], [*old, *before]
            groups += [*now, *before]
        answers = await self._reader.read(groups)
        slices = _fill(services, answers, fine, None, window, fine=True)
        history = _fill(services, answers, old, None, past, fine=True)
        pairs = [Close(one, before) for one, before in zip(slices, history, strict=True)]
        return pairs, answers.unseen(groups)

    # -- deployments and logs

    async def deployments(
        self, project_id: str, environment_id: str, service_id: str, first: int = 10
    ) -> list[DeploymentRecord]:
        """Newest first."""
        wanted = {"projectId": project_id, "environmentId": environment_id, "serviceId": service_id}
        data = await self._transport.execute("deployments", {"input": wanted, "first": first})
        return [parse.deployment(node) for node in parse.nodes(data["deployments"])]

    async def deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[LogLine]:
        """Oldest first; the newest `limit` rows of the stretch of time."""
        return await self._deployment_logs(
            "deployment_logs", "deploymentLogs", deployment_id, start, end, limit
        )

    async def build_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[LogLine]:
        """As `deploy_logs`; a build may lie long before the window, so its own times must be given."""
        return await self._deployment_logs("build_logs", "buildLogs", deployment_id, start, end, limit)

    async def _deployment_logs(
        self, document: str, root: str, deployment_id: str, start: datetime, end: datetime, limit: int
    ) -> list[LogLine]:
        span = {"start": parse.iso(start), "end": parse.iso(end)}
        data = await self._transport.execute(
            document, {"deploymentId": deployment_id, **span, "limit": limit}
        )
        return [parse.log_line(row) for row in data[root]][-limit:]  # Railway may return one row more

    async def http_logs(
        self, deployment_id: str, start: datetime, end: datetime, filter: str = "", limit: int = 1000
    ) -> list[HttpLogLine]:
        """Oldest first. `filter`: Railway's language, such as `@httpStatus:>=400`."""
        span = {"start": parse.iso(start), "end": parse.iso(end)}
        data = await self._transport.execute(
            "http_logs", {"deploymentId": deployment_id, "filter": filter, **span, "limit": limit}
        )
        return [parse.http_log_line(row) for row in data["httpLogs"]][-limit:]

    async def environment_logs(
        self, environment_id: str, start: datetime, end: datetime, filter: str = "", limit: int = 1000
    ) -> list[LogLine]:
        """Of all services at once, oldest first; `@service:<id>` in the filter picks one."""
        span = {"start": parse.iso(start), "end": parse.iso(end)}
        data = await self._transport.execute(
            "environment_logs", {"environmentId": environment_id, "filter": filter, **span, "limit": limit}
        )
        return [parse.log_line(row) for row in data["environmentLogs"]][-limit:]

    async def stream_deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, most: int = 20_000
    ) -> AsyncIterator[list[LogLine]]:
        """Pages from the newest back to `start`, each oldest first, none held longer than it is used."""

        async def page(until: datetime) -> list[LogLine]:
            return await self.deploy_logs(deployment_id, start, until, LOG_PAGE)

        async for rows in _backwards(page, end, most):
            yield rows

    async def stream_http_logs(
        self, deployment_id: str, start: datetime, end: datetime, filter: str = "", most: int = 20_000
    ) -> AsyncIterator[list[HttpLogLine]]:
        """As `stream_deploy_logs`."""

        async def page(until: datetime) -> list[HttpLogLine]:
            return await self.http_logs(deployment_id, start, until, filter, LOG_PAGE)

        async for rows in _backwards(page, end, most):
            yield rows


@dataclass(frozen=True)
class _Scan:
    project_id: str
    environment_id: str
    window: Window
    services: list[Service]
    answers: Answers


async def _backwards(page: Callable[[datetime], Any], end: datetime, most: int) -> AsyncIterator[list[Any]]:
    """Bounds are not trusted to be exclusive: rows that stood on the page before are left out."""
    seen: set[tuple[Any, ...]] = set()
    read = 0
    while read < most:
        rows = await page(end)
        fresh = [row for row in rows if tuple(row.model_dump().values()) not in seen]
        if not fresh:
            return
        yield fresh
        read += len(fresh)
        if len(rows) < LOG_PAGE:
            return
        end = rows[0].timestamp
        seen = {tuple(row.model_dump().values()) for row in rows if row.timestamp == end}


def coarse(window: Window) -> Window:
    """The same stretch of time at about thirty points, in whole multiples of the window's step."""
    wanted = window.length.total_seconds() / COARSE_POINTS
    step = max(round(wanted / window.step_seconds), 1) * window.step_seconds
    return window.model_copy(update={"step_seconds": step})


def _points(window: Window) -> int:
    return max(int(window.length.total_seconds()) // window.step_seconds, 1)


def _web(service: Service) -> bool:
    return service.kind is ServiceKind.WEB


def _environment(project_id: str, environment_id: str, page: int) -> Ask:
    pages: dict[str, Any] = {f"{name}After": None for name in CONNECTIONS}
    pages |= dict.fromkeys(CONNECTIONS, page)
    return Ask(
        "environment", {"environmentId": environment_id, "projectId": project_id, **pages}, "The architecture"
    )


def _resources(environment_id: str, window: Window, series: int) -> Ask:
    """CPU and memory of all services in one field."""
    span = {"start": parse.iso(window.start), "end": parse.iso(window.end), "step": window.step_seconds}
    points = _points(window) * series
    return Ask(
        "resources", {"environmentId": environment_id, "serviceId": None, **span}, "CPU and memory", points
    )


def _resources_of(environment_id: str, service_id: str, name: str, window: Window) -> Ask:
    span = {"start": parse.iso(window.start), "end": parse.iso(window.end), "step": window.step_seconds}
    variables = {"environmentId": environment_id, "serviceId": service_id, **span}
    return Ask("resources", variables, f"CPU and memory of {name}", _points(window) * RESOURCE_SERIES)


def _http(environment_id: str, service_id: str, name: str, window: Window, *, fine: bool) -> list[Ask]:
    """Status counts, and percentiles: per step, or one for the whole window."""
    span = {"start": parse.iso(window.start), "end": parse.iso(window.end)}
    base = {"environmentId": environment_id, "serviceId": service_id, **span, "step_of": window.step_seconds}
    points, step = _points(window), window.step_seconds
    return [
        Ask("statuses", {**base, "step": step}, f"HTTP status counts of {name}", points * STATUS_SERIES),
        Ask(
            "durations",
            {**base, "step": step if fine else None},
            f"Latency of {name}",
            points * LATENCY_SERIES if fine else LATENCY_SERIES,
        ),
    ]


def _fill(
    services: Sequence[Service],
    answers: Answers,
    asks: Sequence[Ask],
    resources: Ask | None,
    window: Window,
    *,
    fine: bool,
) -> list[Slice]:
    """One slice per service, with whatever could be had."""
    slices = {
        service.service_id: Slice(
            service_id=service.service_id, start=window.start, step_seconds=window.step_seconds
        )
        for service in services
    }
    for ask in [*([resources] if resources else []), *asks]:
        answer = answers.get(ask)
        if answer is None:
            continue
        if ask.document == "resources":
            parse.fill_resources(slices, answer, window)
            continue
        one = slices.get(ask.variables["serviceId"])
        if one is None:  # gone since the last survey
            continue
        if ask.document == "statuses":
            parse.fill_statuses(one, answer, window)
        else:
            parse.fill_durations(one, answer, window, stepped=fine)
    return list(slices.values())
