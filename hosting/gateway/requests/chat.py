"""Chat completions, as OpenAI made them and most other servers speak."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from hosting.gateway.requests.allowed import (
    LEFT_OUT,
    Allowed,
    AllowedRequest,
    Json,
    Word,
    attachment_or,
    capped,
)
from railmend.coding.metering import ModelEndpoint


class TextPart(Allowed):
    type: Literal["text"]
    text: str


_TEXT_ONLY = attachment_or(("text",), {"type": "text", "text": LEFT_OUT})
Content = str | list[Annotated[TextPart, _TEXT_ONLY]] | None


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


class ChatRequest(AllowedRequest):
    optional = (
        *("reasoning_effort", "verbosity", "parallel_tool_calls", "stream_options", "response_format"),
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "tool_choice"),
        *("messages.*.reasoning_content", "tools.*.function.strict"),
    )

    messages: list[ChatMessage]
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    response_format: ResponseFormat | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    reasoning_effort: Word | None = None
    verbosity: Word | None = None
    max_tokens: Any = None
    max_completion_tokens: Any = None

    def body(self, model: ModelEndpoint) -> Json:
        body = self.written("max_tokens", "max_completion_tokens")
        cap = capped(model, self.max_tokens, self.max_completion_tokens)
        body |= {"model": model.model_id, "max_tokens": cap}
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        return body
