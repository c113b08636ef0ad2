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

from hosting.sandbox_bwrap import BubblewrapFence, bubblewrap
from hosting.sandbox_parts import INSIDE, Caps, Local, Toolbox, give, inside, kill_group, spawn, user_of
from hosting.sandbox_remote import RemoteFence
from hosting.users import end_user
from railmend.coding.fence import Fence, FenceError, Launch, Place

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


class UserFence(Local):
    """Another user of this machine, for places without namespaces. It shares the network and the process
    list with the worker: see docs/security.md for what that leaves open.
    """

    name = "user"

    def __init__(self, toolbox: Toolbox, caps: Caps | None = None) -> None:
        if os.geteuid() != 0:
            raise FenceError(
                "RAILMEND_SANDBOX=user needs a worker that runs as root, so that the agent can be somebody "
                "else. Run it as root, or use RAILMEND_SANDBOX=bwrap."
            )
        self._toolbox = toolbox
        self._caps = caps or Caps()

    def admit(self, place: Place) -> None:
        for folder in (place.tree, place.home):
            give(folder, user_of(place))
            folder.chmod(0o700)

    def start(self, launch: Launch, output: int) -> subprocess.Popen[bytes]:
        inner = inside(
            launch,
            self._toolbox,
            self._caps,
            INSIDE,
            uid=user_of(launch.place),
            die_with_parent=True,
            sockets=str(launch.place.sockets),
        )
        return spawn((), inner, launch, output)

    def end(self, place: Place, pid: int) -> None:
        """Everything of the repair's user: an orphan has left the process group."""
        kill_group(pid)
        end_user(user_of(place))

    def tools_path(self) -> str:
        return _outside_path(self._toolbox)


class NoFence(Local):
    """RAILMEND_UNSAFE_AGENT=1: the agent can do whatever the worker can."""

    name = "none"

    def __init__(self, toolbox: Toolbox, caps: Caps | None = None) -> None:
        self._toolbox = toolbox
        self._caps = caps or Caps(processes=32_768)

    def admit(self, place: Place) -> None:
        """It is the worker's own user."""

    def start(self, launch: Launch, output: int) -> subprocess.Popen[bytes]:
        inner = inside(
            launch,
            self._toolbox,
            self._caps,
            INSIDE,
            uid=None,
            die_with_parent=True,
            sockets=str(launch.place.sockets),
        )
        return spawn((), inner, launch, output)

    def end(self, place: Place, pid: int) -> None:
        kill_group(pid)

    def tools_path(self) -> str:
        return _outside_path(self._toolbox)


def _outside_path(toolbox: Toolbox) -> str:
    """Without a view of its own: the folders that the programs lie in."""
    folders = dict.fromkeys(str(program.parent) for program in toolbox.programs.values())
    return ":".join([*folders, toolbox.path(Path("/usr/local/bin"))])


class Refusing(Local):
    """Stands where no fence can be built: whoever asks for one is told why."""

    name = "none"

    def __init__(self, error: FenceError) -> None:
        self.error = error

    def admit(self, place: Place) -> None:
        raise self.error

    def start(self, launch: Launch, output: int) -> subprocess.Popen[bytes]:
        raise self.error

    def end(self, place: Place, pid: int) -> None:
        kill_group(pid)

    def tools_path(self) -> str:
        raise self.error


def build(
    kind: str, toolbox: Toolbox, *, unsafe: bool, caps: Caps | None = None, shared: Path = SHARED
) -> Fence:
    """The launcher of that name; `shared` is for `remote`.

    Raises `FenceError` when it is `none` and nobody said that this is meant.
    """
    if kind == "remote":
        return RemoteFence(shared, toolbox, caps)
    if kind == "bwrap":
        return BubblewrapFence(bubblewrap(), toolbox, caps)
    if kind == "user":
        return UserFence(toolbox, caps)
    if not unsafe:
        raise FenceError(
            "RAILMEND_SANDBOX=none would let the coding agent read the worker's secrets and use its network. "
            "Set RAILMEND_UNSAFE_AGENT=1 as well if this machine holds nothing of worth."
        )
    return NoFence(toolbox, caps)


def probe(fence: Fence, folder: Path) -> None:
    """Run `true` in the fence. Raises `FenceError` with what to do when that fails. Blocking."""
    place = fence.place(folder / f"probe-{secrets.token_hex(4)}")
    environment = {"PATH": fence.tools_path()}
    try:
        place.make()
        place.tree.mkdir(exist_ok=True)
        fence.admit(place)
        launch = Launch(place=place, command=("true",), environment=environment, directory=place.tree)
        log = place.run / "log"
        with log.open("wb") as output:
            process = fence.start(launch, output.fileno())
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(PROBE_SECONDS)
        fence.end(place, process.pid)
        if code != 0:
            said = log.read_text(errors="replace").strip()[-500:]
            ending = f"no end after {PROBE_SECONDS} s" if code is None else f"exit code {code}"
            raise FenceError(
                f"The sandbox `{fence.name}` does not work here ({said or ending}). "
                + NEXT_STEP.get(fence.name, "")
            )
    except OSError as error:
        raise FenceError(f"The sandbox `{fence.name}`: {error.filename}: {error.strerror}.") from error
    finally:
        place.remove()


def choose(
    kind: str,
    toolbox: Toolbox,
    folder: Path,
    *,
    unsafe: bool,
    caps: Caps | None = None,
    shared: Path = SHARED,
) -> Fence:
    """The launcher of that name if it works here, proved by a probe in `folder`. Blocking.

    Else, when `unsafe`, none at all; otherwise one that refuses, with the reason. One whose launcher runs
    elsewhere, and may yet come, is not given up.
    """
    fence: Fence | None = None
    try:
        fence = build(kind, toolbox, unsafe=unsafe, caps=caps, shared=shared)
        probe(fence, folder)
    except FenceError as error:
        if unsafe:
            return NoFence(toolbox, caps)
        if fence is None or not error.retryable:
            return Refusing(error)
        log.error("repairs have to wait", reason=str(error))
    return fence
