"""One repair that suffers several deaths, one after the other, each at its own point."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.gates import Gate
from tests.chaos.points import ALL, POINTS, Point, Victim
from tests.chaos.repair import Repair, Told
from tests.chaos.stage import Stage

Death = tuple[Point, Victim]


def deaths(*named: tuple[str, Victim]) -> tuple[Death, ...]:
    points = {point.name: point for point in POINTS}
    return tuple((points[name], victim) for name, victim in named)


# What dies while something runs changes nothing outside: `test_every_phase` has such deaths in each phase.
# Here it dies when something was done that Temporal does not know of, where worker and server leave the same
# behind, and in what only a real session has.
EVERY_RUN = {
    "done-and-not-recorded": deaths(
        ("after the clone, not recorded", Victim.WORKER),
        ("a tool call runs", Victim.WORKER),
        ("session done, not recorded", Victim.TEMPORAL),
        ("after the push, not recorded", Victim.WORKER),
        ("after the pull request, not recorded", Victim.TEMPORAL),
        ("in mid-review", Victim.WORKER),
        ("after the follow-up's push, not recorded", Victim.WORKER),
        ("after the answer, not recorded", Victim.TEMPORAL),
    ),
    "sessions": deaths(
        ("a tool call runs", Victim.DRAINED),
        ("a tool call runs", Victim.OPENCODE),
        ("waiting for review", Victim.DRAINED),
        ("in mid-review", Victim.OPENCODE),
        ("a person pushes before the follow-up", Victim.WORKER),
    ),
}
# Every second point, each victim in its turn, each story one ahead: together each point with all its victims.
# Not neighbours: a killed worker's git goes on, and would be held where its successor is waited for.
LONG = {
    f"{kind}-{ahead}": tuple(
        (point, victim)
        for number, point in enumerate(POINTS[first::2], ahead)
        if (victim := ALL[number % len(ALL)]) in point.victims
    )
    for first, kind in enumerate(("even", "odd"))
    for ahead in range(len(ALL))
}


class Story:
    """`name`: the seed of how long the dead stay dead."""

    def __init__(self, stage: Stage, suffered: Sequence[Death], name: str, scratch: Path) -> None:
        self._stage = stage
        self._deaths = suffered
        self._chance = random.Random(name)  # noqa: S311 - no secret
        files = dict.fromkeys(file for point, _ in suffered for file in point.files)
        self._repair = Repair(stage, name, files, scratch)

    async def play(self) -> Told:
        """Return what is left in the end. An error has a note of where it was."""
        told = [f"the death of {victim} at {point.name!r}" for point, victim in self._deaths]
        before, now = "the start", told[0]
        gate = self._deaths[0][0].gate(self._repair)
        try:
            await self._repair.start()
            for number, after in enumerate([*told[1:], "the end"]):
                gate = await self._suffer(gate, number)
                before, now = now, after
            return await self._repair.finish()
        except Exception as error:
            error.add_note(f"After {before}, at {now} or on the way there.")
            raise

    async def _suffer(self, gate: Gate, number: int) -> Gate:
        """Wait until the gate is reached; return that of the next death, made before this one."""
        point, victim = self._deaths[number]
        if point.in_review:
            await self._repair.comment()
        await self._repair.until(gate.reached)
        self._stage.freeze_temporal()
        try:
            if effect := point.effect:
                assert not effect(self._repair)
                gate.open()
                await self._repair.until(lambda: effect(self._repair))
            if point.person_pushes:
                self._repair.person_pushes()
            following = self._deaths[number + 1][0] if number + 1 < len(self._deaths) else None
            following_gate = following.gate(self._repair) if following else gate
            await self._strike(victim)
        finally:
            self._stage.thaw_temporal()
        if following is not point:  # else what is held dies, and is held there again
            gate.open()
        return following_gate

    async def _strike(self, victim: Victim) -> None:
        pause = self._chance.random()
        match victim:
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
                self._stage.kill_opencode(self._repair.key)
