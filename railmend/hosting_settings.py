"""The settings of the processes themselves: Temporal, encryption, observability, notifications."""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
REPOSITORY = r"^[\w.-]+/[\w.-]+$"
ADDRESS = r"^\S+:\d{1,5}$"
MAILBOX = r"^[^@\s<>]+@[^@\s<>]+$"


class Slots(BaseModel):
    """How much one worker process does at once. Orchestration: workflow tasks and activities; then the rest.

    `cached_workflows`: open runs that orchestration keeps in memory; another is replayed at its next step.
    A coding session runs a server of about half a gigabyte; a diagnosis mostly waits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow_tasks: int = Field(100, ge=2)
    activities: int = Field(50, ge=1)
    cached_workflows: int = Field(1000, ge=0)
    diagnoses: int = Field(4, ge=1)
    sessions: int = Field(2, ge=1)


class HostingSettings(BaseSettings):
    """The part of `Settings` that no rule, prompt or report depends on."""

    model_config = SettingsConfigDict(defer_build=True)  # built once, as part of `Settings`

    temporal_address: str = Field("127.0.0.1:7233", description="host and port of the Temporal server")
    temporal_namespace: str = Field("default", description="its namespace")
    temporal_api_key: SecretStr | None = Field(None, description="of Temporal Cloud, see operations.md")
    temporal_tls: bool | None = Field(None, description="default: on with an API key or a certificate")
    temporal_tls_server_name: str | None = Field(
        None, description="the name in the server's certificate, where it differs from the address"
    )
    temporal_tls_server_ca_cert_path: Path | None = Field(
        None, description="who signed the server's certificate, where it is no public authority"
    )
    temporal_tls_client_cert_path: Path | None = Field(None, description="the worker's certificate (mTLS)")
    temporal_tls_client_key_path: Path | None = Field(None, description="its key")
    railmend_encryption_keys: SecretStr | None = Field(None, description="ID:BASE64, the first encrypts")
    railmend_encryption_strict: bool = Field(
        False, description="refuse payloads that are not encrypted, once no history from before is left"
    )
    railmend_artifacts: str | None = Field(
        None,
        description="where evidence and other large results are kept: a folder, or s3://BUCKET/PREFIX; the "
        "same for all workers and commands; default: `artifacts` in the state directory, see operations.md",
    )
    railmend_artifacts_endpoint: str | None = Field(
        None, pattern=r"^https?://", description="address of a service other than AWS that speaks S3"
    )
    railmend_artifacts_region: str = Field("us-east-1", description="the bucket's region")
    railmend_artifacts_key_id: SecretStr | None = Field(
        None, description="access key for the bucket; default: as AWS's own tools find one"
    )
    railmend_artifacts_secret: SecretStr | None = Field(None, description="its secret")
    railmend_codec_token: SecretStr | None = Field(None, description="what the Web UI shows the codec server")
    railmend_codec_origins: tuple[str, ...] = Field(
        ("http://localhost:8080", "http://127.0.0.1:8080"),
        description="where the Web UI may ask the codec server from",
    )
    railmend_build_id: str | None = Field(None, description="turns on worker versioning")
    railmend_deployment: str = Field("railmend", description="name of the worker deployment, with a build id")
    railmend_grace_seconds: int = Field(
        5, ge=0, le=3600, description="how long a stopping worker may take to finish its work"
    )
    slots: Slots = Field(Slots(), description="how much a worker does at once, see operations.md")
    railmend_log_level: LogLevel = Field("INFO", description="of the worker's JSON logs")
    railmend_metrics_address: str | None = Field(
        None, pattern=ADDRESS, description="host:port for Prometheus, see observability.md"
    )
    railmend_health_address: str | None = Field(
        None, pattern=ADDRESS, description="host:port of the health endpoint"
    )
    railmend_page_address: str | None = Field(
        None,
        pattern=ADDRESS,
        description="host:port where a worker serves the live page, see operations.md",
    )
    railmend_page_url: str | None = Field(
        None, description="where browsers reach it; needed unless it listens on this machine alone"
    )
    railmend_page_token: SecretStr | None = Field(
        None,
        min_length=24,
        description="what admits to it; default: a new one at each start, see there",
    )
    railmend_tracing: bool = Field(False, description="OpenTelemetry traces, see observability.md")
    railmend_web_url: str | None = Field(None, description="of the Temporal Web UI, for links")
    notify_slack_url: SecretStr | None = Field(
        None, description="Slack-compatible webhook for messages to people, see operations.md"
    )
    notify_webhook_url: SecretStr | None = Field(None, description="webhook for the same as signed JSON")
    notify_webhook_secret: SecretStr | None = Field(None, description="what signs it")
    notify_github_repository: str | None = Field(
        None, pattern=REPOSITORY, description="owner/name where incidents become issues"
    )
    notify_smtp_url: SecretStr | None = Field(
        None, description="smtps://USER:PASSWORD@HOST:PORT for e-mail; smtp:// begins TLS with STARTTLS"
    )
    notify_email_from: str | None = Field(None, pattern=MAILBOX, description="whom e-mail is from")
    notify_email_to: tuple[str, ...] = Field((), description="who gets it, as a JSON list")
    notify_urls: SecretStr | None = Field(
        None, description="of any other service, as Apprise writes them; one a line"
    )
    notify_per_hour: int = Field(
        30, ge=1, description="most messages an hour from one worker; the last says that more were left out"
    )

    @field_validator("railmend_codec_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """As a browser sends them: scheme and host, no path; `*` would let any page read the payloads."""
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or origin != origin.rstrip("/"):
                raise ValueError(f"{origin!r} is not an origin: write https://HOST[:PORT], without a path")
        return origins

    @model_validator(mode="after")
    def _pairs(self) -> "HostingSettings":
        if bool(self.temporal_tls_client_cert_path) != bool(self.temporal_tls_client_key_path):
            raise ValueError("set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH together")
        if self.temporal_tls is False and (self.temporal_api_key or self.temporal_tls_client_cert_path):
            raise ValueError("TEMPORAL_TLS=false would send the API key or certificate's traffic unencrypted")
        if bool(self.railmend_artifacts_key_id) != bool(self.railmend_artifacts_secret):
            raise ValueError("set RAILMEND_ARTIFACTS_KEY_ID and RAILMEND_ARTIFACTS_SECRET together")
        if self.railmend_artifacts and re.match(r"(?!s3://[^/]+)\w+://", self.railmend_artifacts):
            raise ValueError("RAILMEND_ARTIFACTS is a folder or s3://BUCKET/PREFIX")
        if bool(self.notify_webhook_url) != bool(self.notify_webhook_secret):
            raise ValueError("set NOTIFY_WEBHOOK_URL and NOTIFY_WEBHOOK_SECRET together: calls are signed")
        email = (self.notify_smtp_url, self.notify_email_from, self.notify_email_to)
        if any(email) and not all(email):
            raise ValueError("set NOTIFY_SMTP_URL, NOTIFY_EMAIL_FROM and NOTIFY_EMAIL_TO together")
        server = urlsplit(self.notify_smtp_url.get_secret_value()) if self.notify_smtp_url else None
        if server and (server.scheme not in ("smtp", "smtps") or not server.hostname):
            raise ValueError("NOTIFY_SMTP_URL is smtps://USER:PASSWORD@HOST:PORT, or smtp:// for STARTTLS")
        if server and not _has_port(server):
            raise ValueError("NOTIFY_SMTP_URL: in user and password / ? # : @ are %2F %3F %23 %3A %40")
        return self

    def notifies(self) -> bool:
        """Whether anybody wants messages."""
        ours = (self.notify_slack_url, self.notify_webhook_url, self.notify_github_repository)
        return any((*ours, self.notify_smtp_url, self.notify_urls))


def _has_port(parts: SplitResult) -> bool:
    """Return whether a port can be read, or none is named; the error itself would quote a password."""
    try:
        return (parts.port or 1) > 0
    except ValueError:
        return False
