"""At each point of a repair something is killed or stopped, and what a supervisor restarts is restarted.

`REPEAT=5 make chaos` plays every round five times; the number in a test's name is the seed.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from tests.chaos.points import POINTS, Point, Victim
from tests.chaos.round import Round
from tests.chaos.stage import Stage

Case = tuple[Point, Victim, int]
# So many wait for each other: what is held must not run into its own time limits.
WAVE = 3


def wave(case: Case, chosen: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases that are played with this one, of those that are asked for in this run."""
    alike = [each for each in chosen if each[1:] == case[1:]]
    start = alike.index(case) // WAVE * WAVE
    return tuple(alike[start : start + WAVE])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each module the cases of its victim: xdist spreads modules over its workers."""
    if "case" not in metafunc.fixturenames:
        return
    cases = [
        pytest.param(
            (point, victim, number),
            id=f"{victim}-{number}-{point.name}".replace(" ", "_"),
            marks=[pytest.mark.long] if point.is_long(victim) else [],
        )
        for number in range(int(os.environ.get("REPEAT", "1")))
        for victim in metafunc.module.VICTIMS
        for point in POINTS
        if victim in point.victims
    ]
    metafunc.parametrize("case", cases)


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("chaos")).playing() as playing:
        yield playing


@pytest.fixture(scope="module")
def round_of(
    stage: Stage, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Case], Awaitable[Round]]:
    """Played at its first test, with those of its wave's points that are asked for in this run."""
    played: dict[tuple[Case, ...], Round] = {}
    chosen: list[Case] = [
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    ]

    async def play(case: Case) -> Round:
        together = wave(case, chosen)
        if together not in played:
            _, victim, number = case
            points = [point for point, *_ in together]
            played[together] = Round(stage, victim, points, number, tmp_path_factory.mktemp("round"))
            await played[together].play()
        return played[together]

    return play
