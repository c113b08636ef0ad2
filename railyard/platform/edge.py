"""The edge: one public address per service, and a log row per request."""

import time
import uuid
from collections import deque
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

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
        self._client = httpx.AsyncClient(
            timeout=UPSTREAM_SECONDS,
            limits=httpx.Limits(max_connections=200),
            trust_env=False,
            # One user's cookies must not be sent with the next one's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self.rows: deque[HttpRow] = deque(maxlen=HTTP_ROWS)
        # Any method: calendars and address books are asked by REPORT.
        self.app = Starlette(routes=[Mount("/", self._serve)])

    async def aclose(self) -> None:
        await self._client.aclose()

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
            except (httpx.HTTPError, httpx.InvalidURL) as error:
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
        answer = await self._client.request(
            request.method, url, content=await request.body(), headers=headers
        )
        response = Response(answer.content, answer.status_code)
        for name, value in answer.headers.multi_items():  # there may be several Set-Cookie
            if name not in HOP_BY_HOP:
                response.headers.append(name, value)
        return response
