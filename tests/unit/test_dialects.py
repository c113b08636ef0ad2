"""How a model is reached, what of a request passes in each dialect, and what an answer is billed."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from hosting.gateway.allowed_requests import LEFT_OUT
from hosting.gateway.provider_api import APIS
from railmend.coding.metering.dialects import Dialect, Reach, reach
from railmend.coding.metering.meter import ModelEndpoint
from railmend.coding.metering.refused_parameters import fix_for
from railmend.coding.metering.response import MeteredResponse

EVIL = "https://evil.example"


@pytest.mark.parametrize(
    ("model", "base_url", "expected"),
    [
        ("openai/gpt-5", None, Reach("gpt-5", Dialect.RESPONSES, "https://api.openai.com/v1", None)),
        (
            "anthropic/claude-opus-4-6",
            None,
            Reach("claude-opus-4-6", Dialect.MESSAGES, "https://api.anthropic.com/v1", None),
        ),
        (
            "openrouter/z-ai/glm",
            None,
            Reach("z-ai/glm", Dialect.OPENROUTER, "https://openrouter.ai/api/v1", None),
        ),
        (
            "openai/z-ai/glm",
            "https://openrouter.ai/api/v1",
            Reach("z-ai/glm", Dialect.OPENROUTER, *("https://openrouter.ai/api/v1",) * 2),
        ),
        # One address for both halves, whichever of them adds the version itself.
        ("openai/q", "http://v:1", Reach("q", Dialect.CHAT, "http://v:1/v1", "http://v:1/v1")),
        ("openai/q", "http://v:1/api/v4", Reach("q", Dialect.CHAT, "http://v:1/api/v4", "http://v:1/api/v4")),
        ("anthropic/c", "http://p/v1/", Reach("c", Dialect.MESSAGES, "http://p/v1", "http://p")),
        ("anthropic/c", "http://p", Reach("c", Dialect.MESSAGES, "http://p/v1", "http://p")),
        ("gemini/g", "http://p", Reach("g", Dialect.GEMINI, "http://p/v1beta", "http://p/v1beta")),
        ("ollama/q", "http://o:1/v1", Reach("q", Dialect.CHAT, "http://o:1/v1", "http://o:1")),
        (
            "azure/d",
            "https://r.openai.azure.com",
            Reach("d", Dialect.RESPONSES, *("https://r.openai.azure.com/openai/v1",) * 2),
        ),
    ],
)
def test_the_prefix_and_the_address_say_how_a_model_is_reached(
    model: str, base_url: str | None, expected: Reach
) -> None:
    assert reach(model, base_url) == expected


@pytest.mark.parametrize(
    ("model", "what_to_do"),
    [
        ("bedrock/anthropic.claude", "LiteLLM proxy"),
        ("bedrock_converse/x", "LiteLLM proxy"),
        ("vertex_ai/gemini-3", "gemini/NAME"),
        ("google/gemini-3", "gemini/NAME"),
        ("azure/d", "set MODEL_BASE_URL"),
        ("stranger/x", "set MODEL_BASE_URL"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_what_to_do(model: str, what_to_do: str) -> None:
    with pytest.raises(ValueError, match=what_to_do):
        reach(model, None)


def endpoint(dialect: Dialect, **more: Any) -> ModelEndpoint:
    given = {"base_url": "http://x", "model_id": "chosen", "api_key": SecretStr("k"), "dialect": dialect}
    return ModelEndpoint(**(given | more))


def written(dialect: Dialect, body: dict[str, Any]) -> dict[str, Any]:
    return APIS[dialect].request(json.dumps(body).encode(), endpoint(dialect))


def test_of_a_response_nothing_is_stored_fetched_or_looked_up() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    body = {
        "model": "dearest",
        "input": [
            {"role": "user", "content": [{"type": "input_image", "image_url": EVIL}]},
            thought,
            {"type": "reasoning", "id": "rs_2", "summary": []},
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "hi"},
        ],
        "store": True,
        "background": True,
        "previous_response_id": "resp_1",
        "service_tier": "priority",
        "metadata": {"to": "them"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 10**6,
    }
    assert written(Dialect.RESPONSES, body) == {
        "model": "chosen",
        "store": False,
        "max_output_tokens": 8192,
        "include": ["reasoning.encrypted_content"],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": LEFT_OUT}]},
            {key: value for key, value in thought.items() if key != "id"},
            {"type": "function_call", "call_id": "c", "name": "bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "hi"},
        ],
    }


def test_of_a_message_caching_and_signed_thoughts_pass_and_nothing_that_anthropic_would_run() -> None:
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    image = {"type": "image", "source": {"type": "url", "url": EVIL}}
    text = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    body = {
        "model": "dearest",
        "system": [text],
        "messages": [
            {"role": "assistant", "content": [signed]},
            {"role": "user", "content": [image, result]},
        ],
        "tools": [{"name": "bash", "input_schema": {"type": "object"}, "eager_input_streaming": True}],
        "mcp_servers": [{"url": EVIL}],
        "container": "c",
        "service_tier": "auto",
        "metadata": {"user_id": "u"},
    }
    note = {"type": "text", "text": LEFT_OUT}
    assert written(Dialect.MESSAGES, body) == {
        "model": "chosen",
        "max_tokens": 8192,
        "system": [text | {"cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "assistant", "content": [signed]},
            {"role": "user", "content": [note, result | {"content": [note]}]},
        ],
        "tools": [{"name": "bash", "input_schema": {"type": "object"}}],
    }


def test_of_geminis_content_no_file_and_no_tool_of_google_passes() -> None:
    call = {"functionCall": {"name": "bash", "args": {}}, "thoughtSignature": "s"}
    body = {
        "contents": [{"role": "user", "parts": [{"fileData": {"fileUri": EVIL}}, call]}],
        "tools": [{"functionDeclarations": [{"name": "bash"}], "googleSearch": {}, "urlContext": {}}],
        "cachedContent": "theirs",
        "generationConfig": {"maxOutputTokens": 10**6, "candidateCount": 5, "responseModalities": ["IMAGE"]},
    }
    assert written(Dialect.GEMINI, body) == {
        "contents": [{"role": "user", "parts": [{"text": LEFT_OUT}, call]}],
        "tools": [{"functionDeclarations": [{"name": "bash"}]}],
        "generationConfig": {"maxOutputTokens": 8192, "candidateCount": 1},
    }


@pytest.mark.parametrize(
    ("dialect", "body", "where"),
    [
        (Dialect.RESPONSES, {"input": [{"type": "item_reference", "id": "x"}]}, "input.0"),
        (Dialect.RESPONSES, {"input": [], "tools": [{"type": "web_search"}]}, "tools.0"),
        (Dialect.RESPONSES, {"input": [], "tools": [{"type": "mcp", "server_url": EVIL}]}, "tools.0"),
        (
            Dialect.MESSAGES,
            {"messages": [], "tools": [{"type": "web_search_x", "name": "w"}]},
            "tools.0",
        ),
        (Dialect.MESSAGES, {"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        (Dialect.GEMINI, {"contents": [], "tools": [{"googleSearch": {}}]}, "tools.0"),
    ],
)
def test_what_cannot_be_left_out_is_refused(dialect: Dialect, body: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=f"Not passed on, {where}"):
        written(dialect, body)


CHAT = {"choices": [{"index": 0, "delta": {"content": "x"}}]}
# As the providers' answers report them; what a call costs at 1 USD in, 0.1 from the cache, 1.25 into it and
# 10 out, for a million tokens each.
BILLS: list[tuple[str, Dialect, list[dict[str, Any]], float]] = [
    (
        "OpenAI: cached are part of the prompt, thoughts part of the completion",
        Dialect.CHAT,
        [
            CHAT
            | {
                "usage": {
                    "prompt_tokens": 1000,
                    "prompt_tokens_details": {"cached_tokens": 600},
                    "completion_tokens": 50,
                    "completion_tokens_details": {"reasoning_tokens": 40},
                    "total_tokens": 1050,
                }
            }
        ],
        400 + 60 + 500,
    ),
    (
        "DeepSeek: what the cache gave has a name of its own",
        Dialect.CHAT,
        [CHAT | {"usage": {"prompt_tokens": 1000, "prompt_cache_hit_tokens": 600, "completion_tokens": 50}}],
        400 + 60 + 500,
    ),
    (
        "xAI: thoughts are in the total alone",
        Dialect.CHAT,
        [CHAT | {"usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1050}}],
        1000 + 500,
    ),
    (
        "OpenRouter: says what it costs",
        Dialect.CHAT,
        [CHAT | {"usage": {"prompt_tokens": 1000, "completion_tokens": 50, "cost": 0.000321}}],
        321,
    ),
    (
        "OpenRouter with a key of one's own: the model is billed by its provider",
        Dialect.CHAT,
        [
            CHAT
            | {
                "usage": {
                    "prompt_tokens": 9,
                    "cost": 0.00001,
                    "is_byok": True,
                    "cost_details": {"upstream_inference_cost": 0.0002},
                }
            }
        ],
        210,
    ),
    (
        "Anthropic: cached are beside the input, and the output is told at the end",
        Dialect.MESSAGES,
        [
            {
                "type": "message_start",
                "message": {
                    "usage": {
                        "input_tokens": 4,
                        "cache_read_input_tokens": 600,
                        "cache_creation_input_tokens": 400,
                        "output_tokens": 1,
                    }
                },
            },
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}},
        ],
        4 + 60 + 500 + 500,
    ),
    (
        "Gemini: thoughts are beside the candidates, and each chunk repeats the sums",
        Dialect.GEMINI,
        [
            {
                "candidates": [{"content": {"parts": [{"text": "x"}]}}],
                "usageMetadata": {
                    "promptTokenCount": 1000,
                    "cachedContentTokenCount": 600,
                    "candidatesTokenCount": candidates,
                    "thoughtsTokenCount": 40,
                },
            }
            for candidates in (5, 10)
        ],
        400 + 60 + 500,
    ),
    (
        "OpenAI's responses",
        Dialect.RESPONSES,
        [
            {"type": "response.output_text.delta", "delta": "x"},
            {
                "type": "response.completed",
                "response": {
                    "usage": {
                        "input_tokens": 1000,
                        "input_tokens_details": {"cached_tokens": 600},
                        "output_tokens": 50,
                        "output_tokens_details": {"reasoning_tokens": 40},
                    }
                },
            },
        ],
        400 + 60 + 500,
    ),
]


@pytest.mark.parametrize(
    ("dialect", "events", "cost"), [bill[1:] for bill in BILLS], ids=[b[0] for b in BILLS]
)
def test_cached_and_thinking_tokens_are_metered_as_they_are_billed(
    dialect: Dialect, events: list[dict[str, Any]], cost: float
) -> None:
    answer = MeteredResponse(dialect, streamed=True)
    for event in events:
        answer.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    answer.close()
    model = endpoint(dialect, input_cost=1, cache_read_cost=0.1, cache_write_cost=1.25, output_cost=10)
    assert answer.useful
    assert answer.billed is not None
    assert model.cost_usd(answer.billed) == pytest.approx(cost / 1e6)


FIXES: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
        {"max_tokens": 8192},
        {"max_completion_tokens": 8192},
    ),
    (
        "body.max_completion_tokens: Extra inputs are not permitted",
        {"max_completion_tokens": 8192},
        {"max_tokens": 8192},
    ),
    (
        "Invalid max_tokens value, the valid range of max_tokens is [1, 4096]",
        {"max_tokens": 8192},
        {"max_tokens": 4096},
    ),
    (
        "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To use "
        "function tools, use /v1/responses or set reasoning_effort to 'none'.",
        {"tools": [{}]},
        {"tools": [{}], "reasoning_effort": "none"},
    ),
    (
        "Function tools with reasoning_effort are not supported for gpt-5.4. Use /v1/responses instead.",
        {"tools": [{}], "reasoning_effort": "medium"},
        {"tools": [{}]},
    ),
    (
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        {
            "messages": [
                {"role": "user"},
                {"role": "assistant", "reasoning_content": "Hm."},
                {"role": "assistant"},
            ]
        },
        {
            "messages": [
                {"role": "user"},
                {"role": "assistant", "reasoning_content": "Hm."},
                {"role": "assistant", "reasoning_content": " "},
            ]
        },
    ),
    (
        "property 'messages.1.reasoning_content' is unsupported",
        {"messages": [{"role": "user"}, {"role": "assistant", "reasoning_content": "Hm."}]},
        {"messages": [{"role": "user"}, {"role": "assistant"}]},
    ),
    ("`top_p` is not supported with this model", {"temperature": 1, "top_p": 1}, {"temperature": 1}),
    ("This model's maximum context length is 4096 tokens.", {"max_tokens": 8192, "temperature": 1}, None),
    ("The model `x` does not exist", {"max_tokens": 8192, "tools": [{}]}, None),
]


@pytest.mark.parametrize(("words", "body", "fixed"), FIXES, ids=[words[:40] for words, _, _ in FIXES])
def test_a_refusal_says_what_to_change(
    words: str, body: dict[str, Any], fixed: dict[str, Any] | None
) -> None:
    for refusal in (words, json.dumps({"error": {"message": words, "param": None}})):
        fix = fix_for(refusal, body, APIS[Dialect.CHAT].optional)
        assert (fix.apply(body) if fix else None) == fixed
