"""Requests of all dialects: what an agent needs passes as it is, and nothing else at any depth."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from hosting.gateway.allowed_requests import LEFT_OUT
from hosting.gateway.provider_api import APIS
from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import ModelEndpoint

EVIL = "https://evil.example"
FUNCTION = {"name": "bash", "description": "Runs.", "parameters": {"type": "object"}, "strict": True}
SAMPLING = {"temperature": 0.5, "top_p": 0.5}
# Each field that passes is there, so that a test walks through all of them. `chosen`, 8192, `store` and
# `candidateCount` are the gateway's.
WHOLE: dict[Dialect, dict[str, Any]] = {
    Dialect.CHAT: {
        "stream": True,
        "stream_options": {"include_usage": True},
        "model": "chosen",
        "max_tokens": 100,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "See."}], "name": "n"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Hm.",
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "bash"}},
        "parallel_tool_calls": True,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
        },
        "stop": ["x"],
        **SAMPLING,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "seed": 3,
        "reasoning_effort": "high",
        "verbosity": "low",
    },
    Dialect.RESPONSES: {
        "stream": True,
        "store": False,
        "model": "chosen",
        "max_output_tokens": 100,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "See."}], "phase": "p"},
            {"type": "message", "role": "developer", "content": [{"type": "output_text", "text": "x"}]},
            {
                "type": "reasoning",
                "encrypted_content": "e",
                "summary": [{"type": "summary_text", "text": "t"}],
            },
            {"type": "function_call", "call_id": "c", "name": "bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
        "instructions": "i",
        "tools": [{"type": "function", **FUNCTION}],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        **SAMPLING,
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
    },
    Dialect.MESSAGES: {
        "stream": True,
        "model": "chosen",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    {"type": "redacted_thinking", "data": "d"},
                    {"type": "tool_use", "id": "i", "name": "bash", "input": {"command": "ls"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "i",
                        "content": [{"type": "text", "text": "x"}],
                        "is_error": True,
                    },
                    {"type": "text", "text": "x"},
                ],
            },
        ],
        "tools": [
            {
                "name": "bash",
                "description": "d",
                "input_schema": {"type": "object"},
                "type": "custom",
                "strict": True,
                "cache_control": {"type": "ephemeral"},
            }
        ],
        "tool_choice": {"type": "tool", "name": "bash", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 5, "display": "summarized"},
        "output_config": {"effort": "low"},
        "stop_sequences": ["x"],
        **SAMPLING,
        "top_k": 1,
    },
    Dialect.GEMINI: {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "x", "thought": True},
                    {"functionCall": {"id": "i", "name": "n", "args": {"a": 1}}, "thoughtSignature": "s"},
                    {"functionResponse": {"id": "i", "name": "n", "response": {"a": 1}}},
                ],
            }
        ],
        "systemInstruction": {"role": "user", "parts": [{"text": "x"}]},
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "n",
                        "description": "d",
                        "parameters": {"a": 1},
                        "parametersJsonSchema": {"a": 1},
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["n"]}},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.5,
            "topK": 1,
            "stopSequences": ["x"],
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1, "thinkingLevel": "low"},
            "maxOutputTokens": 100,
            "candidateCount": 1,
        },
    },
}
WHOLE[Dialect.OPENROUTER] = {
    **WHOLE[Dialect.CHAT],
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "See.", "cache_control": {"type": "ephemeral"}}],
            "cache_control": {"type": "ephemeral"},
        },
        {
            "role": "assistant",
            "content": "Yes.",
            "reasoning": "Hm.",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "f", "index": 0},
                {"type": "reasoning.summary", "summary": "Hm."},
                {"type": "reasoning.encrypted", "data": "d", "id": "i"},
            ],
        },
    ],
    "reasoning": {"effort": "low"},
}
# What the agent's own tools are described by, and what they were told and said: any JSON.
FREE = {"parameters", "schema", "input_schema", "parametersJsonSchema", "args", "response"}
OURS = {"model", "store", "candidateCount", "stream_options", "include_usage"}
CAPS = {"max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens"}
# Where a provider knows only some words, or numbers.
WORDS = {
    *("function", "text", "json_schema", "user", "assistant", "tool", "auto", "developer", "ANY", "custom"),
    *("input_text", "output_text", "message", "reasoning", "function_call", "function_call_output"),
    *("summary_text", "reasoning.encrypted_content", "thinking", "redacted_thinking", "tool_use", "enabled"),
    *("tool_result", "ephemeral", "reasoning.text", "reasoning.summary", "reasoning.encrypted"),
}
Spot = tuple[Any, ...]
everywhere = pytest.mark.parametrize("dialect", list(Dialect))


def written(dialect: Dialect, body: dict[str, Any]) -> dict[str, Any]:
    endpoint = ModelEndpoint(
        base_url="http://x", model_id="chosen", api_key=SecretStr("k"), dialect=dialect, output_limit=8192
    )
    return APIS[dialect].request(json.dumps(body).encode(), endpoint)


def spots(value: Any, here: Spot = ()) -> Iterator[Spot]:
    """Yield the place of each value that is no part of free JSON; `input` is free as a tool's alone."""
    yield here
    if here and (here[-1] in FREE or (here[-1] == "input" and isinstance(value, dict))):
        return
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from spots(value[key], (*here, key))


