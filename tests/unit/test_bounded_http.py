"""Answers in OpenCode's place are bounded before they are in memory."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from railmend.coding.metering.meter import SessionLimits
from railmend.coding.sandbox.bounded_http import MAX_ANSWER_BYTES, MAX_VALUES, BoundedTransport, load_json
from railmend.coding.session.follow import SessionLost, Task, follow


class Endless(httpx.AsyncByteStream):
    """Counts what was taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 65536
            yield b"x" * 65536


def client(response: httpx.Response) -> httpx.AsyncClient:
    inner = httpx.MockTransport(lambda _: response)
    return httpx.AsyncClient(transport=BoundedTransport(inner), base_url="http://opencode")


async def test_an_endless_answer_is_ended() -> None:
    endless = Endless()
    async with client(httpx.Response(200, stream=endless)) as there:
        with pytest.raises(httpx.RemoteProtocolError, match="more than 8 MiB"):
            await there.get("/session")
    assert endless.taken <= MAX_ANSWER_BYTES + 65536


async def test_a_compressed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(1024))
    headers = {"content-encoding": "gzip"}
    async with client(httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed))) as there:
        with pytest.raises(httpx.RemoteProtocolError, match="compressed"):
            await there.get("/session")


@pytest.mark.parametrize("raw", [b"[" * 100_000, b"[" + b"[]," * MAX_VALUES + b"[]]", b"no json"])
async def test_an_answer_that_cannot_be_held_ends_the_session_as_lost(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        load_json(raw)
    async with client(httpx.Response(200, stream=httpx.ByteStream(raw))) as there:
        with pytest.raises(SessionLost, match="is not understood"):
            await follow(there, Task("/w", "key", "title", "prompt"), SessionLimits(), lambda _: None)
