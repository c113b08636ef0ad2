"""The models that diagnose and code, from the settings: where each is, what it costs, how much it reads."""

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import structlog

from hosting.gateway.provider_api import APIS
from railmend.coding.metering.dialects import Reach, own_dialect, reach, refuse_unreachable
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.diagnosis.model import ModelSettings
from railmend.settings import ConfigurationError, Settings, require

log = structlog.get_logger(__name__)

MILLION = 1_000_000
# OpenCode asks for no longer an answer.
MOST_OUTPUT = 32_000
LIST_SECONDS = 5.0
# What servers call it in their list of models: vLLM, OpenRouter, Groq; Mistral and LM Studio; Anthropic.
CONTEXT_NAMES = (
    *("max_model_len", "context_length", "context_window"),
    *("max_context_length", "max_input_tokens"),
)
OUTPUT_NAMES = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def model(settings: Settings) -> ModelSettings:
    """Return MODEL with its fallbacks. Raise `ConfigurationError` where one cannot be asked."""
    fallbacks = tuple(_model(settings, name) for name in settings.model_fallbacks)
    return _model(settings, _name(settings)).model_copy(update={"fallbacks": fallbacks})


def sceptic(settings: Settings) -> ModelSettings:
    """Return SCEPTIC_MODEL, or the model of diagnoses."""
    return _model(settings, settings.sceptic_model) if settings.sceptic_model else model(settings)


def coding_model(settings: Settings) -> ModelEndpoint:
    """Return how the coding agent's gateway reaches MODEL. Raise `ConfigurationError` with what to do."""
    name = _name(settings)
    there, row = _reach(settings, name), _row(name)
    input_cost, output_cost = prices(settings)
    endpoint = ModelEndpoint(
        base_url=there.coding_url,
        model_id=there.model_id,
        api_key=settings.model_api_key,
        dialect=there.dialect,
        input_cost=input_cost,
        output_cost=output_cost,
        cache_read_cost=_cache_cost(settings, row, "cache_read_input_token_cost"),
        cache_write_cost=_cache_cost(settings, row, "cache_creation_input_token_cost"),
        reasoning=bool(row.get("supports_reasoning")),
    )
    context = settings.model_context_tokens or row.get("max_input_tokens")
    return _limited(endpoint, context, settings.model_output_tokens or row.get("max_output_tokens"))


def with_listed_limits(settings: Settings, endpoint: ModelEndpoint) -> ModelEndpoint:
    """Return the endpoint with the limits of its server's own list of models. Blocking, for some seconds.

    Asked is a server that somebody else runs, and one whose model is in no table here; a list that cannot be
    had, or tells no limits, changes nothing.
    """
    own = settings.model_context_tokens, settings.model_output_tokens
    if all(own) or (not settings.model_base_url and _row(_name(settings))):
        return endpoint
    headers = APIS[endpoint.dialect].key_headers(endpoint.api_key.get_secret_value())
    try:
        got = httpx.get(f"{endpoint.base_url.rstrip('/')}/models", headers=headers, timeout=LIST_SECONDS)
        rows = got.raise_for_status().json()["data"]
        (listed,) = [row for row in rows if row["id"] == endpoint.model_id]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        log.info("the model's server lists no limits of it", model=endpoint.model_id)
        return endpoint
    places = (listed, listed.get("top_provider") or {})
    context, output = (_first(places, names) for names in (CONTEXT_NAMES, OUTPUT_NAMES))
    return _limited(endpoint, own[0] or context, own[1] or output)


def limits(settings: Settings) -> SessionLimits:
    return SessionLimits(
        seconds=settings.railmend_session_seconds,
        model_calls=settings.railmend_session_calls,
        tokens=settings.railmend_session_tokens,
        cost_usd=settings.railmend_session_usd,
        stall_seconds=settings.railmend_stall_seconds,
    )


def prices(settings: Settings) -> tuple[float, float]:
    """Return USD per million tokens in and out: as set, else from litellm's table, else 0."""
    row = _row(settings.model or "")
    per_token = (row.get("input_cost_per_token") or 0.0, row.get("output_cost_per_token") or 0.0)
    given = (settings.model_input_usd, settings.model_output_usd)
    costs = [cost * MILLION if own is None else own for own, cost in zip(given, per_token, strict=True)]
    return costs[0], costs[1]


def _name(settings: Settings) -> str:
    require(settings, "model", "model_api_key")
    return settings.model or ""


def _model(settings: Settings, name: str) -> ModelSettings:
    """Address, key and prices belong to MODEL's provider; others' keys are in variables of their own."""
    seconds = float(settings.railmend_diagnosis_seconds)
    if name.partition("/")[0] != (settings.model or "").partition("/")[0]:
        return ModelSettings(model=name, dialect=own_dialect(name), timeout_seconds=seconds)
    try:
        refuse_unreachable(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    # Without an address litellm knows more providers than the coding agent reaches.
    there = _reach(settings, name) if settings.model_base_url else None
    return ModelSettings(
        model=name,
        dialect=there.dialect if there else settings.model_dialect or own_dialect(name),
        base_url=there.diagnosis_url if there else None,
        api_key=settings.model_api_key,
        timeout_seconds=seconds,
        input_usd=settings.model_input_usd,
        output_usd=settings.model_output_usd,
        output_tokens=settings.model_output_tokens,
    )


def _reach(settings: Settings, name: str) -> Reach:
    try:
        return reach(name, settings.model_base_url, settings.model_dialect)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _limited(endpoint: ModelEndpoint, context: int | None, output: int | None) -> ModelEndpoint:
    """Return the endpoint with these limits; an answer takes at most half of what the model reads."""
    context = context or endpoint.context_limit
    output = min(output or endpoint.output_limit, MOST_OUTPUT, context // 2)
    return endpoint.model_copy(update={"context_limit": context, "output_limit": output})


def _first(places: tuple[dict[str, Any], ...], names: tuple[str, ...]) -> int | None:
    found = (place.get(name) for place in places for name in names)
    return next((value for value in found if type(value) is int and value > 0), None)


def _cache_cost(settings: Settings, row: dict[str, Any], name: str) -> float | None:
    """In USD per million tokens; a price that was set is that of all tokens in."""
    if settings.model_input_usd is not None or row.get(name) is None:
        return None
    return float(row[name]) * MILLION


@cache
def _row(name: str) -> dict[str, Any]:
    """Return the model's row of litellm's table, read without importing litellm, which takes seconds."""
    spec = importlib.util.find_spec("litellm")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        table = Path(folder) / "model_prices_and_context_window_backup.json"
        if table.is_file():
            rows = json.loads(table.read_text())
            row: dict[str, Any] = rows.get(name) or rows.get(name.partition("/")[2]) or {}
            return row
    return {}
