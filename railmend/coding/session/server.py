"""One OpenCode server per repair, in its sandbox: private state, own password, Unix socket."""

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import httpx
from pydantic import BaseModel, SecretStr

from railmend.coding.git.repository import HIDDEN
from railmend.coding.metering.meter import ModelEndpoint, Usage
from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.bounded_http import BoundedTransport
from railmend.coding.sandbox.interface import (
    GATEWAY_SOCKET,
    SERVER_SOCKET,
    RepairPaths,
    Sandbox,
    SandboxCommand,
    last,
    listening,
    short_path,
)
from railmend.coding.sandbox.quota import to_its_end
from railmend.coding.session import opencode
from railmend.evidence.redact import redact
from railmend.processes import started

READY_SECONDS = 120
ENDING_SECONDS = 2.0
# OpenCode 2 answers on other routes: everything that Railmend asks of it would fail in mid-session.
MAJOR_VERSION = "1."
REQUEST_SECONDS = 30.0


class ServerError(Exception):
    """The OpenCode server cannot be used."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class ServerRecord(BaseModel):
    """Written when the server is started, so that the next attempt finds it. `started`: clock ticks."""

    pid: int
    started: int
    password: str
    gateway_key: str


class ModelGate(Protocol):
    """The connection to the model, with a budget; see `hosting/gateway/model_gateway.py`."""

    @property
    def usage(self) -> Usage: ...

    async def open(self, paths: RepairPaths, key: str) -> None: ...

    async def close(self) -> None: ...


class CodingServer(Protocol):
    """What a session needs of a server, wherever it runs."""

    async def start_or_adopt(self) -> None: ...

    def connect(self) -> AbstractAsyncContextManager[httpx.AsyncClient]: ...

    def usage(self) -> Usage | None:
        """Return what the repair has used so far; None where only OpenCode's own figures are known."""

    def pid(self) -> int | None:
        """Return the root of the server's process tree; None where that is somebody else's."""

    async def ending(self) -> str:
        """Return how the server ended and its last words, as a sentence; empty while it runs."""

    async def stop(self) -> None: ...


