"""The connection to Temporal: a server of one's own, one with TLS, or Temporal Cloud."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS, ClientConnectConfig
from temporalio.service import RPCError

from railmend.settings import ConfigurationError, Settings
from workflows.shared.converter import converter

if TYPE_CHECKING:
    from hosting.codec import EncryptionCodec

MAX_REASON = 300


async def connect(settings: Settings, *, tries: int = 1, **more: Any) -> Client:
    """Connect to Temporal; with `tries` wait for a server that starts. `more`: for `Client.connect`.

    A command connects so: what a worker needs besides takes half a second to import. Raise
    `ConfigurationError` when no server answers.
    """
    given = {"data_converter": converter(codec_of(settings)), **options(settings), **more}
    for attempt in range(1, tries + 1):
        try:
            return await Client.connect(**given)
        except (RuntimeError, RPCError) as error:
            if attempt == tries:
                raise ConfigurationError(
                    f"No Temporal server answers at {settings.temporal_address} ({_reason(error)}). Start "
                    "one, set TEMPORAL_ADDRESS (for Temporal Cloud also TEMPORAL_NAMESPACE and "
                    "TEMPORAL_API_KEY), or run `python worker.py --dev`, which brings its own."
                ) from error
            if attempt == 1:
                import structlog

                log = structlog.get_logger(__name__)
                log.info("waiting for Temporal", address=settings.temporal_address)
            await asyncio.sleep(min(0.5 * attempt, 3))
    raise AssertionError("unreachable")


def codec_of(settings: Settings) -> "EncryptionCodec | None":
    """Return the codec, importing cryptography where one is set alone."""
    if settings.railmend_encryption_keys is None and not settings.railmend_encryption_strict:
        return None
    from hosting.codec import codec

    return codec(settings)


def _reason(error: Exception) -> str:
    """Return the operating system's message, which the SDK's error wraps several times."""
    inner = re.search(r'message: "([^"]+)"', str(error))
    return inner[1] if inner else str(error)[:MAX_REASON]


def profile(settings: Settings) -> ClientConfigProfile:
    """Return the settings in the form that Temporal's own tools read from the same variables."""
    key: SecretStr | None = settings.temporal_api_key
    return ClientConfigProfile(
        address=settings.temporal_address,
        namespace=settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=_tls(settings),
    )


def _tls(settings: Settings) -> ClientConfigTLS | None:
    files = (settings.temporal_tls_server_ca_cert_path, settings.temporal_tls_client_cert_path)
    if not (settings.temporal_tls or settings.temporal_tls_server_name or any(files)):
        return None  # an API key turns TLS on by itself
    return ClientConfigTLS(
        disabled=False,
        server_name=settings.temporal_tls_server_name,
        server_root_ca_cert=settings.temporal_tls_server_ca_cert_path,
        client_cert=settings.temporal_tls_client_cert_path,
        client_private_key=settings.temporal_tls_client_key_path,
    )


def local(settings: Settings, address: str, web: str | None = None) -> Settings:
    """Return the same settings for a server on this machine: plain, default namespace, with its Web UI."""
    plain = {name: None for name in Settings.model_fields if name.startswith("temporal_tls")}
    own = {"temporal_address": address, "temporal_namespace": "default", "temporal_api_key": None}
    links = {"railmend_web_url": settings.railmend_web_url or web}
    return settings.model_copy(update={**plain, **own, **links})


def options(settings: Settings) -> ClientConnectConfig:
    """Keyword arguments of `Client.connect`. Raises `ConfigurationError` for an unreadable certificate."""
    try:
        return profile(settings).to_client_connect_config()
    except OSError as error:
        raise ConfigurationError(f"TEMPORAL_TLS_*: {error.filename}: {error.strerror}.") from error
