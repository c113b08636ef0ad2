"""Servers of chat completions: OpenAI's newer models, and what others take and refuse."""

import json
from collections.abc import Iterator, Sequence

from railyard.vendors.base import NAME, SIGNATURE, Json, Refused, Step, Vendor, calls_of


def openai_error(message: str, param: str | None, status: int = 400) -> Refused:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Refused(status, {"error": error})


class OpenAIChat(Vendor):
    """OpenAI's newer models by chat completions: no `max_tokens`, no effort beside tools."""

    route = "/v1/chat/completions"

    def refuse(self, body: Json) -> None:
        self.refuse_newer(body)
        _refuse_functions([tool["function"] for tool in body.get("tools") or ()])
        _refuse_unanswered(body["messages"])

    def refuse_newer(self, body: Json) -> None:
        if "max_tokens" in body:
            raise openai_error(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                "max_tokens",
            )
        if body.get("tools") and body.get("reasoning_effort") != "none":
            raise openai_error(
                "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. "
                "To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
                "reasoning_effort",
            )

    def turn(self, body: Json) -> int:
        return sum(message["role"] == "assistant" for message in body["messages"])

    def whole(self, step: Step, turn: int) -> Json:
        calls = [
            {"id": f"call_{n}", "type": "function", "function": _function(call)}
            for n, call in enumerate(calls_of(step))
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
            raise openai_error(
                f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the "
                "pattern '^[a-zA-Z0-9_-]+$'.",
                f"{where}.name",
            )
        schema = function["parameters"]
        if function.get("strict") and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != set(schema["properties"])
        ):
            raise openai_error(
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
                raise openai_error(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                    "with 'tool_calls'.",
                    f"messages.[{number}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise openai_error(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {waiting}",
                f"messages.[{number}].role",
            )
        for call in message.get("tool_calls") or ():
            unknown = set(call) - {"id", "type", "function"}
            if unknown or call["id"] in seen or not NAME.fullmatch(call["function"]["name"]):
                raise openai_error(f"Invalid 'messages[{number}].tool_calls'.", "messages")
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


class DeepSeek(OpenAIChat):
    """Thinks unless it is told not to, and wants what it thought back with each call that it made.

    As https://api-docs.deepseek.com/guides/thinking_mode says, and the error of opencode#24083; a blank will
    do for an answer without thoughts (litellm's `_fill_reasoning_content`), nothing will not (nanobot#946).
    """

    def refuse_newer(self, body: Json) -> None:
        for message in body["messages"]:
            if message["role"] not in ("system", "user", "assistant", "tool"):
                raise openai_error(f"messages[0].role: unknown variant `{message['role']}`", None)
            if message.get("tool_calls") and not message.get("reasoning_content"):
                raise openai_error(
                    "The `reasoning_content` in the thinking mode must be passed back to the API.", None
                )

    def whole(self, step: Step, turn: int) -> Json:
        answer = super().whole(step, turn)
        answer["choices"][0]["message"]["reasoning_content"] = step.get("thought", "")
        return answer

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        thought = {"role": "assistant", "reasoning_content": "Hm."}
        choices = [{"index": 0, "delta": thought, "finish_reason": None}]
        yield {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
        yield from super().events(step, turn)


class OpenRouter(OlderChat):
    """Gemini by OpenRouter: a call of its own comes back with the `reasoning_details` that it came with.

    The refusal is that of LibreChat-AI/agents#37; a call that is not the first of an answer is not signed.
    """

    route = "/api/v1/chat/completions"

    def refuse_newer(self, body: Json) -> None:
        called = [message for message in body["messages"] if message.get("tool_calls")]
        for turn, message in enumerate(called):
            if message.get("reasoning_details") != self._details(turn):
                raw = (
                    "Gemini models require OpenRouter reasoning details to be preserved in each request. "
                    "Upstream error: Function call is missing a thought_signature in functionCall parts."
                )
                error = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw}}
                raise Refused(400, {"error": error})

    @staticmethod
    def _details(turn: int) -> list[Json]:
        shared = {"format": "google-gemini-v1", "index": turn}
        return [
            {"type": "reasoning.text", "text": f"Hm, {turn}: <b>``` [E1]", "signature": "c2ln"} | shared,
            {"type": "reasoning.encrypted", "data": SIGNATURE, "id": f"call_{turn}"} | shared,
        ]

    def whole(self, step: Step, turn: int) -> Json:
        answer = super().whole(step, turn)
        thought = {"reasoning": "Hm.", "reasoning_details": self._details(turn)}
        answer["choices"][0]["message"] |= thought
        answer["usage"]["cost"] = 0.002
        return answer

    def events(self, step: Step, turn: int) -> Iterator[Json]:
        delta = {"role": "assistant", "content": "", "reasoning": "Hm."}
        for detail in self._details(turn):
            choice = {"index": 0, "delta": delta | {"reasoning_details": [detail]}, "finish_reason": None}
            yield {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"} | {
                "choices": [choice]
            }
        for event in super().events(step, turn):
            yield event | ({"usage": event["usage"] | {"cost": 0.002}} if "usage" in event else {})


class Groq(OpenAIChat):
    """Tells its thoughts as `reasoning`, and refuses them as anything (jan#8136)."""

    def refuse_newer(self, body: Json) -> None:
        for number, message in enumerate(body["messages"]):
            unknown = set(message) - {"role", "content", "name", "tool_calls", "tool_call_id", "reasoning"}
            if unknown:
                raise openai_error(
                    f"'messages.{number}' : for 'role:{message['role']}' the following must be satisfied"
                    f"[('messages.{number}' : property '{min(unknown)}' is unsupported)]",
                    None,
                )

    def whole(self, step: Step, turn: int) -> Json:
        answer = super().whole(step, turn)
        answer["choices"][0]["message"]["reasoning"] = step.get("thought", "")
        return answer | {"service_tier": "on_demand"}
