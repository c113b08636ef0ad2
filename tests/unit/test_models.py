"""The models from the settings: limits and prices of them, and what is refused at start."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hosting import models
from railmend.coding.metering.dialects import Dialect
from railmend.settings import ConfigurationError, Settings
from tests.integration.serving import serving


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, model_api_key="k", **given)  # type: ignore[call-arg]


def test_what_a_model_reads_and_what_its_cache_costs_is_known() -> None:
    endpoint = models.coding_model(settings(model="anthropic/claude-sonnet-4-5"))
    assert endpoint.dialect is Dialect.MESSAGES
    assert (endpoint.context_limit, endpoint.output_limit) == (200_000, models.MOST_OUTPUT)
    assert endpoint.cache_read_cost is not None
    assert endpoint.cache_write_cost is not None
    assert endpoint.cache_read_cost < endpoint.input_cost < endpoint.cache_write_cost
    assert endpoint.reasoning


def test_a_price_that_was_set_is_that_of_all_tokens_in() -> None:
    endpoint = models.coding_model(settings(model="anthropic/claude-sonnet-4-5", model_input_usd=7))
    assert (endpoint.input_cost, endpoint.cache_read_cost) == (7, None)


@pytest.mark.parametrize("name", ["bedrock/claude", "vertex_ai/gemini-3"])
def test_what_cannot_be_reached_is_refused_at_start(name: str) -> None:
    for build in (models.model, models.coding_model):
        with pytest.raises(ConfigurationError, match="LiteLLM proxy"):
            build(settings(model=name))


LISTED: list[dict[str, Any]] = [
    {"id": "vllm", "max_model_len": 32_768},
    {"id": "router", "context_length": 65_536, "top_provider": {"max_completion_tokens": 4_096}},
    {"id": "groq", "context_window": 65_536, "max_completion_tokens": 16_384},
    {"id": "mistral", "max_context_length": 65_536},
    {"id": "tiny", "context_length": 8_192},
    {"id": "silent"},
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    async def listed(request: Request) -> JSONResponse:
        allowed = request.headers.get("authorization") == "Bearer k"
        return JSONResponse({"data": LISTED} if allowed else {}, 200 if allowed else 401)

    with serving(Starlette(routes=[Route("/v1/models", listed)])) as address:
        yield address


@pytest.mark.parametrize(
    ("name", "own", "limits"),
    [
        ("vllm", {}, (32_768, 8_192)),
        ("router", {}, (65_536, 4_096)),
        ("groq", {}, (65_536, 16_384)),
        ("mistral", {}, (65_536, 8_192)),
        ("tiny", {}, (8_192, 4_096)),
        ("silent", {}, (128_000, 8_192)),
        ("unlisted", {}, (128_000, 8_192)),
        ("vllm", {"model_context_tokens": 16_000, "model_output_tokens": 1_000}, (16_000, 1_000)),
    ],
)
def test_limits_come_from_the_settings_or_the_servers_own_list(
    server: str, name: str, own: dict[str, int], limits: tuple[int, int]
) -> None:
    given = settings(model=f"openai/{name}", model_base_url=server, **own)
    endpoint = models.with_listed_limits(given, models.coding_model(given))
    assert (endpoint.context_limit, endpoint.output_limit) == limits


def test_a_server_that_does_not_answer_changes_nothing() -> None:
    given = settings(model="openai/x", model_base_url="http://127.0.0.1:9")
    endpoint = models.coding_model(given)
    assert models.with_listed_limits(given, endpoint) == endpoint
