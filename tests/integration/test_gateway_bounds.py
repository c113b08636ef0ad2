"""What an agent can ask of the model gateway at once, and how much: the worker's memory and descriptors."""

import asyncio
import os
import socket
from contextlib import suppress

import pytest
from starlette.requests import Request

from hosting.gateway import model_gateway
from hosting.gateway.egress import egress
from railmend.coding.sandbox.interface import EGRESS_SOCKET, GATEWAY_SOCKET, short_path
from tests.integration.test_gateway import Bench, bench, held_stream

__all__ = ["bench"]
pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", [EGRESS_SOCKET, GATEWAY_SOCKET])
async def test_connections_that_say_nothing_take_few_descriptors_of_the_worker(
    bench: Bench, name: str
) -> None:
    many: list[socket.socket] = []
    before = len(os.listdir("/proc/self/fd"))
    async with egress(bench.paths, ["registry.example"]):
        with short_path(bench.paths.sockets, name) as path:
            for _ in range(600):
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                many.append(client)
                with suppress(BlockingIOError):
                    client.connect(path)
                await asyncio.sleep(0)
        for _ in range(100):  # what is accepted at all is accepted now
            await asyncio.sleep(0)
        taken = len(os.listdir("/proc/self/fd")) - before - len(many)
        for client in many:
            client.close()
    assert taken < 150


async def raw(bench: Bench, size: int | None, body: bytes) -> str:
    """Send the beginning of a request, and return the first line of its answer. `size` None: in chunks."""
    with short_path(bench.paths.sockets, GATEWAY_SOCKET) as socket:
        reader, writer = await asyncio.open_unix_connection(socket)
    length = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{length}\r\n"
    writer.write(f"{head}Authorization: Bearer repair-key\r\n\r\n".encode() + body)
    line = (await asyncio.wait_for(reader.readline(), 10)).decode().strip()
    writer.close()
    return line


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(bench: Bench) -> None:
    assert await raw(bench, model_gateway.MAX_REQUEST_BYTES + 1, b"") == "HTTP/1.1 400 Bad Request"
    assert bench.gateway.usage.model_calls == 0


async def test_a_body_that_does_not_say_its_size_is_refused_as_soon_as_it_is_too_large(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_gateway, "MAX_REQUEST_BYTES", 1000)
    chunk = b"3e9\r\n" + b"[" * 1001 + b"\r\n"  # and never the last one
    assert await raw(bench, None, chunk) == "HTTP/1.1 400 Bad Request"


async def test_a_body_that_never_ends_holds_its_place_for_a_while_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_gateway, "BODY_SECONDS", 0.3)
    halves = [raw(bench, 1000, b"{") for _ in range(3 * model_gateway.MAX_BODIES)]
    assert set(await asyncio.gather(*halves)) == {"HTTP/1.1 408 Request Timeout"}
    assert (await bench.ask()).status_code == 200


async def test_two_bodies_are_read_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read, at_once, most = model_gateway._body, 0, 0

    async def counted(request: Request) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        body = await read(request)
        at_once -= 1
        return body

    monkeypatch.setattr(model_gateway, "_body", counted)
    answers = await asyncio.gather(*(bench.ask() for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert most == model_gateway.MAX_BODIES


async def test_more_connections_than_an_agent_needs_are_refused(bench: Bench) -> None:
    many = (raw(bench, 1000, b"{") for _ in range(2 * model_gateway.MAX_CONNECTIONS))
    tasks = [asyncio.create_task(each) for each in many]
    done, pending = await asyncio.wait(tasks, timeout=5)
    assert {task.result() for task in done} == {"HTTP/1.1 503 Service Unavailable"}
    assert len(pending) < model_gateway.MAX_CONNECTIONS
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


@pytest.mark.parametrize("content", [b"[" * 200_000, b"{" + b'"a":{}, ' * 300_000])
async def test_json_that_would_fill_the_memory_is_a_bad_request(bench: Bench, content: bytes) -> None:
    assert await raw(bench, len(content), content) == "HTTP/1.1 400 Bad Request"


async def test_no_more_calls_than_an_agent_needs_are_under_way(bench: Bench) -> None:
    go_on = held_stream(bench)
    calls = [asyncio.create_task(bench.ask()) for _ in range(model_gateway.MAX_CALLS)]
    while bench.gateway.usage.model_calls < model_gateway.MAX_CALLS:  # noqa: ASYNC110 - a state, not an event
        await asyncio.sleep(0.02)
    refused = await bench.ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    go_on.set()
    assert {response.status_code for response in await asyncio.gather(*calls)} == {200}
    assert (await bench.ask()).status_code == 200
