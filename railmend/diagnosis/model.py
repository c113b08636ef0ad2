"""Asks a model by litellm. Its retries are off; what may be retried is decided here, by its status."""

import logging
import os
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.contracts.incident import Cause, Diagnosis, EvidencePacket, Verdict
from railmend.diagnosis.answer import Answer, check, parse
from railmend.diagnosis.prompt import messages

# One question and one more chance with the errors; then a person must look.
TRIES = 2
MAX_TOKENS = 4096
RETRYABLE_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})


class ModelSettings(BaseModel):
    """`model`: provider/name as litellm writes it; `base_url` overrides the provider's address."""

    model_config = ConfigDict(frozen=True)

    model: str
    base_url: str | None = None
    api_key: SecretStr | None = None
    timeout_seconds: float = 120.0


class ModelError(Exception):
    """The model could not be asked; the message names it and the next step, never a key."""

    def __init__(self, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class Reply(BaseModel):
    text: str
    finish: str
    tokens: int = 0
    cost_usd: float | None = None


async def diagnose(packet: EvidencePacket, rendered: str, settings: ModelSettings) -> Diagnosis:
    """A checked answer; a second answer that does not hold ends as `unclear`, never as a guess."""
    talk = messages(rendered)
    tokens, cost, errors = 0, 0.0, [""]
    for _ in range(TRIES):
        reply = await _ask(talk, settings)
        tokens, cost = tokens + reply.tokens, cost + (reply.cost_usd or 0.0)
        answer, wrong = parse(reply.text)
        if reply.finish in ("length", "content_filter"):
            answer, wrong = None, f"The answer was cut short ({reply.finish})."
        errors = [wrong] if answer is None else check(answer, packet)
        if answer is not None and not errors:
            return _diagnosis(answer, settings.model, tokens, cost)
        talk = [
            *talk,
            {"role": "assistant", "content": reply.text[:20_000]},
            {"role": "user", "content": "That answer is refused. " + " ".join(errors) + " Answer again."},
        ]
    return Diagnosis(
        summary=f"The model's answers did not hold: {' '.join(errors)[:600]}",
        verdict=Verdict.UNCLEAR,
        confidence=0.0,
        model=settings.model,
        tokens=tokens,
        cost_usd=cost,
    )


def _diagnosis(answer: Answer, model: str, tokens: int, cost: float) -> Diagnosis:
    return Diagnosis(
        summary=answer.summary[:2000],
        verdict=answer.verdict,
        confidence=answer.confidence,
        causes=tuple(
            Cause(text=cause.text[:2000], evidence=tuple(cause.evidence), against=tuple(cause.against))
            for cause in answer.causes[:10]
        ),
        suspected_files=tuple(answer.suspected_files[:50]),
        plan=tuple(step[:2000] for step in answer.plan[:30]),
        reproduce=answer.reproduce[:2000],
        verify=answer.verify[:2000],
        risk=answer.risk[:2000],
        if_not_fixed=answer.if_not_fixed[:2000],
        model=model,
        tokens=tokens,
        cost_usd=cost,
    )


def _litellm() -> Any:
    """Imported when first needed: it takes seconds, and by default fetches a price list at import."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return litellm


async def _ask(talk: list[dict[str, str]], settings: ModelSettings) -> Reply:
    if settings.api_key is None or not settings.api_key.get_secret_value():
        # litellm reports a missing key as a server error, which would be retried.
        raise ModelError("No key for the model: set MODEL_API_KEY.", retryable=False)
    litellm = _litellm()
    try:
        response = await litellm.acompletion(
            model=settings.model,
            api_base=settings.base_url,
            api_key=settings.api_key.get_secret_value(),
            messages=talk,
            response_format=Answer,
            max_tokens=MAX_TOKENS,
            timeout=settings.timeout_seconds,
            max_retries=0,
        )
    except litellm.exceptions.APIError as error:
        raise _classified(error, settings) from error
    except litellm.openai.OpenAIError as error:
        raise _classified(error, settings) from error
    choice = response.choices[0]
    return Reply(
        text=choice.message.content or "",
        finish=choice.finish_reason or "",
        tokens=response.usage.total_tokens if response.get("usage") else 0,
        cost_usd=response._hidden_params.get("response_cost"),
    )


def _classified(error: Exception, settings: ModelSettings) -> ModelError:
    status = getattr(error, "status_code", None) or 500
    text = str(error)[:500].replace(settings.api_key.get_secret_value() if settings.api_key else "\0", "***")
    if "insufficient_quota" in text:
        return ModelError(f"The account of {settings.model} has no quota left: top it up.", retryable=False)
    if status in (401, 403):
        return ModelError(f"{settings.model} refused the key: check MODEL_API_KEY.", retryable=False)
    retryable = status in RETRYABLE_STATUS
    step = "It is tried again." if retryable else "Check MODEL and MODEL_BASE_URL."
    return ModelError(f"{settings.model} answered {status}: {text} {step}", retryable=retryable)
