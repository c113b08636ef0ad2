"""OpenAI's responses. Nothing is stored at OpenAI, so an item is told in full, never by its id."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, Tag

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

_NOTE = {"type": "input_text", "text": LEFT_OUT}


class ResponseText(Allowed):
    type: Literal["input_text", "output_text"]
    text: str


Text = str | list[Annotated[ResponseText, attachment_or(("input_text", "output_text"), _NOTE)]]


class ResponseMessage(Allowed):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Text
    phase: Word | None = None


class ReasoningSummary(Allowed):
    type: Literal["summary_text"]
    text: str


class EncryptedReasoning(Allowed):
    """What the model thought before, encrypted: its id would be looked up, and nothing is stored."""

    type: Literal["reasoning"]
    encrypted_content: str | None = None
    summary: list[ReasoningSummary] = Field(default_factory=list)


class ResponseCall(Allowed):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class ResponseCallOutput(Allowed):
    type: Literal["function_call_output"]
    call_id: str
    output: Text


def _kind(item: Any) -> str:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "")
    return str(kind)


Item = Annotated[
    Annotated[ResponseMessage, Tag("message")]
    | Annotated[EncryptedReasoning, Tag("reasoning")]
    | Annotated[ResponseCall, Tag("function_call")]
    | Annotated[ResponseCallOutput, Tag("function_call_output")],
    Discriminator(_kind),
]


class ResponseTool(Allowed):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: StrictBool | None = None


class ReasoningOptions(Allowed):
    effort: Word | None = None
    summary: Word | None = None


class TextOptions(Allowed):
    verbosity: Word | None = None


class ResponsesRequest(AllowedRequest):
    optional = (
        *("reasoning.summary", "reasoning.effort", "reasoning", "include", "text.verbosity", "text"),
        *("prompt_cache_key", "parallel_tool_calls", "temperature", "top_p", "tool_choice"),
        *("tools.*.strict", "input.*.phase"),
    )

    input: list[Item]
    instructions: str | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None
    parallel_tool_calls: StrictBool | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    include: list[Literal["reasoning.encrypted_content"]] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=64)] | None = None
    max_output_tokens: Any = None

    def body(self, model: ModelEndpoint) -> Json:
        body = self.written("max_output_tokens")
        body["input"] = [item for item in body["input"] if _is_told(item)]
        cap = capped(model, self.max_output_tokens)
        return body | {"model": model.model_id, "max_output_tokens": cap, "store": False}


def _is_told(item: Json) -> bool:
    return item.get("type") != "reasoning" or bool(item.get("encrypted_content"))
