"""Limits on a repair's disk and memory, measured from outside while its processes run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from pydantic import BaseModel, ConfigDict

from railmend.coding.sandbox.foreign_files import MAX_DEPTH
from railmend.coding.sandbox.resource_usage import MAX_DESCRIPTORS, ResourceUsage

MIB = 1024 * 1024
EVERY_SECONDS = 1.0
# However large the tree: what is written meanwhile is not seen.
AT_LEAST_EVERY_SECONDS = 5.0


class Quota(BaseModel):
    """In MiB, over the work tree and the agent's home together; `free_mib` must stay free on the disk.

    `available_mib`: of the machine's memory. It ends what no other limit counts: buffers of sockets,
    descriptors that are on their way, memory that is shared and hidden.
    """

    model_config = ConfigDict(frozen=True)

    disk_mib: int = 2048
    files: int = 200_000
    memory_mib: int = 4096
    free_mib: int = 256
    available_mib: int = 128


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
    if usage.descriptors > MAX_DESCRIPTORS:
        return f"memory: more than {MAX_DESCRIPTORS} open files"
    if usage.available < quota.available_mib * MIB:
        return f"memory: less than {quota.available_mib} MiB are available on this machine"
    return None


class Watch:
    """`reason` is set once the quota was exceeded, `failure` once nothing could be measured."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.failure: Exception | None = None


async def to_its_end(work: Callable[[], None]) -> None:
    """Do blocking work in a thread; who is cancelled meanwhile ends after it.

    Ending that goes on by itself would end what is started next.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


@asynccontextmanager
async def watching(
    measured: Callable[[], ResourceUsage],
    quota: Quota,
    end: Callable[[], None],
    used: Callable[[ResourceUsage], None] = lambda usage: None,
    every_seconds: float = EVERY_SECONDS,
) -> AsyncIterator[Watch]:
    """Measure again and again, and tell `used`; `end` is called once when the quota is exceeded.

    `measured` and `end` are blocking; what `measured` raises ends everything, too, and is raised.
    """
    watch = Watch()

    async def measure() -> None:
        while True:
            began = asyncio.get_running_loop().time()
            try:
                usage = await asyncio.to_thread(measured)
            except Exception as error:  # noqa: BLE001 - raised below; nothing runs unmeasured
                watch.failure = error
                await to_its_end(end)
                return
            used(usage)
            watch.reason = exceeded(usage, quota)
            if watch.reason is not None:
                await to_its_end(end)
                return
            took = asyncio.get_running_loop().time() - began
            # A large tree is measured less often.
            await asyncio.sleep(min(max(every_seconds, 10 * took), AT_LEAST_EVERY_SECONDS))

    task = asyncio.create_task(measure())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if watch.failure is not None:
            raise watch.failure
