"""Worker, Temporal server and coding agent die at named points of a repair, and one pull request comes of it.

What a supervisor restarts is restarted. `REPEAT=5 make chaos` plays every story five times; the number in a
test's name is the seed.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.agent import content
from tests.chaos.repair import Told
from tests.chaos.stage import Stage
from tests.chaos.story import EVERY_RUN, LONG, Death, Story

pytestmark = [pytest.mark.integration, pytest.mark.chaos]
STORIES = [
    pytest.param(f"{name}-{number}", suffered, id=f"{name}-{number}", marks=marks)
    for stories, marks in ((EVERY_RUN, []), (LONG, [pytest.mark.long]))
    for number in range(int(os.environ.get("REPEAT", "1")))
    for name, suffered in stories.items()
]


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("chaos")).playing() as playing:
        yield playing


@pytest.mark.parametrize(("name", "suffered"), STORIES)
async def test_one_pull_request_whatever_dies(
    stage: Stage, name: str, suffered: tuple[Death, ...], tmp_path: Path
) -> None:
    told = await Story(stage, suffered, name, tmp_path).play()
    person_pushes = any(point.person_pushes for point, _ in suffered)
    # Messages of the session: the plan, the review, and the review again on top of a person's commit.
    turns = 3 if person_pushes else 2
    # What was asked when something died may be asked once more.
    assert 2 * turns <= told.model_calls <= 2 * turns + len(suffered)
    assert told == Told(
        outcome="closed",
        pull_requests=1,
        labels=("railmend", "unproven"),  # its change has no regression test
        branches=("main", told.branches[1]),
        commits=("Railmend", *(("dev",) if person_pushes else ()), "Railmend"),
        text=content(turns - 1).strip(),
        answers=1,
        sessions=1,
        model_calls=told.model_calls,
        folder_left=False,
        processes_left=(),
        token_in_history=False,
    )
    assert told.branches[1].startswith("railmend/")
