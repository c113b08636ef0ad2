"""Client of Railway for one token: surveys, logs, deployments, actions."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr

from railmend.railway import parse
from railmend.railway.actions import Actions
from railmend.railway.compose import root_field
from railmend.railway.context import Context
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine
from railmend.railway.network import NetworkReader
from railmend.railway.reader import PAUSE_SECONDS, Reader
from railmend.railway.survey import Surveyor
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
        self.surveyor = Surveyor(reader, limits)
        self.network = NetworkReader(reader)
        self.context = Context(self._transport)
        self.actions = Actions(self._transport)

    async def aclose(self) -> None:
        await self._transport.aclose()

    @property
    def requests(self) -> int:
        """Requests sent since the start."""
        return self._transport.requests

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
        rows = await self._rows("deployment_logs", start, end, limit, deploymentId=deployment_id)
        return list(map(LogLine.model_validate, rows))

    async def build_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[LogLine]:
        """Return rows as `deploy_logs` does. `start`, `end`: of the build, which may precede the window."""
        rows = await self._rows("build_logs", start, end, limit, deploymentId=deployment_id)
        return list(map(LogLine.model_validate, rows))

    async def http_logs(
        self, deployment_id: str, start: datetime, end: datetime, filter: str = "", limit: int = 1000
    ) -> list[HttpLogLine]:
        """Return rows as `deploy_logs` does. `filter`: in Railway's syntax, such as `@httpStatus:>=400`."""
        rows = await self._rows("http_logs", start, end, limit, deploymentId=deployment_id, filter=filter)
        return list(map(HttpLogLine.model_validate, rows))

    async def environment_logs(
        self, environment_id: str, start: datetime, end: datetime, filter: str = "", limit: int = 1000
    ) -> list[LogLine]:
        """Return rows of all services, oldest first; `@service:<id>` in the filter selects one."""
        ids = {"environmentId": environment_id, "filter": filter}
        rows = await self._rows("environment_logs", start, end, limit, **ids)
        return list(map(LogLine.model_validate, rows))

    async def _rows(
        self, document: str, start: datetime, end: datetime, limit: int, **of: str
    ) -> list[dict[str, Any]]:
        variables = {**of, "start": parse.iso(start), "end": parse.iso(end), "limit": limit}
        data = await self._transport.execute(document, variables)
        rows: list[dict[str, Any]] = data[root_field(document).name.value]
        return rows[-limit:]  # Railway may return one row more

    def stream_deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, most: int = 20_000
    ) -> AsyncIterator[list[LogLine]]:
        """Yield pages from the newest back to `start`, each oldest first; at most about `most` rows."""
        return _backwards(lambda until: self.deploy_logs(deployment_id, start, until, LOG_PAGE), end, most)

    def stream_http_logs(
        self, deployment_id: str, start: datetime, end: datetime, filter: str = "", most: int = 20_000
    ) -> AsyncIterator[list[HttpLogLine]]:
        """Yield pages as `stream_deploy_logs` does."""
        return _backwards(
            lambda until: self.http_logs(deployment_id, start, until, filter, LOG_PAGE), end, most
        )


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
