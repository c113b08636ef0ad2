"""The model gateway: the coding agent's only way out. It holds the model's key, and the repair's budget.

A reverse proxy on a Unix socket, one per repair, with a key of its own: the agent may ask the configured
model for answers, in the model's dialect, and nothing else.
"""

import asyncio
import contextlib
import secrets
import weakref

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from hosting.gateway.allowed_requests import Json
from hosting.gateway.model_call import ModelCall, error_response
from hosting.gateway.provider_api import APIS, GEMINI_STREAM, GEMINI_WHOLE
from hosting.http_server import EmbeddedServer
from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import Meter, ModelEndpoint, SessionLimits, Usage
from railmend.coding.metering.refused_parameters import Learned
from railmend.coding.sandbox.interface import GATEWAY_SOCKET, RepairPaths, listening

# A long conversation with files in it: two million tokens.
MAX_REQUEST_BYTES = 8 * 1024 * 1024
# Bodies that are read at once, and the seconds in which one must be there; OpenCode sends one or two calls.
MAX_BODIES = 2
BODY_SECONDS = 60.0
MAX_CALLS = 8
MAX_CONNECTIONS = 32
# Beyond these a connection is closed unread: each takes a descriptor of the worker's, and may never ask.
MAX_OPEN = 4 * MAX_CONNECTIONS
# Not retried by OpenCode: the budget does not come back by itself.
PAYMENT_REQUIRED = 402


class ModelGateway:
    """The gateway of one repair, opened and closed with the coding server; its usage survives both.

    `learned`: what this model refused before, in other repairs.
    """

    def __init__(self, model: ModelEndpoint, limits: SessionLimits, learned: Learned | None = None) -> None:
        self._model = model
        self._limits = limits
        self._learned = learned or Learned()
        self._meter: Meter | None = None
        self._stack = contextlib.AsyncExitStack()

    @property
    def usage(self) -> Usage:
        return self._meter.usage.model_copy() if self._meter else Usage()

    async def open(self, paths: RepairPaths, key: str) -> None:
        """Listen on the repair's gateway socket, for requests with the bearer `key`."""
        await self.close()
        self._meter = Meter(paths.run / "usage.json", self._limits, self._model)
        # The provider may think for long before the first byte, and between two.
        timeout = httpx.Timeout(connect=15, read=self._limits.stall_seconds, write=60, pool=60)
        client = await self._stack.enter_async_context(httpx.AsyncClient(timeout=timeout))
        proxy = _Proxy(self._model, key, self._meter, client, self._learned)
        config = uvicorn.Config(
            proxy.app(),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            http=_BoundedProtocol,
        )
        server = EmbeddedServer(config)
        task = asyncio.create_task(server.serve(sockets=[listening(paths.sockets, GATEWAY_SOCKET)]))

        async def end() -> None:
            server.should_exit = server.force_exit = True
            await task

        self._stack.push_async_callback(end)
        while not server.started:
            await asyncio.sleep(0.01)
            if task.done():
                await task

    async def close(self) -> None:
        await self._stack.aclose()


class _BoundedProtocol(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_OPEN:
            transport.abort()


class _Proxy:
    def __init__(
        self, model: ModelEndpoint, key: str, meter: Meter, client: httpx.AsyncClient, learned: Learned
    ) -> None:
        self._model = model
        self._api = APIS[model.dialect]
        self._key = key
        self._meter = meter
        self._client = client
        self._learned = learned
        self._bodies = asyncio.Semaphore(MAX_BODIES)
        # As long as anything holds one, it holds its request.
        self._calls: weakref.WeakSet[ModelCall] = weakref.WeakSet()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(self._api.route, self.complete, methods=["POST"]),
                Route("/v1/models", self.models, methods=["GET"]),
            ]
        )

    def _authorized(self, request: Request) -> bool:
        """Each dialect has its own header for a key."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.headers.get("x-api-key") or request.headers.get("x-goog-api-key") or bearer
        return secrets.compare_digest(given.encode(), self._key.encode())

    async def models(self, request: Request) -> Response:
        if not self._authorized(request):
            return error_response(401, "Not this repair's key.")
        return JSONResponse({"object": "list", "data": [{"id": self._model.model_id, "object": "model"}]})

    async def complete(self, request: Request) -> Response:
        if not self._authorized(request):
            return error_response(401, "Not this repair's key.")
        try:
            body, streamed = await asyncio.wait_for(self._content(request), BODY_SECONDS)
        except ValueError as error:
            return error_response(400, str(error))
        except TimeoutError:
            return error_response(408, f"The request was not there within {BODY_SECONDS:g} s.")
        if len(self._calls) >= MAX_CALLS:
            return error_response(429, f"{MAX_CALLS} calls are under way.", {"retry-after": "5"})
        call = ModelCall(self._model, self._meter, self._client, self._learned, body, streamed)
        if not call.reserve():
            return error_response(PAYMENT_REQUIRED, f"Railmend's budget: {self._meter.usage.refused}")
        self._calls.add(call)
        return await call.answer()

    async def _content(self, request: Request) -> tuple[Json, bool]:
        """Return the rewritten body, and whether a stream is wanted. Its JSON is read in another thread."""
        async with self._bodies:
            raw = await _body(request)
            return await asyncio.to_thread(self._rewritten, raw, request.path_params.get("name", ""))

    def _rewritten(self, raw: bytes, name: str) -> tuple[Json, bool]:
        method = name.rpartition(":")[2]
        if self._model.dialect is Dialect.GEMINI and method not in (GEMINI_STREAM, GEMINI_WHOLE):
            raise ValueError("Not passed on: Gemini is asked for content alone. See docs/security.md.")
        body = self._api.request(raw, self._model)
        return body, method == GEMINI_STREAM or bool(body.get("stream"))


async def _body(request: Request) -> bytes:
    """Return the body. Raise `ValueError` when it is too large; where it says so itself it is not read."""
    body = bytearray()
    declared = request.headers.get("content-length", "0")
    size = int(declared) if declared.isdigit() else 0
    if size <= MAX_REQUEST_BYTES:
        async for part in request.stream():
            body += part
            size = len(body)
            if size > MAX_REQUEST_BYTES:
                break
    if size > MAX_REQUEST_BYTES:
        raise ValueError(f"More than {MAX_REQUEST_BYTES} bytes.")
    return bytes(body)
