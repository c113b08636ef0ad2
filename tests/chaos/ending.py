"""What must be true of a repair in which something was killed or stopped, whatever it was."""

from collections.abc import Awaitable, Callable

from tests.chaos.agent import content
from tests.chaos.conftest import Case
from tests.chaos.points import Point
from tests.chaos.repair import Told
from tests.chaos.round import Round


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
        labels=("railmend", "unproven"),  # its change has no regression test
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