class RunningServer:
    """The server of OPENCODE_URL, which somebody else runs on the same files and which is never stopped."""

    def __init__(self, base_url: str, password: SecretStr | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._password = password

    async def start_or_adopt(self) -> None:
        if not await _healthy(self):
            raise ServerError(
                f"No OpenCode server answers at {self._base_url}: start it, or unset OPENCODE_URL."
            )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[httpx.AsyncClient]:
        auth = ("opencode", self._password.get_secret_value() if self._password else "")
        transport = BoundedTransport(httpx.AsyncHTTPTransport())
        async with httpx.AsyncClient(
            base_url=self._base_url, auth=auth, timeout=REQUEST_SECONDS, transport=transport
        ) as client:
            yield client

    def usage(self) -> Usage | None:
        return None

    def pid(self) -> int | None:
        return None

    async def ending(self) -> str:
        return ""

    async def stop(self) -> None:
        """Do nothing: its owner stops it."""


async def _healthy(server: CodingServer) -> bool:
    """Ask on a new connection each time: one made the moment the port opens is never answered.

    Raise `ServerError` for a version whose routes are others.
    """
    try:
        async with server.connect() as client:
            response = await client.get("/global/health", timeout=1.0)
    except httpx.HTTPError:
        return False
    if response.status_code != httpx.codes.OK:
        return False
    try:
        version = str(response.json()["version"])
    except (ValueError, LookupError, TypeError):
        version = "that is not told"
    if not version.startswith(MAJOR_VERSION):
        raise ServerError(
            f"The OpenCode server has version {version[:40]}, and Railmend speaks to {MAJOR_VERSION}x alone: "
            "run `make setup`, and leave OPENCODE_BIN and OPENCODE_URL unset.",
            retryable=False,
        )
    return True


def _record(paths: RepairPaths) -> Path:
    return paths.run / "server.json"


def _read(paths: RepairPaths) -> ServerRecord | None:
    try:
        record = ServerRecord.model_validate_json(_record(paths).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return record if started(record.pid) == record.started else None


def stop_leftovers(repairs: Path, sandbox: Sandbox) -> None:
    """Kill every server whose record remains in a repair's folder under `repairs`. Blocking."""
    for file in repairs.glob("*/run/server.json"):
        stop_leftover(sandbox.paths(file.parent.parent), sandbox)


def stop_leftover(paths: RepairPaths, sandbox: Sandbox) -> None:
    """Kill all that runs of a repair: only then may what it wrote be read. Blocking."""
    record = _read(paths)
    sandbox.end(paths, record.pid if record else None)
    _record(paths).unlink(missing_ok=True)


@dataclass
class OpenCodeServer:
    """The OpenCode server of one repair."""

    paths: RepairPaths
    sandbox: Sandbox
    gate: ModelGate
    model: ModelEndpoint

    def __post_init__(self) -> None:
        self._record: ServerRecord | None = None
        # None where an earlier attempt started it.
        self._process: subprocess.Popen[bytes] | None = None

    def _running(self) -> ServerRecord:
        if self._record is None:
            raise ServerError("The OpenCode server is not started.")
        return self._record

    def usage(self) -> Usage | None:
        return self.gate.usage

    def pid(self) -> int | None:
        return self._record.pid if self._record else None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[httpx.AsyncClient]:
        with short_path(self.paths.sockets, SERVER_SOCKET) as path:
            transport = BoundedTransport(httpx.AsyncHTTPTransport(uds=path, verify=False))
            auth = ("opencode", self._running().password)
            async with httpx.AsyncClient(
                base_url="http://opencode", auth=auth, timeout=REQUEST_SECONDS, transport=transport
            ) as client:
                yield client

    async def start_or_adopt(self) -> None:
        """Adopt the server an earlier attempt left, if it answers; else start one on the same state."""
        paths = self.paths
        if not paths.tree.is_dir():
            raise ServerError(f"The work tree of {paths.root.name} is gone.", retryable=False)
        paths.create()
        if record := _read(paths):
            self._record = record
            await self.gate.open(paths, record.gateway_key)
            if await _healthy(self):
                return
        await asyncio.to_thread(stop_leftover, paths, self.sandbox)
        key = secrets.token_urlsafe(24)
        await self.gate.open(paths, key)
        path, ports = await asyncio.to_thread(self._ready_sandbox)
        self._record = self._start(key, path, ports)
        await self._until_ready(self._record)

    async def _until_ready(self, record: ServerRecord) -> None:
        for _ in range(READY_SECONDS * 5):
            if await _healthy(self):
                return
            if ending := await self.ending():
                raise ServerError(ending)
            await asyncio.sleep(0.2)
        await self.stop()
        raise ServerError(f"OpenCode did not come up within {READY_SECONDS} s: {self._log_tail()}")

    async def ending(self) -> str:
        """Wait a moment for the end: a connection is lost before its process is gone."""
        record = self._running()
        until = time.monotonic() + ENDING_SECONDS
        while started(record.pid) is not None:
            if time.monotonic() > until:
                return ""
            await asyncio.sleep(0.05)
        code = self._process.poll() if self._process else None
        return f"OpenCode ended{_how(code)}: {self._log_tail()}"

    def _log_tail(self) -> str:
        with suppress(OSError):
            return redact(last(self.paths.run / "server.log", 500).strip()) or "it said nothing"
        return "it said nothing"

    def _ready_sandbox(self) -> tuple[str, list[int]]:
        """Remove what foreign code left for the server to run at its next start, and provide its own.

        Return the path of programs, and the ports to serve at and to reach the model by.
        """
        for name in HIDDEN:
            foreign_files.remove(self.paths.tree, name)
        opencode.provision(self.paths.home)
        self.sandbox.hand_over(self.paths)
        return self.sandbox.tools_path(), self.sandbox.ports(2)

    def _start(self, gateway_key: str, path: str, ports: list[int]) -> ServerRecord:
        """Start the server, in the caller's thread: with that thread a sandboxed process ends."""
        paths = self.paths
        password = secrets.token_urlsafe(24)
        serve, gateway = ports
        with listening(paths.sockets, SERVER_SOCKET) as inward, (paths.run / "server.log").open("ab") as log:
            launch = SandboxCommand(
                paths=paths,
                command=("opencode", "serve", "--port", str(serve), "--hostname", "127.0.0.1"),
                environment=opencode.environment(
                    paths.home,
                    path,
                    password,
                    self.model,
                    f"http://127.0.0.1:{gateway}/v1",
                    gateway_key,
                ),
                directory=paths.tree,
                listen=inward,
                serve=serve,
                outward={gateway: GATEWAY_SOCKET},
            )
            self._process = self.sandbox.start(launch, log.fileno())
        pid = self._process.pid
        record = ServerRecord(
            pid=pid,
            started=started(pid) or 0,
            password=password,
            gateway_key=gateway_key,
        )
        _write(_record(paths), record.model_dump_json())
        return record

    async def stop(self) -> None:
        """End the server and all that it started; its state stays for the next attempt."""
        if self._record is not None:
            await to_its_end(partial(self.sandbox.end, self.paths, self._record.pid))
            self._record = None
        _record(self.paths).unlink(missing_ok=True)
        await self.gate.close()


def _how(code: int | None) -> str:
    """Return how a process ended, as a part of a sentence; a signal as a process or as a shell has it."""
    if code is None:
        return ""
    number = -code if code < 0 else code - 128
    if number in set(signal.Signals):
        return f" by {signal.Signals(number).name}"
    return f" with exit code {code}"


def _write(file: Path, secret: str) -> None:
    """Write the file atomically, readable by this user alone."""
    unfinished = file.with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secret)
    unfinished.replace(file)
