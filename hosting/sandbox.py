"""Launchers: how the coding agent's server and the repository's own commands are kept from everything else.

RAILMEND_SANDBOX chooses one: `bwrap` (namespaces), `user` (another user of this machine), `none`.
"""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hosting.sandbox_bwrap import BubblewrapFence, bubblewrap
from hosting.sandbox_parts import INSIDE, Caps, Toolbox, give, inside, kill_group, spawn, user_of
from railmend.coding.fence import Fence, FenceError, Launch, Place

PROBE_SECONDS = 30


class UserFence:
    """Another user of this machine, for places without namespaces. It shares the network and the process
    list with the worker: see docs/security.md for what that leaves open.
    """

    name = "user"
    private_network = False

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
        uid = user_of(place)
        script = f"import os,signal\nos.setgid({uid}); os.setuid({uid}); os.kill(-1, signal.SIGKILL)"
        subprocess.run([sys.executable, "-I", "-S", "-c", script], check=False, stdin=subprocess.DEVNULL)

    def tools_path(self) -> str:
        return _outside_path(self._toolbox)


class NoFence:
    """RAILMEND_UNSAFE_AGENT=1: the agent can do whatever the worker can."""

    name = "none"
    private_network = False

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


class Refusing:
    """Stands where no fence can be built: whoever asks for one is told why."""

    name = "none"
    private_network = True

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


def build(kind: str, toolbox: Toolbox, *, unsafe: bool, caps: Caps | None = None) -> Fence:
    """The launcher of that name. Raises `FenceError` when it is `none` and nobody said that this is meant."""
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
    place = Place(folder / "probe")
    place.make()
    place.tree.mkdir(exist_ok=True)
    try:
        fence.admit(place)
        launch = Launch(place=place, command=("true",), environment={}, directory=place.tree)
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
                f"The sandbox `{fence.name}` does not work here ({said or ending}). Many "
                "container engines forbid namespaces: allow them (CAP_SYS_ADMIN, or unprivileged user "
                "namespaces), or run the worker as root with RAILMEND_SANDBOX=user; docs/security.md says "
                "what each keeps from the agent."
            )
    finally:
        shutil.rmtree(place.root, ignore_errors=True)


def choose(kind: str, toolbox: Toolbox, folder: Path, *, unsafe: bool, caps: Caps | None = None) -> Fence:
    """The launcher of that name if it works here, proved by a probe in `folder`. Blocking.

    Else, when `unsafe`, none at all; otherwise one that refuses, with the reason.
    """
    try:
        fence = build(kind, toolbox, unsafe=unsafe, caps=caps)
        probe(fence, folder)
    except FenceError as error:
        return NoFence(toolbox, caps) if unsafe else Refusing(error)
    return fence
