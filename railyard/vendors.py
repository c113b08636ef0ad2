"""Stand-ins for providers of models, one per dialect: each refuses what the real one refuses.

Shapes of requests, answers and errors are those that the providers document and that people report: no key
and no network is needed. What is answered is a script: tools to call, or a text, by the number of turns.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
Step = Json  # {"tool": name, "args": {...}}, {"calls": [{"tool": ...}, ...]} or {"text": ...}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SIGNATURE = "c2lnbmVk"


class Refused(Exception):
    def __init__(self, status: int, body: Json | list[Json]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


class Vendor:
    """What the dialects share. `asked`: every request that came, refused or not; `refusals`: why.

    `thinks`: seconds until anything of an answer is sent.
    """

    route = ""
    fields: frozenset[str] = frozenset()

    def __init__(self, steps: Sequence[Step], key: str) -> None:
        self.steps = steps
        self.key = key
        self.asked: list[Json] = []
        self.refusals: list[str] = []
        self.thinks = 0.0

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
            self.refusals.append(str(refused))
            return JSONResponse(refused.body, refused.status)
        turn = self.turn(body)
        step = self.steps[turn] if turn < len(self.steps) else {"text": "script over"}
        await asyncio.sleep(self.thinks)
        if not self.streamed(request, body):
            return JSONResponse(self.whole(step, turn))
        return StreamingResponse(self._events(step, turn), media_type="text/event-stream")

    def _events(self, step: Step, turn: int) -> Iterator[bytes]:
        for event in self.events(step, turn):
            yield b"data: " + json.dumps(event).encode() + b"\n\n"

    def unknown(self, body: Json) -> list[str]:
        return sorted(set(body) - self.fields)

    def authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.key}"

    def streamed(self, request: Request, body: Json) -> bool:
        return bool(body.get("stream"))

    def refuse(self, body: Json) -> None: ...

    def turn(self, body: Json) -> int:
        raise NotImplementedError

    def whole(self, step: Step, turn: int) -> Json:
        """Return the answer in one piece."""
        raise NotImplementedError

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        raise NotImplementedError


def _openai_error(message: str, param: str | None, status: int = 400) -> Refused:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Refused(status, {"error": error})


def _calls(step: Step) -> list[Json]:
    return step.get("calls") or ([step] if "tool" in step else [])


class OpenAIChat(Vendor):
    """OpenAI's newer models by chat completions: no `max_tokens`, no effort beside tools."""

    route = "/v1/chat/completions"

    def refuse(self, body: Json) -> None:
        self.refuse_newer(body)
        _refuse_functions([tool["function"] for tool in body.get("tools") or ()])
        _refuse_unanswered(body["messages"])

    def refuse_newer(self, body: Json) -> None:
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

    def whole(self, step: Step, turn: int) -> Json:
        calls = [
            {"id": f"call_{n}", "type": "function", "function": _function(call)}
            for n, call in enumerate(_calls(step))
        ]
        message: Json = {"role": "assistant", "content": step.get("text")}
        message |= {"tool_calls": calls} if calls else {}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m"} | {
            "choices": [choice],
            "usage": usage,
        }

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


def _function(call: Json) -> Json:
    return {"name": call["tool"], "arguments": json.dumps(call["args"])}


def _refuse_functions(functions: Sequence[Json]) -> None:
    for number, function in enumerate(functions):
        where = f"tools[{number}].function"
        if not NAME.fullmatch(function["name"]):
            raise _openai_error(
                f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the "
                "pattern '^[a-zA-Z0-9_-]+$'.",
                f"{where}.name",
            )
        schema = function["parameters"]
        if function.get("strict") and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != set(schema["properties"])
        ):
            raise _openai_error(
                f"Invalid schema for function '{function['name']}': In context=(), 'additionalProperties' is "
                "required to be supplied and to be false.",
                f"{where}.parameters",
            )


def _refuse_unanswered(messages: Sequence[Json]) -> None:
    """Each call is answered at once, and each answer has its call; an id is used once."""
    waiting: list[str] = []
    seen: set[str] = set()
    for number, message in enumerate([*messages, {"role": "end"}]):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                raise _openai_error(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                    "with 'tool_calls'.",
                    f"messages.[{number}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise _openai_error(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {waiting}",
                f"messages.[{number}].role",
            )
        for call in message.get("tool_calls") or ():
            unknown = set(call) - {"id", "type", "function"}
            if unknown or call["id"] in seen or not NAME.fullmatch(call["function"]["name"]):
                raise _openai_error(f"Invalid 'messages[{number}].tool_calls'.", "messages")
            json.loads(call["function"]["arguments"])
            seen.add(call["id"])
            waiting.append(call["id"])


class OlderChat(OpenAIChat):
    """What most servers speak: tools without conditions."""

    def refuse_newer(self, body: Json) -> None: ...


