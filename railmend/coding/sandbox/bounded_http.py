"""Answers of a server that foreign code may have replaced: bounded in size before they are in memory."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

MIB = 1024 * 1024
# All messages of a long session; OpenCode itself cuts a tool's output at 50 kB.
MAX_ANSWER_BYTES = 8 * MIB
# Each value costs 60 to 100 bytes in memory, an empty one three in an answer.
MAX_VALUES = 400_000


def load_json(raw: bytes) -> Any:
    """Return the value. Raise `ValueError` for no JSON, too many values, or too deep a nesting."""
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MAX_VALUES:
        raise ValueError(f"JSON with more than {MAX_VALUES} values.")
    try:
        return json.loads(raw)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply.") from error


class BoundedTransport(httpx.AsyncBaseTransport):
    """Ends answers that are larger than `MAX_ANSWER_BYTES`, or compressed: those grow when they are read."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise httpx.RemoteProtocolError("a compressed answer, which was not asked for", request=request)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - that of an async transport
        stream = _BoundedStream(response.stream, request)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._inner = inner
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise httpx.RemoteProtocolError(
                    f"an answer of more than {MAX_ANSWER_BYTES // MIB} MiB", request=self._request
                )
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
