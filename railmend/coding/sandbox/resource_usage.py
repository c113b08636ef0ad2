"""Resource usage of a repair. Standard library alone, for `hosting/sandbox/remote_daemon.py`."""

import os
import re
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from railmend.coding.sandbox.foreign_files import walk
from railmend.processes import running_thread

# Of all processes of a repair together: beyond these they are not counted one by one any more.
MAX_DESCRIPTORS = 32_768

SIZES = re.compile(rb"^((?:Mem|Rss|Vm)\w+):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class ResourceUsage:
    """What a repair uses.

    `size`: bytes on disk, with unlinked files that are open; `depth`: of the deepest folder; `free`: bytes
    left on disk; `memory`: bytes, with shared memory; `available`: bytes of memory that the machine has left;
    `cpu`: seconds of processor time, of what runs and of what it has waited for.
    """

    size: int
    files: int
    depth: int
    free: int
    memory: int
    descriptors: int
    available: int
    cpu: float = 0.0


def disk_use(folders: Iterable[Path]) -> tuple[int, int, int]:
    """Return bytes on disk, number of files and depth. Links are counted, not followed. Blocking."""
    size = files = deepest = 0
    for folder in folders:
        for entry in walk(folder):
            files += 1
            size += entry.status.st_blocks * 512
            deepest = max(deepest, entry.depth + entry.is_folder)
    return size, files, deepest


def measure(folders: Iterable[Path], processes: Iterable[int]) -> ResourceUsage:
    """Return what folders and processes use. Blocking."""
    folders, held = list(folders), _Held()
    size, files, depth = disk_use(folders)
    for process in processes:
        with suppress(OSError):  # it has ended
            held.add(process)
    return ResourceUsage(
        size=size + held.unlinked(in_memory=False),
        files=files,
        depth=depth,
        free=min(shutil.disk_usage(folder).free for folder in folders),
        memory=held.private + max(held.shared, held.unlinked(in_memory=True)),
        descriptors=held.descriptors,
        available=_fields("/proc/meminfo")["MemAvailable"],  # since Linux 3.14
        cpu=held.ticks / os.sysconf("SC_CLK_TCK"),
    )


@dataclass
class _Held:
    """What processes hold, each thing once.

    `private`, `shared`: bytes of memory; `descriptors`: how many; `ticks`: of processor time, see proc(5).
    """

    private: int = 0
    shared: int = 0
    descriptors: int = 0
    ticks: int = 0
    _unlinked: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, process: int) -> None:
        """Add a process. Pages that it shares, but has not mapped now, are counted by `unlinked` alone."""
        folder = f"/proc/{running_thread(process) or process}"
        status = _fields(f"{folder}/status")
        shared = status.get("RssShmem", 0)
        self.shared += shared
        self.private += sum(status.get(name, 0) for name in ("VmRSS", "VmSwap", "VmPTE")) - shared
        with open(f"/proc/{process}/stat", "rb") as stream:  # what is after its name, which may be anything
            self.ticks += sum(map(int, stream.read().rpartition(b")")[2].split()[11:15]))
        descriptors = os.listdir(f"{folder}/fd")
        self.descriptors += len(descriptors)
        if self.descriptors <= MAX_DESCRIPTORS:
            for descriptor in descriptors:
                self._add_unlinked(f"{folder}/fd/{descriptor}")
            # Files that are mapped and closed, and memory that was shared when it was mapped.
            with open(f"{folder}/maps", "rb") as rows:
                for row in rows:
                    if row.rstrip().endswith(b"(deleted)"):
                        first, last = (int(end, 16) for end in row.split()[0].split(b"-"))
                        self._add_unlinked(f"{folder}/map_files/{first:x}-{last:x}")

    def _add_unlinked(self, link: str) -> None:
        with suppress(OSError):  # closed by now; for `map_files` rights are needed that not every worker has
            status = os.stat(link)
            if not status.st_nlink and stat.S_ISREG(status.st_mode):
                self._unlinked[status.st_dev, status.st_ino] = status.st_blocks * 512

    def unlinked(self, *, in_memory: bool) -> int:
        """Return the bytes of unlinked files on disk (or in a folder in memory), or of memory as such."""
        devices = _memory_device()
        return sum(size for (device, _), size in self._unlinked.items() if (device == devices) is in_memory)


@cache
def _memory_device() -> int:
    """Return the device of all memory that has no folder: memfd_create(2), shmget(2), shared mappings."""
    descriptor = os.memfd_create("device")
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


def _fields(file: str) -> dict[str, int]:
    """Return sizes in a file of proc(5), in bytes. The name that a process gave itself is any bytes."""
    with open(file, "rb") as stream:
        return {name.decode(): int(size) * 1024 for name, size in SIZES.findall(stream.read())}
