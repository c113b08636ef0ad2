"""What the coding package needs of a sandbox: to run a command where it can harm only its own work tree.

How that is done (namespaces, another user, not at all) is in hosting/sandbox; see docs/security.md.
"""

import asyncio
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from railmend.coding.sandbox.foreign_files import remove_tree
from railmend.coding.sandbox.quota import Quota, to_its_end, watching
from railmend.coding.sandbox.resource_usage import ResourceUsage

# A socket's path may have 107 bytes only (unix(7)); inside a sandbox this is where they are seen.
SERVER_SOCKET = "server.sock"
GATEWAY_SOCKET = "gateway.sock"
EGRESS_SOCKET = "egress.sock"
# What commands print that look for the network, which a sandbox does not have (getaddrinfo(3), connect(2)).
NO_NETWORK = (
    r"ENOTFOUND|EAI_AGAIN|ENETUNREACH|Network is unreachable|getaddrinfo|Could not resolve host"
    r"|Temporary failure in name resolution|Name or service not known"
)
# Names of a repair's homes.
HOME, INSTALLED = "home", "installed"
# In the worker's own folder of a repair: what a command printed.
OUTPUT = "output.log"
# How often is measured what somebody wants to know.
TOLD_EVERY_SECONDS = 0.3
# How a process ends that stands for a command elsewhere, when that was lost with its container.
LOST = -signal.SIGHUP


class SandboxError(Exception):
    """The sandbox cannot be built here; the message names what is missing and the next step."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


@dataclass(frozen=True)
class RepairPaths:
    """The folders of one repair. The agent sees `tree` and `home`, and of `sockets` only what it connects to.

    `run` is the worker's own: process record, log and usage, out of the agent's reach. `shared`: where those
    three lie when another container must see them, and it may see nothing else. `home_name`: HOME for the
    coding session; INSTALLED for what installs its dependencies, which sees no other home.
    """

    root: Path
    shared: Path | None = None
    home_name: str = HOME

    def installing(self) -> "RepairPaths":
        """Return the same folders as a prepare step sees them."""
        return replace(self, home_name=INSTALLED)

    @property
    def outer(self) -> Path:
        """Return the folder that holds the ones of foreign code; itself it belongs to the worker."""
        return self.shared or self.root

    @property
    def tree(self) -> Path:
        return self.outer / "tree"

    @property
    def home(self) -> Path:
        return self.outer / self.home_name

    @property
    def installed(self) -> Path:
        """Return the home of prepare steps, which a session may read."""
        return self.outer / INSTALLED

    @property
    def foreign(self) -> tuple[Path, ...]:
        """Return the folders that are there and that foreign code may write to now."""
        return tuple(filter(Path.is_dir, dict.fromkeys((self.tree, self.home, self.installed))))

    @property
    def withheld(self) -> tuple[Path, ...]:
        """Return the homes that are there and that it may not even see."""
        return tuple(each for each in (self.outer / HOME,) if each != self.home and each.is_dir())

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def sockets(self) -> Path:
        return (self.shared or self.run) / "sockets"

    def create(self) -> None:
        if self.shared is not None:  # before anything lies in it: other agents could look
            self.shared.mkdir(mode=0o700, exist_ok=True)
            self.shared.chmod(0o710)  # the daemon gives its group to the agent's user
        self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.root, self.home, self.run):
            folder.mkdir(mode=0o700, exist_ok=True)
        if not self.sockets.is_dir():
            self.sockets.mkdir()
            # Walked to by descriptor or in a mount; everything above it is closed.
            self.sockets.chmod(0o711)

    def remove(self) -> None:
        """Blocking."""
        for folder in (self.root, self.shared):
            if folder is not None:
                remove_tree(folder)


@dataclass(frozen=True)
class SandboxCommand:
    """One command for a sandbox. `environment` is all the environment that it gets.

    `listen`: a listening Unix socket of the worker's; what connects is carried to `serve` (a loopback port
    inside). `outward`: loopback port inside -> name of a socket in `paths.sockets`. `directory`: where it
    starts, inside the tree.
    """

    paths: RepairPaths
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    listen: socket.socket | None = None
    serve: int | None = None
    outward: Mapping[int, str] | None = None


class Sandbox(Protocol):
    """Runs commands apart from the worker. `name` as in RAILMEND_SANDBOX."""

    name: str

    def paths(self, root: Path) -> RepairPaths:
        """Return the folders of the repair whose own one is `root`."""

    def hand_over(self, paths: RepairPaths) -> None:
        """Give `paths.foreign` to the user that the agent runs as, and nothing else. Blocking."""

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        """Start a command, its output to the descriptor `output`. Raise `SandboxError`."""

    def end(self, paths: RepairPaths, pid: int | None) -> None:
        """Kill what was started as `pid`, and whatever else runs of the repair. Blocking.

        Raise a retryable `SandboxError` when something does not end: then nothing may be read.
        """

    def tools_path(self) -> str:
        """Return the PATH inside. Blocking."""

    def ports(self, count: int) -> list[int]:
        """Return loopback ports that are free inside. Blocking."""

    def usage(self, paths: RepairPaths, pid: int | None) -> ResourceUsage:
        """Return the usage of tree, home, and what was started as `pid`. Blocking."""


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """Yield a path for a socket that is short however deep `folder` lies. Linux only (proc(5)).

    Raise `OSError` when the folder is a link: what others can write to may have become one.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def listening(folder: Path, name: str) -> socket.socket:
    """Return a new listening Unix socket that anyone who sees the folder may connect to."""
    (folder / name).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(folder, name) as path:
        listener.bind(path)
    (folder / name).chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    listener.listen(64)
    listener.setblocking(False)
    return listener


