"""Reads a project: architecture, slices, deployments and logs."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from railmend.contracts.scan import Architecture, Service, ServiceKind, Window
from railmend.railway.errors import RailwayError
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine, Series, Slice
from railmend.railway.transport import Transport

PAGE = 500
AT_ONCE = 2  # requests in flight: far below the smallest plan's 10 per second
DATABASE_IMAGES = (
    *("postgres", "postgis", "timescale", "redis", "mongo", "mysql", "mariadb", "memcached", "valkey"),
)
FUNCTION_IMAGE = "ghcr.io/railwayapp/function"
PERCENTILES = ("p50", "p90", "p95", "p99")
MEASUREMENTS = {
    "CPU_USAGE": "cpu",
    "CPU_LIMIT": "cpu_limit",
    "MEMORY_USAGE_GB": "memory_gb",
    "MEMORY_LIMIT_GB": "memory_limit_gb",
}


class RailwayClient:
    """One per process. Every method raises the errors of `railmend.railway.errors`."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        token_kind: Literal["project", "bearer"] = "project",  # noqa: S107 - a kind, not a token
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._transport = Transport(url, token, token_kind, transport, timeout)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def architecture(self, project_id: str, environment_id: str) -> Architecture:
        variables: dict[str, Any] = {
            "projectId": project_id,
            "environmentId": environment_id,
            "first": PAGE,
            "after": None,
        }
        services: list[Service] = []
        while True:
            data = await self._transport.execute("architecture", variables)
            environment = data["environment"]
            branches = {
                edge["node"]["serviceId"]: edge["node"]["branch"]
                for edge in environment["deploymentTriggers"]["edges"]
            }
            page = environment["serviceInstances"]
            services += [
                _service(edge["node"], branches) for edge in page["edges"] if not edge["node"]["deletedAt"]
            ]
            if not page["pageInfo"]["hasNextPage"]:
                break
            variables["after"] = page["pageInfo"]["endCursor"]
        incident = (data.get("platformStatus") or {}).get("incident")
        return Architecture(
            project_id=project_id,
            project_name=data["project"]["name"],
            environment_id=environment_id,
            environment_name=environment["name"],
            services=tuple(services),
            platform_incident=f"{incident['message']} {incident['url'] or ''}".strip() if incident else None,
        )

    async def slices(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[Slice], list[str]]:
        """Slices of all services, and one sentence for each value that could not be had."""
        found = {
            service.service_id: Slice(
                service_id=service.service_id, start=window.start, step_seconds=window.step_seconds
            )
            for service in services
        }
        variables = {"environmentId": environment_id, **_span(window), "step": window.step_seconds}
        data = await self._transport.execute("resources", variables)
        for result in data["metrics"]:
            one = found.get(result["tags"]["serviceId"] or "")
            field = MEASUREMENTS.get(result["measurement"])
            if one is not None and field is not None:
                setattr(one, field, _series(window, [(v["ts"], v["value"]) for v in result["values"]]))
        gate = asyncio.Semaphore(AT_ONCE)
        web = [service for service in services if service.kind is ServiceKind.WEB]
        unseen = await asyncio.gather(
            *(self._http(gate, variables, service, window, found[service.service_id]) for service in web)
        )
        return list(found.values()), [sentence for sentence in unseen if sentence]

    async def _http(
        self, gate: asyncio.Semaphore, variables: dict[str, Any], service: Service, window: Window, one: Slice
    ) -> str | None:
        async with gate:
            try:
                data = await self._transport.execute("http", {**variables, "serviceId": service.service_id})
            except RailwayError as error:
                return f"HTTP metrics of {service.name}: {error}"
        for group in data["statuses"]:
            name = f"{group['statusCode'] // 100}xx"
            series = _series(window, [(s["ts"], s["value"]) for s in group["samples"]])
            one.http[name] = _added(one.http.get(name), series)
        samples = data["durations"]["samples"]
        one.latency = {p: _series(window, [(s["ts"], s[p]) for s in samples]) for p in PERCENTILES}
        return None

    async def deployments(
        self, project_id: str, environment_id: str, service_id: str, first: int = 10
    ) -> list[DeploymentRecord]:
        """Newest first."""
        wanted = {"projectId": project_id, "environmentId": environment_id, "serviceId": service_id}
        data = await self._transport.execute("deployments", {"input": wanted, "first": first})
        return [_deployment(edge["node"]) for edge in data["deployments"]["edges"]]

    async def deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[LogLine]:
        """Oldest first; the newest `limit` rows of the stretch of time."""
        data = await self._transport.execute(
            "deployment_logs",
            {"deploymentId": deployment_id, "start": _iso(start), "end": _iso(end), "limit": limit},
        )
        rows = data["deploymentLogs"][-limit:]  # Railway may return one row more
        return [
            LogLine(timestamp=r["timestamp"], severity=r["severity"] or "info", message=r["message"])
            for r in rows
        ]

    async def http_logs(
        self, deployment_id: str, start: datetime, end: datetime, filter: str = "", limit: int = 1000
    ) -> list[HttpLogLine]:
        """Oldest first. `filter`: Railway's language, such as `@httpStatus:>=400`."""
        data = await self._transport.execute(
            "http_logs",
            {
                "deploymentId": deployment_id,
                "filter": filter,
                "start": _iso(start),
                "end": _iso(end),
                "limit": limit,
            },
        )
        return [
            HttpLogLine(
                timestamp=r["timestamp"],
                method=r["method"],
                path=r["path"],
                status=r["httpStatus"],
                duration_ms=r["totalDuration"],
            )
            for r in data["httpLogs"][-limit:]
        ]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _span(window: Window) -> dict[str, str]:
    return {"start": _iso(window.start), "end": _iso(window.end)}


