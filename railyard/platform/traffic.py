"""Send a service the traffic of its profile from outside, as its users do."""

import asyncio
import random
import time
from contextlib import suppress

import aiohttp

from railyard.platform.model import TrafficProfile, utc_now

# More regular than chance (1), so that few requests are enough in every short stretch of time.
REGULARITY = 3


class Traffic:
    """Traffic of one service; seeded, so that two runs send the same requests."""

    def __init__(self, profile: TrafficProfile, url: str, seed: str) -> None:
        self._profile = profile
        self._url = url
        self._random = random.Random(seed)  # noqa: S311 - traffic, not secrets
        self._gate = asyncio.Semaphore(profile.at_once)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send requests until cancelled."""
        if self._profile.starts_at is not None:
            await asyncio.sleep(max((self._profile.starts_at - utc_now()).total_seconds(), 0))
        began = time.monotonic()
        async with aiohttp.ClientSession(self._url, timeout=aiohttp.ClientTimeout(60)) as client:
            try:
                while True:
                    await asyncio.sleep(self._pause(time.monotonic() - began))
                    await self._gate.acquire()
                    task = asyncio.create_task(self._ask(client))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
            finally:
                for task in list(self._under_way):
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)

    def _pause(self, seconds: float) -> float:
        return self._random.gammavariate(REGULARITY, 1 / (REGULARITY * self._rate(seconds)))

    def _rate(self, seconds: float) -> float:
        spikes = self._profile.spikes
        in_spike = spikes is not None and seconds % spikes.every_seconds < spikes.seconds
        return self._profile.rate_per_second * (spikes.factor if spikes and in_spike else 1.0)

    async def _ask(self, client: aiohttp.ClientSession) -> None:
        requests = self._profile.requests
        request = self._random.choices(requests, [request.weight for request in requests])[0]
        path = request.path.replace("{n}", str(self._random.randint(1, request.n_max)))
        try:
            with suppress(aiohttp.ClientError, TimeoutError):
                sent = client.request(request.method, path, data=request.body or None, allow_redirects=False)
                async with sent as answer:
                    await answer.read()
        finally:
            self._gate.release()
