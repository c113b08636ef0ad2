"""Ask a model through litellm, without its retries: what is retryable is decided here, by the status."""

import json
import logging
import os
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.response import provider_cost
from railmend.contracts.investigation import AskedCall
from railmend.diagnosis.manner import THOUGHTS, Manner, Messages, after_refusal, as_taken, thoughts_of
from railmend.evidence.tokens import estimate

# What a model thinks counts as its answer: a diagnosis itself takes some 2,000 tokens.
ANSWER_TOKENS, THINKING_TOKENS = 16_384, 32_768
RETRYABLE_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
# Retry-After is honoured up to this; an activity does not wait longer.
MAX_WAIT_SECONDS = 300.0


class ModelSettings(BaseModel):
    """How to reach a model.

    `model`: provider/name in litellm's notation; `base_url` overrides the provider's address. Without a key
    litellm looks for the provider's own variable (such as `ANTHROPIC_API_KEY`), which only fallbacks rely on.
    Prices are in USD per million tokens, for models that litellm has no prices of. `output_tokens`: of the
    longest answer it can give, where litellm does not know it. `dialect`: by which API it is asked; litellm
    chooses among all others than `responses`.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    dialect: Dialect = Dialect.CHAT
    base_url: str | None = None
    api_key: SecretStr | None = None
    timeout_seconds: float = 120.0
    input_usd: float | None = None
    output_usd: float | None = None
    output_tokens: int | None = None
    fallbacks: tuple["ModelSettings", ...] = ()


class ModelError(Exception):
    """The model could not be asked; the message names it and the next step, never a key."""

    def __init__(self, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class TooLong(ModelError):
    """The packet does not fit the model's context window; a smaller one may."""


class _Refused(ModelError):
    """The provider answered 400 or 422, in words of its own: perhaps to one parameter alone."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message, retryable=False)
        self.words = words


class Question(BaseModel):
    """What is asked: messages, the schema of the answer, and the tools that may be called instead.

    `in_words`: schema and tools are told to the model as text, not to its provider. `doubled`: there is twice
    the room for the answer. `usd`: what question and answer may cost; the answer is cut to that, but never
    below `least` tokens, which are useful at all.
    """

    messages: Messages
    answer: type[BaseModel]
    tools: list[dict[str, Any]] = []
    in_words: bool = False
    doubled: bool = False
    usd: float | None = None
    least: int = 0

    @property
    def tokens(self) -> int:
        """Return the estimated tokens of all that is sent."""
        return prompt_tokens(self.told()) + (0 if self.in_words else estimate(json.dumps(self.tools)))

    def told(self) -> Messages:
        """Return the messages as they are sent: schema and tools stand after the question itself."""
        if not self.in_words:
            return self.messages
        asked = next(n for n, message in enumerate(self.messages, 1) if message["role"] == "user")
        words = {"role": "user", "content": self._in_words()}
        return [*self.messages[:asked], words, *map(_as_text, self.messages[asked:])]

    def _in_words(self) -> str:
        schema = json.dumps(self.answer.model_json_schema())
        if len(self.tools) < 2:
            return f"Answer with one JSON object of this schema:\n{schema}"
        tools = json.dumps([tool["function"] for tool in self.tools[:-1]])
        return (
            'To look at more, answer with one JSON object {"calls": [{"name": TOOL, "arguments": {...}}]}. '
            f"The tools:\n{tools}\nTo conclude, answer with one JSON object of this schema:\n{schema}"
        )


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without native calls and results, for a model that takes none."""
    if message["role"] == "tool":
        return {"role": "user", "content": message["content"]}
    calls = [call["function"] for call in message.get("tool_calls", ())]
    if not calls:
        return message
    rows = [{"name": call["name"], "arguments": json.loads(call["arguments"])} for call in calls]
    return {"role": "assistant", "content": json.dumps({"calls": rows})}


class ModelReply(BaseModel):
    """One completion: its text or calls, why it ended, and what it cost. `in_words`: it took no tools.

    `thoughts`: what goes back with it, and its `model`.
    """

    text: str
    finish: str
    model: str
    calls: list[AskedCall] = []
    thoughts: dict[str, Any] = {}
    tokens: int = 0
    cost_usd: float | None = None
    in_words: bool = False


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


async def ask(question: Question, settings: ModelSettings, usage: ModelUsage) -> ModelReply:
    """Return the reply of the first model that answers: the chosen one, else its fallbacks in turn.

    A provider that refuses a schema, in whatever words, is asked without it. Raise the chosen model's
    `ModelError` if none answers, `TooLong` if the messages do not fit one.
    """
    first_error: ModelError | None = None
    for candidate in (settings, *settings.fallbacks):
        costs = usd_of(candidate, question.tokens, question.least)
        if first_error is not None and question.usd is not None and costs > question.usd:
            continue  # a fallback that is dearer than what is left
        try:
            return await _ask_as_it_takes(question, candidate, usage)
        except TooLong:
            raise
        except ModelError as error:
            first_error = first_error or error
    raise first_error or ModelError("No model is set: set MODEL.", retryable=False)


async def _ask_as_it_takes(question: Question, settings: ModelSettings, usage: ModelUsage) -> ModelReply:
    """Ask; where it is refused once more with what the refusal names: another name of the bound of an answer,
    as much room as there is, other thoughts, or the schema in words.
    """
    first = manner = Manner(_answer_tokens(settings, question))
    while True:
        try:
            return await _ask(question, manner, settings, usage)
        except _Refused as error:
            changed = after_refusal(manner, first, question.told(), error.words)
            if changed is not None:
                manner = changed
            elif not question.in_words:
                question = question.model_copy(update={"in_words": True})
            else:
                raise


