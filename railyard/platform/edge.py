"""The edge: one public address per service, and a log row per request."""

import time
import uuid
from collections import deque
from collections.abc import Callable
from functools import cached_property

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from yarl import URL

from railyard.platform.model import HTTP_ROWS, HttpRow, utc_now

UPSTREAM_SECONDS = 30.0
# Hop-by-hop headers; the client has already decoded the content.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}
)
# Target of requests: deployment id ("" before the first) and port (None: it is down).
Target = Callable[[], tuple[str, int | None]]


class Edge:
    """Proxy to the live deployment; `rows` holds the newest requests, oldest first."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.rows: deque[HttpRow] = deque(maxlen=HTTP_ROWS)
        # Any method: calendars and address books are asked by REPORT.
        self.app = Starlette(routes=[Mount("/", self._serve)])

    @cached_property
    def _client(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(sock_connect=UPSTREAM_SECONDS, sock_read=UPSTREAM_SECONDS),
            connector=aiohttp.TCPConnector(limit=200),
            # One user's cookies must not be sent with the next one's request.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Content-Type", "User-Agent"),
        )

    async def aclose(self) -> None:
        await self._client.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handle(Request(scope, receive))
        await response(scope, receive, send)

    async def _handle(self, request: Request) -> Response:
        began, (deployment_id, port), details = time.monotonic(), self._target(), ""
        raw_path: bytes = request.scope["raw_path"]  # as requested, not unquoted
        path = raw_path.decode("latin-1") + (f"?{request.url.query}" if request.url.query else "")
        asked = time.monotonic()
        if port is None:
            response, details = Response("Application failed to respond", 502), "no running instance"
        else:
            try:
                response = await self._forward(request, f"http://127.0.0.1:{port}{path}")
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                response = Response("Application failed to respond", 502)
                details = f"upstream {type(error).__name__}"
        now = time.monotonic()
        self.rows.append(
            HttpRow(
                at=utc_now(),
                deployment_id=deployment_id,
                method=request.method,
                path=path,
                status=response.status_code,
                total_ms=(now - began) * 1000,
                upstream_ms=(now - asked) * 1000,
                request_id=uuid.uuid4().hex,
                details=details,
            )
        )
        return response

    async def _forward(self, request: Request, url: str) -> Response:
        headers = {k: v for k, v in request.headers.items() if k not in HOP_BY_HOP}
        body = await request.body()
        async with self._client.request(
            request.method, URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            response = Response(await answer.read(), answer.status)
        for name, value in answer.headers.items():  # there may be several Set-Cookie
            if name.lower() not in HOP_BY_HOP:
                response.headers.append(name, value)
        return response
