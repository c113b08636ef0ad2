"""The machine: git, disk, the state directory, the sandbox. Run doctor where the worker runs."""

import asyncio
import re
import shutil
from pathlib import Path

from commands.checks.check import Check, CheckFailed, CheckResult, ok, warning
from hosting import clients
from hosting.sandbox.choice import build_sandbox, probe
from hosting.sandbox.remote import RemoteSandbox
from railmend.artifacts import ArtifactError, ArtifactGone
from railmend.coding.sandbox.interface import SandboxError
from railmend.settings import ConfigurationError, Settings

# `git -c safe.directory` and partial clones with filters behave as Railmend needs from here on.
OLDEST_GIT = (2, 30)
REPAIRS_AT_ONCE = 2  # on one machine, as `hosting.workers` sets it


def checks(settings: Settings) -> tuple[Check, ...]:
    return (
        Check("git", _git),
        Check("disk", lambda: _disk(settings)),
        Check("artifacts", lambda: _artifacts(settings)),
        Check("sandbox", lambda: _sandbox(settings)),
    )


async def _git() -> list[CheckResult]:
    git = shutil.which("git")
    if git is None:
        raise CheckFailed("git is not installed", "install git 2.30 or newer")
    process = await asyncio.create_subprocess_exec(
        git, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    version = (await process.communicate())[0].decode().strip()
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        raise CheckFailed(f"{version or 'git'} is too old", "install git 2.30 or newer")
    return ok("git", version.removeprefix("git "))


async def _disk(settings: Settings) -> list[CheckResult]:
    folder = settings.state_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe_file = folder / ".doctor"
        probe_file.write_text("")
        probe_file.unlink()
    except OSError as error:
        raise CheckFailed(
            f"{folder} cannot be written ({error.strerror})",
            "set RAILMEND_STATE_DIR to another folder",
        ) from error
    free = shutil.disk_usage(folder).free // 2**20
    wanted = settings.railmend_disk_mib * REPAIRS_AT_ONCE
    if free < wanted:
        return warning(
            "disk",
            f"{free} MiB are free at {folder}, {REPAIRS_AT_ONCE} repairs at once may take {wanted} MiB",
            "free some, or lower RAILMEND_DISK_MIB",
        )
    return ok("disk", f"{free} MiB are free at {folder}")


async def _artifacts(settings: Settings) -> list[CheckResult]:
    try:
        artifacts = clients.artifacts(settings)
        await artifacts.probe()
    except (ArtifactError, ArtifactGone, ConfigurationError) as error:
        raise CheckFailed(str(error), "docs/operations.md") from error
    shared = "" if artifacts.place.startswith("s3://") else ": every worker and command must see this folder"
    return ok("artifacts", f"can be written and read in {artifacts.place}{shared}")


async def _sandbox(settings: Settings) -> list[CheckResult]:
    try:
        name = await asyncio.to_thread(_try, settings, settings.state_dir() / "doctor")
    except (SandboxError, ConfigurationError) as error:
        if settings.railmend_unsafe_agent:
            return warning("sandbox", f"none works ({error})", "RAILMEND_UNSAFE_AGENT is set")
        raise CheckFailed(str(error), "docs/security.md") from error
    if name == "none":
        return warning("sandbox", "the agent runs without one", "see docs/security.md")
    return ok("sandbox", f"{name} works here")


def _try(settings: Settings, folder: Path) -> str:
    sandbox = build_sandbox(
        settings.railmend_sandbox,
        clients.toolbox(settings),
        unsafe=settings.railmend_unsafe_agent,
        shared=settings.railmend_agents_dir,
    )
    if isinstance(sandbox, RemoteSandbox):
        sandbox.patience = 0  # a person waits
    try:
        probe(sandbox, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return sandbox.name
