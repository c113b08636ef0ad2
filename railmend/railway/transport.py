"""One HTTP exchange with the GraphQL endpoint; retries are Temporal's business."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import gql
import httpx
from graphql import print_ast
from pydantic import SecretStr

from railmend.railway.errors import RailwayError, RateLimited, Unavailable, classify

DOCUMENTS = Path(__file__).parent / "documents"
USER_AGENT = "railmend/0.1 (+https://github.com/railmend/railmend)"
# Railway's own limiter sends Retry-After; the one before it does not, and can block for long.
DEFAULT_RETRY_AFTER = 60.0


@cache
def document(name: str) -> str:
    """The text of one operation, parsed once so that a broken file fails here and not at Railway."""
    return print_ast(gql.gql((DOCUMENTS / f"{name}.graphql").read_text()).document)


class Transport:
    """Sends one document at a time; `execute` raises the errors of `railmend.railway.errors`."""

    def __init__(
        self,
        url: str,
        token: SecretStr,
        kind: Literal["project", "bearer"],
        transport: httpx.AsyncBaseTransport | None,
        timeout: float,
    ) -> None:
        secret = token.get_secret_value()
        header = (
            {"Project-Access-Token": secret} if kind == "project" else {"Authorization": f"Bearer {secret}"}
        )
        self._url = url
        self._http = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, **header}, transport=transport, timeout=timeout, http2=True
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def execute(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The `data` of an answer without errors. `name`: the document's file name."""
        body = {"query": document(name), "variables": variables}
        try:
            # A request without a query string falls under a much tighter limiter.
            response = await self._http.post(self._url, params={"op": name}, json=body)
        except httpx.TransportError as error:
            raise Unavailable(f"Railway did not answer ({type(error).__name__}: {error}).") from error
        return self._data(response)

    @staticmethod
    def _data(response: httpx.Response) -> dict[str, Any]:
        after = _seconds(response.headers.get("retry-after"))
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise RateLimited(
                "Railway's rate limit is reached; scan less often or use a token of a larger plan.",
                retry_after=after or DEFAULT_RETRY_AFTER,
            )
        try:
            answer = response.json()
        except ValueError as error:
            raise Unavailable(f"Railway answered HTTP {response.status_code} without JSON.") from error
        if answer.get("errors"):
            raise _first_error(answer["errors"][0])
        if response.is_error or not isinstance(answer.get("data"), dict):
            raise Unavailable(f"Railway answered HTTP {response.status_code}, no data.", retry_after=after)
        data: dict[str, Any] = answer["data"]
        return data


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None


def _first_error(error: dict[str, Any]) -> RailwayError:
    """Railway puts the trace id beside the message; its documentation shows it in `extensions`."""
    trace = error.get("traceId") or (error.get("extensions") or {}).get("traceId")
    path = error.get("path") or [None]
    return classify(
        str(error.get("message", "unknown error")), trace_id=trace, path=str(path[0]) if path[0] else None
    )
