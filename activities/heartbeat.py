"""Beats in the background while an activity works, carrying its newest state."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import activity

from activities.errors import translated

T = TypeVar("T")
# The first beat comes soon, for whoever looks on or cancels, but after most reads have ended: Temporal bills
# each. Later there are two in the time after which the server gives up: one may be lost.
FIRST_SECONDS = 5.0
SHARE = 0.4


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
        timeout = activity.info().heartbeat_timeout if activity.in_activity() else None
        for seconds in paces(timeout or timedelta(seconds=FIRST_SECONDS / SHARE)):
            await asyncio.sleep(seconds)
            self.send()


def paces(timeout: timedelta) -> Iterator[float]:
    """Yield for ever the seconds before each beat, under a heartbeat timeout."""
    most, seconds = timeout.total_seconds() * SHARE, FIRST_SECONDS
    while True:
        yield min(seconds, most)
        seconds = min(2 * seconds, most)


@asynccontextmanager
async def working(state: Any = None) -> AsyncIterator[Heartbeat]:
    """Beat in the background, and raise clients' errors as Temporal's: for what waits for an outside system.

    `state`: what the beats carry until it is set.
    """
    beat = Heartbeat(state)
    task = asyncio.create_task(beat._beat())
    try:
        with translated():
            yield beat
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do work that blocks, in a thread, as `working` does the rest."""
    async with working():
        return await asyncio.to_thread(work, *arguments)
