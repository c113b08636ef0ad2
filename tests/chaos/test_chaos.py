"""At each point of a repair something is killed with kill -9, and what a supervisor restarts is restarted.

`REPEAT=5 make chaos` plays every round five times; the number in a test's name is the seed.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.chaos.agent import content
from tests.chaos.points import POINTS, Point, Victim
from tests.chaos.repair import Told
from tests.chaos.round import Round
from tests.chaos.stage import Stage

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

Case = tuple[Point, Victim, int]
CASES: list[Case] = [
    (point, victim, number)
    for number in range(int(os.environ.get("REPEAT", "1")))
    for victim in Victim
    for point in POINTS
    if victim in point.victims
]


# So many wait for each other: what is held must not run into its own time limits.
WAVE = 6


def wave(point: Point) -> int:
    return POINTS.index(point) // WAVE


def _name(case: Case) -> str:
    point, victim, number = case
    return f"{victim}-{number}-{point.name}".replace(" ", "_")


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("chaos")).playing() as one:
        yield one


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
            points = [one for one, *rest in chosen if (*rest, wave(one)) == which]
            played[which] = Round(stage, victim, points, number, tmp_path_factory.mktemp("round"))
            await played[which].play()
        return played[which]

    return play


@pytest.mark.parametrize("case", CASES, ids=_name)
async def test_one_pull_request_whatever_dies(
    case: Case, round_of: Callable[[Case], Awaitable[Round]]
) -> None:
    point, _, _ = case
    played = await round_of(case)
    if point.name in played.failed:
        raise played.failed[point.name]
    told = played.told[point.name]
    calls = scripted_calls(point)
    # What was asked when it died may be asked once more.
    assert calls <= told.model_calls <= calls + 1
    assert told == Told(
        outcome="closed",
        pull_requests=1,
        labels=("railmend",),
        branches=("main", told.branches[1]),
        commits=commits(point),
        text=content(turns(point) - 1).strip(),
        answers=1 if point.reviewed else 0,
        sessions=1,
        model_calls=told.model_calls,
        folder_left=False,
        processes_left=(),
        token_in_history=False,
    )
    assert told.branches[1].startswith("railmend/")


def turns(point: Point) -> int:
    """Messages of the session: the plan, the review, and the review again on top of a person's commit."""
    return 1 + point.reviewed + point.person_pushes


def scripted_calls(point: Point) -> int:
    return 2 * turns(point)


def commits(point: Point) -> tuple[str, ...]:
    follow_up = ("Railmend",) if point.reviewed else ()
    return ("Railmend", *(("dev",) if point.person_pushes else ()), *follow_up)
