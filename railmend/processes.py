"""Identifies a process for good: its id alone is used again after it has ended."""

from pathlib import Path


def started(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it has ended (a zombie has).

    Linux only (`proc(5)`, field 22 of `stat`), as are the sandboxes that these processes run in.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold blanks
    return None if fields[0] == "Z" else int(fields[19])
