"""What a coding agent may ask of a model: an allow-list of fields, content and tools, one table a dialect.

Providers offer more than answers: they fetch images, search the web, call tools at an address, choose other
models, store what they are told, or sell faster service. So a request is read by the table of its dialect
and written anew: what is not in it does not pass, at any depth.

In a table `{}` is an object, `[]` a list, `()` one of several, `{"a", "b"}` one of these words; a field with
`?` may be null or missing. Model, length and number of answers are the gateway's: see `provider_api.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Union

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    with_config,
)
from typing_extensions import TypedDict

LEFT_OUT = "(An attachment is left out: only text reaches this model.)"
Json = dict[str, Any]
WORD = Annotated[str, Field(pattern=r"^[A-Za-z_]{1,20}$")]
NUMBER = Annotated[float, Field(allow_inf_nan=False)]


class ByType(NamedTuple):
    """Objects that say their kind in `type`; `untyped`: the kind of those that do not.

    `note`: stands in the place of one of another kind, which a provider might fetch or store: an image.
    """

    kinds: Mapping[str, Json]
    note: Json | None = None
    untyped: str | None = None

    def name(self, value: Any) -> Any:
        return value.get("type", self.untyped) if isinstance(value, dict) else None

    def field(self, name: str) -> str:
        return "type?" if name == self.untyped else "type"

    def known_or_note(self, value: Any) -> Any:
        other = self.note is not None and isinstance(value, dict) and self.name(value) not in [*self.kinds]
        return self.note if other else value


def _type(table: Any) -> Any:
    """Return the type that pydantic checks for a part of a table."""
    match table:
        case dict():
            return _object(table)
        case ByType():
            kinds = [
                Annotated[_object({table.field(name): {name}, **fields}), Tag(name)]
                for name, fields in table.kinds.items()
            ]
            return Annotated[_any_of(kinds), Discriminator(table.name), BeforeValidator(table.known_or_note)]
        case list():
            return list[_type(table[0])]  # type: ignore[misc]
        case tuple():
            return _any_of(map(_type, table))
        case set():
            return Literal[tuple(sorted(table))]
    return table


def _object(table: Json) -> Any:
    fields = {
        name.rstrip("?"): NotRequired[_type(each) | None] if name[-1] == "?" else _type(each)
        for name, each in table.items()
    }
    made: Any = TypedDict("Object", fields)  # type: ignore[misc]
    return with_config(ConfigDict(extra="ignore", strict=True))(made)


def _any_of(types: Iterable[Any]) -> Any:
    return Union[tuple(types)]  # noqa: UP007 - of types that are made


_ATTACHED = {"inlineData", "fileData", "executableCode", "codeExecutionResult"}


def _part_or_note(value: Any) -> Any:
    """Gemini's parts have no type."""
    attached = isinstance(value, dict) and not _ATTACHED.isdisjoint(value)
    return {"text": LEFT_OUT} if attached else value


_SAMPLING = {"temperature?": NUMBER, "top_p?": NUMBER}
_TOLD = {"name": str, "description?": str}
_FUNCTION = {**_TOLD, "parameters?": Json, "strict?": bool}
_CHOICE = {"auto", "none", "required"}

# Where Anthropic may cache what stands before: for five minutes, which is what the prices are of.
_CACHED = {"cache_control?": {"type": {"ephemeral"}}}
_TEXT = {"text": str, **_CACHED}
_NOTE = {"type": "text", "text": LEFT_OUT}
_CHAT_MESSAGE = {
    "role": {"system", "developer", "user", "assistant", "tool"},
    "content?": (str, [ByType({"text": {"text": str}}, _NOTE)]),
    "name?": str,
    "tool_calls?": [{"id": str, "type?": {"function"}, "function": {"name": str, "arguments": str}}],
    "tool_call_id?": str,
    "reasoning_content?": str,  # DeepSeek and Kimi want theirs back
}
# As OpenAI made them and most other servers speak.
CHAT = {
    "stream?": bool,
    "messages": [_CHAT_MESSAGE],
    "tools?": [{"type": {"function"}, "function": _FUNCTION}],
    "tool_choice?": (_CHOICE, {"type": {"function"}, "function": {"name": str}}),
    "parallel_tool_calls?": bool,
    "response_format?": {
        "type": {"text", "json_object", "json_schema"},
        "json_schema?": {**_TOLD, "schema?": Json, "strict?": bool},
    },
    "stop?": (str, [str]),
    **_SAMPLING,
    "presence_penalty?": NUMBER,
    "frequency_penalty?": NUMBER,
    "seed?": int,
    "reasoning_effort?": WORD,
    "verbosity?": WORD,
    "max_tokens?": Any,
    "max_completion_tokens?": Any,
}