def at(body: Any, spot: Spot) -> Any:
    for key in spot:
        body = body[key]
    return body


def with_value(body: dict[str, Any], spot: Spot, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    at(changed, spot[:-1])[spot[-1]] = value
    return changed


@everywhere
def test_what_an_agent_needs_passes_as_it_is(dialect: Dialect) -> None:
    assert written(dialect, WHOLE[dialect]) == WHOLE[dialect]


@everywhere
def test_a_field_that_nobody_described_passes_at_no_depth(dialect: Dialect) -> None:
    whole = WHOLE[dialect]
    objects = [spot for spot in spots(whole) if isinstance(at(whole, spot), dict)]
    for spot in objects:
        if spot and (spot[-1] in FREE or spot[-1] == "input"):
            continue
        changed = copy.deepcopy(whole)
        at(changed, spot).update(
            {"url": EVIL, "plugins": [{"id": "web"}], "service_tier": "priority", "n": 5}
        )
        assert written(dialect, changed) == whole, spot


@everywhere
def test_an_object_in_the_place_of_any_value_is_refused_or_left_out(dialect: Dialect) -> None:
    """As providers put addresses in: of images, of servers with tools, of files."""
    whole = WHOLE[dialect]
    for spot in spots(whole):
        if not spot or spot[-1] in FREE or spot[-1] == "input":
            continue
        for evil in ({"type": "image_url", "image_url": {"url": EVIL}}, {"fileData": {"fileUri": EVIL}}):
            try:
                passed = written(dialect, with_value(whole, spot, evil))
            except ValueError:
                continue
            assert EVIL not in json.dumps(passed), spot
            if spot[-1] in CAPS | OURS:
                continue
            assert passed != whole, spot


@everywhere
@pytest.mark.parametrize(
    "evil", ["web_search_20250305", "https://evil.example", "0.25", 10**400, float("nan"), [[]]]
)
def test_where_some_words_or_a_number_are_known_nothing_else_passes(dialect: Dialect, evil: Any) -> None:
    whole = WHOLE[dialect]
    for spot in spots(whole):
        if not spot or spot[-1] in OURS | CAPS:
            continue
        value = at(whole, spot)
        number = isinstance(value, float) or (isinstance(value, int) and spot[-1] not in FREE)
        if not (number or (isinstance(value, str) and value in WORDS)):
            continue
        if number and isinstance(value, int) and evil == 10**400:
            continue  # as long as it likes: the provider knows its own bounds
        try:
            passed = written(dialect, with_value(whole, spot, evil))
        except ValueError:
            continue
        assert LEFT_OUT in json.dumps(passed), spot
        assert str(evil) not in json.dumps(passed), spot


@pytest.mark.parametrize("kind", ["inlineData", "fileData", "executableCode", "codeExecutionResult"])
def test_a_note_stands_where_gemini_had_an_attachment(kind: str) -> None:
    part = {"text": "See this.", kind: {"fileUri": EVIL}}
    passed = written(Dialect.GEMINI, {"contents": [{"role": "user", "parts": [part]}]})
    assert passed["contents"] == [{"role": "user", "parts": [{"text": LEFT_OUT}]}]


@everywhere
def test_what_a_provider_needs_is_asked_for_here_already(dialect: Dialect) -> None:
    """Each list of turns, and in each turn who speaks: half a request costs nothing."""
    needed = {
        Dialect.CHAT: [("messages",), ("messages", 0, "role"), ("tools", 0, "function")],
        Dialect.OPENROUTER: [("messages",), ("messages", 1, "reasoning_details", 0, "type")],
        Dialect.RESPONSES: [("input",), ("input", 0, "content"), ("input", 3, "call_id")],
        Dialect.MESSAGES: [
            ("messages",),
            ("messages", 0, "role"),
            ("messages", 0, "content", 0, "signature"),
        ],
        Dialect.GEMINI: [("contents",), ("contents", 0, "parts"), ("tools", 0, "functionDeclarations")],
    }
    for spot in needed[dialect]:
        changed = copy.deepcopy(WHOLE[dialect])
        del at(changed, spot[:-1])[spot[-1]]
        with pytest.raises(ValueError, match="Not passed on, "):
            written(dialect, changed)


@everywhere
def test_a_shorter_answer_is_asked_for_by_any_of_its_names(dialect: Dialect) -> None:
    api = APIS[dialect]
    for name in api.caps:
        body = copy.deepcopy(WHOLE[dialect])
        holder = body[api.options] if api.options else body
        holder |= {api.caps[0]: 100, name: 50}
        passed = written(dialect, body)
        assert (passed[api.options] if api.options else passed)[api.caps[0]] == 50


@everywhere
@pytest.mark.parametrize("wish", [None, 0, -1, True, "all", 10**6, 1.5, {"url": EVIL}])
def test_an_answer_is_as_long_as_the_gateway_allows_whatever_is_wished(dialect: Dialect, wish: Any) -> None:
    api, body = APIS[dialect], copy.deepcopy(WHOLE[dialect])
    holder = body[api.options] if api.options else body
    holder.update(dict.fromkeys(api.caps, wish))
    passed = written(dialect, body)
    holder = passed[api.options] if api.options else passed
    assert {key: value for key, value in holder.items() if key in CAPS} == {api.caps[0]: 8192}
    assert passed.get("model") == (None if dialect is Dialect.GEMINI else "chosen")
