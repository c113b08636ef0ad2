"""The model: set, priced, and answering; the coding agent's address; OpenCode."""

import asyncio

from pydantic import BaseModel, SecretStr

from commands.checks.check import Check, CheckFailed, CheckResult, ok, warning
from hosting import clients, models
from hosting.gateway.probe import ProbeFailed, probe
from railmend.coding.metering.meter import SessionLimits
from railmend.coding.session.opencode import VERSION
from railmend.coding.session.server import RunningServer, ServerError
from railmend.diagnosis.answer import parse
from railmend.diagnosis.model import ModelError, ModelUsage, Question, ask, load_litellm
from railmend.settings import ConfigurationError, Settings


class ProbeAnswer(BaseModel):
    word: str


QUESTION = Question(
    messages=[{"role": "user", "content": "Answer with the word yes, as JSON."}], answer=ProbeAnswer
)


def checks(settings: Settings, *, ask: bool) -> tuple[Check, ...]:
    model = (Check("model", lambda: _answers(settings)),) if ask else ()
    return (
        *model,
        Check("price", lambda: _price(settings)),
        Check("opencode", lambda: _opencode(settings)),
        Check("opencode provider", lambda: _provider(settings, ask=ask)),
    )


async def _answers(settings: Settings) -> list[CheckResult]:
    try:
        model = models.model(settings)
    except ConfigurationError as error:
        if not settings.missing("model", "model_api_key"):
            raise CheckFailed(str(error)) from error
        return warning(
            "model",
            f"{str(error).split('. ')[0]}: scans only measure and report",
            "for diagnoses and repairs set MODEL (provider/name) and MODEL_API_KEY",
        )
    await asyncio.to_thread(load_litellm)  # for seconds, in which the other checks go on
    try:
        reply = await ask(QUESTION, model, ModelUsage())
    except ModelError as error:
        raise CheckFailed(str(error)) from error
    answer, errors = parse(reply.text, ProbeAnswer)
    if answer is None:
        raise CheckFailed(f"{reply.model} gives no answer in JSON: {errors[0]}", "choose another MODEL")
    cost = "" if reply.cost_usd is None else f", {reply.cost_usd:.6f} USD"
    return ok("model", f"{reply.model} answers with valid JSON ({reply.tokens} tokens{cost})")


async def _price(settings: Settings) -> list[CheckResult]:
    if not settings.model:
        return warning(
            "price", "MODEL is not set: scans only measure and report", "set MODEL (provider/name)"
        )
    price = models.prices(settings)
    if not any(price) and settings.model.startswith("openrouter/"):
        return ok("price", "comes from OpenRouter with each answer")
    if any(price):
        return ok("price", f"{price[0]:g} USD in, {price[1]:g} USD out for a million tokens")
    return warning(
        "price",
        f"not known for {settings.model}: only the number of runs bounds the spending",
        "set MODEL_INPUT_USD and MODEL_OUTPUT_USD (USD for a million tokens)",
    )


async def _opencode(settings: Settings) -> list[CheckResult]:
    if settings.opencode_url:
        return _as_tested(await _running(settings.opencode_url, settings.opencode_password))
    if settings.railmend_sandbox == "remote":
        return ok("opencode", "the agents' container brings its own")
    try:
        binary = clients.opencode_binary(settings)
    except ConfigurationError as error:
        message, _, hint = str(error).partition(": ")
        raise CheckFailed(message, hint) from error
    process = await asyncio.create_subprocess_exec(
        str(binary),
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise CheckFailed(
            f"{binary.name} does not start: {err.decode(errors='replace')[-200:].strip()}", "run `make setup`"
        )
    return _as_tested(out.decode().strip())


async def _running(url: str, password: SecretStr | None) -> str:
    """Return the version of the server at OPENCODE_URL."""
    server = RunningServer(url, password)
    try:
        await server.start_or_adopt()
        async with server.connect() as client:
            return str((await client.get("/global/health")).json().get("version"))
    except ServerError as error:
        message, _, hint = str(error).partition(": ")
        raise CheckFailed(message, hint) from error


def _as_tested(version: str) -> list[CheckResult]:
    if version == VERSION:
        return ok("opencode", f"version {version}")
    return warning(
        "opencode",
        f"version {version}, Railmend is tested with {VERSION}",
        "run `make setup` and leave OPENCODE_BIN and OPENCODE_URL unset",
    )


async def _provider(settings: Settings, *, ask: bool) -> list[CheckResult]:
    """With `ask`: have a tool called through a gateway as the coding agent's, in the model's dialect."""
    try:
        endpoint = models.coding_model(settings)
    except ConfigurationError as error:
        raise CheckFailed(str(error)) from error
    there = f"{endpoint.model_id} through the gateway to {endpoint.base_url} ({endpoint.dialect.value})"
    if not ask or settings.opencode_url:
        return ok("opencode provider", f"model {there}")
    endpoint = await asyncio.to_thread(models.with_listed_limits, settings, endpoint)
    limits = SessionLimits(model_calls=1, stall_seconds=settings.railmend_diagnosis_seconds)
    try:
        called = await probe(endpoint, limits)
    except ProbeFailed as error:
        raise CheckFailed(str(error), "check MODEL, MODEL_BASE_URL and MODEL_DIALECT") from error
    if not called:
        raise CheckFailed(f"{there} answers without calling the tool it was given", "choose another MODEL")
    reads = f"reads {endpoint.context_limit:,} tokens, answers with {endpoint.output_limit:,} at most"
    return ok("opencode provider", f"model {there} calls a tool; {reads}")
