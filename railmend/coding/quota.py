"""How much disk and memory a repair may take, watched from outside while its processes run."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024
EVERY_SECONDS = 1.0
# Deeper folders hide what lies in them: their paths are too long to be measured.
MAX_DEPTH = 64


class Quota(BaseModel):
    """In MiB, over the work tree and the agent's home together; `free_mib` must stay free on the disk."""

    model_config = ConfigDict(frozen=True)

    disk_mib: int = 2048
    files: int = 200_000
    memory_mib: int = 4096
    free_mib: int = 256


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


def memory_use(pid: int) -> int:
    """Resident bytes of a process and all below it; shared pages count for each. Blocking."""
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def exceeded(folders: Iterable[Path], pid: int | None, quota: Quota) -> str | None:
    """Why the processes must be ended; None: all is within bounds. Blocking."""
    folders = list(folders)
    size, files, depth = disk_use(folders)
    if size > quota.disk_mib * MIB:
        return f"disk: more than {quota.disk_mib} MiB"
    if files > quota.files:
        return f"disk: more than {quota.files} files"
    if depth > MAX_DEPTH:
        return f"disk: folders deeper than {MAX_DEPTH}"
    if shutil.disk_usage(folders[0]).free < quota.free_mib * MIB:
        return f"disk: less than {quota.free_mib} MiB are free"
    if pid is not None and memory_use(pid) > quota.memory_mib * MIB:
        return f"memory: more than {quota.memory_mib} MiB"
    return None


class Watch:
    """`reason` is set once the quota was exceeded."""

    def __init__(self) -> None:
        self.reason: str | None = None


@asynccontextmanager
async def watching(
    folders: Iterable[Path], pid: int | None, quota: Quota, end: Callable[[], None]
) -> AsyncIterator[Watch]:
    """Measure again and again; `end` (blocking) is called once when the quota is exceeded."""
    watch, folders = Watch(), list(folders)

    async def measure() -> None:
        while True:
            began = asyncio.get_running_loop().time()
            watch.reason = await asyncio.to_thread(exceeded, folders, pid, quota)
            if watch.reason is not None:
                await asyncio.to_thread(end)
                return
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(EVERY_SECONDS, 10 * took))  # a large tree is measured less often

    task = asyncio.create_task(measure())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def remove_tree(folder: Path) -> None:
    """Also what an agent nested too deeply for Python. Blocking."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run(
                [*command, "--", str(folder)],
                check=False,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
