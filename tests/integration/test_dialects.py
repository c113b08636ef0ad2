"""The real OpenCode server through the gateway, with stand-ins that refuse what real providers refuse."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from hosting.gateway import model_call
from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import ModelEndpoint
from railmend.coding.session.server import stop_leftovers
from railmend.contracts.repair import CodingState
from railyard.vendors import VENDORS
from tests.integration.serving import serving
from tests.integration.test_opencode import Room

pytestmark = pytest.mark.integration

KEY = "the-real-key"
# Not by the tool for edits: OpenCode offers another one to OpenAI's models.
EDIT = {"tool": "bash", "args": {"command": "echo 'value = 2' > app.py", "description": "Set the value"}}
PRICES = {"input_cost": 1.0, "output_cost": 10.0, "cache_read_cost": 0.1, "cache_write_cost": 1.25}
# USD of two calls of each stand-in, whose usage says: 200 fresh, 800 cached and 100 out (thoughts included);
# Anthropic writes 200 to its cache each time, and reads from it from the second call on.
AS_BILLED = {
    Dialect.CHAT: 2 * (200 * 1.0 + 800 * 0.1 + 100 * 10.0) / 1e6,
    Dialect.OPENROUTER: 2 * 0.002,  # as it says itself
    Dialect.RESPONSES: 2 * (200 * 1.0 + 800 * 0.1 + 100 * 10.0) / 1e6,
    Dialect.GEMINI: 2 * (200 * 1.0 + 800 * 0.1 + 100 * 10.0) / 1e6,
    Dialect.MESSAGES: (2 * (10 * 1.0 + 200 * 1.25 + 100 * 10.0) + 800 * 0.1) / 1e6,
}
MODELS = {
    Dialect.CHAT: "gpt-5.6-terra",
    Dialect.OPENROUTER: "google/gemini-3-pro-preview",
    Dialect.RESPONSES: "gpt-5.1",
    Dialect.MESSAGES: "claude-opus-4-6",
    Dialect.GEMINI: "gemini-3-pro-preview",
}


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_a_repair_runs_with_each_kind_of_provider(
    tmp_path: Path, dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hides what it thinks for longer than OpenCode would wait: two minutes, of which 15 s are 0.1 s."""
    vendor = VENDORS[dialect.value]([], KEY)
    monkeypatch.setattr(model_call, "QUIET_SECONDS", 0.1)
    vendor.thinks = 0.8
    with serving(vendor.app()) as address:
        version = {Dialect.GEMINI: "v1beta", Dialect.OPENROUTER: "api/v1"}.get(dialect, "v1")
        endpoint = ModelEndpoint(
            base_url=f"{address}/{version}",
            model_id=MODELS[dialect],
            api_key=SecretStr(KEY),
            dialect=dialect,
            reasoning=True,
            **PRICES,
        )
        room = Room(tmp_path, endpoint)
        vendor.steps = [EDIT, {"text": "Set value to 2."}]
        try:
            server = room.server()
            await server.start_or_adopt()
            result = await room.follow(server)
        finally:
            stop_leftovers(tmp_path, room.sandbox)
    assert (result.state, result.text) == (CodingState.DONE, "Set value to 2."), result.reason
    assert (room.tree / "app.py").read_text() == "value = 2\n"
    assert result.model_calls == 2
    assert result.cost_usd == pytest.approx(AS_BILLED[dialect])
    if dialect is Dialect.MESSAGES:
        assert all('"cache_control"' in str(asked).replace("'", '"') for asked in vendor.asked)
