"""One HTTP exchange with the GraphQL endpoint; Temporal owns the retries."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Literal, cast

import httpx
from gql import GraphQLRequest
from gql.transport.exceptions import TransportConnectionFailed, TransportError, TransportServerError
from gql.transport.httpx import HTTPXAsyncTransport
from graphql import DocumentNode, ExecutionResult
from pydantic import BaseModel, SecretStr

from railmend.railway.compose import single
from railmend.railway.errors import (
    EdgeBlocked,
    RailwayError,
    RateLimited,
    Unavailable,
    Unreachable,
    classify,
)
from railmend.railway.limits import RateLimiter

# A word of fewer letters is found by chance.
SHORTEST_SECRET = 6
USER_AGENT = "railmend/0.1 (+https://github.com/railmend/railmend)"
# Railway's own limiter sends Retry-After; the edge's in front of it does not, and can block for long.
DEFAULT_RETRY_AFTER = 60.0

TokenKind = Literal["project", "bearer"]


@cache
def _certificates() -> ssl.SSLContext:
    """Return whom to trust. Built once, because it takes 50 ms and each token has a client."""
    return httpx.create_ssl_context()


class GraphQLFailure(BaseModel):
    """One entry of `errors`.

    `alias`: the root field it belongs to, if Railway names it; `field`: which of its fields, dotted.
    """

    message: str
    code: str | None = None
    trace_id: str | None = None
    alias: str | None = None
    field: str = ""

    def error(self) -> RailwayError:
        return classify(self.message, code=self.code, trace_id=self.trace_id)


class GraphQLReply(BaseModel):
    data: dict[str, Any] | None
    failures: list[GraphQLFailure] = []


class Transport:
    """Raises `RateLimited` for the 429 of either limiter and `Unavailable` without a GraphQL answer."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        kind: TokenKind,
        transport: httpx.AsyncBaseTransport | None,
        timeout: float,
        limiter: RateLimiter,
    ) -> None:
        self._secret = secret = token.get_secret_value()
        header = (
            {"Project-Access-Token": secret} if kind == "project" else {"Authorization": f"Bearer {secret}"}
        )
        self._limiter = limiter
        self._gql = HTTPXAsyncTransport(
            url,
            headers={"User-Agent": USER_AGENT, **header},
            transport=transport,
            timeout=timeout,
            http2=True,
            verify=_certificates(),
            event_hooks={"response": [self._apply_limits]},
        )
        self.requests = 0
        self._server_time: tuple[datetime, float] | None = None

    @property
    def now(self) -> datetime | None:
        """Return the time by Railway's own clock; None before its first answer."""
        if self._server_time is None:
            return None
        at, received = self._server_time
        return at + timedelta(seconds=time.monotonic() - received)

    async def aclose(self) -> None:
        await self._gql.close()

    async def execute(self, name: str, variables: dict[str, Any], *, urgent: bool = False) -> dict[str, Any]:
        """Return one document's `data`; raise its first error. `urgent`: see `RateLimiter.slot`."""
        reply = await self.send(single(name), variables, name, urgent=urgent)
        if reply.failures:
            raise reply.failures[0].error()
        if reply.data is None:
            raise Unavailable("Railway answered without data.")
        return reply.data

    async def send(
        self, document: DocumentNode, variables: dict[str, Any], op: str, *, urgent: bool = False
    ) -> GraphQLReply:
        """Send a document. `op` goes into the query string: a request without one is limited far more."""
        if self._gql.client is None:
            await self._gql.connect()
        request = GraphQLRequest(document, variable_values=variables)
        async with self._limiter.slot(urgent=urgent):
            self.requests += 1
            try:
                result = await self._gql.execute(request, extra_args={"params": {"op": op}})
            except TransportError as error:
                if isinstance(error.__cause__, RailwayError):  # our own, from the hook: no circle of causes
                    raise error.__cause__ from None
                raise _unavailable(error) from error
        if not (result.errors or isinstance(result.data, dict)):
            raise Unavailable("Railway answered with no data and no error.")
        failures = [_failure(error, self._secret) for error in _raw(result)]
        for failure in failures:
            if isinstance(limited := failure.error(), RateLimited):
                self._limiter.block(limited.retry_after or 0)
                raise limited
        return GraphQLReply(data=result.data, failures=failures)

    async def _apply_limits(self, response: httpx.Response) -> None:
        """Read the clock, both limiters' status and headers, before the body is read."""
        self._limiter.update_policy(response.headers.get("ratelimit-policy"))
        if date := _date(next(iter(response.headers.get_list("date")), None)):
            self._server_time = date, time.monotonic()
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            told = _seconds(response.headers.get("retry-after"))
            after = told or DEFAULT_RETRY_AFTER
            self._limiter.block(after)
            if told is None:
                raise EdgeBlocked(
                    "The network in front of Railway (Cloudflare) refuses this address for now, for too many "
                    "requests in a second; that can last for hours. Nothing is sent for a minute: do not "
                    "scan more often, and see that nothing else on this address asks Railway.",
                    retry_after=after,
                )
            raise RateLimited(
                f"Railway's rate limit is reached, it asks to wait {after:.0f} s. Scan less often, or use a "
                "token of a plan with a larger limit.",
                retry_after=after,
            )


def _raw(result: ExecutionResult) -> list[dict[str, Any]]:
    """Return the entries of `errors`, which gql passes on as raw JSON despite the declared type."""
    return cast("list[dict[str, Any]]", result.errors or [])


def _unavailable(error: TransportError) -> RailwayError:
    cause = error.__cause__
    if isinstance(error, TransportConnectionFailed):
        return Unreachable(f"Railway did not answer ({type(cause).__name__}: {cause}).")
    if isinstance(error, TransportServerError):
        if error.code == httpx.codes.FORBIDDEN:
            return Unavailable(
                "The network in front of Railway (Cloudflare) refuses this address (HTTP 403). Try from "
                "another network, or ask Railway's support."
            )
        return Unavailable(
            f"Railway answered HTTP {error.code} and no data: it may be down, see "
            "https://status.railway.com. The next scan asks again."
        )
    return Unavailable(
        "Railway's answer was cut off, or is not what its API sends. Check RAILWAY_API_URL; the next scan "
        "asks again."
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    # A date without a zone is in UTC (RFC 9110).
    return date.replace(tzinfo=UTC) if date is not None and date.tzinfo is None else date


def _failure(error: dict[str, Any], secret: str) -> GraphQLFailure:
    """Parse an error; Railway puts the trace id beside the message, its documentation in `extensions`.

    Who stands between may say what it was given: `secret` is not in the message.
    """
    extensions = error.get("extensions") or {}
    message = str(error.get("message", "unknown error"))
    trace = error.get("traceId") or extensions.get("traceId")
    path = [part for part in error.get("path") or () if isinstance(part, str)]
    return GraphQLFailure(
        message=message.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else message,
        code=extensions.get("code"),
        trace_id=str(trace) if trace else None,
        alias=path[0] if path else None,
        field=".".join(path[1:]),
    )