class MistralChat(OpenAIChat):
    """Refuses every field that it does not know, the successor of `max_tokens` among them."""

    def refuse_newer(self, body: Json) -> None:
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
        self._refuse_tools(body)

    def _refuse_tools(self, body: Json) -> None:
        """Calls are answered in the next message, all of them, and nothing else is; no text is empty."""
        forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
        if forced and body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
            raise self._error("Thinking may not be enabled when tool_choice forces tool use.")
        for tool in body.get("tools") or ():
            if not NAME.fullmatch(tool["name"]) or tool["input_schema"].get("type") != "object":
                raise self._error("tools.0.custom.input_schema.type: Field required")
        waiting: set[str] = set()
        for number, message in enumerate(body["messages"]):
            waiting = self._refuse_blocks(number, message, waiting, tools=bool(body.get("tools")))
        if waiting:
            raise self._error("`tool_use` ids were found without `tool_result` blocks immediately after.")

    def _refuse_blocks(self, number: int, message: Json, waiting: set[str], *, tools: bool) -> set[str]:
        """Return the calls that the next message has to answer."""
        blocks = message["content"] if isinstance(message["content"], list) else []
        given = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if given - waiting:
            raise self._error(
                f"messages.{number}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{sorted(given - waiting)[0]}. Each `tool_result` block must have a corresponding "
                "`tool_use` block in the previous message."
            )
        if waiting - given:
            raise self._error(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(sorted(waiting - given))}."
            )
        if len(set(asked)) < len(asked):
            raise self._error(f"messages.{number}: `tool_use` ids must be unique")
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            raise self._error("messages: text content blocks must be non-empty")
        if (given or asked) and not tools:
            raise self._error("Requests which include tool blocks must define tools.")
        return set(asked)

    def whole(self, step: Step, turn: int) -> Json:
        content: list[Json] = [{"type": "text", "text": step["text"]}] if "text" in step else []
        content += [
            {"type": "tool_use", "id": f"toolu_{turn}_{n}", "name": call["tool"], "input": call["args"]}
            for n, call in enumerate(_calls(step))
        ]
        return {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "c"} | {
            "content": content,
            "stop_reason": "tool_use" if _calls(step) else "end_turn",
            "usage": {"input_tokens": 1000, "output_tokens": 100},
        }

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


def _camel(value: Any) -> Any:
    """Return a message with its fields in one spelling: protocol buffers take both."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = {name: re.sub(r"_([a-z])", lambda found: found[1].upper(), name) for name in value}
    free = ("args", "response", "parameters")
    return {names[name]: each if name in free else _camel(each) for name, each in value.items()}


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
        body = _camel(body)
        if unknown := self.unknown(body):
            raise self._error(
                f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            )
        asked = 0
        for content in body["contents"]:
            calls = [part for part in content["parts"] if "functionCall" in part]
            given = sum("functionResponse" in part for part in content["parts"])
            if given != asked:
                raise self._error(
                    "Please ensure that the number of function response parts is equal to the number of "
                    "function call parts of the function call turn."
                )
            # Of calls made at once the first is signed alone.
            if calls and calls[0].get("thoughtSignature") != SIGNATURE:
                raise self._error("Function call is missing a thought_signature in functionCall parts.")
            asked = len(calls)
        for tool in body.get("tools") or ():
            for function in tool.get("functionDeclarations") or ():
                self._refuse_schema(function.get("parameters") or {}, function["name"])
        mime = (body.get("generationConfig") or {}).get("responseMimeType")
        if body.get("tools") and mime == "application/json":
            raise self._error(f"Function calling with a response mime type: '{mime}' is unsupported")

    def _refuse_schema(self, schema: Any, name: str) -> None:
        """Its schemas are a part of OpenAPI's: no references, no closed objects."""
        if isinstance(schema, dict):
            for key in ("$ref", "$defs", "additionalProperties", "const"):
                if key in schema:
                    raise self._error(
                        f'Invalid JSON payload received. Unknown name "{key}" at \'tools[0]'
                        f".function_declarations[0].parameters': Cannot find field. ({name})"
                    )
        for inner in schema.values() if isinstance(schema, dict) else schema:
            if isinstance(inner, dict | list):
                self._refuse_schema(inner, name)

    def streamed(self, request: Request, body: Json) -> bool:
        return request.url.path.endswith(":streamGenerateContent")

    def whole(self, step: Step, turn: int) -> Json:
        parts: list[Json] = [
            {"functionCall": {"name": call["tool"], "args": call["args"]}} for call in _calls(step)
        ] or [{"text": step["text"]}]
        parts[0]["thoughtSignature"] = SIGNATURE
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 1000, "candidatesTokenCount": 10, "thoughtsTokenCount": 90}
        return {
            "candidates": [candidate],
            "usageMetadata": usage | {"totalTokenCount": 1100},
            "modelVersion": "gemini-3-pro-preview",
        }

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
