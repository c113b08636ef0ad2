"""A Temporal server of one's own for `worker.py --dev`: SQLite in WAL mode, Web UI, 45 days of history."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import structlog
from pydantic import BaseModel

from railmend.processes import started
from railmend.settings import ConfigurationError

log = structlog.get_logger(__name__)

# The dev server polls its queues 20 times a second by default, which makes a child workflow take 200 ms.
DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    "system.enableCancelActivityWorkerCommand=true",
    "frontend.WorkerCommandsEnabled=true",
)
RETENTION = "45d"
START_SECONDS = 30
TRIES = 3
STOP_SECONDS = 10
LEAST_FREE_MIB = 64  # SQLite's write-ahead log alone may grow to some tens of MiB


class Running(BaseModel):
    """The lock file: which server runs on this state directory. `started`: see `railmend.processes`."""

    pid: int
    started: int
    port: int
    ui_port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _runs(running: Running) -> bool:
    return started(running.pid) == running.started


def _serves(running: Running) -> bool:
    """Return whether it is this server that listens, and not who took its port meanwhile."""
    with suppress(psutil.Error):
        listening = psutil.Process(running.pid).net_connections("tcp")
        return any(each.laddr and each.laddr.port == running.port and not each.raddr for each in listening)
    return False


def _read(lock: Path) -> Running | None:
    try:
        return Running.model_validate_json(lock.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for listener in sockets:
        listener.close()
    return ports


def binary() -> Path:
    path = Path(sys.executable).absolute().with_name("temporal")
    if not path.is_file():
        raise ConfigurationError("The Temporal server is not installed: run `make setup`.")
    return path


def _command(state_dir: Path, port: int, ui_port: int) -> list[str]:
    command = [
        *(str(binary()), "server", "start-dev", "--ip", "127.0.0.1"),
        *("--port", str(port), "--ui-port", str(ui_port), "--log-level", "error"),
        *("--db-filename", str(state_dir / "temporal.db")),
        *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"),
    ]
    for value in DYNAMIC_CONFIG:
        command += ["--dynamic-config-value", value]
    return command


def _spawn(state_dir: Path, port: int, ui_port: int) -> subprocess.Popen[bytes]:
    """Start the server in a session of its own, so that it survives the worker."""
    with (state_dir / "temporal.log").open("ab") as output:
        return subprocess.Popen(
            _command(state_dir, port, ui_port),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(state_dir)},
        )


async def start_or_adopt(state_dir: Path, port: int | None = None) -> Running:
    """Adopt the server that an earlier worker left running, else start one.

    Raise `ConfigurationError` when it does not come up within 30 s.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    lock = state_dir / "temporal.json"
    earlier = _read(lock)
    if earlier and _runs(earlier):
        await _wait_until_up(earlier, state_dir)
        log.info("adopted the Temporal server", address=earlier.address, ui=earlier.ui)
        return earlier
    _check_disk(state_dir)
    if port and _accepts(port):
        raise ConfigurationError(
            f"Port {port} is held by another program: stop that, or choose another with --dev-port."
        )
    for tries_left in reversed(range(TRIES)):
        # The port of last time, for whoever has it in a bookmark, unless another program has taken it.
        kept = earlier.port if earlier and not _accepts(earlier.port) else None
        running = _start(state_dir, lock, port or kept)
        try:
            await _wait_until_up(running, state_dir)
            break
        except ConfigurationError:  # a port that was free may have been taken since
            if not tries_left or _runs(running):
                raise
    await _keep_history(running, state_dir)
    log.info("started a Temporal server", address=running.address, ui=running.ui)
    return running


def _start(state_dir: Path, lock: Path, port: int | None) -> Running:
    free, ui_port = _free_ports(2)
    pid = _spawn(state_dir, port or free, ui_port).pid
    running = Running(pid=pid, started=started(pid) or 0, port=port or free, ui_port=ui_port)
    # Written before the server is up: a worker killed now must find it again.
    partial = lock.with_suffix(".tmp")
    partial.write_text(json.dumps(running.model_dump()))
    partial.replace(lock)
    return running


def _check_disk(state_dir: Path) -> None:
    free = shutil.disk_usage(state_dir).free // 2**20
    if free < LEAST_FREE_MIB:
        raise ConfigurationError(
            f"The disk of {state_dir} is full: {free} MiB are free, and Temporal's history needs at least "
            f"{LEAST_FREE_MIB}. Make room, or set RAILMEND_STATE_DIR to a folder on another disk."
        )


async def _wait_until_up(running: Running, state_dir: Path) -> None:
    for _ in range(START_SECONDS * 10):
        if _serves(running):
            return
        if not _runs(running):
            break
        await asyncio.sleep(0.1)
    raise ConfigurationError(f"The Temporal server did not come up: see {state_dir / 'temporal.log'}.")


def say_where(running: Running) -> None:
    """Tell a person at a terminal where to look and how to stop; a log is told in its own way."""
    if sys.stderr.isatty():
        sys.stderr.write(
            f"Temporal Web UI: {running.ui}\n"
            "Stop the worker with Ctrl-C. The Temporal server keeps running after that, so a restart is "
            f"quick; stop it with: kill {running.pid}\n"
        )


def log_that_it_stays(running: Running) -> None:
    """Log that the server keeps running, and the command that stops it."""
    log.info("the Temporal server keeps running", ui=running.ui, stop_it_with=f"kill {running.pid}")


def stop_server(state_dir: Path) -> None:
    """End the server of this state directory, if one runs; its history stays on disk."""
    running = _read(state_dir / "temporal.json")
    if running is None or not _runs(running):
        return
    os.killpg(running.pid, signal.SIGTERM)
    for _ in range(STOP_SECONDS * 10):
        if not _runs(running):
            return
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)


async def _keep_history(running: Running, state_dir: Path) -> None:
    """Set the retention: closed runs are the archive, and the default of one day is too short."""
    arguments = ("operator", "namespace", "update", "--retention", RETENTION, "default")
    for _ in range(20):
        process = await asyncio.create_subprocess_exec(
            *(str(binary()), *arguments, "--address", running.address),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Nothing of TEMPORAL_*: a key or certificate in the environment is another server's.
            env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "")},
        )
        _, complaint = await process.communicate()
        if process.returncode == 0:
            return
        await asyncio.sleep(0.5)
    why = complaint.decode(errors="replace").strip().splitlines()[-1:]
    raise ConfigurationError(
        f"The Temporal server at {running.address} does not keep history for {RETENTION}: "
        f"{why[0] if why else 'it does not say why'}. See {state_dir / 'temporal.log'}."
    )