@dataclass(frozen=True)
class CommandResult:
    """`code` None: it was killed, and `reason` says why. `output`: the last part of what it printed."""

    code: int | None
    reason: str | None
    output: str
    seconds: float


async def run_sandboxed(
    sandbox: Sandbox,
    launch: SandboxCommand,
    seconds: float,
    quota: Quota,
    tail: int = 8000,
    used: Callable[[ResourceUsage], None] | None = None,
) -> CommandResult:
    """Run a command to its end, or to the limit in seconds; nothing of it runs afterwards.

    Return the last `tail` bytes of its output. `used` is told what it uses, again and again. Raise a
    retryable `SandboxError` when its container is lost: that says nothing about the command.
    """
    loop, paths = asyncio.get_running_loop(), launch.paths
    began, output = loop.time(), paths.run / OUTPUT
    with output.open("wb") as log:
        process = sandbox.start(launch, log.fileno())
    code: int | None = None
    reason: str | None = None
    end = partial(sandbox.end, paths, process.pid)
    try:
        told = (used, TOLD_EVERY_SECONDS) if used else ()
        async with watching(partial(sandbox.usage, paths, process.pid), quota, end, *told) as watch:
            try:
                code = await asyncio.wait_for(_ended(process), seconds)
            except TimeoutError:
                reason = f"time: longer than {seconds:.0f} s"
        if watch.reason is not None:
            code, reason = None, watch.reason
    finally:
        await to_its_end(end)
        await asyncio.to_thread(process.wait)
    if code == LOST:
        raise SandboxError(f"The sandbox was lost: {last(output, 300).strip()}", retryable=True)
    return CommandResult(code=code, reason=reason, output=last(output, tail), seconds=loop.time() - began)


async def _ended(process: subprocess.Popen[bytes]) -> int:
    while (code := process.poll()) is None:  # noqa: ASYNC110 - a process has no event to wait for
        await asyncio.sleep(0.05)
    return code


def last(file: Path, size: int) -> str:
    """Return the end of a log of the worker's, which foreign code writes to: it may be very large."""
    with file.open("rb") as stream:
        stream.seek(max(file.stat().st_size - size, 0))
        return stream.read().decode(errors="replace")
