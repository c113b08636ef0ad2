"""The choice of the sandbox that RAILMEND_SANDBOX names, and a probe of whether it works here.

`bwrap`: namespaces; `user`: another user of this machine; `remote`: another container; `none`.
"""

import os
import secrets
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from hosting.sandbox.bubblewrap import BubblewrapSandbox, bubblewrap
from hosting.sandbox.common import (
    LocalSandbox,
    ResourceLimits,
    Toolbox,
    end_user,
    give_to_user,
    processes_of_user,
    uid_for,
)
from hosting.sandbox.remote import RemoteSandbox
from hosting.sandbox.uids import remove_left, temporary_use
from railmend.coding.sandbox.interface import RepairPaths, Sandbox, SandboxCommand, SandboxError, last
from railmend.coding.sandbox.resource_usage import ResourceUsage

log = structlog.get_logger(__name__)

PROBE_SECONDS = 30
SHARED = Path("/agents")
NEXT_STEP = {
    "bwrap": "Many container engines forbid namespaces: allow them (CAP_SYS_ADMIN, or unprivileged user "
    "namespaces), run agents in a container of their own with RAILMEND_SANDBOX=remote, or run the worker as "
    "root with RAILMEND_SANDBOX=user; docs/security.md says what each keeps from the agent.",
    "user": "The user of a repair must be able to walk to RAILMEND_STATE_DIR; see docs/security.md.",
    "remote": "See the log of the agents' container, and docs/operations.md.",
}


class UserSandbox(LocalSandbox):
    """Another user of this machine, for machines without namespaces.

    It shares the network and the process list with the worker: docs/security.md says what that leaves open.
    """

    name = "user"

    def __init__(self, toolbox: Toolbox, limits: ResourceLimits | None = None) -> None:
        super().__init__(toolbox, limits)
        if os.geteuid() != 0:
            raise SandboxError(
                "RAILMEND_SANDBOX=user needs a worker that runs as root, so that the agent can be somebody "
                "else. Run it as root, or use RAILMEND_SANDBOX=bwrap."
            )

    def user(self, paths: RepairPaths) -> int | None:
        return uid_for(paths)

    def hand_over(self, paths: RepairPaths) -> None:
        """Give, and let that user alone walk there; it can look into none of the folders above."""
        give_to_user(paths)
        os.chown(paths.root, -1, uid_for(paths))
        paths.root.chmod(0o710)
        paths.root.parent.chmod(0o711)

    def end(self, paths: RepairPaths, pid: int | None) -> None:
        super().end(paths, pid)
        end_user(paths)
        if (paths.run / "uid").exists():
            remove_left(uid_for(paths))

    def processes(self, paths: RepairPaths, pid: int | None) -> list[int]:
        """Return the user's: the tree of `pid` would not hold an orphan."""
        return processes_of_user(paths)

    def usage(self, paths: RepairPaths, pid: int | None) -> ResourceUsage:
        measured = super().usage(paths, pid)
        return replace(measured, size=measured.size + temporary_use(uid_for(paths)))


class NoSandbox(LocalSandbox):
    """No sandbox (RAILMEND_UNSAFE_AGENT=1): the agent can do whatever the worker can."""

    def __init__(self, toolbox: Toolbox, limits: ResourceLimits | None = None) -> None:
        super().__init__(toolbox, limits or ResourceLimits(processes=32_768))


class RefusingSandbox(LocalSandbox):
    """Takes the place of a sandbox that cannot be built: each use raises the reason."""

    def __init__(self, toolbox: Toolbox, error: SandboxError) -> None:
        super().__init__(toolbox)
        self.error = error

    def hand_over(self, paths: RepairPaths) -> None:
        raise self.error

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        raise self.error

    def tools_path(self) -> str:
        raise self.error


def build_sandbox(
    kind: str, toolbox: Toolbox, *, unsafe: bool, limits: ResourceLimits | None = None, shared: Path = SHARED
) -> Sandbox:
    """Return the sandbox of that name; `shared` is for `remote`.

    Raise `SandboxError` when it is `none` and `unsafe` is not set.
    """
    if kind == "remote":
        return RemoteSandbox(shared, toolbox, limits)
    if kind == "bwrap":
        return BubblewrapSandbox(bubblewrap(), toolbox, limits)
    if kind == "user":
        return UserSandbox(toolbox, limits)
    if not unsafe:
        raise SandboxError(
            "RAILMEND_SANDBOX=none would let the coding agent read the worker's secrets and use its network. "
            "Set RAILMEND_UNSAFE_AGENT=1 as well if this machine holds nothing of worth."
        )
    return NoSandbox(toolbox, limits)


def probe(sandbox: Sandbox, folder: Path) -> None:
    """Run `true` in the sandbox. Raise `SandboxError` with the next step when that fails. Blocking."""
    paths = sandbox.paths(folder / f"probe-{secrets.token_hex(4)}")
    environment = {"PATH": sandbox.tools_path()}
    try:
        paths.create()
        paths.tree.mkdir(exist_ok=True)
        sandbox.hand_over(paths)
        launch = SandboxCommand(paths=paths, command=("true",), environment=environment, directory=paths.tree)
        log_file = paths.run / "log"
        with log_file.open("wb") as stream:
            process = sandbox.start(launch, stream.fileno())
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(PROBE_SECONDS)
        sandbox.end(paths, process.pid)
        if code != 0:
            output = last(log_file, 500).strip()
            ending = f"no end after {PROBE_SECONDS} s" if code is None else f"exit code {code}"
            raise SandboxError(
                f"The sandbox `{sandbox.name}` does not work here ({output or ending}). "
                + NEXT_STEP.get(sandbox.name, "")
            )
    except OSError as error:
        raise SandboxError(f"The sandbox `{sandbox.name}`: {error.filename}: {error.strerror}.") from error
    finally:
        paths.remove()


def choose_sandbox(
    kind: str,
    toolbox: Toolbox,
    folder: Path,
    *,
    unsafe: bool,
    shared: Path = SHARED,
) -> Sandbox:
    """Return the sandbox of that name if a probe in `folder` succeeds. Blocking.

    Else return no sandbox when `unsafe`, otherwise one that refuses with the reason. One that may work later,
    because its daemon runs elsewhere, is returned all the same.
    """
    sandbox: Sandbox | None = None
    try:
        sandbox = build_sandbox(kind, toolbox, unsafe=unsafe, shared=shared)
        probe(sandbox, folder)
    except SandboxError as error:
        if unsafe:
            return NoSandbox(toolbox)
        if sandbox is None or not error.retryable:
            return RefusingSandbox(toolbox, error)
        log.error("repairs have to wait", reason=str(error))
    return sandbox
