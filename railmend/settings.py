"""Every setting, from the environment, `.env` and railmend.toml, checked at start; read by the entry points.

The environment wins over `.env`, and both over railmend.toml. Secrets come from the environment, or from the
file that NAME_FILE names; railmend.toml names the variable that holds a token.
"""

import difflib
import os
import tomllib
from collections import Counter
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from railmend.assessment.settings import AssessmentRules
from railmend.coding.metering.dialects import Dialect
from railmend.coding.settings import CheckSettings, GuardSettings
from railmend.contracts.autonomy import Autonomy, EarnedAutonomy
from railmend.contracts.ledger import Budget
from railmend.contracts.policy import FollowUp, Policy
from railmend.hosting_settings import HostingSettings
from railmend.railway.limits import RateLimits
from railmend.secrets import ENV_FILE, SecretRefused, secret

MORE_THAN_ONCE = "is there more than once"
METHOD = "(?:GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE)"
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
    autonomy: Autonomy | None = Field(None, description="default: RAILMEND_AUTONOMY")
    pull_request_environment: bool = Field(
        False, description="watch it although Railway created it for a pull request"
    )
    assessment: AssessmentRules = Field(AssessmentRules(), description="overrides the general table")
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

    railway_api_url: str = Field(
        "https://backboard.railway.com/graphql/v2", description="Railway's GraphQL endpoint"
    )
    railway_token: SecretStr | None = Field(None, description="token for it")
    railway_token_kind: TokenKindSetting = Field(
        "auto",
        description="detected at start; project: project token; bearer: account, workspace or OAuth token",
    )
    railway_project_id: str | None = Field(None, description="the project to look at, without railmend.toml")
    railway_environment_id: str | None = Field(None, description="its environment")
    railway_limits: RateLimits = Field(RateLimits(), description="what Railway allows, see below")
    projects: tuple[ProjectSettings, ...] = Field((), description="the environments to look at, see below")
    assessment: AssessmentRules = Field(AssessmentRules(), description="thresholds, see assessment.md")
    github_api_url: str = Field(
        "https://api.github.com", description="for GitHub Enterprise https://HOST/api/v3"
    )
    github_token: SecretStr | None = Field(
        None, description="token that may push branches and open pull requests"
    )
    github_app_id: str | None = Field(
        None, description="instead of the token: the number or client id of an app"
    )
    github_app_key: SecretStr | None = Field(None, description="the app's private key (PEM)")
    railmend_former_github_ids: tuple[int, ...] = Field(
        (), description="ids (GET /users/LOGIN) of GitHub accounts that Railmend wrote with before this one"
    )
    model: str | None = Field(None, description="provider/name, as litellm writes it")
    model_base_url: str | None = Field(
        None, description="address of the model's server, with or without /v1; default: the provider's"
    )
    model_dialect: Dialect | None = Field(
        None,
        description="the API by which the model is asked; default: by the prefix of MODEL, and "
        "chat completions for a server at MODEL_BASE_URL that only copies OpenAI's",
    )
    model_context_tokens: int | None = Field(
        None, ge=8000, description="tokens the model reads at most; default: as its provider says, or 128000"
    )
    model_output_tokens: int | None = Field(
        None, ge=512, description="tokens of its longest answer; default: as its provider says, or 8192"
    )
    model_api_key: SecretStr | None = Field(None, description="key for the model")
    model_input_usd: float | None = Field(
        None,
        ge=0,
        description="USD for a million tokens in, for a model whose price is not known; "
        "without one a diagnosis counts as 0 USD and only the numbers of runs bound it",
    )
    model_output_usd: float | None = Field(None, ge=0, description="the same for tokens out")
    model_fallbacks: tuple[str, ...] = Field(
        (),
        description="models asked in turn when MODEL does not answer; another provider's "
        "key is read from its own variable, such as ANTHROPIC_API_KEY",
    )
    sceptic: bool = Field(
        True, description="a second pass tries to refute each verdict that would change code"
    )
    sceptic_model: str | None = Field(
        None, description="the model for that pass, default MODEL; may be a cheaper one"
    )
    budget: Budget = Field(Budget(), description="what may be spent on models, see below")
    opencode_bin: Path | None = Field(
        None, description="path of the OpenCode binary; default: the installed one"
    )
    opencode_url: str | None = Field(
        None, description="a running OpenCode server that sees the same files, instead of one per repair"
    )
    opencode_password: SecretStr | None = Field(None, description="its password")
    provider_status_urls: dict[str, str] = Field(
        default_factory=dict, description="other addresses of status pages, by provider id"
    )
    railmend_state_dir: Path = Field(
        Path(".railmend"), description="workspaces, and with --dev the Temporal server's database"
    )
    railmend_autonomy: Autonomy = Field(
        Autonomy.PULL_REQUEST,
        description="how far Railmend may go alone, where a project's table says nothing",
    )
    railmend_window_seconds: int = Field(
        180 * 60, ge=10, le=30 * 24 * 3600, description="how far back a scan looks"
    )
    railmend_step_seconds: int = Field(60, ge=1, le=3600, description="time between two values of a series")
    railmend_settle_seconds: int = Field(
        60, ge=0, le=3600, description="how long before now the window ends, so that late samples are in"
    )
    railmend_session_seconds: int = Field(3600, ge=10, le=6 * 3600, description="longest coding session")
    railmend_stall_seconds: int = Field(
        600, ge=10, le=3600, description="how long a coding session may make no progress before it is ended"
    )
    railmend_session_calls: int = Field(
        80, ge=1, le=1000, description="most model calls of one repair's sessions"
    )
    railmend_session_tokens: int = Field(
        3_000_000, ge=1000, description="most tokens of one repair, in and out together"
    )
    railmend_session_usd: float = Field(5.0, ge=0, description="most cost of one repair's sessions")
    railmend_sandbox: Literal["bwrap", "user", "remote", "none"] = Field(
        "bwrap", description="what each keeps from the agent is in security.md"
    )
    railmend_agents_dir: Path = Field(
        Path("/agents"), description="`remote`: the volume that worker and agents share, see operations.md"
    )
    railmend_unsafe_agent: bool = Field(
        False, description="repair without a sandbox where none works (also worker.py --unsafe-agent)"
    )
    railmend_toolchains: str = Field(
        "", description="folders (: between them) the sandbox shows read-only, whose bin goes on its PATH"
    )
    railmend_disk_mib: int = Field(2048, ge=16, description="most disk of one repair's processes, MiB")
    railmend_memory_mib: int = Field(4096, ge=256, description="most memory of one repair's processes, MiB")
    railmend_guard: GuardSettings = Field(GuardSettings(), description="what a change may do, see below")
    railmend_checks: dict[str, CheckSettings] = Field(
        default_factory=dict, description="how a repository is checked, see below"
    )
    railmend_prepare_hosts: str = Field(
        "",
        description="hosts (, between them) that a prepare step may reach; *: any public one; "
        "default: package registries",
    )
    railmend_replay_methods: str = Field(
        "GET,HEAD",
        pattern=rf"^{METHOD}(?:,{METHOD})*$",
        description="methods of production's requests that a proof repeats in its sandbox, without a body",
    )
    railmend_diagnosis_seconds: int = Field(
        300, ge=10, le=600, description="how long one answer of a model may take in a diagnosis"
    )
    railmend_diagnosis_usd: float = Field(
        0.5, ge=0, description="most one diagnosis may cost; reserved before it is asked"
    )
    railmend_follow_up: FollowUp = Field(
        FollowUp(), description="what happens after a pull request is open, see below"
    )
    railmend_earned_autonomy: EarnedAutonomy = Field(
        EarnedAutonomy(), description="earlier fixes decide how far a repair may go, see below"
    )
    railmend_approval_days: int = Field(
        7, ge=1, le=30, description="how long a plan waits for starter.py approve"
    )
    railmend_approve_by_comment: bool = Field(
        False,
        description="a plan that waits is shown on an issue of its repository, where whoever may write there "
        "decides by a comment",
    )

    leave_out: ClassVar[bool] = False  # names that the file may not hold, in place of refusing them

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = _File(settings_cls, config_file(), leave_out=cls.leave_out)
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
                raise ValueError(f"projects: {what} {', '.join(twice)} {MORE_THAN_ONCE}")
        return self

    def watched(self) -> tuple[ProjectSettings, ...]:
        """Return the file's projects; without any, the one that the environment names."""
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

    def autonomy_of(self, project: ProjectSettings) -> Autonomy:
        return project.autonomy or self.railmend_autonomy

    def policy(self) -> Policy:
        return Policy(
            budget=self.budget,
            diagnosis_usd=self.railmend_diagnosis_usd,
            session_usd=self.railmend_session_usd,
            sceptic=self.sceptic,
            approval_days=self.railmend_approval_days,
            approve_by_comment=self.railmend_approve_by_comment,
            notify=self.notifies(),
            follow_up=self.railmend_follow_up,
            earned=self.railmend_earned_autonomy,
        )

    def missing(self, *names: str) -> list[str]:
        """Return the environment names of those settings that are not set."""
        return [name.upper() for name in names if not getattr(self, name)]

    def toolchains(self) -> tuple[Path, ...]:
        return tuple(Path(each).absolute() for each in self.railmend_toolchains.split(":") if each)

    def prepare_hosts(self) -> tuple[str, ...]:
        return tuple(host.strip() for host in self.railmend_prepare_hosts.split(",") if host.strip())

    def replay_methods(self) -> tuple[str, ...]:
        return tuple(self.railmend_replay_methods.split(","))

    def state_dir(self) -> Path:
        return self.railmend_state_dir.absolute()


