"""Stand-ins for providers of models, one per dialect: each refuses what the real one refuses.

Shapes of requests, answers and errors are those that the providers document and that people report: no key
and no network is needed. What is answered is a script: a tool to call, or a text, by the number of turns.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
Step = Json  # {"tool": name, "args": {...}} or {"text": ...}
SIGNATURE = "c2lnbmVk"


class Refused(Exception):
    def __init__(self, status: int, body: Json | list[Json]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class Vendor:
    """What the dialects share. `asked`: every request that came, refused or not."""

    route = ""
    fields: frozenset[str] = frozenset()

    def __init__(self, steps: Sequence[Step], key: str) -> None:
        self.steps = steps
        self.key = key
        self.asked: list[Json] = []

    def app(self) -> Starlette:
        return Starlette(routes=[Route(self.route, self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        try:
            if not self.authorized(request):
                raise Refused(401, {"error": {"message": "Incorrect API key provided."}})
            self.refuse(body)
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        turn = self.turn(body)
        step = self.steps[turn] if turn < len(self.steps) else {"text": "script over"}
        return StreamingResponse(self._events(step, turn), media_type="text/event-stream")

    def _events(self, step: Step, turn: int) -> Iterator[bytes]:
        for event in self.events(step, turn):
            yield b"data: " + json.dumps(event).encode() + b"\n\n"

    def unknown(self, body: Json) -> list[str]:
        return sorted(set(body) - self.fields)

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.key}"

    def refuse(self, body: Json) -> None: ...

    def turn(self, body: Json) -> int:
        raise NotImplementedError

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        raise NotImplementedError


def _openai_error(message: str, param: str | None, status: int = 400) -> Refused:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Refused(status, {"error": error})


class OpenAIChat(Vendor):
    """OpenAI's newer models by chat completions: no `max_tokens`, no effort beside tools."""

    route = "/v1/chat/completions"

    def refuse(self, body: Json) -> None:
        if "max_tokens" in body:
            raise _openai_error(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                "max_tokens",
            )
        if body.get("tools") and body.get("reasoning_effort") != "none":
            raise _openai_error(
                "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. "
                "To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
                "reasoning_effort",
            )

    def turn(self, body: Json) -> int:
        return sum(message["role"] == "assistant" for message in body["messages"])

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        delta: Json = {"role": "assistant", "content": step.get("text")}
        if "tool" in step:
            function = {"name": step["tool"], "arguments": json.dumps(step["args"])}
            call = {"index": 0, "id": f"call_{turn}", "type": "function", "function": function}
            delta = {"role": "assistant", "tool_calls": [call]}
        yield base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        finish = "tool_calls" if "tool" in step else "stop"
        yield base | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        yield base | {"choices": [], "usage": usage | {"prompt_tokens_details": {"cached_tokens": 800}}}


class MistralChat(OpenAIChat):
    """Refuses every field that it does not know, the successor of `max_tokens` among them."""

    def refuse(self, body: Json) -> None:
        for name in ("max_completion_tokens", "reasoning_effort", "stream_options", "verbosity"):
            if name in body:
                detail = {
                    "type": "extra_forbidden",
                    "loc": ["body", name],
                    "msg": "Extra inputs are not permitted",
                }
                raise Refused(422, {"object": "error", "message": {"detail": [detail]}})


class OpenAIResponses(Vendor):
    """Nothing is stored, so thoughts must come back encrypted; an organization that is not verified."""

    route = "/v1/responses"

    def refuse(self, body: Json) -> None:
        for name in ("messages", "max_tokens", "max_completion_tokens", "reasoning_effort"):
            if name in body:
                raise _openai_error(f"Unknown parameter: '{name}'.", name)
        if (body.get("reasoning") or {}).get("summary"):
            raise _openai_error(
                "Your organization must be verified to generate reasoning summaries.", "reasoning.summary"
            )
        for item in body["input"]:
            if item.get("id") or item.get("type") == "item_reference":
                text = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is "
                raise _openai_error(text + "set to false.", "input", 404)
        calls = [n for n, item in enumerate(body["input"]) if item.get("type") == "function_call"]
        for number in calls:
            before = body["input"][number - 1]
            if before.get("type") != "reasoning" or before.get("encrypted_content") != SIGNATURE:
                raise _openai_error(
                    "function_call was provided without its required reasoning item.", "input"
                )

    def turn(self, body: Json) -> int:
        return sum(item.get("type") in ("function_call",) for item in body["input"])

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        response = {"id": f"resp_{turn}", "object": "response", "created_at": 1, "model": "gpt-5.1"}
        yield {"type": "response.created", "response": response}
        thought = {"type": "reasoning", "id": f"rs_{turn}", "summary": [], "encrypted_content": SIGNATURE}
        yield {"type": "response.output_item.added", "output_index": 0, "item": thought}
        yield {"type": "response.output_item.done", "output_index": 0, "item": thought}
        if "tool" in step:
            arguments = json.dumps(step["args"])
            item: Json = {"type": "function_call", "id": f"fc_{turn}", "call_id": f"call_{turn}"}
            item |= {"name": step["tool"], "arguments": arguments, "status": "completed"}
            yield {"type": "response.output_item.added", "output_index": 1, "item": item | {"arguments": ""}}
            about = {"item_id": item["id"], "output_index": 1}
            yield {"type": "response.function_call_arguments.delta", **about, "delta": arguments}
            yield {"type": "response.function_call_arguments.done", **about, "arguments": arguments}
        else:
            item = {"type": "message", "id": f"msg_{turn}", "role": "assistant", "content": []}
            yield {"type": "response.output_item.added", "output_index": 1, "item": item}
            about = {"item_id": item["id"], "output_index": 1, "content_index": 0}
            yield {"type": "response.output_text.delta", **about, "delta": step["text"]}
        yield {"type": "response.output_item.done", "output_index": 1, "item": item}
        usage = {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 800},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 90},
            "total_tokens": 1100,
        }
        yield {"type": "response.completed", "response": response | {"status": "completed", "usage": usage}}