# A thought of a provider behind OpenRouter, which has to come back as it was.
_DETAIL = {
    "type": {"reasoning.text", "reasoning.summary", "reasoning.encrypted"},
    **dict.fromkeys(("text?", "summary?", "data?", "signature?", "id?", "format?"), str),
    "index?": int,
}
OPENROUTER = {
    **CHAT,
    "messages": [
        {
            **_CHAT_MESSAGE,
            "content?": (str, [ByType({"text": _TEXT}, _NOTE)]),
            "reasoning?": str,
            "reasoning_details?": [_DETAIL],
            **_CACHED,
        }
    ],
    "reasoning?": {"effort?": WORD},
}

_RESPONSE_TEXT = (
    str,
    [
        ByType(
            {"input_text": {"text": str}, "output_text": {"text": str}},
            {"type": "input_text", "text": LEFT_OUT},
        )
    ],
)


def _told(items: list[Json]) -> list[Json]:
    """Leave out thoughts of which there is an id alone: it would be looked up, and nothing is stored."""
    return [item for item in items if item.get("type") != "reasoning" or item.get("encrypted_content")]


_RESPONSE_ITEM = ByType(
    {
        "message": {
            "role": {"system", "developer", "user", "assistant"},
            "content": _RESPONSE_TEXT,
            "phase?": WORD,
        },
        "reasoning": {
            "encrypted_content?": str,
            "summary?": [{"type": {"summary_text"}, "text": str}],
        },
        "function_call": {"call_id": str, "name": str, "arguments": str},
        "function_call_output": {"call_id": str, "output": _RESPONSE_TEXT},
    },
    untyped="message",
)
RESPONSES = {
    "stream?": bool,
    "input": Annotated[_type([_RESPONSE_ITEM]), AfterValidator(_told)],
    "instructions?": str,
    "tools?": [{"type": {"function"}, **_FUNCTION}],
    "tool_choice?": _CHOICE,
    "parallel_tool_calls?": bool,
    **_SAMPLING,
    "reasoning?": {"effort?": WORD, "summary?": WORD},
    "text?": {"verbosity?": WORD},
    "include?": [{"reasoning.encrypted_content"}],
    "prompt_cache_key?": Annotated[str, Field(max_length=64)],
    "max_output_tokens?": Any,
}

_BLOCK = ByType(
    {
        "text": _TEXT,
        "thinking": {"thinking": str, "signature": str},  # as it was: its signature is checked
        "redacted_thinking": {"data": str},
        "tool_use": {"id": str, "name": str, "input": Json, **_CACHED},
        "tool_result": {
            "tool_use_id": str,
            "content?": (str, [ByType({"text": _TEXT}, _NOTE)]),
            "is_error?": bool,
            **_CACHED,
        },
    },
    _NOTE,
)
MESSAGES = {
    "stream?": bool,
    "messages": [{"role": {"user", "assistant"}, "content": (str, [_BLOCK])}],
    "system?": (str, [ByType({"text": _TEXT})]),
    # A type would name a tool that Anthropic runs.
    "tools?": [{**_TOLD, "input_schema": Json, "type?": {"custom"}, "strict?": bool, **_CACHED}],
    "tool_choice?": {
        "type": {"auto", "any", "none", "tool"},
        "name?": str,
        "disable_parallel_tool_use?": bool,
    },
    "thinking?": {"type": {"enabled", "disabled", "adaptive"}, "budget_tokens?": int, "display?": WORD},
    "output_config?": {"effort?": WORD},
    "stop_sequences?": [str],
    **_SAMPLING,
    "top_k?": int,
    "max_tokens?": Any,
}

# The model stands in the address; a thought's signature belongs to its part.
_PART = {
    "text?": str,
    "thought?": bool,
    "thoughtSignature?": str,
    "functionCall?": {"id?": str, "name": str, "args?": Json},
    "functionResponse?": {"id?": str, "name": str, "response": Json},
}
_CONTENT = {"role?": {"user", "model"}, "parts": [Annotated[_type(_PART), BeforeValidator(_part_or_note)]]}
GEMINI = {
    "contents": [_CONTENT],
    "systemInstruction?": _CONTENT,
    "tools?": [{"functionDeclarations": [{**_TOLD, "parameters?": Json, "parametersJsonSchema?": Json}]}],
    "toolConfig?": {
        "functionCallingConfig?": {
            "mode?": {"AUTO", "ANY", "NONE", "VALIDATED"},
            "allowedFunctionNames?": [str],
        }
    },
    "generationConfig?": {
        "temperature?": NUMBER,
        "topP?": NUMBER,
        "topK?": int,
        "stopSequences?": [str],
        "thinkingConfig?": {"includeThoughts?": bool, "thinkingBudget?": int, "thinkingLevel?": WORD},
        "maxOutputTokens?": Any,
    },
}


def reader(table: Json) -> TypeAdapter[Json]:
    """Return what reads a request by its table."""
    return TypeAdapter(_type(table))
