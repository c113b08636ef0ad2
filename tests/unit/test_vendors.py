"""A whole diagnosis with tools, against stand-ins that refuse what each provider refuses."""

from typing import Any

import pytest
from pydantic import SecretStr

from railmend.contracts.incident import Diagnosis, Fact, Facts, Verdict
from railmend.contracts.investigation import Conversation
from railmend.diagnosis.conversation import begin, take_turn, with_results
from railmend.diagnosis.diagnose import DIAGNOSIS
from railmend.diagnosis.model import ModelSettings, ModelUsage
from railyard.vendors import Anthropic, Gemini, MistralChat, OlderChat, OpenAIChat, Vendor
from tests import samples
from tests.integration.serving import serving
from tests.unit.test_diagnosis import GOOD
from tests.unit.test_investigation import nothing_missing

KEY = "the-real-key"
READ = {"tool": "read_code", "args": {"path": "app.py", "first": 1, "last": 40}}
LOGS = {"tool": "logs", "args": {"text": "error"}}
WRONG = {"tool": "run shell; rm -rf", "args": {"path": "/etc/passwd"}}
STEPS = [
    {"calls": [READ, LOGS, WRONG]},
    {"calls": [{"tool": "conclude", "args": GOOD | {"verdict": "nonsense"}}, LOGS]},
    {"tool": "conclude", "args": GOOD},
]
# The same said as text, which is what a model without tools can do.
IN_WORDS = [
    {"text": '{"calls": [{"name": "read_code", "arguments": {"path": "app.py", "first": 1, "last": 40}}]}'},
    {"text": '{"verdict": "nonsense"}'},
]


async def diagnosed(vendor: Vendor, url: str, model: str) -> tuple[Conversation, Diagnosis]:
    settings = ModelSettings(model=model, base_url=url, api_key=SecretStr(KEY), timeout_seconds=30)
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
    ],
)
async def test_tools_are_used_as_each_provider_wants_them(vendor: Any, model: str, path: str) -> None:
    """Calls at once, one that no tool takes, a conclusion that does not hold: nothing is refused."""
    stand_in = vendor(STEPS, KEY)
    stand_in.thinks = 0.2
    with serving(stand_in.app()) as address:
        conversation, diagnosis = await diagnosed(stand_in, f"{address}{path}", model)
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
        conversation, diagnosis = await diagnosed(stand_in, f"{address}/v1", model)
    assert (diagnosis.verdict, conversation.in_words) == (Verdict.CODE, True)
    assert sum("Function tools" in refusal for refusal in stand_in.refusals) == 1
    assert len(stand_in.refusals) == (1 if "gpt-5" in model else 4)
    assert all("max_completion_tokens" in asked for asked in stand_in.asked if "max_tokens" not in asked)


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
