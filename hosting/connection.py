"""The connection to Temporal: a server of one's own, one with TLS, or Temporal Cloud."""

from pydantic import SecretStr
from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS, ClientConnectConfig

from railmend.settings import ConfigurationError, Settings


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
