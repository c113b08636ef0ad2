"""The clients of the outside systems, built once per process from the settings."""

import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from hosting import connection
from railmend.settings import ConfigurationError, Settings, require

if TYPE_CHECKING:
    # Imported where they are used: a command starts in a third of the time.
    from structlog.stdlib import BoundLogger
    from temporalio.client import Client
    from temporalio.runtime import Runtime

    from activities.coding import ServerFor
    from activities.coding_environment import Egress
    from hosting.sandbox.common import Toolbox
    from railmend.artifacts import ArtifactStore
    from railmend.assessment.settings import AssessmentRules
    from railmend.coding.sandbox.interface import Sandbox
    from railmend.coding.sandbox.quota import Quota
    from railmend.publishing.github import GitHubClient
    from railmend.publishing.github.auth import Credentials
    from railmend.railway.pool import RailwayPool, WatchedEnvironment
    from workflows.shared.plugin import Interceptor

CONNECT_TRIES = 10
LOOPBACK = ("http://127.0.0.1", "http://localhost")


def _log() -> "BoundLogger":
    import structlog

    logger: BoundLogger = structlog.get_logger(__name__)
    return logger


def _secret(settings: Settings, name: str) -> SecretStr:
    require(settings, name)
    value: SecretStr = getattr(settings, name)
    return value


async def temporal(
    settings: Settings, *, runtime: "Runtime | None" = None, interceptors: "Sequence[Interceptor]" = ()
) -> "Client":
    """Connect a worker to Temporal; it may start before the server does. Raises what `connect` raises."""
    from workflows.shared.plugin import railmend_plugin

    plugin = railmend_plugin(connection.codec_of(settings), interceptors)
    return await connection.connect(settings, tries=CONNECT_TRIES, plugins=[plugin], runtime=runtime)


def railway(settings: Settings) -> "RailwayPool":
    """Return a client for each watched project. Raise what `watched` raises."""
    from railmend.railway.pool import RailwayPool

    environments = watched(settings)
    return RailwayPool(settings.railway_api_url, lambda: environments, settings.railway_limits)


def watched(settings: Settings) -> "list[WatchedEnvironment]":
    """Return the projects. Raise `ConfigurationError` where there is none, or none that has a token."""
    environments = watched_environments(settings)
    if not settings.projects and environments and runs_in(environments[0].project_id):
        raise ConfigurationError(
            "This process runs on Railway, which sets RAILWAY_PROJECT_ID to the project that it runs in: it "
            "would watch itself. Say in PROJECTS what to watch; docs/deploy-railway.md shows how."
        )
    if not environments:
        require(settings, "railway_project_id", "railway_environment_id")
    if not any(environment.token for environment in environments):
        raise ConfigurationError("\n".join(f"Project {each.name}: {each.no_token}" for each in environments))
    return environments


def runs_in(project_id: str) -> bool:
    """Return whether this process is a service of a Railway project, which sets these variables."""
    return "RAILWAY_SERVICE_ID" in os.environ and os.environ.get("RAILWAY_PROJECT_ID") == project_id


def own_repository() -> str:
    """Return the repository that Railway built this process from, as owner/name; empty elsewhere."""
    names = [os.environ.get(f"RAILWAY_GIT_REPO_{part}", "") for part in ("OWNER", "NAME")]
    return "/".join(names) if all(names) else ""


def watched_environments(settings: Settings) -> "list[WatchedEnvironment]":
    """Return the projects with their tokens; one that has none says why."""
    from railmend.railway.pool import WatchedEnvironment

    environments = []
    for project in settings.watched():
        try:
            token = settings.token_of(project)
        except ConfigurationError as error:
            token, reason = None, str(error)
        else:
            reason = (
                f"{project.token_env} is not set. Make a project token in Railway's project settings and set "
                "it in the environment or in .env."
            )
        environments.append(
            WatchedEnvironment(
                token=token,
                no_token="" if token else reason,
                **project.model_dump(include=set(WatchedEnvironment.model_fields) - {"token", "no_token"}),
            )
        )
    return environments


async def check_railway(pool: "RailwayPool") -> None:
    """Tell of each project that cannot be watched; raise `ConfigurationError` where that is all of them.

    A Railway that does not answer is only told: its scans try again.
    """
    checked = await pool.check()
    wrong = [f"Project {name}: {error}" for name, error in checked.items() if error and not error.retryable]
    if wrong and len(wrong) == len(checked):
        raise ConfigurationError("\n".join(wrong))
    for name, error in checked.items():
        if error is None:
            continue
        if error.retryable:
            _log().warning("railway is not reached yet", project=name, reason=str(error))
        else:
            _log().error("this project is not watched until it is put right", project=name, reason=str(error))


def assessment_rules(settings: Settings) -> "Mapping[str, AssessmentRules]":
    """Return thresholds and what to ignore, by environment id; the general ones for any other."""
    return defaultdict(
        lambda: settings.assessment,
        {each.environment_id: settings.assessment.over(each.assessment) for each in settings.watched()},
    )


