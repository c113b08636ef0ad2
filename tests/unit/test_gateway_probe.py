"""Doctor's call of a tool through a gateway, against a stand-in of each dialect."""

import pytest
from pydantic import SecretStr

from hosting.gateway.probe import ProbeFailed, probe
from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railyard.vendors import VENDORS
from tests.integration.serving import serving

KEY = "the-real-key"
LIMITS = SessionLimits(model_calls=1, stall_seconds=60)
PATHS = {Dialect.GEMINI: "v1beta", Dialect.OPENROUTER: "api/v1"}


async def probed(dialect: Dialect, step: dict[str, object], key: str = KEY) -> bool:
    with serving(VENDORS[dialect.value]([step], KEY).app()) as address:
        url = f"{address}/{PATHS.get(dialect, 'v1')}"
        endpoint = ModelEndpoint(base_url=url, model_id="m", api_key=SecretStr(key), dialect=dialect)
        return await probe(endpoint, LIMITS)


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_a_model_that_calls_the_tool_is_told_from_one_that_names_it(dialect: Dialect) -> None:
    assert await probed(dialect, {"tool": "report", "args": {"word": "yes"}})
    assert not await probed(dialect, {"text": 'report: {"name": "report"}'})


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_a_key_that_is_refused_is_told_without_it(dialect: Dialect) -> None:
    with pytest.raises(ProbeFailed, match="refuses Railmend's key") as failed:
        await probed(dialect, {"text": ""}, "another-key")
    assert "another-key" not in str(failed.value)
