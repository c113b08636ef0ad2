"""Limits on the size of one request and on the rate of requests, with a margin below Railway's own."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from railmend.railway.errors import RateLimited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from railmend.railway.compose import Query

POLICY = re.compile(r"q=(\d+);w=(\d+)")


class RateLimits(BaseModel):
    """Sizes of requests and their rate. Defaults: the official client's and a public collector's findings.

    (20 aliases, breadth 500.) Railway's limits are per account: each of `sharers` worker processes that use
    one account's tokens keeps to an equal share of rate and budget, without coordination.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aliases: int = 20
    breadth: int = 250
    points: int = 30_000
    in_flight: int = 2
    per_second: float = 8.0  # the lowest rate that a plan states is 10
    reserve: float = 0.1  # share of the hourly budget kept for approved actions
    page: int = 500
    small_page: int = 5000  # of nodes of two fields; the official client asks for as many projects
    sharers: int = Field(1, ge=1)


def batches(queries: Sequence["Query"], limits: RateLimits) -> Iterator[list["Query"]]:
    """Split queries in order into batches within the limits; a query too large for them goes alone."""
    from railmend.railway.compose import breadth  # GraphQL is slow to import, and settings need the limits

    batch: list[Query] = []
    width = points = 0
    for query in queries:
        full = len(batch) == limits.aliases or width + breadth(query.document) > limits.breadth
        if batch and (full or points + query.points > limits.points):
            yield batch
            batch, width, points = [], 0, 0
        batch.append(query)
        width, points = width + breadth(query.document), points + query.points
    if batch:
        yield batch


class RateLimiter:
    """Limiter of one token: requests in flight, per second, and in the plan's window.

    The plan's budget comes from the header `RateLimit-Policy` ("default";q=1000;w=3600). Railway sends no
    remaining count, so requests are counted here.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._in_flight = asyncio.Semaphore(limits.in_flight)
        self._turn = asyncio.Lock()
        self._next = 0.0
        self._quota: int | None = None
        self._window = 3600.0
        self._sent: deque[float] = deque()
        self._blocked_until = 0.0

    @asynccontextmanager
    async def slot(self, *, urgent: bool = False) -> "AsyncIterator[None]":
        """Wait for a turn; raise `RateLimited` at once if the wait would be too long for a scan.

        `urgent`: an approved action, which may use the reserve.
        """
        async with self._in_flight:
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

    def update_policy(self, policy: str | None) -> None:
        """Take over the budget that the header `RateLimit-Policy` states."""
        if policy and (match := POLICY.search(policy)):
            self._quota, self._window = int(match[1]) // self._limits.sharers, float(match[2])

    def block(self, seconds: float) -> None:
        """Send nothing for this long, after a 429: all users of the token wait."""
        self._blocked_until = max(self._blocked_until, time.monotonic() + seconds)

    @property
    def left(self) -> int | None:
        """Requests left in this process's share of the window; None before the first answer."""
        return None if self._quota is None else max(self._quota - len(self._sent), 0)
