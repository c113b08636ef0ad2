"""What the coding rooms ask of a fence: run a command where it can hurt nothing but its own work tree.

How that is done (namespaces, another user, not at all) is the launcher's business; see docs/security.md.
"""

import asyncio
import os
import socket
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from railmend.coding.quota import Quota, watching

# A socket's path may have 107 bytes only (unix(7)); inside a fence this is where they are seen.
SERVER_SOCKET = "server.sock"
GATEWAY_SOCKET = "gateway.sock"
EGRESS_SOCKET = "egress.sock"


class FenceError(Exception):
    """The fence cannot be built here; the message names what is missing and the next step."""

    retryable = False


@dataclass(frozen=True)
class Place:
    """The folders of one repair. The agent sees `tree` and `home`, and of `sockets` only what it connects to.

    `run` is the worker's own: process record, log and usage, out of the agent's reach.
    """

    root: Path

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def sockets(self) -> Path:
        return self.run / "sockets"

    def make(self) -> None:
        for folder in (self.root, self.home, self.run, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Launch:
    """One command for a fence. `environment` is all the environment that it gets.

    `listen`: a listening Unix socket of the worker's; what connects is carried to `serve` (a loopback port
    inside). `outward`: loopback port inside -> name of a socket in `place.sockets`. `directory`: where it
    starts, inside the tree.
    """

    place: Place
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    listen: socket.socket | None = None
    serve: int | None = None
    outward: Mapping[int, str] | None = None


class Fence(Protocol):
    """A launcher. `name` as in RAILMEND_SANDBOX. Ports are free inside when `private_network`."""

    name: str
    private_network: bool

    def admit(self, place: Place) -> None:
        """Give tree and home to the user that the agent runs as. Blocking."""

    def start(self, launch: Launch, output: int) -> subprocess.Popen[bytes]:
        """Start it, with standard output and error to the descriptor `output`. Raises `FenceError`."""

    def end(self, place: Place, pid: int) -> None:
        """Kill what was started as `pid`, and whatever it left. Blocking."""

    def tools_path(self) -> str:
        """The PATH inside."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def ports(fence: Fence, count: int) -> list[int]:
    """Loopback ports inside: any will do in a network of its own, else such as are free on the host."""
    if fence.private_network:
        return list(range(4096, 4096 + count))
    return [free_port() for _ in range(count)]


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """A path for a socket that is short however deep `folder` lies. Linux only (proc(5))."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def listening(folder: Path, name: str) -> socket.socket:
    """A new listening Unix socket that anyone who sees the folder may connect to."""
    (folder / name).unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(folder, name) as path:
        made.bind(path)
    (folder / name).chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    made.listen(64)
    made.setblocking(False)
    return made


@dataclass(frozen=True)
class Finished:
    """`code` None: it was killed, and `reason` says why. `output`: the last part of what it printed."""

    code: int | None
    reason: str | None
    output: str
    seconds: float


async def run_fenced(
    fence: Fence, launch: Launch, seconds: float, quota: Quota, tail: int = 8000
) -> Finished:
    """Run a command to its end, or to the limit in seconds; nothing of it lives on afterwards.

    The last `tail` bytes of its output are returned.
    """
    loop, place = asyncio.get_running_loop(), launch.place
    began, output = loop.time(), place.run / "output.log"
    with output.open("wb") as log:
        process = fence.start(launch, log.fileno())
    code: int | None = None
    reason: str | None = None
    end = partial(fence.end, place, process.pid)
    try:
        async with watching((place.tree, place.home), process.pid, quota, end) as watch:
            try:
                code = await asyncio.wait_for(_ended(process), seconds)
            except TimeoutError:
                reason = f"time: longer than {seconds:.0f} s"
        if watch.reason is not None:
            code, reason = None, watch.reason
    finally:
        await asyncio.to_thread(end)
        await asyncio.to_thread(process.wait)
    return Finished(code=code, reason=reason, output=_tail(output, tail), seconds=loop.time() - began)


async def _ended(process: subprocess.Popen[bytes]) -> int:
    while (code := process.poll()) is None:  # noqa: ASYNC110 - a process has no event to wait for
        await asyncio.sleep(0.05)
    return code


def _tail(file: Path, size: int) -> str:
    with file.open("rb") as stream:
        stream.seek(max(file.stat().st_size - size, 0))
        return stream.read().decode(errors="replace")