class Anthropic(Vendor):
    """Refuses every field that it does not know, a fifth cache point, and thoughts that it did not sign."""

    route = "/v1/messages"
    fields = frozenset(
        {
            *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "thinking"),
            *("temperature", "top_p", "top_k", "stop_sequences", "metadata", "output_config"),
        }
    )

    def authorized(self, request: Request) -> bool:
        headers = request.headers
        return headers.get("x-api-key") == self.key and headers.get("anthropic-version") == "2023-06-01"

    def refuse(self, body: Json) -> None:
        if unknown := self.unknown(body):
            raise self._error(f"{unknown[0]}: Extra inputs are not permitted")
        if "max_tokens" not in body:
            raise self._error("max_tokens: Field required")
        if "temperature" in body and body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
            raise self._error("`temperature` may only be set to 1 when thinking is enabled.")
        if json.dumps(body).count('"cache_control"') > 4:
            raise self._error("A maximum of 4 blocks with cache_control may be provided.")
        for message in body["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else ():
                if block["type"] == "thinking" and block.get("signature") != SIGNATURE:
                    raise self._error("messages.1.content.0: Invalid `signature` in `thinking` block")

    @staticmethod
    def _error(message: str) -> Refused:
        return Refused(400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}})

    def turn(self, body: Json) -> int:
        return sum(message["role"] == "assistant" for message in body["messages"])

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        usage = {"input_tokens": 10, "output_tokens": 1}
        usage |= {"cache_creation_input_tokens": 200, "cache_read_input_tokens": 800 if turn else 0}
        message = {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "c", "content": []}
        yield {"type": "message_start", "message": message | {"stop_reason": None, "usage": usage}}
        yield {"type": "ping"}
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        yield {"type": "content_block_start", "index": 0, "content_block": empty}
        thought = {"type": "thinking_delta", "thinking": "Hm."}
        yield {"type": "content_block_delta", "index": 0, "delta": thought}
        signed = {"type": "signature_delta", "signature": SIGNATURE}
        yield {"type": "content_block_delta", "index": 0, "delta": signed}
        yield {"type": "content_block_stop", "index": 0}
        if "tool" in step:
            block: Json = {"type": "tool_use", "id": f"toolu_{turn}", "name": step["tool"], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(step["args"])}
        else:
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": step["text"]}
        yield {"type": "content_block_start", "index": 1, "content_block": block}
        yield {"type": "content_block_delta", "index": 1, "delta": delta}
        yield {"type": "content_block_stop", "index": 1}
        reason = "tool_use" if "tool" in step else "end_turn"
        yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 100}}
        yield {"type": "message_stop"}


class Gemini(Vendor):
    """Refuses fields that it does not know, and a call of its own that comes back without its signature."""

    route = "/v1beta/models/{name}"
    fields = frozenset(
        {
            *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig"),
            *("safetySettings", "cachedContent"),
        }
    )

    def authorized(self, request: Request) -> bool:
        streamed = request.url.path.endswith(":streamGenerateContent")
        return request.headers.get("x-goog-api-key") == self.key and (
            not streamed or request.query_params.get("alt") == "sse"
        )

    def refuse(self, body: Json) -> None:
        if unknown := self.unknown(body):
            raise self._error(
                f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            )
        for content in body["contents"]:
            for part in content["parts"]:
                if "functionCall" in part and part.get("thoughtSignature") != SIGNATURE:
                    raise self._error("Function call is missing a thought_signature in functionCall parts.")

    @staticmethod
    def _error(message: str) -> Refused:
        return Refused(400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})

    def turn(self, body: Json) -> int:
        return sum(content["role"] == "model" for content in body["contents"])

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        part: Json = {"text": step.get("text")}
        if "tool" in step:
            part = {
                "functionCall": {"name": step["tool"], "args": step["args"]},
                "thoughtSignature": SIGNATURE,
            }
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 1000, "cachedContentTokenCount": 800, "totalTokenCount": 1100}
        usage |= {"candidatesTokenCount": 10, "thoughtsTokenCount": 90}
        yield {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro-preview"}


VENDORS = {"chat": OpenAIChat, "responses": OpenAIResponses, "messages": Anthropic, "gemini": Gemini}
