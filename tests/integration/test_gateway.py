"""The model gateway: what it lets through, what it counts, when it stops; and the way out for installing."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from hosting.gateway import model_call
from hosting.gateway.model_gateway import ModelGateway
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import GATEWAY_SOCKET, RepairPaths, short_path
from railyard.vendors import OpenAIChat
from railyard.vendors.base import Refused
from tests.integration.serving import serving

pytestmark = pytest.mark.integration

KEY = "sk-the-real-key"
TOOL = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}


def event(delta: dict[str, Any], **more: Any) -> bytes:
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


STREAM = [
    event({"role": "assistant", "content": "Hel"}),
    event({"content": "lo"}),
    event({}, usage=USAGE),
    b"data: [DONE]\n\n",
]


class Provider:
    """Answers what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer: Any = lambda: StreamingResponse(iter(STREAM), media_type="text/event-stream")

    async def complete(self, request: Request) -> Response:
        self.asked.append(await request.json())
        self.keys.append(request.headers["authorization"])
        response: Response = self.answer()
        return response


class Bench:
    def __init__(self, paths: RepairPaths, provider: Provider, url: str) -> None:
        self.paths = paths
        self.provider = provider
        self.endpoint = ModelEndpoint(
            base_url=url, model_id="chosen", api_key=SecretStr(KEY), input_cost=2.0, output_cost=10.0
        )
        self.gateway = ModelGateway(self.endpoint, SessionLimits())

    async def reopen(self, limits: SessionLimits) -> None:
        await self.gateway.close()
        self.gateway = ModelGateway(self.endpoint, limits)
        await self.gateway.open(self.paths, "repair-key")

    async def ask(
        self, path: str = "/chat/completions", *, key: str = "repair-key", method: str = "POST", **body: Any
    ) -> httpx.Response:
        with short_path(self.paths.sockets, GATEWAY_SOCKET) as socket:
            transport = httpx.AsyncHTTPTransport(uds=socket)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
                content = {"model": "dearest", "stream": True, "messages": [], **body}
                headers = {"Authorization": f"Bearer {key}"}
                return await client.request(method, path, json=content, headers=headers)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the pieces of an answer as they come."""
        with short_path(self.paths.sockets, GATEWAY_SOCKET) as path:
            transport = httpx.AsyncHTTPTransport(uds=path)
            async with httpx.AsyncClient(transport=transport, base_url="http://g/v1") as client:
                headers = {"Authorization": "Bearer repair-key"}
                body = {"stream": True, "messages": []}
                async with client.stream("POST", "/chat/completions", json=body, headers=headers) as got:
                    yield got.aiter_bytes()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    paths, provider = RepairPaths(tmp_path / "key"), Provider()
    paths.create()

    async def complete(request: Request) -> Response:
        return await provider.complete(request)

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    with serving(app) as address:
        made = Bench(paths, provider, f"{address}/v1")
        await made.gateway.open(paths, "repair-key")
        yield made
        await made.gateway.close()


async def test_an_answer_passes_unchanged_and_is_counted(bench: Bench) -> None:
    response = await bench.ask()
    assert response.content == b"".join(STREAM)
    usage = bench.gateway.usage
    assert (usage.model_calls, usage.input_tokens, usage.output_tokens) == (1, 1000, 50)
    assert usage.cost_usd == pytest.approx(0.0025)
    assert not usage.estimated


async def test_the_key_the_model_and_the_size_of_the_answer_are_the_workers(bench: Bench) -> None:
    await bench.ask(max_tokens=1_000_000, n=5, stream_options={"include_usage": False})
    (asked,) = bench.provider.asked
    assert bench.provider.keys == [f"Bearer {KEY}"]
    assert asked["model"] == "chosen"
    assert asked["max_tokens"] == bench.endpoint.output_limit
    assert asked["stream_options"] == {"include_usage": True}
    assert "n" not in asked


NOT_PASSED = {
    "models": ["other/model"],
    "model": "dearest:online",
    "route": "fallback",
    "plugins": [{"id": "web"}],
    "provider": {"order": ["x"]},
    "transforms": ["middle-out"],
    "web_search_options": {},
    "service_tier": "priority",
    "store": True,
    "metadata": {"to": "them"},
    "user": "somebody",
    "prediction": {"type": "content", "content": "x"},
    "modalities": ["audio"],
    "audio": {"voice": "x"},
    "logit_bias": {"1": 1},
    "n": 5,
    "extra_body": {"plugins": [{"id": "web"}]},
    "mcp_servers": [{"url": "https://evil.example"}],
}


async def test_only_what_a_completion_needs_reaches_the_provider(bench: Bench) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://evil.example/?stolen"}}
    file = {"type": "file", "file": {"file_data": "https://evil.example"}}
    text = {"type": "text", "text": "See this.", "cache_control": {"type": "ephemeral"}}
    tool = {
        "type": "function",
        "function": {"name": "bash", "parameters": {"type": "object"}, "url": "https://x"},
    }
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "bash", "arguments": "{}"},
        "server_url": "https://x",
    }
    said = [
        {"role": "user", "content": [text, image, file], "audio": {"id": "x"}},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Hm."},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    kept = {"tool_choice": "auto", "temperature": 0, "reasoning_effort": "medium"}
    assert (await bench.ask(messages=said, tools=[tool], **NOT_PASSED, **kept)).status_code == 200
    (asked,) = bench.provider.asked
    assert set(asked) == {"model", "messages", "tools", "stream", "stream_options", "max_tokens", *kept}
    assert "evil.example" not in json.dumps(asked)
    left_out = {"type": "text", "text": "(An attachment is left out: only text reaches this model.)"}
    assert asked["messages"][0] == {
        "role": "user",
        "content": [{"type": "text", "text": "See this."}, left_out, left_out],
    }
    assert asked["messages"][1]["tool_calls"] == [{k: v for k, v in call.items() if k != "server_url"}]
    assert asked["messages"][1]["reasoning_content"] == "Hm."
    assert asked["tools"] == [
        {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
    ]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"tools": [{"type": "mcp", "server_url": "https://evil.example"}]}, "tools.0.type"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": {"url": "https://evil.example"}}]}, "messages.0.content"),
        ({"messages": "https://evil.example"}, "messages"),
        ({"stream": "yes"}, "stream"),
    ],
)
async def test_what_cannot_be_left_out_is_refused_with_a_sentence(
    bench: Bench, body: dict[str, Any], where: str
) -> None:
    response = await bench.ask(**body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(f"Not passed on, {where}")
    assert bench.provider.asked == []


@pytest.mark.parametrize(
    ("caps", "most"),
    [
        ({}, 8192),
        ({"max_tokens": 100, "max_completion_tokens": 10_000_000}, 100),
        ({"max_tokens": 10_000_000, "max_completion_tokens": 50}, 50),
        ({"max_tokens": -1}, 8192),
        ({"max_tokens": "all"}, 8192),
        ({"max_tokens": True}, 8192),
    ],
)
async def test_an_answer_is_capped(bench: Bench, caps: dict[str, Any], most: int) -> None:
    await bench.ask(**caps)
    (asked,) = bench.provider.asked
    assert {key: value for key, value in asked.items() if key.startswith("max_")} == {"max_tokens": most}


async def test_what_a_model_refuses_by_name_is_learned_once(bench: Bench) -> None:
    """As OpenAI's newer models word it, one parameter after the other; the next call knows it already."""
    refusals = OpenAIChat([], KEY)

    def refuse_or_answer() -> Response:
        try:
            refusals.refuse(bench.provider.asked[-1])
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        return StreamingResponse(iter(STREAM), media_type="text/event-stream")

    bench.provider.answer = refuse_or_answer
    asks = {"tools": [TOOL], "reasoning_effort": "medium", "max_tokens": 100}
    assert [(await bench.ask(**asks)).status_code for _ in range(2)] == [200, 200]
    shown = [
        {key: body[key] for key in body if key.startswith("max_") or key == "reasoning_effort"}
        for body in bench.provider.asked
    ]
    assert shown == [
        {"max_tokens": 100, "reasoning_effort": "medium"},
        {"max_completion_tokens": 100, "reasoning_effort": "medium"},
        *2 * [{"max_completion_tokens": 100, "reasoning_effort": "none"}],
    ]
    assert bench.gateway.usage.model_calls == 2, "what a refusal needs is no call of the agent's"
    await bench.ask()
    assert "reasoning_effort" not in bench.provider.asked[-1], "no tools, no refusal"


