"""One death that all repairs of a round suffer together, each held at its own point."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.points import POINTS, Point, Victim
from tests.chaos.repair import Repair, Told
from tests.chaos.stage import Stage

# On their way to their points at once: each starts a server.
AT_ONCE = 2


class Round:
    """`number` seeds the order in which the repairs begin and how long the dead stay dead."""

    def __init__(
        self, stage: Stage, victim: Victim, points: Sequence[Point], number: int, scratch: Path
    ) -> None:
        self._stage = stage
        self._victim = victim
        self._scratch = scratch
        self._chance = random.Random(f"{number}/{victim}")  # noqa: S311 - no secret
        self.repairs = [Repair(stage, point, f"{victim}-{number}-{POINTS.index(point)}") for point in points]
        self.told: dict[str, Told] = {}
        self.failed: dict[str, BaseException] = {}

    async def play(self) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def approach(repair: Repair) -> None:
            async with slots:
                await repair.approach(self._scratch)

        shuffled = self._chance.sample(self.repairs, len(self.repairs))
        # Those that go furthest first.
        order = sorted(shuffled, key=lambda repair: not repair.point.reviewed)
        await self._each(order, [approach(repair) for repair in order])
        await self._each(order, [repair.arrive() for repair in self._going(order)])
        self._stage.freeze_temporal()
        await self._each(order, [repair.pass_by() for repair in self._going(order)])
        await self._strike()
        going = self._going(self.repairs)
        for repair in going:
            repair.open()
        await asyncio.gather(*(self._finish(repair) for repair in going))

    async def _strike(self) -> None:
        pause = self._chance.random()
        for repair in self._going(self.repairs):
            if repair.point.person_pushes:
                repair.person_pushes(self._scratch)
        match self._victim:
            case Victim.TEMPORAL:
                self._stage.kill_temporal()
                await asyncio.sleep(pause)
                await self._stage.start_temporal()
            case Victim.WORKER:
                self._stage.kill_worker()
                self._stage.thaw_temporal()
                await asyncio.sleep(pause)
                await self._stage.start_worker()
            case Victim.DRAINED:
                stopping = self._stage.stop_worker()
                self._stage.thaw_temporal()
                await stopping
                await asyncio.sleep(pause)
                await self._stage.start_worker()
            case Victim.OPENCODE:
                for repair in self._going(self.repairs):
                    self._stage.kill_opencode(repair.key)
                self._stage.thaw_temporal()

    async def _finish(self, repair: Repair) -> None:
        try:
            self.told[repair.point.name] = await repair.finish()
        except Exception as error:  # noqa: BLE001 - told by the test of its own point
            self.failed[repair.point.name] = error

    async def _each(self, repairs: Sequence[Repair], steps: Sequence[Coroutine[Any, Any, None]]) -> None:
        going = self._going(repairs)
        for repair, came in zip(going, await asyncio.gather(*steps, return_exceptions=True), strict=True):
            if came is not None:
                self.failed[repair.point.name] = came

    def _going(self, repairs: Sequence[Repair]) -> list[Repair]:
        return [repair for repair in repairs if repair.point.name not in self.failed]
