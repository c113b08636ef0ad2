"""What a repair takes of its machine. Standard library alone, as `hosting/sandbox/remote_daemon.py`."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Deeper folders hide what lies in them: their paths are too long to be measured.
MAX_DEPTH = 64


@dataclass(frozen=True)
class ResourceUsage:
    """`size`: bytes on disk; `depth`: of the deepest folder; `free`: bytes left; `memory`: resident bytes."""

    size: int
    files: int
    depth: int
    free: int
    memory: int


def disk_use(folders: Iterable[Path]) -> tuple[int, int, int]:
    """Bytes on disk, number of files, depth. Links are counted, not followed. Blocking."""
    size = files = deepest = 0
    rest = [(str(folder), 1) for folder in folders]
    while rest:
        folder, depth = rest.pop()
        deepest = max(deepest, depth)
        if depth > MAX_DEPTH:
            break
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                files += 1
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        rest.append((entry.path, depth + 1))
    return size, files, deepest
