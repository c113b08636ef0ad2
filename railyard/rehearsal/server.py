"""POST /v1/chat/completions, streamed or not, as litellm and OpenCode ask it."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from railyard.rehearsal.coder import ToolCall, next_step
from railyard.rehearsal.diagnosis import diagnose, next_look, refute, with_source

Json = dict[str, Any]
MODEL = "rehearsal"
CHARS_PER_TOKEN = 4


def build_rehearsal(delay_seconds: float = 0.0) -> Starlette:
    """`delay_seconds`: pause before each answer."""

    async def complete(request: Request) -> Response:
        body = await request.json()
        await asyncio.sleep(delay_seconds)
        step = _step(body)
        if body.get("stream"):
            return StreamingResponse(_stream(step, body), media_type="text/event-stream")
        return JSONResponse(_whole(step, body))

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
        ]
    )


def _step(body: Json) -> ToolCall | str:
    """Act as the coding agent if tools are given; otherwise diagnose, or refute a diagnosis.

    Asked for one word, as `starter.py doctor` asks, it gives one.
    """
    tools = [tool["function"]["name"] for tool in body.get("tools") or ()]
    if "conclude" in tools:
        return _investigate(body["messages"], tools)
    if tools:
        return next_step(body["messages"]) if "glob" in tools else ToolCall(tools[0], {"word": "yes"})
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    if list(schema.get("properties", {})) == ["word"]:
        return json.dumps({"word": "yes"})
    packet = "\n".join(str(m["content"]) for m in body["messages"] if m["role"] == "user")
    doubted = any("sceptic" in str(m["content"]) for m in body["messages"] if m["role"] == "system")
    return json.dumps(refute(packet) if doubted else diagnose(packet))


def _investigate(messages: list[Json], tools: list[str]) -> ToolCall:
    """Look at the source once before code is blamed; else conclude."""
    packet = "\n".join(str(message["content"]) for message in messages if message["role"] in ("user", "tool"))
    if any("sceptic" in str(message["content"]) for message in messages if message["role"] == "system"):
        return ToolCall("conclude", refute(packet))
    looks = sum(message["role"] == "tool" for message in messages)
    text = next_look(packet, looks) if "search_code" in tools else None
    if text is not None:
        return ToolCall("search_code", {"text": text})
    return ToolCall("conclude", with_source(diagnose(packet), packet))


def _usage(body: Json, step: ToolCall | str) -> Json:
    asked = len(json.dumps(body["messages"])) // CHARS_PER_TOKEN
    answered = max(len(str(step)) // CHARS_PER_TOKEN, 1)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _base(kind: str) -> Json:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


def _message(step: ToolCall | str) -> tuple[Json, str]:
    if isinstance(step, str):
        return {"role": "assistant", "content": step}, "stop"
    function = {"name": step.name, "arguments": json.dumps(step.arguments)}
    call = {"index": 0, "id": f"call_{uuid.uuid4().hex[:12]}", "type": "function", "function": function}
    return {"role": "assistant", "tool_calls": [call]}, "tool_calls"


def _whole(step: ToolCall | str, body: Json) -> Json:
    message, finish = _message(step)
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {**_base("chat.completion"), "choices": [choice], "usage": _usage(body, step)}


async def _stream(step: ToolCall | str, body: Json) -> AsyncIterator[bytes]:
    base = _base("chat.completion.chunk")
    message, finish = _message(step)

    def chunk(delta: Json, finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return b"data: " + json.dumps({**base, "choices": [choice], **more}).encode() + b"\n\n"

    yield chunk(message)
    yield chunk({}, finish)
    yield chunk({}, None, usage=_usage(body, step))
    yield b"data: [DONE]\n\n"
