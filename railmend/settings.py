"""Every setting, from the environment, checked at start. Read by the entry points only."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from railmend.coding.checks import CheckSettings
from railmend.coding.guard import GuardSettings

# OpenAI-compatible addresses of providers by litellm prefix, for the coding agent; others set MODEL_BASE_URL.
KNOWN_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
}


class Settings(BaseSettings):
    """Names in the environment are the field names in upper case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    railway_api_url: str = "https://backboard.railway.com/graphql/v2"
    railway_token: SecretStr | None = None
    railway_token_kind: Literal["project", "bearer"] = "project"  # noqa: S105 - a kind, not a token
    railway_project_id: str | None = None
    railway_environment_id: str | None = None
    github_api_url: str = "https://api.github.com"
    github_token: SecretStr | None = None
    model: str | None = None
    model_base_url: str | None = None
    model_api_key: SecretStr | None = None
    # USD per million tokens, where litellm's table does not know the model.
    model_input_usd: float | None = Field(None, ge=0)
    model_output_usd: float | None = Field(None, ge=0)
    opencode_bin: Path | None = None
    opencode_url: str | None = None
    opencode_password: SecretStr | None = None
    railmend_state_dir: Path = Path(".railmend")
    railmend_window_seconds: int = Field(180 * 60, ge=10, le=30 * 24 * 3600)
    railmend_step_seconds: int = Field(60, ge=1, le=3600)
    railmend_settle_seconds: int = Field(60, ge=0, le=3600)
    railmend_session_seconds: int = Field(1800, ge=10, le=6 * 3600)
    railmend_session_calls: int = Field(80, ge=1, le=1000)
    railmend_session_tokens: int = Field(3_000_000, ge=1000)
    railmend_session_usd: float = Field(5.0, ge=0)
    railmend_sandbox: Literal["bwrap", "user", "none"] = "bwrap"
    railmend_unsafe_agent: bool = False
    # Colon-separated, as PATH is: folders the sandbox shows read-only, whose `bin` goes on its PATH.
    railmend_toolchains: str = ""
    railmend_disk_mib: int = Field(2048, ge=16)
    railmend_memory_mib: int = Field(4096, ge=256)
    railmend_guard: GuardSettings = GuardSettings()
    railmend_checks: dict[str, CheckSettings] = {}
    # Comma-separated; empty: the public package registries.
    railmend_prepare_hosts: str = ""

    def missing(self, *names: str) -> list[str]:
        """The environment names of those settings that are not set."""
        return [name.upper() for name in names if not getattr(self, name)]

    def coding_base_url(self) -> str | None:
        """Where the coding agent reaches the model: an OpenAI-compatible address."""
        if self.model_base_url:
            return self.model_base_url
        return KNOWN_BASE_URLS.get((self.model or "").partition("/")[0])

    def toolchains(self) -> tuple[Path, ...]:
        return tuple(Path(each).absolute() for each in self.railmend_toolchains.split(":") if each)

    def prepare_hosts(self) -> tuple[str, ...]:
        return tuple(host.strip() for host in self.railmend_prepare_hosts.split(",") if host.strip())

    def state_dir(self) -> Path:
        return self.railmend_state_dir.absolute()