async def test_a_refusal_that_names_nothing_that_can_be_changed_is_passed_on(bench: Bench) -> None:
    error = {"error": {"message": "This model's maximum context length is 8192 tokens."}}
    bench.provider.answer = lambda: JSONResponse(error, 400)
    response = await bench.ask(tools=[TOOL])
    assert (response.status_code, response.json()) == (400, error)
    assert len(bench.provider.asked) == 1


async def test_a_model_that_thinks_for_long_is_heard_of_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first byte, and between two events: OpenCode would hang up after two minutes of silence."""
    monkeypatch.setattr(model_call, "QUIET_SECONDS", 0.05)
    go_on = [threading.Event() for _ in range(2)]

    def thinking() -> Iterator[bytes]:
        yield STREAM[0]
        go_on[1].wait(10)
        yield from STREAM[1:]

    def answer() -> Response:
        return StreamingResponse(thinking(), media_type="text/event-stream")

    async def late(request: Request) -> Response:
        await asyncio.to_thread(go_on[0].wait, 10)
        return await complete(request)

    complete = bench.provider.complete
    bench.provider.complete = late  # type: ignore[method-assign]
    bench.provider.answer = answer
    async with bench.stream() as chunks:
        for event, following in zip(go_on, (STREAM[0], STREAM[1]), strict=True):
            assert await anext(chunks) == model_call.KEEP_ALIVE
            event.set()
            while (chunk := await anext(chunks)) == model_call.KEEP_ALIVE:
                pass
            assert chunk.startswith(following)


async def test_an_error_after_signs_of_life_is_told_as_an_event(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_call, "QUIET_SECONDS", 0.05)
    go_on = threading.Event()

    async def late(_: Request) -> Response:
        await asyncio.to_thread(go_on.wait, 10)
        return JSONResponse({"error": {"message": "Overloaded"}}, 529)

    bench.provider.complete = late  # type: ignore[method-assign]
    async with bench.stream() as chunks:
        assert await anext(chunks) == model_call.KEEP_ALIVE
        go_on.set()
        told = b"".join([chunk async for chunk in chunks])
    assert b"Overloaded" in told.partition(b"event: error\ndata: ")[2]
    assert bench.gateway.usage.tokens == 0


async def test_nothing_else_is_offered(bench: Bench) -> None:
    assert (await bench.ask(key="guessed")).status_code == 401
    assert (await bench.ask("/models", method="GET")).json()["data"][0]["id"] == "chosen"
    assert (await bench.ask("/models", method="GET", key="guessed")).status_code == 401
    assert (await bench.ask("/embeddings")).status_code == 404
    assert (await bench.ask("/chat/completions", method="GET")).status_code == 405
    assert bench.provider.asked == []


async def test_an_answer_in_one_piece_is_counted_too(bench: Bench) -> None:
    whole = {"choices": [{"message": {"role": "assistant", "content": "Hello"}}], "usage": USAGE}
    bench.provider.answer = lambda: JSONResponse(whole)
    response = await bench.ask(stream=False)
    assert response.json() == whole
    assert bench.gateway.usage.tokens == 1050
    assert "stream_options" not in bench.provider.asked[0]


def held_stream(bench: Bench) -> asyncio.Event:
    """Have the provider answer with a stream that goes on once what is returned is set."""
    go_on, loop = asyncio.Event(), asyncio.get_running_loop()

    async def slow() -> AsyncIterator[bytes]:
        yield STREAM[0]
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(go_on.wait(), loop))
        yield STREAM[3]

    bench.provider.answer = lambda: StreamingResponse(slow(), media_type="text/event-stream")
    return go_on


async def test_a_stream_arrives_as_it_is_made(bench: Bench) -> None:
    go_on = held_stream(bench)
    async with bench.stream() as chunks:
        assert await anext(chunks) == STREAM[0]
        go_on.set()
        assert await anext(chunks) == STREAM[3]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (SessionLimits(model_calls=2), "calls: more than 2 model calls"),
        (SessionLimits(tokens=9500), "tokens: more than 9500 tokens"),
        (SessionLimits(cost_usd=0.004), "cost: more than 0.004 USD"),
    ],
    ids=lambda value: value.split(":")[0] if isinstance(value, str) else "",
)
async def test_the_budget_is_enforced_and_survives_a_restart(
    bench: Bench, limits: SessionLimits, reason: str
) -> None:
    await bench.reopen(limits)
    assert (await bench.ask()).status_code == 200
    await bench.reopen(limits)
    for _ in range(5):
        response = await bench.ask()
    assert response.status_code == 402
    assert reason in response.json()["error"]["message"]
    assert bench.gateway.usage.refused == reason
    assert len(bench.provider.asked) <= 2


async def test_calls_made_at_once_do_not_pass_the_budget(bench: Bench) -> None:
    await bench.reopen(SessionLimits(model_calls=3))
    statuses = [response.status_code for response in await asyncio.gather(*(bench.ask() for _ in range(10)))]
    assert statuses.count(200) == 3
    assert len(bench.provider.asked) == 3


async def test_without_usage_bytes_are_counted(bench: Bench) -> None:
    bench.provider.answer = lambda: StreamingResponse(iter(STREAM[:2]), media_type="text/event-stream")
    await bench.ask(messages=[{"role": "user", "content": "x" * 4000}])
    usage = bench.gateway.usage
    assert usage.estimated
    assert 1000 <= usage.input_tokens <= 1100
    assert usage.output_tokens > 0


@pytest.mark.parametrize(
    "answer",
    [
        lambda: PlainTextResponse("<html>Sign in</html>", media_type="text/html"),
        lambda: PlainTextResponse("", media_type="text/event-stream"),
        lambda: StreamingResponse(iter([b"data: [DONE]\n\n"]), media_type="text/event-stream"),
    ],
    ids=["html", "empty", "only the end"],
)
async def test_an_answer_with_nothing_in_it_is_an_error_and_the_third_the_last(
    bench: Bench, answer: Any
) -> None:
    """OpenCode takes 200 with an empty body for an answer, and asks again at once, for ever."""
    bench.provider.answer = answer
    statuses = [(await bench.ask()).status_code for _ in range(5)]
    assert statuses == [502, 502, 502, 402, 402]
    assert "with nothing in it" in str(bench.gateway.usage.refused)
    assert len(bench.provider.asked) == 3


async def test_a_providers_error_passes_but_for_what_it_says_of_the_key(bench: Bench) -> None:
    bench.provider.answer = lambda: PlainTextResponse("slow down", 429, {"retry-after": "600"})
    response = await bench.ask()
    assert (response.status_code, response.headers["retry-after"]) == (429, "60")
    bench.provider.answer = lambda: PlainTextResponse(f"Incorrect API key: {KEY}", 401)
    response = await bench.ask()
    assert response.status_code == 401
    assert KEY not in response.text
    assert "MODEL_API_KEY" in response.text
    assert bench.gateway.usage.tokens == 0


async def test_a_provider_that_is_away_is_a_bad_gateway(bench: Bench) -> None:
    bench.endpoint = bench.endpoint.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    await bench.reopen(SessionLimits())
    assert (await bench.ask()).status_code == 502
