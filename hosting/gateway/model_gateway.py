"""The model gateway: the coding agent's only way out. It holds the model's key, and the repair's budget.

A reverse proxy on a Unix socket, one per repair, with a key of its own: the agent may ask the configured
model for completions and nothing else.
"""

import asyncio
import contextlib
import secrets
import weakref
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from hosting.gateway.chat_request import rewritten
from hosting.http_server import EmbeddedServer
from railmend.coding.metering import Meter, MeteredResponse, ModelEndpoint, SessionLimits, Usage
from railmend.coding.sandbox import GATEWAY_SOCKET, RepairPaths, listening

# A long conversation with files in it: two million tokens.
MAX_REQUEST_BYTES = 8 * 1024 * 1024
# Bodies that are read at once, and the seconds in which one must be there; OpenCode sends one or two calls.
MAX_BODIES = 2
BODY_SECONDS = 60.0
MAX_CALLS = 8
MAX_CONNECTIONS = 32
# Beyond these a connection is closed unread: each takes a descriptor of the worker's, and may never ask.
MAX_OPEN = 4 * MAX_CONNECTIONS
MAX_ERROR_BYTES = 16 * 1024
# The provider may think for long before the first byte, and between two.
TIMEOUT = httpx.Timeout(connect=15, read=180, write=60, pool=60)
# OpenCode waits as long as it is told.
MAX_RETRY_AFTER = 60
# Not retried by OpenCode: the budget does not come back by itself.
PAYMENT_REQUIRED = 402


class ModelGateway:
    """The gateway of one repair, opened and closed with the coding server; its usage survives both."""

    def __init__(self, model: ModelEndpoint, limits: SessionLimits) -> None:
        self._model = model
        self._limits = limits
        self._meter: Meter | None = None
        self._stack = contextlib.AsyncExitStack()

    @property
    def usage(self) -> Usage:
        return self._meter.usage.model_copy() if self._meter else Usage()

    async def open(self, paths: RepairPaths, key: str) -> None:
        """Listen on the repair's gateway socket, for requests with the bearer `key`."""
        await self.close()
        self._meter = Meter(paths.run / "usage.json", self._limits, self._model)
        client = await self._stack.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT))
        proxy = _Proxy(self._model, key, self._meter, client)
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


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "railmend"}}, status, headers)


class _Proxy:
    def __init__(self, model: ModelEndpoint, key: str, meter: Meter, client: httpx.AsyncClient) -> None:
        self._model = model
        self._key = key
        self._meter = meter
        self._client = client
        self._bodies = asyncio.Semaphore(MAX_BODIES)
        # As long as anything holds one, it holds its request.
        self._calls: weakref.WeakSet[_Call] = weakref.WeakSet()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.complete, methods=["POST"]),
                Route("/v1/models", self.models, methods=["GET"]),
            ]
        )

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode()
        return secrets.compare_digest(given, f"Bearer {self._key}".encode())

    async def models(self, request: Request) -> Response:
        if not self._authorized(request):
            return _error(401, "Not this repair's key.")
        return JSONResponse({"object": "list", "data": [{"id": self._model.model_id, "object": "model"}]})

    async def complete(self, request: Request) -> Response:
        if not self._authorized(request):
            return _error(401, "Not this repair's key.")
        try:
            content, streamed = await asyncio.wait_for(self._content(request), BODY_SECONDS)
        except ValueError as error:
            return _error(400, str(error))
        except TimeoutError:
            return _error(408, f"The request was not there within {BODY_SECONDS:g} s.")
        if len(self._calls) >= MAX_CALLS:
            return _error(429, f"{MAX_CALLS} calls are under way.", {"retry-after": "5"})
        reserved = self._meter.begin(len(content), self._model.output_limit)
        if reserved is None:
            return _error(PAYMENT_REQUIRED, f"Railmend's budget: {self._meter.usage.refused}")
        call = _Call(self._model, self._meter, self._client, content, reserved, streamed)
        self._calls.add(call)
        return await call.answer()

    async def _content(self, request: Request) -> tuple[bytes, bool]:
        """Return the rewritten body, and whether a stream is wanted. Its JSON is read in another thread."""
        async with self._bodies:
            raw = await _body(request)
            return await asyncio.to_thread(rewritten, raw, self._model)


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


class _Call:
    """One call of the provider, metered to its end even if the agent hangs up."""

    def __init__(
        self,
        model: ModelEndpoint,
        meter: Meter,
        client: httpx.AsyncClient,
        content: bytes,
        reserved: int,
        streamed: bool,
    ) -> None:
        self._model = model
        self._meter = meter
        self._client = client
        self._content = content
        self._reserved = reserved
        self._streamed = streamed
        self._answer = MeteredResponse(streamed=streamed)

    async def answer(self) -> Response:
        request = self._client.build_request(
            "POST",
            f"{self._model.base_url.rstrip('/')}/chat/completions",
            content=self._content,
            headers={
                "Authorization": f"Bearer {self._model.api_key.get_secret_value()}",
                "Content-Type": "application/json",
                "Accept": "text/event-stream" if self._streamed else "application/json",
            },
        )
        try:
            upstream = await self._client.send(request, stream=True)
        except httpx.TimeoutException:
            return self._ended(_error(504, "The model's provider did not answer in time."))
        except httpx.TransportError as error:
            return self._ended(_error(502, f"The model's provider: {type(error).__name__}."))
        if upstream.status_code != httpx.codes.OK:
            return self._ended(await self._refusal(upstream))
        return await self._success(upstream)

    async def _success(self, upstream: httpx.Response) -> Response:
        """Hold the answer back until it has content, then stream it."""
        chunks = upstream.aiter_bytes()
        first = b""
        try:
            async for chunk in chunks:
                first += chunk
                self._answer.feed(chunk)
                if self._answer.useful:
                    break
        except httpx.TransportError as error:
            await upstream.aclose()
            return self._ended(_error(502, f"The model's provider: {type(error).__name__}."))
        if not self._answer.useful:
            self._answer.close()
        if not self._answer.useful:
            await upstream.aclose()
            kind = upstream.headers.get("content-type", "no type").partition(";")[0]
            self._meter.empty(f"answered 200 with nothing in it ({kind}, {len(first)} bytes)")
            return self._ended(_error(502, f"The model answered with nothing ({kind})."))
        media_type = "text/event-stream" if self._streamed else "application/json"
        return StreamingResponse(self._rest(upstream, first, chunks), media_type=media_type)

    async def _rest(
        self, upstream: httpx.Response, first: bytes, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        try:
            yield first
            async for chunk in chunks:
                self._answer.feed(chunk)
                yield chunk
        finally:
            self._answer.close()
            self._end()
            await upstream.aclose()

    async def _refusal(self, upstream: httpx.Response) -> Response:
        """Return the provider's error, without anything that may name the key."""
        try:
            raw = (await upstream.aread())[:MAX_ERROR_BYTES]
        except httpx.TransportError:
            raw = b""
        status = upstream.status_code
        if status in (401, 403):
            return _error(status, "The model's provider refuses Railmend's key: see MODEL_API_KEY.")
        headers = {}
        after = upstream.headers.get("retry-after", "")
        if after.isdigit():
            headers["retry-after"] = str(min(int(after), MAX_RETRY_AFTER))
        if status < 400:
            return _error(502, f"The model's provider answered {status}.")
        return Response(raw, status, headers, media_type=upstream.headers.get("content-type"))

    def _ended(self, response: Response) -> Response:
        self._end()
        return response

    def _end(self) -> None:
        self._meter.end(self._reserved, self._answer, len(self._content))
