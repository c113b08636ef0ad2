"""Every setting, from the environment, `.env` and railmend.toml, checked at start; read by the entry points.

The environment wins over `.env`, and both over railmend.toml. Secrets come from the environment, or from the
file that NAME_FILE names; railmend.toml names the variable that holds a token.
"""

import os
import tomllib
from collections import Counter
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from railmend.assessment.overrides import AssessmentRules
from railmend.coding.checks import CheckSettings
from railmend.coding.guard_settings import GuardSettings
from railmend.contracts.ledger import Budget
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.scan import Autonomy
from railmend.hosting_settings import HostingSettings
from railmend.railway.limits import Limits
from railmend.secrets import ENV_FILE, SecretRefused, secret

# OpenAI-compatible addresses of providers by litellm prefix, for the coding agent; others set MODEL_BASE_URL.
KNOWN_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "deepseek": "https://api.deepseek.com/v1",
}
CONFIG_VARIABLE, CONFIG_FILE = "RAILMEND_CONFIG", "railmend.toml"
TokenKindSetting = Literal["auto", "project", "bearer"]


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message names it and the next step."""


class ServiceSettings(BaseModel):
    """Where one service differs from its project: a table `[projects.services.NAME]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    autonomy: Autonomy | None = None


class ProjectSettings(BaseModel):
    """One environment of one Railway project that Railmend watches: a table `[[projects]]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="what the command line calls it; each name once")
    project_id: str = Field(min_length=1)
    environment_id: str = Field(min_length=1)
    token_env: str = Field("RAILWAY_TOKEN", description="the environment variable that holds its token")
    token_kind: TokenKindSetting = "auto"  # noqa: S105 - a kind, not a token
    autonomy: Autonomy = Autonomy.PULL_REQUEST
    pull_request_environment: bool = Field(
        False, description="look at it although Railway made it for a pull request"
    )
    assessment: AssessmentRules = Field(AssessmentRules(), description="laid over the general table")
    services: dict[str, ServiceSettings] = Field(
        default_factory=dict, description="by service name, where a service differs"
    )


def config_file() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE)


