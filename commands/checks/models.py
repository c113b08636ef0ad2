"""The model: set, priced, and answering; the coding agent's address; OpenCode."""

import asyncio

from pydantic import BaseModel, SecretStr

from commands.checks.check import Check, CheckFailed, CheckResult, ok, warning
from hosting import clients
from railmend.coding.opencode import VERSION
from railmend.coding.server import RunningServer, ServerError
from railmend.diagnosis.model import ModelError, ModelUsage, ask
from railmend.settings import ConfigurationError, Settings

QUESTION = [{"role": "user", "content": "Answer with the word yes."}]


class ProbeAnswer(BaseModel):
    word: str


def checks(settings: Settings, *, ask: bool) -> tuple[Check, ...]:
    model = (Check("model", lambda: _answers(settings)),) if ask else ()
    return (
        *model,
        Check("price", lambda: _price(settings)),
        Check("opencode", lambda: _opencode(settings)),
        Check("opencode provider", lambda: _provider(settings)),
    )


async def _answers(settings: Settings) -> list[CheckResult]:
    try:
        model = clients.model(settings)
    except ConfigurationError as error:
        return warning(
            "model",
            f"{str(error).split('. ')[0]}: scans only measure and report",
            "for diagnoses and repairs set MODEL (provider/name) and MODEL_API_KEY",
        )
    try:
        reply = await ask(QUESTION, ProbeAnswer, model, ModelUsage())
    except ModelError as error:
        raise CheckFailed(str(error)) from error
    cost = "" if reply.cost_usd is None else f", {reply.cost_usd:.6f} USD"
    return ok("model", f"{reply.model} answers ({reply.tokens} tokens{cost})")


async def _price(settings: Settings) -> list[CheckResult]:
    if not settings.model:
        return warning(
            "price", "MODEL is not set: scans only measure and report", "set MODEL (provider/name)"
        )
    price = clients.prices(settings)
    if any(price):
        return ok("price", f"{price[0]:g} USD in, {price[1]:g} USD out for a million tokens")
    return warning(
        "price",
        f"of {settings.model} is not known: only numbers of runs bound the spending",
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


async def _provider(settings: Settings) -> list[CheckResult]:
    try:
        endpoint = clients.coding_model(settings)
    except ConfigurationError as error:
        raise CheckFailed(str(error)) from error
    return ok("opencode provider", f"model {endpoint.model_id} by the gateway to {endpoint.base_url}")
