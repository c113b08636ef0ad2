"""Runs coding agents in a container of their own, for a worker in another one: RAILMEND_SANDBOX=remote.

    python -m hosting.sandbox.remote_daemon --shared /agents --worker 10001

Standard library alone, no secret, no network. The two containers share one volume: `SHARED/daemon/` holds
the socket on which the worker asks, `SHARED/repairs/KEY/` the work tree, home and sockets of one repair. A
repair's folders belong to a user of its own while something of it runs, and to the worker otherwise.

Requests are JSON, one per connection (`SOCK_SEQPACKET`): `op` is one of `OPERATIONS` below. Answers are
objects too, `{"error": ...}` among them. `start` brings two or three descriptors: output, the read end of
the worker's lifeline pipe, and the socket that the server listens on. Its answer comes when the command has
ended, and the command ends when its connection does. See unix(7), `hosting/sandbox/remote.py` and
docs/security.md.
"""

import argparse
import json
import os
import re
import selectors
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hosting.sandbox.uids import (
    FIRST_UID,
    LAST_UID,
    active_uids,
    kill_user,
    pids_of,
    remove_left,
    temporary_use,
)
from railmend.coding.sandbox.resource_usage import measure

INIT = Path(__file__).with_name("init.py")
SOCKET = "daemon/daemon.sock"
REPAIRS = "repairs"
# A packet is sent whole or not at all; Linux allows about 200 KiB by default.
MAX_REQUEST = 128 * 1024
MAX_DESCRIPTORS = 3
# FOWNER: files with the setuid bit change hands too. SYS_PTRACE, CHECKPOINT_RESTORE: proc(5) shows which
# files processes hold open, and which they have mapped.
CAPABILITIES = ("CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "SYS_PTRACE")
# Of a repair's folders, what foreign code may write to; what a command with that home gets, if not all.
FOLDERS = ("tree", "home", "installed")
SEEN = {"installed": ("tree", "installed")}
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

Json = dict[str, Any]


class RequestRefused(Exception):
    """The request is wrong, or cannot be done; the message goes to the worker's log."""


@dataclass(eq=False)
class RunningCommand:
    """One command of one repair, and the user that it runs as."""

    uid: int
    process: subprocess.Popen[bytes] | None = None


@dataclass
class RemoteDaemon:
    """Starts commands, each as a user of its own. Needs root, with `CAPABILITIES`.

    `worker`: the user id that may ask, and that owns the folders while nothing runs.
    """

    shared: Path
    worker: int
    _runs: dict[str, RunningCommand] = field(default_factory=dict)
    _locks: dict[str, threading.RLock] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _last: int = LAST_UID

    def listen(self) -> socket.socket:
        """End what an earlier daemon left, and listen where the worker alone may ask."""
        repairs, path = self.shared / REPAIRS, self.shared / SOCKET
        for folder, mode, owner in ((repairs, 0o711, self.worker), (path.parent, 0o710, 0)):
            folder.mkdir(mode=0o700, exist_ok=True)
            if folder.stat().st_uid == 0:  # first: once it is the worker's it cannot be changed
                folder.chmod(mode)
                os.chown(folder, owner, self.worker)
        for uid in active_uids():
            kill_user(uid)
        for paths in filter(Path.is_dir, repairs.iterdir()):
            self._hand_over(paths, self.worker)
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(str(path))
        path.chmod(0o600)
        os.chown(path, self.worker, self.worker)
        listening.listen(64)
        return listening

    def serve(self, listening: socket.socket) -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, ExitStack() as opened:
            try:
                peer = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if peer[1] not in (0, self.worker):
                    raise RequestRefused("Only the worker may ask.")
                data, descriptors, _, _ = socket.recv_fds(connection, MAX_REQUEST, MAX_DESCRIPTORS)
                for descriptor in descriptors:
                    opened.callback(os.close, descriptor)
                request = json.loads(data)
                answer = OPERATIONS[request["op"]](self, request, connection, descriptors)
            except RequestRefused as error:
                answer = {"error": str(error)}
            except (ValueError, LookupError, TypeError) as error:
                answer = {"error": f"The request is not understood ({type(error).__name__}: {error})."}
            except OSError as error:
                answer = {"error": f"{error.filename or 'daemon'}: {error.strerror}"}
            with suppress(OSError):
                connection.send(json.dumps(answer).encode())

    def _hello(self, *_: object) -> Json:
        return {"path": os.environ.get("PATH", os.defpath)}

    def _ports(self, request: Json, *_: object) -> Json:
        with ExitStack() as held:
            count = int(request["count"])
            sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
            return {"ports": [listener.getsockname()[1] for listener in sockets]}

    def _usage(self, request: Json, *_: object) -> Json:
        paths = self._paths(request)
        folders = [paths / name for name in FOLDERS if (paths / name).is_dir()]
        run = self._runs.get(paths.name)
        measured = measure(folders or [paths], pids_of(run.uid) if run else ())
        return asdict(measured) | {"size": measured.size + (temporary_use(run.uid) if run else 0)}

    def _end(self, request: Json, *_: object) -> Json:
        """End what runs of the repair; its folders are the worker's again."""
        self._finish(self._paths(request))
        return {"ended": True}

    def _start(self, request: Json, connection: socket.socket, descriptors: list[int]) -> Json:
        """Run a command to its end, or the connection's. In this thread: the command dies with it."""
        paths = self._paths(request)
        with self._lock(paths.name):
            self._finish(paths)
            run = self._runs[paths.name] = RunningCommand(self._free_user())
            try:
                self._hand_over(paths, run.uid, SEEN.get(str(request.get("home")), FOLDERS))
                run.process = self._spawn(paths, run.uid, request, descriptors)
            except BaseException:
                self._finish(paths, run)
                raise
        code = _watch(run.process, connection)
        self._finish(paths, run)
        run.process.wait()
        return {"code": code}

    def _paths(self, request: Json) -> Path:
        key = str(request["key"])
        if not KEY.fullmatch(key):
            raise RequestRefused("The key is no plain name.")
        paths = self.shared / REPAIRS / key
        if not paths.is_dir() or paths.is_symlink():
            raise RequestRefused(
                f"{paths} is not there: mount one volume at the same path in both containers."
            )
        return paths

    def _lock(self, key: str) -> threading.RLock:
        with self._mutex:
            return self._locks.setdefault(key, threading.RLock())

    def _free_user(self) -> int:
        """Return the next free user id after the last one, so that an id is not used again at once."""
        with self._mutex:
            taken = {run.uid for run in self._runs.values()}
            span = LAST_UID - FIRST_UID + 1
            following = (FIRST_UID + (self._last + 1 - FIRST_UID + step) % span for step in range(span))
            self._last = next(uid for uid in following if uid not in taken)
            return self._last

    def _finish(self, paths: Path, only: RunningCommand | None = None) -> None:
        """End the repair's command; `only`: unless another one has begun since."""
        with self._lock(paths.name):
            run = self._runs.get(paths.name)
            if run is None or (only is not None and run is not only):
                return
            if not kill_user(run.uid):
                raise RequestRefused(
                    f"Processes of {paths.name} (user {run.uid}) do not end: restart the daemon."
                )
            remove_left(run.uid)
            self._hand_over(paths, self.worker)
            del self._runs[paths.name]

    def _hand_over(self, paths: Path, uid: int, names: tuple[str, ...] = FOLDERS) -> None:
        """Give tree and homes, or those `names` alone, to the user, and let nobody else in.

        chown(1) follows no links with these options, at any depth. Nothing that could change them runs.
        """
        os.chown(paths, self.worker, uid, follow_symlinks=False)
        folders = [str(paths / name) for name in names if (paths / name).is_dir()]
        if folders:
            command = ["chown", "-hRP", f"{uid}:{uid}", "--", *folders]
            done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise RequestRefused(f"chown: {done.stderr.decode(errors='replace').strip()[-300:]}")

    def _spawn(self, paths: Path, uid: int, request: Json, descriptors: list[int]) -> subprocess.Popen[bytes]:
        output, lifeline, *listen = descriptors
        config = {
            "uid": uid,
            "die_with_parent": True,
            "limits": request["limits"],
            "listen": listen[0] if listen else None,
            "lifeline": lifeline,
            "serve": request["serve"],
            "outward": request["outward"],
            "sockets": str(paths / "sockets"),
            "directory": request["directory"],
            "command": request["command"],
        }
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(INIT), json.dumps(config)],
            cwd="/",
            env=request["environment"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=descriptors[1:],
        )