def _series(window: Window, samples: Sequence[tuple[int, float]]) -> Series:
    """Samples (Unix seconds, value) laid on the window's steps; a later sample of a step wins."""
    steps = max(int(window.length.total_seconds()) // window.step_seconds, 1)
    series: Series = [None] * steps
    first = window.start.timestamp()
    for ts, value in samples:
        index = int((ts - first) // window.step_seconds)
        if 0 <= index < steps:
            series[index] = value
    return series


def _added(one: Series | None, other: Series) -> Series:
    if one is None:
        return other
    return [
        None if a is None and b is None else (a or 0.0) + (b or 0.0) for a, b in zip(one, other, strict=True)
    ]


def kind_of(node: dict[str, Any]) -> ServiceKind:
    """In the order Railway's own command line uses: cron, database, function, else by domains."""
    image = ((node["source"] or {}).get("image") or "").lower()
    if node["cronSchedule"]:
        return ServiceKind.CRON
    if any(name in image for name in DATABASE_IMAGES):
        return ServiceKind.DATABASE
    if image.startswith(FUNCTION_IMAGE):
        return ServiceKind.FUNCTION
    domains = node["domains"] or {}
    if domains.get("serviceDomains") or domains.get("customDomains"):
        return ServiceKind.WEB
    return ServiceKind.WORKER


def _service(node: dict[str, Any], branches: dict[str, str]) -> Service:
    latest = node["latestDeployment"]
    active = node["activeDeployments"][0] if node["activeDeployments"] else None
    meta = (active or latest or {}).get("meta") or {}
    source = node["source"] or {}
    return Service(
        service_id=node["serviceId"],
        name=node["serviceName"],
        kind=kind_of(node),
        repository=source.get("repo"),
        branch=branches.get(node["serviceId"]) or meta.get("branch"),
        root_directory=(node["rootDirectory"] or "").strip("/"),
        image=source.get("image"),
        active_deployment_id=active["id"] if active else None,
        latest_deployment_id=latest["id"] if latest else None,
        latest_status=latest["status"] if latest else None,
        commit=meta.get("commitHash"),
        asleep=bool(latest and latest["status"] == "SLEEPING"),
    )


def _deployment(node: dict[str, Any]) -> DeploymentRecord:
    meta = node["meta"] or {}
    return DeploymentRecord(
        id=node["id"],
        status=node["status"],
        created_at=node["createdAt"],
        commit=meta.get("commitHash"),
        commit_message=meta.get("commitMessage"),
        commit_author=meta.get("commitAuthor"),
        branch=meta.get("branch"),
        reason=meta.get("reason"),
    )
