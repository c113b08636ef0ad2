"""A pull request that waits for weeks: seldom looked at while nothing moves, often after something did."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import (
    PullRequest,
    RepairOutcome,
    RepairResult,
    Workspace,
)
from railmend.contracts.review import ReviewView, SeenNotes
from railmend.contracts.status import Phase
from tests import samples
from tests.workflows.review_stage import HEAD, MERGED, OPEN, commented
from tests.workflows.test_after_pull_request import RepairStage, repairing, until
from workflows.repair.review import next_look
from workflows.repair.state import PublishedFix, RepairState

OFTEN = timedelta(seconds=FollowUp().poll_seconds)
# A timer and an activity, as tests/workflows/test_counted.py counts them.
ACTIONS_A_LOOK = 2


def waits_of(days: int) -> list[timedelta]:
    """Between looks at a pull request at which nothing moves."""
    waits, quiet = [], timedelta(0)
    while quiet < timedelta(days=days):
        waits.append(next_look(quiet, OFTEN))
        quiet += waits[-1]
    return waits


def test_thirty_silent_days_cost_few_actions() -> None:
    assert len(waits_of(30)) * ACTIONS_A_LOOK <= 2_500


def test_on_the_first_day_a_comment_is_noticed_within_five_minutes_and_later_within_an_hour() -> None:
    assert max(waits_of(1)) < timedelta(minutes=5)
    waits = waits_of(90)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)


def in_review(on: RepairStage, opened: datetime, **fix: Any) -> RepairState:
    """As a run finds it that was handed on many times before, with as much state as there may be."""
    pull_request = PullRequest(number=1, url="http://forge/acme/checkout/pull/1", head=HEAD)
    return RepairState(
        request=samples.repair(),
        phase=Phase.REVIEW,
        result=RepairResult(outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=pull_request),
        workspace=Workspace(
            key="k", repository="acme/checkout", task_queue=on.world.queue, work_tree="", base=""
        ),
        next_turn=6,
        fix=PublishedFix(
            pull_request=pull_request,
            head=HEAD,
            opened_at=opened,
            seen=SeenNotes(names=tuple(f"comment/{number}" for number in range(1000))),
            rounds=2,
            **fix,
        ),
    )


async def test_what_moves_after_weeks_is_followed_closely_again(temporal: WorkflowEnvironment) -> None:
    pushed = OPEN.model_copy(update={"head": "9" * 40})
    for moved in (commented(2000), pushed):
        async with repairing(temporal, views=[OPEN, OPEN, moved, moved, MERGED]) as on:
            weeks_ago = datetime.now(UTC) - timedelta(days=20)
            state = in_review(on, weeks_ago, looked_head=HEAD)
            await (await on.start(Policy(follow_up=FollowUp(outcome_seconds=(60,))), state)).result()
            seldom, noticed, *closely = on.after.waits()
            assert min(seldom, noticed) > timedelta(minutes=55)
            assert max(closely) < timedelta(minutes=5)


async def test_on_its_last_day_of_a_month_a_comment_is_answered_and_then_nobody_decides(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, views=[*[OPEN] * 10, commented(2000), OPEN]) as on:
        state = in_review(on, datetime.now(UTC) - timedelta(days=30) + timedelta(hours=14), looked_head=HEAD)
        handle = await on.start(Policy(), state)
        result = await handle.result()
        assert result.outcome is RepairOutcome.PULL_REQUEST
        assert "Nobody decided within 30 days" in result.reason
        assert [request.turn for request in on.world.asked] == [6]
        assert len(on.after.answers) == 1
        assert len((await handle.fetch_history()).events) < 1000


async def test_a_review_that_gets_no_answer_leaves_no_check_running(temporal: WorkflowEnvironment) -> None:
    """What a look at the pull request began on its head is ended by whoever ends the repair."""
    async with repairing(temporal, views=[OPEN, commented(1)]) as on:

        def stop_the_session(_: int) -> ReviewView:
            on.world.hang = True
            return commented(1)

        handle = await on.start(Policy(follow_up=FollowUp(poll_seconds=1)))
        await until(lambda: len(on.after.polled_at) > 0)
        on.after.on_poll = stop_the_session
        await until(lambda: on.world.calls["run_session"] > 1)
        await handle.cancel()
        with suppress(WorkflowFailureError):
            await handle.result()
        assert [(answer.notes, answer.head) for answer in on.after.answers] == [((), HEAD)]
