"""Anthropic's messages, with prompt caching."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from hosting.gateway.requests.allowed import (
    LEFT_OUT,
    Allowed,
    AllowedRequest,
    Cached,
    Json,
    Word,
    attachment_or,
    capped,
)
from railmend.coding.metering import ModelEndpoint

_NOTE = {"type": "text", "text": LEFT_OUT}


class Cacheable(Allowed):
    cache_control: Cached | None = None


class Text(Cacheable):
    type: Literal["text"]
    text: str


class SignedThinking(Allowed):
    """Given back as it was: its signature is checked."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class HiddenThinking(Allowed):
    type: Literal["redacted_thinking"]
    data: str


class ToolUse(Cacheable):
    type: Literal["tool_use"]
    id: str
    name: str
    input: Json


class ToolResult(Cacheable):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[Annotated[Text, attachment_or(("text",), _NOTE)]] | None = None
    is_error: StrictBool | None = None


_KINDS = ("text", "thinking", "redacted_thinking", "tool_use", "tool_result")
_AnyBlock = Annotated[
    Text | SignedThinking | HiddenThinking | ToolUse | ToolResult, Field(discriminator="type")
]
Block = Annotated[_AnyBlock, attachment_or(_KINDS, _NOTE)]


class TurnMessage(Allowed):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class OwnTool(Cacheable):
    """One that the agent runs: a type would name one that Anthropic runs."""

    name: str
    description: str | None = None
    input_schema: Json
    type: Literal["custom"] | None = None
    strict: StrictBool | None = None


class OwnToolChoice(Allowed):
    type: Literal["auto", "any", "none", "tool"]
    name: str | None = None
    disable_parallel_tool_use: StrictBool | None = None


class ThinkingOptions(Allowed):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None
    display: Word | None = None


class OutputOptions(Allowed):
    effort: Word | None = None


class MessagesRequest(AllowedRequest):
    optional = (
        *("thinking.display", "thinking", "output_config", "temperature", "top_p", "top_k"),
        "tools.*.strict",
    )

    messages: list[TurnMessage]
    system: str | list[Text] | None = None
    tools: list[OwnTool] | None = None
    tool_choice: OwnToolChoice | None = None
    thinking: ThinkingOptions | None = None
    output_config: OutputOptions | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: Any = None

    def body(self, model: ModelEndpoint) -> Json:
        cap = capped(model, self.max_tokens)
        return self.written("max_tokens") | {"model": model.model_id, "max_tokens": cap}
