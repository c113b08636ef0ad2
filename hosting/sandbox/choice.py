"""Launchers: how the coding agent's server and the repository's own commands are kept from everything else.

RAILMEND_SANDBOX chooses one: `bwrap` (namespaces), `user` (another user of this machine), `remote` (another
container), `none`.
"""

import os
import secrets
import subprocess
from contextlib import suppress
from pathlib import Path

import structlog

from hosting.sandbox.bubblewrap import BubblewrapSandbox, bubblewrap
from hosting.sandbox.parts import INSIDE, Caps, Local, Toolbox, give, inside, kill_group, spawn, user_of
from hosting.sandbox.remote import RemoteSandbox
from hosting.sandbox.uids import end_user
from railmend.coding.sandbox import RepairPaths, Sandbox, SandboxCommand, SandboxError

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


class UserSandbox(Local):
    """Another user of this machine, for places without namespaces. It shares the network and the process
    list with the worker: see docs/security.md for what that leaves open.
    """

    name = "user"

    def __init__(self, toolbox: Toolbox, caps: Caps | None = None) -> None:
        if os.geteuid() != 0:
            raise SandboxError(
                "RAILMEND_SANDBOX=user needs a worker that runs as root, so that the agent can be somebody "
                "else. Run it as root, or use RAILMEND_SANDBOX=bwrap."
            )
        self._toolbox = toolbox
        self._caps = caps or Caps()

    def hand_over(self, paths: RepairPaths) -> None:
        for folder in (paths.tree, paths.home):
            give(folder, user_of(paths))
            folder.chmod(0o700)

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        inner = inside(
            launch,
            self._toolbox,
            self._caps,
            INSIDE,
            uid=user_of(launch.paths),
            die_with_parent=True,
            sockets=str(launch.paths.sockets),
        )
        return spawn((), inner, launch, output)

    def end(self, paths: RepairPaths, pid: int) -> None:
        """Everything of the repair's user: an orphan has left the process group."""
        kill_group(pid)
        end_user(user_of(paths))

    def tools_path(self) -> str:
        return _outside_path(self._toolbox)


class NoSandbox(Local):
    """RAILMEND_UNSAFE_AGENT=1: the agent can do whatever the worker can."""

    name = "none"

    def __init__(self, toolbox: Toolbox, caps: Caps | None = None) -> None:
        self._toolbox = toolbox
        self._caps = caps or Caps(processes=32_768)

    def hand_over(self, paths: RepairPaths) -> None:
        """It is the worker's own user."""

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        inner = inside(
            launch,
            self._toolbox,
            self._caps,
            INSIDE,
            uid=None,
            die_with_parent=True,
            sockets=str(launch.paths.sockets),
        )
        return spawn((), inner, launch, output)

    def end(self, paths: RepairPaths, pid: int) -> None:
        kill_group(pid)

    def tools_path(self) -> str:
        return _outside_path(self._toolbox)


def _outside_path(toolbox: Toolbox) -> str:
    """Without a view of its own: the folders that the programs lie in."""
    folders = dict.fromkeys(str(program.parent) for program in toolbox.programs.values())
    return ":".join([*folders, toolbox.path(Path("/usr/local/bin"))])


class RefusingSandbox(Local):
    """Stands where no sandbox can be built: whoever asks for one is told why."""

    name = "none"

    def __init__(self, error: SandboxError) -> None:
        self.error = error

    def hand_over(self, paths: RepairPaths) -> None:
        raise self.error

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        raise self.error

    def end(self, paths: RepairPaths, pid: int) -> None:
        kill_group(pid)

    def tools_path(self) -> str:
        raise self.error


def build(
    kind: str, toolbox: Toolbox, *, unsafe: bool, caps: Caps | None = None, shared: Path = SHARED
) -> Sandbox:
    """The launcher of that name; `shared` is for `remote`.

    Raises `SandboxError` when it is `none` and nobody said that this is meant.
    """
    if kind == "remote":
        return RemoteSandbox(shared, toolbox, caps)
    if kind == "bwrap":
        return BubblewrapSandbox(bubblewrap(), toolbox, caps)
    if kind == "user":
        return UserSandbox(toolbox, caps)
    if not unsafe:
        raise SandboxError(
            "RAILMEND_SANDBOX=none would let the coding agent read the worker's secrets and use its network. "
            "Set RAILMEND_UNSAFE_AGENT=1 as well if this machine holds nothing of worth."
        )
    return NoSandbox(toolbox, caps)


def probe(sandbox: Sandbox, folder: Path) -> None:
    """Run `true` in the sandbox. Raises `SandboxError` with what to do when that fails. Blocking."""
    paths = sandbox.paths(folder / f"probe-{secrets.token_hex(4)}")
    environment = {"PATH": sandbox.tools_path()}
    try:
        paths.create()
        paths.tree.mkdir(exist_ok=True)
        sandbox.hand_over(paths)
        launch = SandboxCommand(paths=paths, command=("true",), environment=environment, directory=paths.tree)
        log = paths.run / "log"
        with log.open("wb") as output:
            process = sandbox.start(launch, output.fileno())
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(PROBE_SECONDS)
        sandbox.end(paths, process.pid)
        if code != 0:
            said = log.read_text(errors="replace").strip()[-500:]
            ending = f"no end after {PROBE_SECONDS} s" if code is None else f"exit code {code}"
            raise SandboxError(
                f"The sandbox `{sandbox.name}` does not work here ({said or ending}). "
                + NEXT_STEP.get(sandbox.name, "")
            )
    except OSError as error:
        raise SandboxError(f"The sandbox `{sandbox.name}`: {error.filename}: {error.strerror}.") from error
    finally:
        paths.remove()


def choose(
    kind: str,
    toolbox: Toolbox,
    folder: Path,
    *,
    unsafe: bool,
    caps: Caps | None = None,
    shared: Path = SHARED,
) -> Sandbox:
    """The launcher of that name if it works here, proved by a probe in `folder`. Blocking.

    Else, when `unsafe`, none at all; otherwise one that refuses, with the reason. One whose launcher runs
    elsewhere, and may yet come, is not given up.
    """
    sandbox: Sandbox | None = None
    try:
        sandbox = build(kind, toolbox, unsafe=unsafe, caps=caps, shared=shared)
        probe(sandbox, folder)
    except SandboxError as error:
        if unsafe:
            return NoSandbox(toolbox, caps)
        if sandbox is None or not error.retryable:
            return RefusingSandbox(error)
        log.error("repairs have to wait", reason=str(error))
    return sandbox
