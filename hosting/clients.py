"""The clients of the outside systems, built once per process from the settings."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError

from railmend.coding.server import CodingServer, ModelEndpoint, OpenCodeServer, RunningServer
from railmend.coding.session import Limits
from railmend.diagnosis.model import ModelSettings
from railmend.publishing.github import GitHubClient
from railmend.railway.client import RailwayClient
from railmend.railway.limits import Gate
from railmend.railway.transport import Transport
from railmend.settings import Settings
from workflows.plugin import railmend_plugin

log = structlog.get_logger(__name__)

CONNECT_TRIES = 10
RAILWAY_TIMEOUT = 30.0
LOOPBACK = ("http://127.0.0.1", "http://localhost")


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message names it and the next step."""


def require(settings: Settings, *names: str) -> None:
    missing = settings.missing(*names)
    if missing:
        raise ConfigurationError(
            f"Not set: {', '.join(missing)}. Set them in the environment or in .env; the README says where "
            "each comes from."
        )


def _secret(settings: Settings, name: str) -> SecretStr:
    require(settings, name)
    value: SecretStr = getattr(settings, name)
    return value


async def temporal(settings: Settings) -> Client:
    """Connect; a worker may boot before the server does, so the first tries may fail."""
    for attempt in range(1, CONNECT_TRIES + 1):
        try:
            return await Client.connect(
                settings.temporal_address, namespace=settings.temporal_namespace, plugins=[railmend_plugin()]
            )
        except (RuntimeError, RPCError) as error:
            if attempt == CONNECT_TRIES:
                raise ConfigurationError(
                    f"No Temporal server answers at {settings.temporal_address} ({error}). Start one, set "
                    "TEMPORAL_ADDRESS, or run `python worker.py --dev`, which brings its own."
                ) from error
            await asyncio.sleep(min(0.5 * attempt, 3))
    raise AssertionError("unreachable")


def railway(settings: Settings) -> RailwayClient:
    token = _secret(settings, "railway_token")
    return RailwayClient(settings.railway_api_url, token, settings.railway_token_kind)


def railway_transport(settings: Settings, gate: Gate) -> Transport:
    """For what an investigation asks beside the client, within one limit: `gate` is the client's."""
    token = _secret(settings, "railway_token")
    url, kind = settings.railway_api_url, settings.railway_token_kind
    return Transport(url, token, kind, None, RAILWAY_TIMEOUT, gate)


def secrets(settings: Settings) -> tuple[str, ...]:
    """The values that this process holds: evidence never shows them."""
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))


def github(settings: Settings) -> GitHubClient:
    # Pacing protects from GitHub's secondary limits; a server on this machine has none.
    pace = not settings.github_api_url.startswith(LOOPBACK)
    return GitHubClient(settings.github_api_url, _secret(settings, "github_token"), pace=pace)


def model(settings: Settings) -> ModelSettings:
    require(settings, "model", "model_api_key")
    return ModelSettings(
        model=settings.model or "", base_url=settings.model_base_url, api_key=settings.model_api_key
    )


def coding_model(settings: Settings) -> ModelEndpoint:
    require(settings, "model")
    base_url = settings.coding_base_url()
    if base_url is None:
        raise ConfigurationError(
            f"The coding agent needs an OpenAI-compatible address for MODEL={settings.model}: "
            "set MODEL_BASE_URL."
        )
    return ModelEndpoint(
        base_url=base_url,
        model_id=(settings.model or "").partition("/")[2] or (settings.model or ""),
        api_key=_secret(settings, "model_api_key"),
    )


def limits(settings: Settings) -> Limits:
    return Limits(
        seconds=settings.railmend_session_seconds,
        model_calls=settings.railmend_session_calls,
        cost_usd=settings.railmend_session_usd,
    )


def opencode_binary(settings: Settings) -> Path:
    """OPENCODE_BIN, or the pinned one that `make setup` installs."""
    if settings.opencode_bin:
        if settings.opencode_bin.is_file():
            return settings.opencode_bin.absolute()
        raise ConfigurationError(f"OPENCODE_BIN={settings.opencode_bin} is not a file.")
    modules = Path(__file__).resolve().parent.parent / "node_modules"
    for name in (
        "opencode-linux-x64",
        "opencode-linux-arm64",
        "opencode-darwin-arm64",
        "opencode-darwin-x64",
    ):
        binary = modules / name / "bin" / "opencode"
        if binary.is_file():
            return binary
    raise ConfigurationError("OpenCode is not installed: run `make setup`, or set OPENCODE_BIN.")


def coding_servers(settings: Settings) -> Callable[[Path, Path], CodingServer]:
    """One server per repair, or with OPENCODE_URL the one that already runs."""
    url = settings.opencode_url
    if url:
        return lambda _state, _tree: RunningServer(url, settings.opencode_password)
    binary, tools, endpoint = opencode_binary(settings), tools_path(), coding_model(settings)
    return lambda state, tree: OpenCodeServer(state, tree, binary, tools, endpoint)


def tools_path() -> str:
    """Where the agent finds ripgrep: the environment's own bin, as an absolute path."""
    return str(Path(sys.executable).absolute().parent)
