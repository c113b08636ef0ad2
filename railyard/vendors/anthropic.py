"""Anthropic's messages."""

import json
from collections.abc import Iterator

from starlette.requests import Request

from railyard.vendors.base import NAME, SIGNATURE, Json, Refused, Step, Vendor, calls_of


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
            for n, call in enumerate(calls_of(step))
        ]
        return {"id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "c"} | {
            "content": content,
            "stop_reason": "tool_use" if calls_of(step) else "end_turn",
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
