"""A whole diagnosis with tools, against stand-ins that refuse what each provider refuses."""

import json
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from railmend.coding.metering.dialects import Dialect, reach
from railmend.contracts.incident import Diagnosis, Fact, Facts, Verdict
from railmend.contracts.investigation import Conversation
from railmend.diagnosis.conversation import begin, take_turn, with_results
from railmend.diagnosis.diagnose import DIAGNOSIS, diagnose
from railmend.diagnosis.manner import Manner, as_taken
from railmend.diagnosis.model import ModelSettings, ModelUsage
from railyard.vendors import Anthropic, Gemini, OpenAIChat, OpenAIResponses
from railyard.vendors.chat import DeepSeek, Groq, MistralChat, OlderChat, OpenRouter
from tests import samples
from tests.integration.serving import serving
from tests.unit.test_diagnosis import GOOD
from tests.unit.test_investigation import nothing_missing

KEY = "the-real-key"
READ = {"tool": "read_code", "args": {"path": "app.py", "first": 1, "last": 40}}
LOGS = {"tool": "logs", "args": {"text": "error"}}
WRONG = {"tool": "run shell; rm -rf", "args": {"path": "/etc/passwd"}}
STEPS = [
    {"calls": [READ, LOGS, WRONG], "thought": "What is in app.py?"},
    {"calls": [{"tool": "conclude", "args": GOOD | {"verdict": "nonsense"}}, LOGS]},
    {"tool": "conclude", "args": GOOD},
]
# The same said as text, which is what a model without tools can do.
IN_WORDS = [
    {"text": '{"calls": [{"name": "read_code", "arguments": {"path": "app.py", "first": 1, "last": 40}}]}'},
    {"text": '{"verdict": "nonsense"}'},
]


async def diagnosed(url: str, model: str, dialect: Dialect = Dialect.CHAT) -> tuple[Conversation, Diagnosis]:
    key = SecretStr(KEY)
    settings = ModelSettings(model=model, dialect=dialect, base_url=url, api_key=key, timeout_seconds=30)
    facts = Facts(items=(Fact(kind="code", source="app.py", text="CACHE = {}"),))
    conversation = begin(samples.incident(), samples.packet(), samples.NOW)
    diagnosis = None
    while diagnosis is None:
        conversation, diagnosis = await take_turn(
            conversation, DIAGNOSIS, settings, ModelUsage(), nothing_missing, samples.NOW
        )
        results = [(call.id, facts) for call in conversation.pending]
        conversation = with_results(conversation, DIAGNOSIS, results)
    return conversation, diagnosis


@pytest.mark.parametrize(
    ("vendor", "model", "path"),
    [
        (OlderChat, "openai/gpt-4.1", "/v1"),
        (OlderChat, "openai/some-model", "/v1"),
        (MistralChat, "mistral/mistral-large-latest", "/v1"),
        (Anthropic, "anthropic/claude-sonnet-4-5", ""),
        (Gemini, "gemini/gemini-3-pro-preview", "/v1beta"),
        (Groq, "groq/openai/gpt-oss-120b", "/v1"),
        (OpenRouter, "openrouter/google/gemini-3-pro-preview", "/api/v1"),
        (OpenRouter, "openai/google/gemini-3-pro-preview", "/api/v1"),
    ],
)
async def test_tools_are_used_as_each_provider_wants_them(vendor: Any, model: str, path: str) -> None:
    """Calls at once, one that no tool takes, a conclusion that does not hold: nothing is refused."""
    stand_in = vendor(STEPS, KEY)
    stand_in.thinks = 0.2
    with serving(stand_in.app()) as address:
        conversation, diagnosis = await diagnosed(f"{address}{path}", model)
    assert stand_in.refusals == []
    assert (diagnosis.verdict, conversation.in_words) == (Verdict.CODE, False)
    assert (conversation.turns, conversation.refused, conversation.calls) == (3, 1, 3)
    assert [item.call for item in conversation.packet.items[2:]] == [
        "read_code app.py 1 40",
        "logs deploy error",
    ]
    assert diagnosis.tokens == 3300


@pytest.mark.parametrize("model", ["openai/gpt-5.6-terra", "openai/my-deployment"])
async def test_a_model_that_refuses_tools_beside_its_effort_uses_them_in_words(model: str) -> None:
    """One refusal of tools; of a name that says nothing, one of `max_tokens` before each answer."""
    stand_in = OpenAIChat([*IN_WORDS, {"text": str(GOOD).replace("'", '"').replace("True", "true")}], KEY)
    with serving(stand_in.app()) as address:
        conversation, diagnosis = await diagnosed(f"{address}/v1", model)
    assert (diagnosis.verdict, conversation.in_words) == (Verdict.CODE, True)
    assert sum("Function tools" in refusal for refusal in stand_in.refusals) == 1
    assert len(stand_in.refusals) == (1 if "gpt-5" in model else 4)
    assert all("max_completion_tokens" in asked for asked in stand_in.asked if "max_tokens" not in asked)


