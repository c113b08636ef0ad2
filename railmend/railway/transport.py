"""One HTTP exchange with the GraphQL endpoint; retries are Temporal's business."""

from typing import Any, Literal

import httpx
from graphql import print_ast
from pydantic import BaseModel, SecretStr

from railmend.railway.compose import operation
from railmend.railway.errors import RailwayError, RateLimited, Unavailable, classify
from railmend.railway.limits import Gate

USER_AGENT = "railmend/0.1 (+https://github.com/railmend/railmend)"
# Railway's own limiter sends Retry-After; the one before it does not, and can block for long.
DEFAULT_RETRY_AFTER = 60.0

TokenKind = Literal["project", "bearer"]


class Failure(BaseModel):
    """One entry of `errors`. `alias`: the root field it belongs to, where Railway says so."""

    message: str
    trace_id: str | None = None
    alias: str | None = None

    def error(self) -> RailwayError:
        return classify(self.message, trace_id=self.trace_id)


class Reply(BaseModel):
    data: dict[str, Any] | None
    failures: list[Failure] = []


class Transport:
    """Raises `RateLimited` for both limiters' 429 and `Unavailable` where there is no GraphQL answer."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        kind: TokenKind,
        transport: httpx.AsyncBaseTransport | None,
        timeout: float,
        gate: Gate,
    ) -> None:
        secret = token.get_secret_value()
        header = (
            {"Project-Access-Token": secret} if kind == "project" else {"Authorization": f"Bearer {secret}"}
        )
        self._url = url
        self._gate = gate
        self._http = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, **header}, transport=transport, timeout=timeout, http2=True
        )
        self.requests = 0

    async def aclose(self) -> None:
        await self._http.aclose()

    async def execute(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The `data` of a single document's answer; its first error is raised."""
        reply = await self.send(print_ast(operation(name)), variables, name)
        if reply.failures:
            raise reply.failures[0].error()
        if reply.data is None:
            raise Unavailable("Railway answered without data.")
        return reply.data

    async def send(self, document: str, variables: dict[str, Any], op: str) -> Reply:
        """`op` is put on the query string: a request without one falls under a much tighter limiter."""
        body = {"query": document, "variables": variables}
        async with self._gate.slot():
            self.requests += 1
            try:
                response = await self._http.post(self._url, params={"op": op}, json=body)
            except httpx.TransportError as error:
                raise Unavailable(f"Railway did not answer ({type(error).__name__}: {error}).") from error
        self._gate.learn(response.headers.get("ratelimit-policy"))
        return self._reply(response)

    def _reply(self, response: httpx.Response) -> Reply:
        after = _seconds(response.headers.get("retry-after"))
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._gate.block(after or DEFAULT_RETRY_AFTER)
            raise RateLimited(
                "Railway's rate limit is reached; scan less often or use a token of a larger plan.",
                retry_after=after or DEFAULT_RETRY_AFTER,
            )
        try:
            answer = response.json()
        except ValueError as error:
            raise Unavailable(f"Railway answered HTTP {response.status_code} without JSON.") from error
        if not isinstance(answer, dict) or not (answer.get("errors") or isinstance(answer.get("data"), dict)):
            raise Unavailable(f"Railway answered HTTP {response.status_code}, no data.", retry_after=after)
        return Reply(data=answer.get("data"), failures=[_failure(e) for e in answer.get("errors") or ()])


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None


def _failure(error: dict[str, Any]) -> Failure:
    """Railway puts the trace id beside the message; its documentation shows it in `extensions`."""
    trace = error.get("traceId") or (error.get("extensions") or {}).get("traceId")
    path = error.get("path") or [None]
    return Failure(
        message=str(error.get("message", "unknown error")),
        trace_id=str(trace) if trace else None,
        alias=str(path[0]) if path[0] else None,
    )
