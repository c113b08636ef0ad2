"""A scripted OpenAI-compatible model: each call takes the next step of a script, then ends."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.integration.serving import serving

Step = dict[str, Any]


class ScriptedModel:
    """Steps are {"tool": name, "args": {...}} or {"text": ...}; `endless` repeats the first for ever.

    The step of a call is told by the number of assistant messages so far: a repeated call gets the same.
    """

    def __init__(self, steps: list[Step], *, endless: bool = False) -> None:
        self._steps = steps
        self._endless = endless
        self.calls = 0
        self.url = ""

    def _step(self, messages: list[dict[str, Any]]) -> Step:
        done = sum(message["role"] == "assistant" for message in messages)
        if self._endless:
            return self._steps[0]
        return self._steps[done] if done < len(self._steps) else {"text": "script over"}

    async def answer(self, request: Request) -> StreamingResponse:
        body = await request.json()
        self.calls += 1
        return StreamingResponse(self._stream(self._step(body["messages"])), media_type="text/event-stream")

    async def _stream(self, step: Step) -> AsyncIterator[bytes]:
        def chunk(delta: Step, finish: str | None = None, **more: Any) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
            return b"data: " + json.dumps({**body, "choices": [choice], **more}).encode() + b"\n\n"

        if "text" in step:
            yield chunk({"role": "assistant", "content": step["text"]})
        else:
            call = {"name": step["tool"], "arguments": json.dumps(step["args"])}
            tool = {"index": 0, "id": f"call_{self.calls}", "type": "function", "function": call}
            yield chunk({"role": "assistant", "tool_calls": [tool]})
        yield chunk({}, "stop" if "text" in step else "tool_calls")
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        yield chunk({}, None, usage=usage)
        yield b"data: [DONE]\n\n"

    @contextmanager
    def serve(self) -> Iterator["ScriptedModel"]:
        app = Starlette(routes=[Route("/v1/chat/completions", self.answer, methods=["POST"])])
        with serving(app) as address:
            self.url = f"{address}/v1"
            yield self
