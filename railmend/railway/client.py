"""Client of Railway for one token: surveys, logs, deployments, actions."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr

from railmend.contracts.scan import Service, Window
from railmend.railway import parse
from railmend.railway.actions import Actions
from railmend.railway.context import Context
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine
from railmend.railway.network import NetworkReader
from railmend.railway.reader import PAUSE_SECONDS, Reader
from railmend.railway.survey import DetailedSlices, Details, LastSurvey, Survey, Surveyor
from railmend.railway.transport import TokenKind, Transport

LOG_PAGE = 1000


class RailwayClient:
    """One per process and token. Every method raises the errors of `railmend.railway.errors`."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        token_kind: TokenKind = "project",  # noqa: S107 - a kind, not a token
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30.0,
        limits: RateLimits | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        limits = limits or RateLimits()
        self.limiter = RateLimiter(limits)
        self._transport = Transport(url, token, token_kind, transport, timeout, self.limiter)
        reader = Reader(self._transport, limits, pause_seconds)
        self._surveyor = Surveyor(reader, limits)
        self.network = NetworkReader(reader)
        self.context = Context(self._transport)
        self.actions = Actions(self._transport)

    async def aclose(self) -> None:
        await self._transport.aclose()

    @property
    def requests(self) -> int:
        """Requests sent since the start."""
        return self._transport.requests

    async def survey(self, project_id: str, environment_id: str, window: Window) -> Survey:
        """Survey an environment: see `Surveyor.survey`."""
        return await self._surveyor.survey(project_id, environment_id, window)

    def last_seen(self, environment_id: str) -> LastSurvey:
        """Return what the last survey of an environment saw; empty without one."""
        return self._surveyor.last_seen(environment_id)

    async def examine(self, environment_id: str, services: Sequence[Service], window: Window) -> Details:
        """Read some services in detail, as far as they can be had: see `Surveyor.examine`."""
        return await self._surveyor.examine(environment_id, services, window)

    async def fetch_detailed(
        self, environment_id: str, services: Sequence[Service], window: Window
    ) -> tuple[list[DetailedSlices], list[str]]:
        """Fetch some services in detail: see `Surveyor.fetch_detailed`."""
        return await self._surveyor.fetch_detailed(environment_id, services, window)

    async def deployments(
        self, project_id: str, environment_id: str, service_id: str, first: int = 10
    ) -> list[DeploymentRecord]:
        """Return the `first` newest deployments, newest first."""
        service = {"projectId": project_id, "environmentId": environment_id, "serviceId": service_id}
        data = await self._transport.execute("deployments", {"input": service, "first": first})
        return [parse.deployment(node) for node in parse.nodes(data["deployments"])]

    async def deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[LogLine]:
        """Return the newest `limit` rows between `start` and `end`, oldest first."""
        return await self._deployment_logs(
            "deployment_logs", "deploymentLogs", deployment_id, start, end, limit
        )

    async def build_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[LogLine]:
        """Return rows as `deploy_logs` does. `start`, `end`: of the build, which may precede the window."""
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
        """Return rows as `deploy_logs` does. `filter`: in Railway's syntax, such as `@httpStatus:>=400`."""
        span = {"start": parse.iso(start), "end": parse.iso(end)}
        data = await self._transport.execute(
            "http_logs", {"deploymentId": deployment_id, "filter": filter, **span, "limit": limit}
        )
        return [parse.http_log_line(row) for row in data["httpLogs"]][-limit:]

    async def environment_logs(
        self, environment_id: str, start: datetime, end: datetime, filter: str = "", limit: int = 1000
    ) -> list[LogLine]:
        """Return rows of all services, oldest first; `@service:<id>` in the filter selects one."""
        span = {"start": parse.iso(start), "end": parse.iso(end)}
        data = await self._transport.execute(
            "environment_logs", {"environmentId": environment_id, "filter": filter, **span, "limit": limit}
        )
        return [parse.log_line(row) for row in data["environmentLogs"]][-limit:]

    async def stream_deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, most: int = 20_000
    ) -> AsyncIterator[list[LogLine]]:
        """Yield pages from the newest back to `start`, each oldest first; at most about `most` rows."""

        async def page(until: datetime) -> list[LogLine]:
            return await self.deploy_logs(deployment_id, start, until, LOG_PAGE)

        async for rows in _backwards(page, end, most):
            yield rows

    async def stream_http_logs(
        self, deployment_id: str, start: datetime, end: datetime, filter: str = "", most: int = 20_000
    ) -> AsyncIterator[list[HttpLogLine]]:
        """Yield pages as `stream_deploy_logs` does."""

        async def page(until: datetime) -> list[HttpLogLine]:
            return await self.http_logs(deployment_id, start, until, filter, LOG_PAGE)

        async for rows in _backwards(page, end, most):
            yield rows


async def _backwards(page: Callable[[datetime], Any], end: datetime, most: int) -> AsyncIterator[list[Any]]:
    """Yield pages back in time, without rows already yielded: the bounds may be inclusive."""
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
