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

    def __init__(self, state: Any = None) -> None:
        self.state = state

    def send(self) -> None:
        """Send the state now. Where the method is called outside of a worker nobody listens."""
        if activity.in_activity():
            activity.heartbeat(self.state)

    async def _beat(self) -> None:
        # Not at once: an empty beat would hold up the first one that carries something.
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self.send()


@asynccontextmanager
async def heartbeating(state: Any = None) -> AsyncIterator[Heartbeat]:
    """Beat in the background. `state`: what the beats carry until it is set."""
    beat = Heartbeat(state)
    task = asyncio.create_task(beat._beat())
    try:
        yield beat
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def working(state: Any = None) -> AsyncIterator[Heartbeat]:
    """Send heartbeats, and raise clients' errors as Temporal's: for whatever waits for an outside system."""
    with translated():
        async with heartbeating(state) as beat:
            yield beat
