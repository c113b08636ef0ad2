"""What all sandboxes share: their programs and limits, users, and how processes are started and ended."""

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from hosting.sandbox.uids import FIRST_UID, LAST_UID, active_uids, kill_user, pids_of
from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.interface import RepairPaths, SandboxCommand, SandboxError
from railmend.coding.sandbox.resource_usage import ResourceUsage, measure
from railmend.processes import started

INIT = Path(__file__).with_name("init.py")
MIB = 1024 * 1024
END_SECONDS = 5.0
# Of all workers of this machine: who is user id N now.
CLAIMS = Path("/run/railmend/users")
_lifelines: dict[int, int] = {}


@dataclass(frozen=True)
class Toolbox:
    """What a sandbox shows besides the system: programs, and folders whose `bin` goes on the PATH."""

    programs: dict[str, Path]
    folders: tuple[Path, ...] = ()
    # The Python of `init.py`, and for repositories that bring none.
    python: Path = field(default_factory=lambda: Path(sys.base_prefix))

    def interpreter(self) -> Path:
        return self.python / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    def path(self, programs: Path) -> str:
        own = [folder / "bin" for folder in (*self.folders, self.python)]
        return ":".join(map(str, [programs, *own, "/usr/local/bin", "/usr/bin", "/bin"]))


@dataclass(frozen=True)
class ResourceLimits:
    """Limits of one command and its processes, as setrlimit(2) counts them; sizes in bytes."""

    file_size: int = 1024 * MIB
    processes: int = 512
    open_files: int = 8192
    temporary: int = 512 * MIB

    def rlimits(self) -> dict[str, int]:
        return {
            "FSIZE": self.file_size,
            "NPROC": self.processes,
            "NOFILE": self.open_files,
            **dict.fromkeys(("CORE", "MSGQUEUE", "NICE", "RTPRIO"), 0),
        }


class LocalSandbox:
    """Base of the sandboxes on the worker's own machine; itself it keeps nothing apart."""

    name = "none"

    def __init__(self, toolbox: Toolbox, limits: ResourceLimits | None = None) -> None:
        self._toolbox = toolbox
        self._limits = limits or ResourceLimits()

    def user(self, paths: RepairPaths) -> int | None:
        """Return the user that the agent becomes; None: it stays the worker's."""
        return None

    def hand_over(self, paths: RepairPaths) -> None:
        """Do nothing: the agent runs as the worker's own user."""

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        inner = init_command(
            launch,
            self._toolbox,
            self._limits,
            INIT,
            uid=self.user(launch.paths),
            die_with_parent=True,
            sockets=str(launch.paths.sockets),
        )
        return spawn((), inner, launch, output)

    def end(self, paths: RepairPaths, pid: int | None) -> None:
        if pid is not None:
            kill_group(pid)

    def tools_path(self) -> str:
        """Return the PATH where programs are seen at their own places."""
        folders = dict.fromkeys(str(program.parent) for program in self._toolbox.programs.values())
        return ":".join([*folders, self._toolbox.path(Path("/usr/local/bin"))])

    def paths(self, root: Path) -> RepairPaths:
        return RepairPaths(root)

    def ports(self, count: int) -> list[int]:
        """Return free loopback ports of this machine."""
        with ExitStack() as held:
            probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
            return [int(probe.getsockname()[1]) for probe in probes]

    def usage(self, paths: RepairPaths, pid: int | None) -> ResourceUsage:
        return measure((*paths.foreign, paths.run), self.processes(paths, pid))  # with its log

    def processes(self, paths: RepairPaths, pid: int | None) -> list[int]:
        """Return what runs of the repair: the tree of `pid`. Where a sandbox knows better, it does so."""
        if pid is None:
            return []
        with suppress(psutil.Error):
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        return []


def uid_for(paths: RepairPaths) -> int:
    """Return the user id that is this repair's alone on this machine while its folder exists. Blocking."""
    file = paths.run / "uid"
    if not _holds(file):
        _claim_user(file)
    return int(file.read_text())