def _answer_tokens(settings: ModelSettings, question: Question) -> int:
    """Return the room for an answer: more where thinking counts as one, at most what the model can give."""
    known = _known(settings.model)
    wanted = THINKING_TOKENS if known.get("supports_reasoning") else ANSWER_TOKENS
    most = settings.output_tokens or known.get("max_output_tokens")
    wanted = 2 * wanted if question.doubled else wanted
    dear = usd_of(settings, 0, wanted)
    if question.usd is not None and dear:
        left = question.usd - usd_of(settings, question.tokens, 0)
        wanted = max(min(wanted, int(wanted * left / dear)), question.least)
    return min(wanted, most or wanted)


def _known(model: str) -> dict[str, Any]:
    """Return what litellm knows of a model; nothing where it knows none of that name."""
    try:
        info = load_litellm().get_model_info(model)
    except Exception:  # noqa: BLE001 - litellm raises a plain one for a model that it does not know
        return {}
    return {name: value for name, value in info.items() if value is not None}


def load_litellm() -> Any:
    """Import litellm when first needed: that takes seconds, and would fetch a price list by default."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    # Its responses load a gateway for remote tools, to see whether there are any; its library is not there.
    gateway = ModuleType("litellm.responses.mcp.litellm_proxy_mcp_handler")
    gateway.LiteLLM_Proxy_MCP_Handler = SimpleNamespace(  # type: ignore[attr-defined]
        should_use_litellm_mcp_gateway=lambda tools: False
    )
    sys.modules.setdefault(gateway.__name__, gateway)
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return litellm


async def _ask(question: Question, manner: Manner, settings: ModelSettings, usage: ModelUsage) -> ModelReply:
    litellm = load_litellm()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if not key and not litellm.validate_environment(settings.model)["keys_in_environment"]:
        # litellm reports a missing key as a server error, which would be retried.
        raise ModelError(f"No key for {settings.model}: set MODEL_API_KEY.", retryable=False)
    usage.begin(usd_of(settings, question.tokens, manner.tokens))
    try:
        response = await litellm.acompletion(
            api_base=settings.base_url,
            api_key=key,
            messages=as_taken(question.told(), manner, settings.model),
            **{manner.cap: manner.tokens},
            **_addressed(settings, manner),
            response_format=None if question.in_words or question.tools else question.answer,
            tools=question.tools if question.tools and not question.in_words else None,
            # Tools make litellm load its gateway for remote ones, whose library is not installed.
            _skip_mcp_handler=True,
            timeout=settings.timeout_seconds,
            max_retries=0,
        )
    except litellm.exceptions.ContextWindowExceededError as error:
        usage.end(0.0)
        text = f"The packet is too long for {settings.model}: choose a model with a larger context."
        raise TooLong(text, retryable=False) from error
    except (litellm.exceptions.APIError, litellm.openai.OpenAIError) as error:
        # A provider may still work on what was given up, and bills it.
        usage.end(None if isinstance(error, litellm.exceptions.Timeout) else 0.0)
        raise _classified(error, settings, key) from error
    billed = response.get("usage")
    cost = _billed_usd(response, settings)
    usage.end(cost or 0.0)
    choice = response.choices[0]
    return ModelReply(
        text=choice.message.content or "",
        calls=[
            AskedCall(
                id=call.id or f"call_{n}",
                name=call.function.name or "",
                arguments=call.function.arguments,
                signature=(getattr(call, "provider_specific_fields", None) or {}).get(
                    "thought_signature", ""
                ),
            )
            for n, call in enumerate(choice.message.tool_calls or ())
        ],
        thoughts=thoughts_of(choice.message, settings.model),
        finish=choice.finish_reason or "",
        model=settings.model,
        in_words=question.in_words,
        tokens=billed.total_tokens if billed else 0,
        cost_usd=cost,
    )


def _addressed(settings: ModelSettings, manner: Manner) -> dict[str, Any]:
    """Return the model as litellm is told of it; by OpenAI's responses nothing is stored there."""
    if settings.dialect is not Dialect.RESPONSES:
        return {"model": settings.model}
    name = settings.model.partition("/")[2]
    known = _known(settings.model)
    thinks = manner.encrypted and known.get("supports_reasoning", not known)
    include = {"include": ["reasoning.encrypted_content"]} if thinks else {}
    # Azure's newer addresses are OpenAI's, and take its key as OpenAI does.
    return {"model": f"openai/responses/{name}", "store": False, **include}


def _billed_usd(response: Any, settings: ModelSettings) -> float | None:
    """Return the cost a provider tells, else that of the tokens it counts; None where neither is known.

    Prices of the settings are not given to litellm with a call: it would keep them for every later one.
    """
    billed = response.get("usage")
    if billed and (told := provider_cost(billed.model_dump())) is not None:
        return told
    known: float | None = None if _prices(settings) else response._hidden_params.get("response_cost")
    if not known and billed:
        known = usd_of(settings, billed.prompt_tokens, billed.completion_tokens) or known
    return known


def prompt_tokens(messages: Messages) -> int:
    """Return the estimated tokens of messages, with the calls in them."""
    return sum(
        estimate(message["content"] or "")
        + sum(estimate(json.dumps(message[field])) for field in ("tool_calls", THOUGHTS) if field in message)
        for message in messages
    )


def usd_of(settings: ModelSettings, asked: int, answered: int) -> float:
    """Return what a call of so many tokens costs at most; 0 where the model's prices are not known."""
    try:
        prompt, completion = load_litellm().cost_per_token(
            model=settings.model,
            prompt_tokens=asked,
            completion_tokens=answered,
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
    if status in (400, 422):
        message = f"{settings.model} answered {status}: {text} Check MODEL and MODEL_BASE_URL."
        return _Refused(message, str(error))
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
