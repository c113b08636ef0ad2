"""One call of the model's provider: sent, metered, and streamed to the agent while it is made."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import structlog
from starlette.responses import JSONResponse, Response, StreamingResponse

from hosting.gateway.allowed_requests import Json
from hosting.gateway.provider_api import APIS
from railmend.coding.metering.meter import Meter, ModelEndpoint
from railmend.coding.metering.refused_parameters import MOST_FIXES, Fix, Learned, fix_for
from railmend.coding.metering.response import MeteredResponse

log = structlog.get_logger(__name__)

MAX_ERROR_BYTES = 16 * 1024
# OpenCode waits as long as it is told.
MAX_RETRY_AFTER = 60
# OpenCode gives up on an answer of which it hears nothing for two minutes: from here on it hears of it.
QUIET_SECONDS = 15.0
KEEP_ALIVE = b": the model is at work\n\n"
REFUSED = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY)


def error_response(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "railmend"}}, status, headers)


@dataclass(eq=False)
class ModelCall:
    """One call, metered to its end even if the agent hangs up."""

    model: ModelEndpoint
    meter: Meter
    client: httpx.AsyncClient
    learned: Learned
    body: Json
    streamed: bool

    def __post_init__(self) -> None:
        self._api = APIS[self.model.dialect]
        self._size = len(json.dumps(self.body))
        self._reserved = 0
        self._answer = MeteredResponse(self.model.dialect, streamed=self.streamed)

    def reserve(self) -> bool:
        """Count the call, and say whether the budget allows it."""
        reserved = self.meter.begin(self._size, self.model.output_limit)
        self._reserved = reserved or 0
        return reserved is not None

    async def answer(self) -> Response:
        """Return the provider's answer; one that is long in coming begins with signs of life."""
        opening = asyncio.create_task(self._open())
        try:
            await asyncio.wait({opening}, timeout=QUIET_SECONDS if self.streamed else None)
        except asyncio.CancelledError:
            opening.cancel()
            self._end()
            raise
        if not opening.done():
            return StreamingResponse(self._late(opening), media_type="text/event-stream")
        opened = opening.result()
        if isinstance(opened, Response):
            self._end()
            return opened
        media_type = "text/event-stream" if self.streamed else "application/json"
        return StreamingResponse(self._passed(opened), media_type=media_type)

    async def _open(self) -> "_Opened | Response":
        """Send the request, and hold the answer back until it has content."""
        try:
            upstream = await self._sent()
        except httpx.TimeoutException:
            return error_response(504, "The model's provider did not answer in time.")
        except httpx.TransportError as error:
            return error_response(502, f"The model's provider: {type(error).__name__}.")
        if isinstance(upstream, Response):
            return upstream
        opened = _Opened(upstream)
        try:
            async for chunk in opened.chunks:
                opened.first += chunk
                self._answer.feed(chunk)
                if self._answer.useful:
                    return opened
        except httpx.TransportError as error:
            await upstream.aclose()
            return error_response(502, f"The model's provider: {type(error).__name__}.")
        except asyncio.CancelledError:
            await upstream.aclose()
            raise
        self._answer.close()
        if self._answer.useful:
            return opened
        await upstream.aclose()
        kind = upstream.headers.get("content-type", "no type").partition(";")[0]
        self.meter.empty(f"answered 200 with nothing in it ({kind}, {len(opened.first)} bytes)")
        return error_response(502, f"The model answered with nothing ({kind}).")

    async def _sent(self) -> httpx.Response | Response:
        """Return the provider's answer, or its refusal: after what a refusal names has been changed."""
        body, fixes = self.learned.apply(self.body), list[Fix]()
        while True:
            upstream = await self._send(body)
            if upstream.status_code == httpx.codes.OK:
                self.learned.fixes += [fix for fix in fixes if fix not in self.learned.fixes]
                return upstream
            try:
                raw = (await upstream.aread())[:MAX_ERROR_BYTES]
            except httpx.TransportError:
                raw = b""
            refused = upstream.status_code in REFUSED and len(fixes) < MOST_FIXES
            fix = fix_for(raw.decode(errors="replace"), body, self._api.optional) if refused else None
            if fix is None:
                return _refusal(upstream, raw)
            log.info("the model refuses a parameter", parameter=fix.path, model=self.model.model_id)
            fixes.append(fix)
            body = fix.apply(body)

    async def _send(self, body: Json) -> httpx.Response:
        request = self.client.build_request(
            "POST",
            self._api.url(self.model, self.streamed),
            content=json.dumps(body).encode(),
            headers={
                **self._api.key_headers(self.model.api_key.get_secret_value()),
                "Content-Type": "application/json",
                "Accept": "text/event-stream" if self.streamed else "application/json",
            },
        )
        return await self.client.send(request, stream=True)

    async def _late(self, opening: "asyncio.Task[_Opened | Response]") -> AsyncIterator[bytes]:
        try:
            while not opening.done():
                yield KEEP_ALIVE
                await asyncio.wait({opening}, timeout=QUIET_SECONDS)
            opened = opening.result()
        except BaseException:
            opening.cancel()
            self._end()
            raise
        if isinstance(opened, Response):
            self._end()
            yield _error_event(opened)
            return
        async for chunk in self._passed(opened):
            yield chunk

    async def _passed(self, opened: "_Opened") -> AsyncIterator[bytes]:
        """Yield the answer as it comes; between two events, where one is long in coming, a sign of life."""
        following: asyncio.Task[bytes] | None = None
        try:
            chunk = opened.first
            yield chunk
            while True:
                following = following or asyncio.create_task(opened.next())
                done, _ = await asyncio.wait({following}, timeout=QUIET_SECONDS)
                if done:
                    chunk, following = following.result(), None
                    if not chunk:
                        return
                    self._answer.feed(chunk)
                    yield chunk
                elif self.streamed and chunk.endswith((b"\n\n", b"\r\n\r\n")):
                    yield KEEP_ALIVE
        finally:
            if following is not None:
                following.cancel()
            self._answer.close()
            self._end()
            await opened.upstream.aclose()

    def _end(self) -> None:
        self.meter.end(self._reserved, self._answer, self._size)


class _Opened:
    """An answer under way: what was read of it, and what is still to come."""

    def __init__(self, upstream: httpx.Response) -> None:
        self.upstream = upstream
        self.first = b""
        self.chunks = upstream.aiter_bytes()

    async def next(self) -> bytes:
        """Return what comes next; nothing at the end."""
        return await anext(self.chunks, b"")


def _refusal(upstream: httpx.Response, raw: bytes) -> Response:
    """Return the provider's error, without anything that may name the key."""
    status = upstream.status_code
    if status in (401, 403):
        return error_response(status, "The model's provider refuses Railmend's key: see MODEL_API_KEY.")
    headers = {}
    after = upstream.headers.get("retry-after", "")
    if after.isdigit():
        headers["retry-after"] = str(min(int(after), MAX_RETRY_AFTER))
    if status < 400:
        return error_response(502, f"The model's provider answered {status}.")
    return Response(raw, status, headers, media_type=upstream.headers.get("content-type"))


def _error_event(response: Response) -> bytes:
    """Return the error as an event that every dialect's reader knows for one: headers are long gone."""
    try:
        error = json.loads(bytes(response.body))["error"]
        message = str(error["message"])
    except (ValueError, LookupError, TypeError):
        message = f"The model's provider answered {response.status_code}."
    error = {"type": "api_error", "code": str(response.status_code), "message": message, "param": None}
    return b"event: error\ndata: " + json.dumps({"type": "error", "error": error}).encode() + b"\n\n"
