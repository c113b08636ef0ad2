"""What a coding agent may ask of a model: an allow-list of fields, content and tools.

Providers offer more than completions: they fetch images, search the web, call tools at an address, choose
other models, or sell faster service. So a request is read as the model below and written anew: what is not
described does not pass, at any depth.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from railmend.coding.bounded_http import load_json
from railmend.coding.metering import ModelEndpoint

MAX_PROBLEM = 200


class Allowed(BaseModel):
    """Fields that are not declared are left out."""

    model_config = ConfigDict(extra="ignore", strict=True)


class TextPart(Allowed):
    type: Literal["text"]
    text: str


def _text_or_note(value: Any, read: ValidatorFunctionWrapHandler) -> TextPart:
    """Return the part, or words in place of one that a provider might fetch or store: an image, a file."""
    if isinstance(value, dict) and value.get("type") == "text":
        part: TextPart = read(value)
        return part
    return TextPart(type="text", text="(An attachment is left out: only text reaches this model.)")


Content = str | list[Annotated[TextPart, WrapValidator(_text_or_note)]] | None


class CalledFunction(Allowed):
    name: str
    arguments: str


class ToolCall(Allowed):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Allowed):
    """`reasoning_content`: DeepSeek and Kimi want theirs back."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


class FunctionDefinition(Allowed):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: StrictBool | None = None


class FunctionTool(Allowed):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(Allowed):
    name: str


class ToolChoice(Allowed):
    type: Literal["function"]
    function: NamedFunction


class NamedSchema(Allowed):
    name: str
    description: str | None = None
    # Not `schema`, which is a method of pydantic's models.
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: StrictBool | None = None


class ResponseFormat(Allowed):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class ChatRequest(Allowed):
    """A request for a chat completion. Its model, caps and number of choices are the gateway's."""

    messages: list[ChatMessage]
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    response_format: ResponseFormat | None = None
    stream: StrictBool = False
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    reasoning_effort: Annotated[str, Field(pattern=r"^[a-z]{1,12}$")] | None = None
    verbosity: Annotated[str, Field(pattern=r"^[a-z]{1,12}$")] | None = None
    max_tokens: Any = None
    max_completion_tokens: Any = None


def rewritten(raw: bytes, model: ModelEndpoint) -> tuple[bytes, bool]:
    """Return the request as the model's provider gets it, and whether it wants a stream.

    Raise `ValueError` with a sentence. Blocking: a body of megabytes takes seconds.
    """
    try:
        request = ChatRequest.model_validate(load_json(raw))
    except ValidationError as error:
        raise ValueError(_problem(error)) from error
    body = request.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"max_tokens", "max_completion_tokens"}
    )
    wanted = [
        cap
        for cap in (request.max_tokens, request.max_completion_tokens)
        if type(cap) is int and 0 < cap < model.output_limit
    ]
    body |= {"model": model.model_id, model.output_field: min(wanted, default=model.output_limit)}
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode(), request.stream


def _problem(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the request"
    return f"Not passed on, {where[:MAX_PROBLEM]}: {first['msg'][:MAX_PROBLEM]}. See docs/security.md."
