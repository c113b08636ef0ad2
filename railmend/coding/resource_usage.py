"""Resource usage of a repair. Standard library alone, for `hosting/sandbox/remote_daemon.py`."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Deeper folders hide what lies in them: their paths are too long to be measured.
MAX_DEPTH = 64


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
    pending = [(str(folder), 1) for folder in folders]
    while pending:
        folder, depth = pending.pop()
        deepest = max(deepest, depth)
        if depth > MAX_DEPTH:
            break
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                files += 1
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, depth + 1))
    return size, files, deepest