@pytest.mark.parametrize("model", ["openai/gpt-5.1", "openai/my-deployment", "azure/gpt-5.4"])
async def test_openai_is_asked_by_its_responses_and_gets_its_thoughts_back(model: str) -> None:
    """Encrypted, since nothing is stored."""
    stand_in = OpenAIResponses(STEPS, KEY)
    app = Starlette(routes=[Mount("/openai", stand_in.app()), Mount("/", stand_in.app())])
    with serving(app) as address:
        there = reach(model, address, Dialect.RESPONSES)
        conversation, diagnosis = await diagnosed(there.diagnosis_url or "", model, there.dialect)
    assert stand_in.refusals == []
    assert (diagnosis.verdict, conversation.in_words) == (Verdict.CODE, False)
    assert (conversation.turns, conversation.refused, conversation.calls) == (3, 1, 3)
    assert [asked["store"] for asked in stand_in.asked] == [False] * 3
    assert diagnosis.cost_usd  # of a deployment too: an answer names its model


async def test_a_schema_alone_goes_to_openais_responses() -> None:
    stand_in = OpenAIResponses([{"text": json.dumps(GOOD)}], KEY)
    with serving(stand_in.app()) as address:
        settings = ModelSettings(
            model="openai/gpt-5.1",
            dialect=Dialect.RESPONSES,
            base_url=f"{address}/v1",
            api_key=SecretStr(KEY),
        )
        diagnosis = await diagnose(samples.packet(), settings)
    assert diagnosis.verdict is Verdict.CODE
    assert stand_in.asked[0]["text"]["format"]["schema"]["title"] == "DiagnosisAnswer"


@pytest.mark.parametrize("model", ["deepseek/deepseek-v4-pro", "openai/deepseek-v4-pro"])
async def test_deepseek_gets_its_thoughts_back_and_a_blank_where_it_had_none(model: str) -> None:
    stand_in = DeepSeek(STEPS, KEY)
    with serving(stand_in.app()) as address:
        conversation, diagnosis = await diagnosed(f"{address}/v1", model)
    assert (diagnosis.verdict, conversation.in_words) == (Verdict.CODE, False)
    assert len(stand_in.refusals) == 1  # of the second answer, which came without thoughts
    first, second = (each for each in stand_in.asked[-1]["messages"] if each["role"] == "assistant")
    assert (first["reasoning_content"], second["reasoning_content"]) == ("What is in app.py?", " ")


async def test_thoughts_that_a_server_does_not_take_back_are_left_out() -> None:
    """Groq's are told as thoughts where it is one server of many, `openai/` with its address."""
    stand_in = Groq(STEPS, KEY)
    with serving(stand_in.app()) as address:
        conversation, diagnosis = await diagnosed(f"{address}/v1", "openai/gpt-oss-120b")
    assert (diagnosis.verdict, conversation.in_words) == (Verdict.CODE, False)
    assert all("reasoning_content" in refusal for refusal in stand_in.refusals)


def test_a_model_gets_no_thoughts_of_another() -> None:
    """A fallback: what one provider signed or encrypted, the next one refuses."""
    call = {"id": "c", "type": "function", "function": {}, "provider_specific_fields": {"signature": "x"}}
    thoughts = {"model": "gemini/a", "reasoning_content": "hm"}
    answer = {"role": "assistant", "content": "", "tool_calls": [call], "thoughts": thoughts}
    (own,) = as_taken([answer], Manner(1), "gemini/a")
    (other,) = as_taken([answer], Manner(1), "openai/b")
    assert own["reasoning_content"] == "hm"
    assert own["tool_calls"] == [call]
    assert set(other) == {"role", "content", "tool_calls"}
    assert set(other["tool_calls"][0]) == {"id", "type", "function"}


@pytest.mark.parametrize("kept", ["", "another"])
async def test_the_stand_in_of_gemini_refuses_a_call_without_its_signature(kept: str) -> None:
    call = {"functionCall": {"name": "logs", "args": {}}}
    contents = [
        {"role": "user", "parts": [{"text": "?"}]},
        {"role": "model", "parts": [call | ({"thoughtSignature": kept} if kept else {})]},
        {"role": "user", "parts": [{"functionResponse": {"name": "logs", "response": {}}}]},
    ]
    with pytest.raises(Exception, match="thought_signature"):
        Gemini([], KEY).refuse({"contents": contents})