class Settings(HostingSettings):
    """Names in the environment are the field names in upper case; in the file they stand in lower case."""

    # Inputs stay out of errors: where one setting is wrong, pydantic would show all of them, secrets too.
    model_config = SettingsConfigDict(
        env_file=ENV_FILE, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    railway_api_url: str = "https://backboard.railway.com/graphql/v2"
    railway_token: SecretStr | None = None
    railway_token_kind: TokenKindSetting = "auto"  # noqa: S105 - a kind, not a token
    railway_project_id: str | None = None
    railway_environment_id: str | None = None
    railway_limits: Limits = Limits()
    projects: tuple[ProjectSettings, ...] = ()
    assessment: AssessmentRules = AssessmentRules()
    github_api_url: str = "https://api.github.com"
    github_token: SecretStr | None = None
    github_app_id: str | None = None
    github_app_key: SecretStr | None = None
    model: str | None = None
    model_base_url: str | None = None
    model_api_key: SecretStr | None = None
    model_input_usd: float | None = Field(None, ge=0)
    model_output_usd: float | None = Field(None, ge=0)
    model_fallbacks: tuple[str, ...] = ()
    sceptic: bool = True
    sceptic_model: str | None = None
    budget: Budget = Budget()
    opencode_bin: Path | None = None
    opencode_url: str | None = None
    opencode_password: SecretStr | None = None
    provider_status_urls: dict[str, str] = Field(
        default_factory=dict, description="other addresses of status pages, by provider id"
    )
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
    railmend_checks: dict[str, CheckSettings] = Field(default_factory=dict)
    # Comma-separated; empty: the public package registries.
    railmend_prepare_hosts: str = ""
    railmend_diagnosis_usd: float = Field(0.5, ge=0)
    railmend_follow_up: FollowUp = FollowUp()
    railmend_approval_days: int = Field(7, ge=1, le=30)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = _File(settings_cls, config_file())
        return init_settings, _Secrets(settings_cls), env_settings, dotenv_settings, file

    @model_validator(mode="before")
    @classmethod
    def _empty_secrets_are_not_set(cls, values: dict[str, Any]) -> dict[str, Any]:
        names = {name for name, field in cls.model_fields.items() if _is_secret(field)}
        return {name: value for name, value in values.items() if not (name in names and value == "")}

    @model_validator(mode="after")
    def _each_once(self) -> "Settings":
        for what in ("name", "environment_id"):
            counted = Counter(getattr(project, what) for project in self.projects)
            twice = [value for value, count in counted.items() if count > 1]
            if twice:
                raise ValueError(f"projects: {what} {', '.join(twice)} stands there more than once")
        return self

    def watched(self) -> tuple[ProjectSettings, ...]:
        """The file's projects; without any, the one that the environment names."""
        if self.projects or not (self.railway_project_id and self.railway_environment_id):
            return self.projects
        return (
            ProjectSettings(
                name="default",
                project_id=self.railway_project_id,
                environment_id=self.railway_environment_id,
                token_kind=self.railway_token_kind,
            ),
        )

    def token_of(self, project: ProjectSettings) -> SecretStr | None:
        """From the variable that the project names, or from the file that its `_FILE` names."""
        text = _secret(project.token_env)
        return SecretStr(text) if text else None

    def policy(self) -> Policy:
        return Policy(
            budget=self.budget,
            diagnosis_usd=self.railmend_diagnosis_usd,
            session_usd=self.railmend_session_usd,
            sceptic=self.sceptic,
            approval_days=self.railmend_approval_days,
            notify=self.notifies(),
            follow_up=self.railmend_follow_up,
        )

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


def _secret(name: str) -> str | None:
    try:
        return secret(name)
    except SecretRefused as error:
        raise ConfigurationError(str(error)) from error


def secret_variables() -> tuple[str, ...]:
    """Every environment variable that holds a secret of the settings, or names its file."""
    names = [name.upper() for name, field in Settings.model_fields.items() if _is_secret(field)]
    return tuple(variable for name in names for variable in (name, f"{name}_FILE"))


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


class _Secrets(PydanticBaseSettingsSource):
    """Every secret setting NAME, also from the file that NAME_FILE names; what is wrong is told at once."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return (_secret(field_name.upper()) if _is_secret(field) else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        wrong: list[str] = []
        for name, field in self.settings_cls.model_fields.items():
            try:
                value, _, _ = self.get_field_value(field, name)
            except ConfigurationError as error:
                wrong.append(str(error))
                continue
            if value is not None:
                found[name] = value
        if wrong:
            raise ConfigurationError("\n".join(wrong))
        return found


class _File(TomlConfigSettingsSource):
    """railmend.toml: unknown names and secrets are refused, and one that is named but missing, too."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        if CONFIG_VARIABLE in os.environ and not path.is_file():
            raise ConfigurationError(f"{CONFIG_VARIABLE}={path} is not a file.")
        super().__init__(settings_cls, path)

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        text = file_path.read_text()
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{file_path}: {error}") from error
        wrong = [_refusal(file_path, text, name) for name in content]
        if any(wrong):
            raise ConfigurationError("\n".join(filter(None, wrong)))
        return content


def _refusal(file: Path | Traversable, text: str, name: str) -> str:
    """What is wrong with a top-level name of the file; empty where nothing is."""
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines, 1) if line.strip().strip("[] ").startswith(name)), 1)
    field = Settings.model_fields.get(name)
    if field is None:
        known = ", ".join(sorted(Settings.model_fields))
        return f"{file}:{at}: {name!r} is no setting. Known are: {known}."
    if _is_secret(field):
        return f"{file}:{at}: {name!r} is a secret: set {name.upper()} in the environment instead."
    return ""
