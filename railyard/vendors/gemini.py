"""Gemini's own API."""

import re
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request

from railyard.vendors.base import SIGNATURE, Json, Refused, Step, Vendor, calls_of


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
            {"functionCall": {"name": call["tool"], "args": call["args"]}} for call in calls_of(step)
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
