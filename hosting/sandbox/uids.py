"""User ids that belong to one repair only, and what is theirs. Standard library alone, Linux only."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.sandbox.foreign_files import remove
from railmend.coding.sandbox.resource_usage import disk_use
from railmend.processes import running_thread

# systemd's range for users that exist for one service only (systemd.exec(5), DynamicUser=).
FIRST_UID, LAST_UID = 61184, 65518
# Used by nothing else: processes of a repair cannot signal the one that kills them.
REAPER_UID = 65519
END_SECONDS = 10.0
TRIES = 100
# Allowed to signal the user (effective id) and signalled by none of its processes (real and saved id).
BECOME = (
    "import ctypes,os,signal\nos.setgroups([]); os.setresgid({reaper},{reaper},{reaper})\n"
    "os.setresuid({reaper},{uid},{reaper})\n"
)
REAP = "os.kill(-1, signal.SIGKILL)"  # in one call, so that none escapes by a fork: kill(2)
REMOVE_SEGMENTS = "for id in {ids}: ctypes.CDLL(None).shmctl(id, 0, None)"
# What the whole machine, or container, shares.
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - what agents leave there is removed
USERS = re.compile(rb"^Uid:(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Process:
    """A process. `users`: real, effective, saved and file system ids."""

    pid: int
    users: frozenset[int]


def processes() -> Iterator[Process]:
    """Yield the running processes of this machine or container.

    The owner of a folder in /proc does not say whose process it is, see proc(5).
    """
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if (thread := running_thread(pid)) is not None:
            with suppress(OSError), open(f"/proc/{thread}/status", "rb") as file:
                if ids := USERS.search(file.read()):
                    yield Process(pid, frozenset(map(int, ids[1].split())))


def pids_of(uid: int) -> list[int]:
    """Return the user's processes; also those that left their session, and their parent."""
    return [process.pid for process in processes() if uid in process.users]


def active_uids() -> set[int]:
    """Return the users of repairs that have processes."""
    return {uid for process in processes() for uid in process.users if FIRST_UID <= uid <= LAST_UID}


def kill_user(uid: int) -> bool:
    """Kill every process of the user; return False if some still run after 10 s. Needs root. Blocking."""
    until = time.monotonic() + END_SECONDS
    while any(uid in process.users for process in processes()):
        if time.monotonic() > until:
            return False
        _as_user(uid, REAP)
        time.sleep(0.01)
    return True


def _as_user(uid: int, script: str) -> None:
    """Run a script that may signal and remove what is the user's.

    All that run so may signal each other, so one that was killed begins anew: at most `TRIES` times, as
    what is to end may kill each.
    """
    command = [sys.executable, "-I", "-S", "-c", BECOME.format(uid=uid, reaper=REAPER_UID) + script]
    none = subprocess.DEVNULL
    for _ in range(TRIES):
        if subprocess.run(command, check=False, stdin=none, stderr=none).returncode != -signal.SIGKILL:
            return


def _temporary_files(uid: int) -> Iterator[os.DirEntry[str]]:
    for folder in filter(os.path.isdir, TEMPORARY):
        for entry in list(os.scandir(folder)):
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == uid:
                    yield entry


def temporary_use(uid: int) -> int:
    """Return the bytes of what the user has in `TEMPORARY`. Blocking."""
    size = 0
    for entry in _temporary_files(uid):
        with suppress(OSError):
            size += entry.stat(follow_symlinks=False).st_blocks * 512 + disk_use([Path(entry.path)])[0]
    return size


def remove_left(uid: int) -> None:
    """Remove what an ended user left in `TEMPORARY`, and its shared memory (shmget(2)). Blocking."""
    for entry in _temporary_files(uid):
        with suppress(OSError):
            remove(Path(entry.path).parent, entry.name)
    with suppress(OSError), open("/proc/sysvipc/shm") as file:
        rows = [row.split() for row in list(file)[1:]]
        if ids := [int(row[1]) for row in rows if str(uid) in (row[7], row[9])]:  # its owner, its creator
            _as_user(uid, REMOVE_SEGMENTS.format(ids=ids))