def artifacts(settings: Settings) -> "ArtifactStore":
    """Return the store of RAILMEND_ARTIFACTS. Raise `ConfigurationError` for one that cannot be opened."""
    from railmend.artifacts import ArtifactError, bucket_store, folder_store

    place, cipher = (
        settings.railmend_artifacts or str(settings.state_dir() / "artifacts"),
        connection.codec_of(settings),
    )
    key, secret = settings.railmend_artifacts_key_id, settings.railmend_artifacts_secret
    try:
        if not place.startswith("s3://"):
            return folder_store(Path(place).absolute(), cipher)
        return bucket_store(
            place,
            endpoint=settings.railmend_artifacts_endpoint,
            region=settings.railmend_artifacts_region,
            key=(key.get_secret_value(), secret) if key and secret else None,
            cipher=cipher,
        )
    except (OSError, ArtifactError) as error:
        raise ConfigurationError(f"RAILMEND_ARTIFACTS={place} cannot be used: {error}") from error


def secrets(settings: Settings) -> tuple[str, ...]:
    """Return the secret values of this process: evidence never shows them."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    values += [environment.token for environment in watched_environments(settings)]
    return tuple({value.get_secret_value() for value in values if isinstance(value, SecretStr)})


def github(settings: Settings) -> "GitHubClient":
    from railmend.publishing.github import GitHubClient

    # Pacing protects from GitHub's secondary limits; a server on this machine has none.
    pace = not settings.github_api_url.startswith(LOOPBACK)
    return GitHubClient(
        settings.github_api_url,
        github_credentials(settings),
        former_ids=settings.railmend_former_github_ids,
        pace=pace,
    )


def github_if_set(settings: Settings) -> "GitHubClient":
    """Return GitHub's client; without credentials one that refuses each call and says what to set."""
    from railmend.publishing.github import GitHubClient, NoCredentials

    try:
        return github(settings)
    except ConfigurationError as error:
        return GitHubClient(settings.github_api_url, NoCredentials(str(error)))


def github_credentials(settings: Settings) -> "Credentials":
    """Return the app's credentials where an app is set, else the token's."""
    from railmend.publishing.github import AppCredentials, TokenCredentials

    if settings.github_app_id:
        key = _secret(settings, "github_app_key")
        return AppCredentials(settings.github_api_url, settings.github_app_id, key)
    return TokenCredentials(_secret(settings, "github_token"))


def opencode_binary(settings: Settings) -> Path:
    """Return OPENCODE_BIN, or the pinned binary that `make setup` installs. Raise `ConfigurationError`."""
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


def toolbox(settings: Settings) -> "Toolbox":
    """Return what the sandbox shows besides the system: OpenCode, ripgrep and RAILMEND_TOOLCHAINS."""
    from hosting.sandbox.common import Toolbox

    ripgrep = shutil.which("rg", path=str(Path(sys.executable).absolute().parent)) or shutil.which("rg")
    programs = {"rg": Path(ripgrep)} if ripgrep else {}
    if not settings.opencode_url and settings.railmend_sandbox != "remote":
        programs["opencode"] = opencode_binary(settings)
    return Toolbox(programs=programs, folders=settings.toolchains())


def sandbox(settings: Settings) -> "Sandbox":
    """Return the sandbox of RAILMEND_SANDBOX if it works here, else one that refuses, or none. Blocking."""
    from hosting.sandbox.choice import RefusingSandbox, choose_sandbox

    chosen = choose_sandbox(
        settings.railmend_sandbox,
        toolbox(settings),
        settings.state_dir() / "repairs",
        unsafe=settings.railmend_unsafe_agent,
        shared=settings.railmend_agents_dir,
    )
    if isinstance(chosen, RefusingSandbox):
        _log().error("repairs are refused", reason=str(chosen.error))
    elif chosen.name == "none":
        _log().warning("the coding agent runs without a sandbox", reason="RAILMEND_UNSAFE_AGENT is set")
    return chosen


def quota(settings: Settings) -> "Quota":
    from railmend.coding.sandbox.quota import Quota

    return Quota(disk_mib=settings.railmend_disk_mib, memory_mib=settings.railmend_memory_mib)


def package_egress(settings: Settings) -> "Egress":
    """Return the way to the package registries, for prepare steps."""
    from hosting.gateway.egress import REGISTRIES, egress

    hosts = settings.prepare_hosts() or REGISTRIES
    return lambda paths: egress(paths, hosts)


def coding_servers(settings: Settings, sandbox: "Sandbox") -> "ServerFor":
    """Return how a repair gets its server: a new one each, or with OPENCODE_URL the running one."""
    from hosting import models
    from hosting.gateway.model_gateway import ModelGateway
    from railmend.coding.metering.refused_parameters import Learned
    from railmend.coding.session.server import OpenCodeServer, RunningServer

    url = settings.opencode_url
    if url:
        return lambda _paths: RunningServer(url, settings.opencode_password)
    endpoint = models.with_listed_limits(settings, models.coding_model(settings))
    bounds, learned = models.limits(settings), Learned()
    return lambda paths: OpenCodeServer(paths, sandbox, ModelGateway(endpoint, bounds, learned), endpoint)
