"""Resource usage of a repair. Standard library alone, for `hosting/sandbox/remote_daemon.py`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.foreign_files import walk


@dataclass(frozen=True)
class ResourceUsage:
    """What a repair uses.

    `size`: bytes on disk; `depth`: of the deepest folder; `free`: bytes left; `memory`: resident bytes.
    """

    size: int
    files: int
    depth: int
    free: int
    memory: int


def disk_use(folders: Iterable[Path]) -> tuple[int, int, int]:
    """Return bytes on disk, number of files and depth. Links are counted, not followed. Blocking."""
    size = files = deepest = 0
    for folder in folders:
        for entry in walk(folder):
            files += 1
            size += entry.status.st_blocks * 512
            deepest = max(deepest, entry.depth + entry.is_folder)
    return size, files, deepest