def _claim_user(file: Path) -> None:
    """Write a free user id to `file`; the one that is there stays if nobody else has it.

    Workers of one machine share `CLAIMS`, where a link for each user leads to such a file: processes are
    counted and killed by user. A user that has processes is passed over, too, and none is used again at once.
    """
    CLAIMS.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (CLAIMS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _holds(file):
            return
        before = [int(file.read_text())] if file.exists() else []
        taken, count = active_uids() - set(before), LAST_UID - FIRST_UID + 1
        begin = secrets.randbelow(count)
        order = (*before, *(FIRST_UID + (begin + step) % count for step in range(count)))
        uid = next((uid for uid in order if uid not in taken and not _claimed(uid)), None)
        if uid is None:
            raise SandboxError(f"All {count} users of repairs are taken on this machine.", retryable=True)
        claim = CLAIMS / str(uid)
        claim.unlink(missing_ok=True)
        claim.symlink_to(file.resolve())
        file.write_text(str(uid))


def _holds(file: Path) -> bool:
    """Return whether the user in `file` is claimed for it: claims are lost when the machine starts anew."""
    with suppress(OSError):
        return (CLAIMS / file.read_text()).readlink() == file.resolve()
    return False


def _claimed(uid: int) -> bool:
    """Return whether the repair that the claim leads to is still there."""
    with suppress(OSError):
        return (CLAIMS / str(uid)).read_text() == str(uid)
    return False


def give_to_user(paths: RepairPaths) -> None:
    """Give the folders of foreign code to the repair's user, and take the withheld ones back. Blocking."""
    for folders, uid in ((paths.withheld, os.geteuid()), (paths.foreign, uid_for(paths))):
        for folder in folders:
            foreign_files.change_owner(folder, uid)
            foreign_files.keep_private(folder)


def processes_of_user(paths: RepairPaths) -> list[int]:
    return pids_of(uid_for(paths)) if (paths.run / "uid").exists() else []


def end_user(paths: RepairPaths) -> None:
    """Kill every process of the repair's user: an orphan has left the process group. Blocking.

    Raise a retryable `SandboxError` when they do not end.
    """
    if (paths.run / "uid").exists() and not kill_user(uid_for(paths)):
        raise SandboxError(f"Processes of {paths.root.name} do not end: restart the machine.", retryable=True)


@dataclass(frozen=True)
class InitCommand:
    """How `init.py` or `remote_proxy.py` is run: with which Python, from where, with which configuration."""

    python: Path
    script: Path
    config: dict[str, object]

    def command(self, lifeline: int) -> list[str]:
        config = json.dumps({**self.config, "lifeline": lifeline})
        return [str(self.python), "-I", "-S", str(self.script), config]


def init_command(
    launch: SandboxCommand, toolbox: Toolbox, limits: ResourceLimits, script: Path, **config: object
) -> InitCommand:
    fields = {
        "limits": limits.rlimits(),
        "listen": launch.listen.fileno() if launch.listen else None,
        "serve": launch.serve,
        "outward": {str(port): name for port, name in (launch.outward or {}).items()},
        "directory": str(launch.directory),
        "command": list(launch.command),
        **config,
    }
    return InitCommand(toolbox.interpreter(), script, fields)


def spawn(
    prefix: Sequence[str],
    inner: InitCommand,
    launch: SandboxCommand,
    output: int,
    descriptors: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start `inner`, by way of `prefix`. Raise `SandboxError` when it cannot be started.

    The lifeline is a pipe whose write end this process alone holds, so that everything ends with it.
    """
    reading, writing = os.pipe()
    command = [*prefix, *inner.command(reading)]
    try:
        process = subprocess.Popen(
            command,
            cwd=launch.paths.run,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(reading, *descriptors, *([launch.listen.fileno()] if launch.listen else ())),
        )
    except OSError as error:
        os.close(writing)
        raise SandboxError(f"{command[0]} cannot be started: {error.strerror}.") from error
    finally:
        os.close(reading)
    _lifelines[process.pid] = writing
    return process


def kill_group(pid: int, *others: int) -> None:
    """Kill a process group and wait until it, its children and `others` have ended: nothing writes then."""
    children = list(others)
    if (lifeline := _lifelines.pop(pid, None)) is not None:
        os.close(lifeline)
    with suppress(psutil.Error):
        children += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    until = time.monotonic() + END_SECONDS
    while any(started(process) is not None for process in (pid, *children)):
        if time.monotonic() > until:
            raise SandboxError(f"The process {pid} does not end: restart the machine.", retryable=True)
        time.sleep(0.01)
