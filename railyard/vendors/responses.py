"""OpenAI's responses."""

import json
from collections.abc import Iterator

from railyard.vendors.base import NAME, SIGNATURE, Json, Step, Vendor, calls_of
from railyard.vendors.chat import openai_error

USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 800},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 90},
    "total_tokens": 1100,
}


class OpenAIResponses(Vendor):
    """Nothing is stored, so thoughts must come back encrypted (openai-agents-python#919); an organization
    that is not verified. The real one is said to take calls without thoughts where nothing is stored.
    """

    route = "/v1/responses"

    def refuse(self, body: Json) -> None:
        for name in ("messages", "max_tokens", "max_completion_tokens", "reasoning_effort"):
            if name in body:
                raise openai_error(f"Unknown parameter: '{name}'.", name)
        if (body.get("reasoning") or {}).get("summary"):
            raise openai_error(
                "Your organization must be verified to generate reasoning summaries.", "reasoning.summary"
            )
        if body.get("store") is not False or "reasoning.encrypted_content" not in body.get("include", ()):
            raise openai_error("This organization stores nothing: set store to false.", "store")
        for tool in body.get("tools") or ():
            if not NAME.fullmatch(tool["name"]) or tool["parameters"].get("type") != "object":
                raise openai_error("Invalid 'tools[0].name'.", "tools[0].name")
        for item in body["input"]:
            known = item.get("encrypted_content") == SIGNATURE
            if (item.get("id") and not known) or item.get("type") == "item_reference":
                text = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is "
                raise openai_error(text + "set to false.", "input", 404)
        self._refuse_calls(body["input"])

    def _refuse_calls(self, items: list[Json]) -> None:
        """Calls made at once share the thoughts that stand before the first; each is answered, once."""
        kinds = [item.get("type") for item in items]
        for number, item in enumerate(items):
            if item.get("type") != "function_call" or kinds[number - 1] == "function_call":
                continue
            before = items[number - 1]
            if before.get("type") != "reasoning" or before.get("encrypted_content") != SIGNATURE:
                raise openai_error("function_call was provided without its required reasoning item.", "input")
        asked = [item["call_id"] for item in items if item.get("type") == "function_call"]
        given = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
        if sorted(asked) != sorted(given) or len(set(asked)) < len(asked):
            raise openai_error("No tool output found for function call.", "input")

    def turn(self, body: Json) -> int:
        return sum(item.get("type") == "reasoning" for item in body["input"])

    def whole(self, step: Step, turn: int) -> Json:
        thought = {"type": "reasoning", "id": f"rs_{turn}", "summary": [], "encrypted_content": SIGNATURE}
        content = {"type": "output_text", "text": step.get("text", ""), "annotations": []}
        said: Json = {"type": "message", "id": f"msg_{turn}", "role": "assistant", "status": "completed"}
        calls = [
            {"type": "function_call", "id": f"fc_{turn}_{n}", "call_id": f"call_{turn}_{n}"}
            | {"name": call["tool"], "arguments": json.dumps(call["args"]), "status": "completed"}
            for n, call in enumerate(calls_of(step))
        ]
        response = {"id": f"resp_{turn}", "object": "response", "created_at": 1, "model": "gpt-5.1"}
        output = [thought, *(calls or [said | {"content": [content]}])]
        return response | {"status": "completed", "output": output, "usage": USAGE}

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
        yield {"type": "response.completed", "response": response | {"status": "completed", "usage": USAGE}}