def require(settings: Settings, *names: str) -> None:
    """Raise `ConfigurationError` with the names of those that are not set."""
    missing = settings.missing(*names)
    if missing:
        raise ConfigurationError(
            f"Not set: {', '.join(missing)}. Set them in the environment or in .env; docs/getting-started.md "
            "says where each comes from."
        )


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
    """Every secret setting NAME, also from the file that NAME_FILE names; all errors are raised together."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return (_secret(field_name.upper()) if _is_secret(field) else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for name, field in self.settings_cls.model_fields.items():
            try:
                value, _, _ = self.get_field_value(field, name)
            except ConfigurationError as error:
                wrong.append(str(error))
                continue
            if value is not None:
                values[name] = value
        if wrong:
            raise ConfigurationError("\n".join(wrong))
        return values


class _File(TomlConfigSettingsSource):
    """railmend.toml: unknown names and secrets are refused, and one that is named but missing, too."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path, *, leave_out: bool = False) -> None:
        self._leave_out = leave_out
        if CONFIG_VARIABLE in os.environ and not path.is_file():
            raise ConfigurationError(f"{CONFIG_VARIABLE}={path} is not a file.")
        super().__init__(settings_cls, path)

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        text = file_path.read_text()
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{file_path}: {error}") from error
        wrong = {name: problem for name in content if (problem := _refusal(file_path, text, name))}
        if wrong and not self._leave_out:
            raise ConfigurationError("\n".join(wrong.values()))
        return {name: value for name, value in content.items() if name not in wrong}


class RestOfSettings(Settings):
    """As `Settings`, without the names that the file may not hold: shows what else is wrong."""

    leave_out: ClassVar[bool] = True


def _refusal(file: Path | Traversable, text: str, name: str) -> str:
    """Return what is wrong with a top-level name of the file; empty where nothing is."""
    lines = text.splitlines()
    at = next((n for n, line in enumerate(lines, 1) if line.strip().strip("[] ").startswith(name)), 1)
    field = Settings.model_fields.get(name)
    if field is None:
        near = difflib.get_close_matches(name, Settings.model_fields, 1)
        hint = f"Did you mean {near[0]!r}?" if near else "All are listed in docs/settings.md."
        return f"{file}:{at}: {name!r} is not a setting. {hint}"
    if _is_secret(field):
        return f"{file}:{at}: {name!r} is a secret: set {name.upper()} in the environment instead."
    return ""
