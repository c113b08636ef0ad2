"""Identifies processes for good, and says which run. Standard library alone, Linux only (proc(5))."""

import os
from contextlib import suppress
from pathlib import Path


def _stat(pid: int) -> list[bytes]:
    """Return the fields of `stat` from the third on. The name before may hold blanks, and any bytes."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()


def running_thread(pid: int) -> int | None:
    """Return a thread of the process that has not ended, under whose id /proc shows it; None: all have.

    The first one may have ended before the others: then `/proc/PID` shows a zombie that holds nothing.
    """
    with suppress(OSError):
        for thread in (pid, *(int(name) for name in os.listdir(f"/proc/{pid}/task"))):
            with suppress(OSError):
                if _stat(thread)[0] not in b"ZX":
                    return thread
    return None


def started(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it has ended (a zombie has)."""
    with suppress(OSError):
        if running_thread(pid) is not None:
            return int(_stat(pid)[19])
    return None
