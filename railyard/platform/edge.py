"""The edge: one public address per service, and a log row per request."""

import time
import uuid
from collections import deque
from collections.abc import Callable

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from railyard.platform.model import LOG_ROWS, HttpRow, utc_now

UPSTREAM_SECONDS = 30.0
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
# Where requests go: deployment id and port; None while nothing serves.
Target = Callable[[], tuple[str, int] | None]


class Edge:
    """Proxies to what serves now; `rows` holds the newest requests, oldest first."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client = httpx.AsyncClient(timeout=UPSTREAM_SECONDS, limits=httpx.Limits(max_connections=200))
        self.rows: deque[HttpRow] = deque(maxlen=LOG_ROWS)
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        self.app = Starlette(routes=[Route("/{path:path}", self._handle, methods=methods)])

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _handle(self, request: Request) -> Response:
        began, target = time.monotonic(), self._target()
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        deployment_id, details = target[0] if target else "", ""
        asked = time.monotonic()
        if target is None:
            response, details = Response("Application failed to respond", 502), "no running instance"
        else:
            try:
                response = await self._forward(request, f"http://127.0.0.1:{target[1]}{path}")
            except httpx.HTTPError as error:
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
        kept = {k: v for k, v in answer.headers.items() if k not in HOP_BY_HOP}
        return Response(answer.content, answer.status_code, kept)
