"""What one request may hold, and how many may be sent: Railway's limits, with room to spare."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from railmend.railway.compose import Query, breadth
from railmend.railway.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLICY = re.compile(r"q=(\d+);w=(\d+)")


class RateLimits(BaseModel):
    """Defaults: the official client's own sizes and what a public collector found (20 aliases, 500 wide).

    Railway's limits are per account. `sharers` worker processes that use one account's tokens each keep to
    their equal part of the rate and of the budget, so that together they stay below it without talking.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aliases: int = 20
    breadth: int = 250
    points: int = 30_000
    in_flight: int = 2
    per_second: float = 8.0  # the smallest plan that names a rate allows 10
    reserve: float = 0.1  # share of the hourly budget kept for approved actions
    page: int = 500
    sharers: int = Field(1, ge=1)


def batches(asks: Sequence[Query], limits: RateLimits) -> Iterator[list[Query]]:
    """In order, as full as the limits allow. An ask that is too large alone still goes alone."""
    batch: list[Query] = []
    wide = points = 0
    for ask in asks:
        more_wide, more_points = breadth(ask.document), ask.points
        full = len(batch) == limits.aliases or wide + more_wide > limits.breadth
        if batch and (full or points + more_points > limits.points):
            yield batch
            batch, wide, points = [], 0, 0
        batch.append(ask)
        wide, points = wide + more_wide, points + more_points
    if batch:
        yield batch


class RateLimiter:
    """One per token: bounds requests in flight, per second, and in the plan's window.

    The plan's budget is learnt from `RateLimit-Policy` ("default";q=1000;w=3600): Railway sends no
    remaining count, so requests are counted here.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(limits.in_flight)
        self._turn = asyncio.Lock()
        self._next = 0.0
        self._quota: int | None = None
        self._window = 3600.0
        self._sent: deque[float] = deque()
        self._blocked_until = 0.0

    @asynccontextmanager
    async def slot(self, *, urgent: bool = False) -> "AsyncIterator[None]":
        """Raises `RateLimited` at once where waiting would take longer than a scan should.

        `urgent`: an approved action, which may use the reserve.
        """
        async with self._free:
            self._check(time.monotonic(), urgent=urgent)
            async with self._turn:
                wait = self._next - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                self._next = time.monotonic() + self._limits.sharers / self._limits.per_second
            self._sent.append(time.monotonic())
            yield

    def _check(self, now: float, *, urgent: bool) -> None:
        if now < self._blocked_until:
            after = self._blocked_until - now
            raise RateLimited("Railway asked to wait; nothing is sent until then.", retry_after=after)
        while self._sent and self._sent[0] < now - self._window:
            self._sent.popleft()
        share = 1.0 if urgent else 1 - self._limits.reserve
        if self._quota is not None and len(self._sent) >= self._quota * share:
            after = self._sent[0] + self._window - now
            raise RateLimited(
                f"The {self._quota} requests in {self._window:.0f} s are used up but for the reserve; "
                "scan less often.",
                retry_after=after,
            )

    def learn(self, policy: str | None) -> None:
        """From the header `RateLimit-Policy`."""
        if policy and (match := POLICY.search(policy)):
            self._quota, self._window = int(match[1]) // self._limits.sharers, float(match[2])

    def block(self, seconds: float) -> None:
        """After a 429: everybody who shares the token waits."""
        self._blocked_until = max(self._blocked_until, time.monotonic() + seconds)

    @property
    def left(self) -> int | None:
        """Requests left of this process's part of the window; None before the first answer."""
        return None if self._quota is None else max(self._quota - len(self._sent), 0)
