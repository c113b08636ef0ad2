"""At each point of a repair something is killed with kill -9, and what a supervisor restarts is restarted.

`REPEAT=5 make chaos` plays every round five times; the number in a test's name is the seed.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.chaos.points import POINTS, Point, Victim
from tests.chaos.round import Round
from tests.chaos.stage import Stage

Case = tuple[Point, Victim, int]
# So many wait for each other: what is held must not run into its own time limits.
WAVE = 6


def wave(point: Point) -> int:
    return POINTS.index(point) // WAVE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each module the cases of its victim: xdist spreads modules over its workers."""
    if "case" not in metafunc.fixturenames:
        return
    victim = metafunc.module.VICTIM
    cases = [
        (point, victim, number)
        for number in range(int(os.environ.get("REPEAT", "1")))
        for point in POINTS
        if victim in point.victims
    ]
    names = [f"{number}-{point.name}".replace(" ", "_") for point, _, number in cases]
    metafunc.parametrize("case", cases, ids=names)


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("chaos")).playing() as playing:
        yield playing


@pytest.fixture(scope="module")
def round_of(
    stage: Stage, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Case], Awaitable[Round]]:
    """Played at its first test, with those of its wave's points that are asked for in this run."""
    played: dict[tuple[Victim, int, int], Round] = {}
    chosen: list[Case] = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    ]

    async def play(case: Case) -> Round:
        point, victim, number = case
        which = (victim, number, wave(point))
        if which not in played:
            points = [point for point, *rest in chosen if (*rest, wave(point)) == which]
            played[which] = Round(stage, victim, points, number, tmp_path_factory.mktemp("round"))
            await played[which].play()
        return played[which]

    return play