OPERATIONS: dict[str, Callable[[RemoteDaemon, Json, socket.socket, list[int]], Json]] = {
    "hello": RemoteDaemon._hello,
    "ports": RemoteDaemon._ports,
    "usage": RemoteDaemon._usage,
    "end": RemoteDaemon._end,
    "start": RemoteDaemon._start,
}


def _watch(process: subprocess.Popen[bytes], connection: socket.socket) -> int:
    """Wait for the process; return its exit code as a shell does, or 0 when the connection has ended."""
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(connection, selectors.EVENT_READ)
            selector.select()
    finally:
        os.close(ended)
    code = process.poll()
    if code is None:
        return 0
    return code if code >= 0 else 128 - code


def ask(shared: Path, request: Json, seconds: float) -> Json:
    """Send one request to the daemon and return its answer. Raise `OSError` when there is none in time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(seconds)
        connection.connect(str(shared / SOCKET))
        connection.send(json.dumps(request).encode())
        answer: Json = json.loads(connection.recv(MAX_REQUEST) or b'{"error": "It ended."}')
        return answer


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs coding agents for RAILMEND_SANDBOX=remote.")
    parser.add_argument("--shared", type=Path, required=True, help="the volume that the worker shares")
    parser.add_argument("--worker", type=int, default=10001, help="the user and group id of the worker")
    parser.add_argument("--check", action="store_true", help="ask whether one runs, and end")
    options = parser.parse_args()
    if options.check:
        try:
            return "path" not in ask(options.shared, {"op": "hello"}, 4)
        except OSError:
            return 1
    daemon = RemoteDaemon(options.shared, options.worker)
    listening = daemon.listen()
    sys.stderr.write(f"agents are started in {options.shared}\n")
    daemon.serve(listening)
    return 0


if __name__ == "__main__":
    sys.exit(main())
