"""Beats in the background while an activity works, carrying its newest state."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from temporalio import activity

from activities.errors import translated

# Half of what the worker throttles to: a crash loses at most this much progress from the details.
EVERY_SECONDS = 2.0


class Heartbeat:
    """`state` is sent with each beat; set it to the newest JSON-serialisable progress."""

    def __init__(self) -> None:
        self.state: Any = None

    async def _beat(self) -> None:
        while True:
            activity.heartbeat(self.state)
            await asyncio.sleep(EVERY_SECONDS)


@asynccontextmanager
async def heartbeating() -> AsyncIterator[Heartbeat]:
    beat = Heartbeat()
    task = asyncio.create_task(beat._beat())
    try:
        yield beat
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def working() -> AsyncIterator[Heartbeat]:
    """Send heartbeats, and raise clients' errors as Temporal's: for activities with a heartbeat timeout."""
    with translated():
        async with heartbeating() as beat:
            yield beat
