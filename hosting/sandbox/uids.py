"""User ids that belong to one repair only, and their processes. Standard library alone, Linux only."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

# systemd's range for users that exist for one service only (systemd.exec(5), DynamicUser=).
FIRST_UID, LAST_UID = 61184, 65518
# Used by nothing else: processes of a repair cannot signal the one that kills them.
REAPER_UID = 65519
END_SECONDS = 10.0
# Allowed to signal the user (effective id) and signalled by none of its processes (real and saved id), and
# in one call, so that none escapes by a fork: kill(2).
REAP = (
    "import os,signal\nos.setgroups([]); os.setresgid({reaper},{reaper},{reaper})\n"
    "os.setresuid({reaper},{uid},{reaper})\nos.kill(-1, signal.SIGKILL)"
)


@dataclass(frozen=True)
class Process:
    """A process. `users`: real, effective, saved and file system ids; `memory`: resident bytes."""

    pid: int
    users: frozenset[int]
    memory: int


def processes() -> Iterator[Process]:
    """Yield the running processes of this machine or container.

    The owner of a folder in /proc does not say whose process it is, see proc(5).
    """
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/status") as file:
            fields = dict(row.split(":", 1) for row in file)
            if fields["State"].split()[0] not in "ZX":
                users = frozenset(map(int, fields["Uid"].split()))
                yield Process(int(name), users, int(fields.get("VmRSS", "0").split()[0]) * 1024)


def memory_of(uid: int) -> int:
    return sum(process.memory for process in processes() if uid in process.users)


def active_uids() -> set[int]:
    """Return the users of repairs that have processes."""
    return {uid for process in processes() for uid in process.users if FIRST_UID <= uid <= LAST_UID}


def kill_user(uid: int) -> bool:
    """Kill every process of the user; return False if some still run after 10 s. Needs root. Blocking."""
    until = time.monotonic() + END_SECONDS
    while any(uid in process.users for process in processes()):
        if time.monotonic() > until:
            return False
        script = REAP.format(uid=uid, reaper=REAPER_UID)
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", script],
            check=False,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.01)
    return True
