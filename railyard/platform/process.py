"""One application process: started from nothing, its output captured, measured with its children."""

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

import psutil

from railyard.platform.model import Deployment, Sample

LINE_LIMIT = 64 * 1024
GIGABYTE = 1e9
STOP_SECONDS = 3.0
EXIT_POLL_SECONDS = 0.05


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Application:
    """`port`: where the application has to listen."""

    def __init__(self, folder: Path, command: list[str], deployment: Deployment) -> None:
        self._folder = folder
        self._command = command
        self._deployment = deployment
        self._process: Process | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._tree: psutil.Process | None = None
        self._cpu_seconds: dict[int, float] = {}
        self._sampled_at = 0.0
        self.port = 0

    async def start(self) -> None:
        """Start the process. Raise OSError if the command or the folder does not exist."""
        self.port = free_port()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._folder),
                "PORT": str(self.port),
                "PYTHONUNBUFFERED": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            limit=LINE_LIMIT,
            start_new_session=True,
        )
        streams = ((self._process.stdout, "info"), (self._process.stderr, "error"))
        self._pumps = [asyncio.create_task(self._pump(s, severity)) for s, severity in streams if s]
        with suppress(psutil.NoSuchProcess):
            self._tree = psutil.Process(self._process.pid)
        self._sampled_at = time.monotonic()
        self._cpu_seconds = {}

    async def _pump(self, stream: asyncio.StreamReader, severity: str) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the limit
                continue
            if not line:
                return
            self._deployment.say(line.decode(errors="replace").rstrip("\n"), severity)

    async def listens(self, seconds: float) -> bool:
        """Return whether it accepts connections within this time; False as soon as it has died."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.alive():
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return True
            await asyncio.sleep(0.05)
        return False

    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _exited(self, process: Process) -> int:
        # Process.wait() also waits for the output to be closed, which a child may hold open.
        while process.returncode is None:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(EXIT_POLL_SECONDS)
        return process.returncode

    async def wait(self) -> int:
        """Return its exit code once it and its children are gone and their output is read."""
        if self._process is None:
            return 0
        code = await self._exited(self._process)
        self.kill()  # children that outlive it would keep its output open and the port taken
        if self._pumps:
            # A child that left the group may still hold the output: do not wait for it for ever.
            _, open_ones = await asyncio.wait(self._pumps, timeout=STOP_SECONDS)
            for pump in open_ones:
                pump.cancel()
        return code

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Send SIGTERM, then SIGKILL, to the whole group."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._exited(self._process), STOP_SECONDS)
        self.kill()
        await self.wait()

    def sample(self) -> Sample | None:
        """Return CPU since the last sample, and memory now; None if it does not run."""
        if self._tree is None or not self.alive():
            return None
        used, memory, seconds = 0.0, 0, {}
        for process in self._family():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                times = process.cpu_times()
                seconds[process.pid] = times.user + times.system
                memory += process.memory_info().rss
        now = time.monotonic()
        used = sum(value - self._cpu_seconds.get(pid, 0.0) for pid, value in seconds.items())
        elapsed = max(now - self._sampled_at, 1e-3)
        self._cpu_seconds, self._sampled_at = seconds, now
        return Sample(time.time(), max(used, 0.0) / elapsed, memory / GIGABYTE)

    def _family(self) -> list[psutil.Process]:
        if self._tree is None:
            return []
        try:
            return [self._tree, *self._tree.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
