"""Limits on a repair's disk and memory, measured from outside while its processes run."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from railmend.coding.foreign_files import MAX_DEPTH
from railmend.coding.resource_usage import ResourceUsage, disk_use

MIB = 1024 * 1024
EVERY_SECONDS = 1.0


class Quota(BaseModel):
    """In MiB, over the work tree and the agent's home together; `free_mib` must stay free on the disk."""

    model_config = ConfigDict(frozen=True)

    disk_mib: int = 2048
    files: int = 200_000
    memory_mib: int = 4096
    free_mib: int = 256


def memory_use(pid: int) -> int:
    """Return the resident bytes of a process tree; shared pages count for each process. Blocking."""
    total = 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def measure(folders: Iterable[Path], pid: int | None) -> ResourceUsage:
    """Return the usage of the folders and of a process tree. Blocking."""
    folders = list(folders)
    size, files, depth = disk_use(folders)
    return ResourceUsage(
        size=size,
        files=files,
        depth=depth,
        free=shutil.disk_usage(folders[0]).free,
        memory=memory_use(pid) if pid is not None else 0,
    )


def exceeded(usage: ResourceUsage, quota: Quota) -> str | None:
    """Return which limit is exceeded; None: none is."""
    if usage.size > quota.disk_mib * MIB:
        return f"disk: more than {quota.disk_mib} MiB"
    if usage.files > quota.files:
        return f"disk: more than {quota.files} files"
    if usage.depth > MAX_DEPTH:
        return f"disk: folders deeper than {MAX_DEPTH}"
    if usage.free < quota.free_mib * MIB:
        return f"disk: less than {quota.free_mib} MiB are free"
    if usage.memory > quota.memory_mib * MIB:
        return f"memory: more than {quota.memory_mib} MiB"
    return None


class Watch:
    """`reason` is set once the quota was exceeded."""

    def __init__(self) -> None:
        self.reason: str | None = None


@asynccontextmanager
async def watching(
    measured: Callable[[], ResourceUsage], quota: Quota, end: Callable[[], None]
) -> AsyncIterator[Watch]:
    """Measure again and again; `end` is called once when the quota is exceeded. Both are blocking."""
    watch = Watch()

    async def measure() -> None:
        while True:
            began = asyncio.get_running_loop().time()
            watch.reason = exceeded(await asyncio.to_thread(measured), quota)
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
