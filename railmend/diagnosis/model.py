"""Ask a model through litellm, without its retries: what is retryable is decided here, by the status."""

import json
import logging
import os
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.evidence.tokens import estimate

MAX_TOKENS = 4096
RETRYABLE_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
# Retry-After is honoured up to this; an activity does not wait longer.
MAX_WAIT_SECONDS = 300.0
Messages = list[dict[str, str]]


class ModelSettings(BaseModel):
    """How to reach a model.

    `model`: provider/name in litellm's notation; `base_url` overrides the provider's address. Without a key
    litellm looks for the provider's own variable (such as `ANTHROPIC_API_KEY`), which only fallbacks rely on.
    Prices are in USD per million tokens, for models that litellm has no prices of.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    base_url: str | None = None
    api_key: SecretStr | None = None
    timeout_seconds: float = 120.0
    input_usd: float | None = None
    output_usd: float | None = None
    fallbacks: tuple["ModelSettings", ...] = ()


class ModelError(Exception):
    """The model could not be asked; the message names it and the next step, never a key."""

    def __init__(self, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class TooLong(ModelError):
    """The packet does not fit the model's context window; a smaller one may."""


class _NoSchema(ModelError):
    """The provider does not support structured output."""


class ModelReply(BaseModel):
    """The text of one completion, why it ended, and what it cost."""

    text: str
    finish: str
    model: str
    tokens: int = 0
    cost_usd: float | None = None


class ModelUsage:
    """What one question has cost in USD: of its answers, and of attempts that were cut off before this one.

    A call under way counts as the most it may come to, because the provider bills it even if its answer
    reaches nobody. `on_change` is told each new sum.
    """

    def __init__(self, before: float = 0.0, on_change: Callable[[float], None] | None = None) -> None:
        self._ended = before
        self._under_way = 0.0
        self._on_change = on_change

    @property
    def usd(self) -> float:
        return self._ended + self._under_way

    def begin(self, most: float) -> None:
        self._under_way = most
        self._tell()

    def end(self, usd: float | None) -> None:
        """End the call under way. None: nobody can tell its cost, so the most it may be stays."""
        self._ended += self._under_way if usd is None else usd
        self._under_way = 0.0
        self._tell()

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self.usd)


async def ask(
    messages: Messages, schema: type[BaseModel], settings: ModelSettings, usage: ModelUsage
) -> ModelReply:
    """Return the reply of the first model that answers: the chosen one, else its fallbacks in turn.

    A model without structured output gets the schema as text. Raise the chosen model's `ModelError` if none
    answers, `TooLong` if the messages do not fit one.
    """
    first_error: ModelError | None = None
    for candidate in (settings, *settings.fallbacks):
        try:
            return await _ask_with_or_without_schema(messages, schema, candidate, usage)
        except TooLong:
            raise
        except ModelError as error:
            first_error = first_error or error
    raise first_error or ModelError("No model is set: set MODEL.", retryable=False)


async def _ask_with_or_without_schema(
    messages: Messages, schema: type[BaseModel], settings: ModelSettings, usage: ModelUsage
) -> ModelReply:
    try:
        return await _ask(messages, settings, usage, response_format=schema)
    except _NoSchema:
        instruction = f"Answer with one JSON object of this schema:\n{json.dumps(schema.model_json_schema())}"
        return await _ask([*messages, {"role": "user", "content": instruction}], settings, usage)


def _litellm() -> Any:
    """Import litellm when first needed: that takes seconds, and would fetch a price list by default."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return litellm


async def _ask(messages: Messages, settings: ModelSettings, usage: ModelUsage, **options: Any) -> ModelReply:
    litellm = _litellm()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if not key and not litellm.validate_environment(settings.model)["keys_in_environment"]:
        # litellm reports a missing key as a server error, which would be retried.
        raise ModelError(f"No key for {settings.model}: set MODEL_API_KEY.", retryable=False)
    usage.begin(_most_usd(litellm, messages, settings))
    try:
        response = await litellm.acompletion(
            model=settings.model,
            api_base=settings.base_url,
            api_key=key,
            messages=messages,
            max_tokens=MAX_TOKENS,
            timeout=settings.timeout_seconds,
            max_retries=0,
            **_prices(settings),
            **options,
        )
    except litellm.exceptions.ContextWindowExceededError as error:
        usage.end(0.0)
        text = f"The packet is too long for {settings.model}: choose a model with a larger context."
        raise TooLong(text, retryable=False) from error
    except (litellm.exceptions.APIError, litellm.openai.OpenAIError) as error:
        # A provider may still work on what was given up, and bills it.
        usage.end(None if isinstance(error, litellm.exceptions.Timeout) else 0.0)
        raise _classified(error, settings, key) from error
    cost = response._hidden_params.get("response_cost")
    usage.end(cost or 0.0)
    choice = response.choices[0]
    return ModelReply(
        text=choice.message.content or "",
        finish=choice.finish_reason or "",
        model=settings.model,
        tokens=response.usage.total_tokens if response.get("usage") else 0,
        cost_usd=cost,
    )


def _most_usd(litellm: Any, messages: Messages, settings: ModelSettings) -> float:
    """Return what one call may cost at most: its messages, and the longest answer; 0 without known prices."""
    try:
        prompt, completion = litellm.cost_per_token(
            model=settings.model,
            prompt_tokens=sum(estimate(message["content"]) for message in messages),
            completion_tokens=MAX_TOKENS,
            custom_cost_per_token=_prices(settings) or None,
        )
    except Exception:  # noqa: BLE001 - litellm raises a plain one for a model that it has no prices of
        return 0.0
    return float(prompt + completion)


def _prices(settings: ModelSettings) -> dict[str, float]:
    if settings.input_usd is None or settings.output_usd is None:
        return {}
    million = 1_000_000
    return {
        "input_cost_per_token": settings.input_usd / million,
        "output_cost_per_token": settings.output_usd / million,
    }


def _classified(error: Exception, settings: ModelSettings, key: str | None) -> ModelError:
    status = getattr(error, "status_code", None) or 500
    text = str(error)[:500].replace(key or "\0", "***")
    if "insufficient_quota" in text:
        return ModelError(f"The account of {settings.model} has no quota left: top it up.", retryable=False)
    if status in (401, 403):
        return ModelError(f"{settings.model} refused the key: check MODEL_API_KEY.", retryable=False)
    if status in (400, 422) and any(word in text.lower() for word in ("response_format", "json_schema")):
        return _NoSchema(f"{settings.model} has no structured output.", retryable=False)
    retryable = status in RETRYABLE_STATUS
    step = "It is tried again." if retryable else "Check MODEL and MODEL_BASE_URL."
    return ModelError(
        f"{settings.model} answered {status}: {text} {step}",
        retryable=retryable,
        retry_after=_retry_after(error) if retryable else None,
    )


def _retry_after(error: Exception) -> float | None:
    """Return the seconds that the provider asks to wait, bounded."""
    headers = getattr(error, "litellm_response_headers", None) or {}
    text = str(headers.get("retry-after", ""))
    return min(float(text), MAX_WAIT_SECONDS) if text.isdigit() else None
