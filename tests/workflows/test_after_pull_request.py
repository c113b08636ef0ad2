"""Review, merge, deployment and verdict, over days that the server skips."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.ledger import LedgerActivities
from commands import run_status, runs
from hosting.workers import WORKFLOWS
from railmend.contracts.action import ActionKind, ActionRequest, ActionState
from railmend.contracts.ledger import Budget, ClaimBatch, ClaimRequest, LedgerState, Limit
from railmend.contracts.measurement import DeploymentView, DeployState, MeasurementStatus
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import (
    Approval,
    RepairOutcome,
    RepairRequest,
    RepairResult,
    WorkspaceChange,
)
from railmend.contracts.review import MergeMethod, Related, ReviewView
from tests import samples
from tests.patience import PATIENCE
from tests.workflows.review_stage import CLOSED, MERGE, MERGED, OPEN, UP, ReviewStage, commented
from tests.workflows.stand_ins import CHANGE, FAILED_PROOF, PROVEN, World
from workflows.actions.approved_action import ApprovedAction
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.repair.state import RepairState
from workflows.shared.policies import LONGEST_HISTORY
from workflows.shared.start import CODING_QUEUE


class RepairStage:
    def __init__(self, client: Client, world: World) -> None:
        self.client, self.world, self.after = client, world, world.after_pull_request
        self.project = f"project-{uuid.uuid4().hex[:8]}"

    async def start(
        self, policy: Policy, state: RepairState | None = None, **request_changes: Any
    ) -> WorkflowHandle[RepositoryRepair, RepairResult]:
        incident = samples.report()
        request = incident.request.model_copy(update={"environment_id": self.project})
        repair = samples.repair().model_copy(
            update={
                "project_id": self.project,
                "policy": policy,
                "incidents": (incident.model_copy(update={"request": request}),),
                **request_changes,
            }
        )
        workflow_id = f"repair/{self.project}/{repair.key}"
        await LedgerActivities(self.client, self.world.queue).claim(
            ClaimBatch(project_id=self.project, claims=(held_by(workflow_id, repair),))
        )
        return await self.client.start_workflow(
            RepositoryRepair.run,
            (state or RepairState(request=repair)).model_copy(update={"request": repair}),
            id=workflow_id,
            task_queue=self.world.queue,
        )

    async def ends(self, **follow_up: Any) -> RepairResult:
        handle = await self.start(Policy(follow_up=FollowUp(**follow_up)))
        return await handle.result()

    async def ledger(self) -> LedgerState:
        handle = self.client.get_workflow_handle_for(Ledger.run, f"ledger/{self.project}")
        return await handle.query(Ledger.state)


async def until(holds: Callable[[], bool]) -> None:
    """Of what activities count. A test that waits for what never comes fails, and holds up no run."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0.01)


def held_by(workflow_id: str, repair: RepairRequest) -> ClaimRequest:
    """As the scan hands it on, before the repair has a run."""
    return ClaimRequest(
        claim_id=f"claim/{workflow_id}",
        fingerprints=repair.fingerprints,
        holder=workflow_id,
        at=datetime.now(UTC),
        handed_by="scan/test",
    )


@asynccontextmanager
async def repairing(temporal: WorkflowEnvironment, **after: Any) -> AsyncIterator[RepairStage]:
    queue = f"review-{uuid.uuid4().hex[:8]}"
    world = World(queue=queue, services=(), findings=(), after_pull_request=ReviewStage(**after))
    client = temporal.client
    activities: Any = world.orchestration(client)
    async with (
        Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=activities),
        Worker(client, task_queue=CODING_QUEUE, activities=[world.prepare_workspace]),
    ):
        yield RepairStage(client, world)


async def test_a_merged_fix_is_measured_at_each_set_time_and_holds(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[OPEN, OPEN, MERGED]) as on:
        result = await on.ends()
        assert (result.outcome, result.edited) == (RepairOutcome.HELD, False)
        first, last = on.after.measured_at
        assert abs(last - first - timedelta(hours=23, minutes=30)) < timedelta(minutes=2)
        assert on.after.measured_last == [False, True]
        assert [(n.status, n.again_at is None) for n in on.after.comments] == [
            (MeasurementStatus.HELD, False),
            (MeasurementStatus.HELD, True),
        ]
        assert on.world.calls["delete_workspace"] == 1
        track = (await on.ledger()).track
        assert track.records[0].outcomes == {"held": 1}
        assert track.opened_seconds[0] < track.recovered_seconds[0]


@pytest.mark.parametrize("method", list(MergeMethod))
async def test_every_way_to_merge_and_a_persons_commits_are_told(
    temporal: WorkflowEnvironment, method: MergeMethod
) -> None:
    merge = MERGE.model_copy(update={"method": method, "head": "9" * 40})
    async with repairing(temporal, views=[MERGED.model_copy(update={"merge": merge})]) as on:
        result = await on.ends(outcome_seconds=(60,))
        assert (result.merge, result.edited) == (merge, True)
        assert on.after.comments[0].edited


async def test_a_comment_is_noticed_in_time_answered_and_pushed_by_the_same_session(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, views=[OPEN, OPEN, commented(7), OPEN, MERGED]) as on:
        await on.ends(outcome_seconds=(60,))
        assert max(on.after.waits()) < timedelta(minutes=5)
        (answer,) = on.after.answers
        assert ([note.id for note in answer.notes], answer.commit) == ([7], "a" * 40)
        first, second = on.world.asked
        assert (first.turn, second.turn, second.notes[0].text) == (0, 1, "Use an LRU instead.")
        assert on.world.prepared[1].base_branch == "railmend/0123456789ab"
        assert on.after.seen["trim_workspace"] == 2


async def test_a_follow_up_is_proved_again_and_the_ledger_keeps_what_was_proved_of_what_was_merged(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, views=[commented(7), OPEN, MERGED]) as on:
        on.world.proofs = (PROVEN, FAILED_PROOF)
        await on.ends(outcome_seconds=(60,))
        (answer,) = on.after.answers
        assert (on.world.published[0].proof, answer.proof) == (PROVEN, FAILED_PROOF)
        assert on.after.comments[0].proof == "failed"
        assert (await on.ledger()).track.proofs == {"failed/held": 1}
        assert on.world.calls["run_session"] == 2, "what failed is said, and goes to no session"
    by_people = MERGED.model_copy(update={"merge": MERGE.model_copy(update={"head": "9" * 40})})
    async with repairing(temporal, views=[by_people]) as on:
        await on.ends(outcome_seconds=(60,))
        assert (on.after.comments[0].proof, (await on.ledger()).track.proofs) == ("", {})


async def test_review_has_bounds_in_rounds_and_money_and_says_so(temporal: WorkflowEnvironment) -> None:
    talk = [commented(number) for number in range(1, 4)]
    async with repairing(temporal, views=[*talk, MERGED]) as on:
        await on.ends(rounds=1, outcome_seconds=(60,))
        assert [bool(answer.commit) for answer in on.after.answers] == [True, False, False]
        assert "1 rounds of review" in on.after.answers[1].limit
        assert on.world.calls["run_session"] == 2
    poor = Budget(incident=Limit(sessions=1), day=Limit(), month=Limit())
    async with repairing(temporal, views=[commented(1), MERGED]) as on:
        handle = await on.start(Policy(budget=poor, follow_up=FollowUp(outcome_seconds=(60,))))
        await handle.result()
        assert "1 coding sessions an incident" in on.after.answers[0].limit


async def test_a_follow_up_that_is_refused_is_told_and_not_pushed(temporal: WorkflowEnvironment) -> None:
    refused = CHANGE.model_copy(update={"refused": ("x.yml may not be touched.",)})

    async with repairing(temporal, views=[commented(1), MERGED]) as on:
        looks = 0

        def look(number: int) -> ReviewView:
            nonlocal looks
            looks = number
            on.world.change = refused if number == 1 else CHANGE
            return commented(1) if number == 1 else MERGED

        on.after.on_poll = look
        await on.ends(outcome_seconds=(60,))
        (answer,) = on.after.answers
        assert (answer.commit, answer.refused) == (None, refused.refused)
        assert on.world.calls["commit_and_push"] == 1


async def test_closed_without_a_merge_is_silence_with_the_reason_as_memory(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, views=[OPEN, CLOSED]) as on:
        result = await on.ends(reopen_seconds=3600)
        assert (result.outcome, result.reason) == (RepairOutcome.CLOSED, "We drop this feature.")
        assert on.after.comments == []


async def test_opened_again_within_a_day_goes_on(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal, views=[CLOSED, CLOSED, OPEN, commented(3), MERGED]) as on:
        result = await on.ends(outcome_seconds=(60,))
        assert result.outcome is RepairOutcome.HELD
        assert len(on.after.answers) == 1


@pytest.mark.parametrize("conflict", [False, True])
async def test_worse_is_reverted_and_a_rollback_waits_for_a_person(
    temporal: WorkflowEnvironment, conflict: bool
) -> None:
    async with repairing(temporal, statuses=[MeasurementStatus.WORSE], revert_conflict=conflict) as on:
        with temporal.with_time_skipping_disabled():
            result = await on.ends(outcome_seconds=(1, 86400), poll_seconds=1)
        assert result.outcome is RepairOutcome.WORSE
        assert (result.revert is None) is conflict
        (notice,) = on.after.comments
        assert ("same lines" in notice.obstacle) is conflict
        action = on.client.get_workflow_handle_for(ApprovedAction.run, result.action)
        await action.execute_update(ApprovedAction.approve, Approval(by="ada"))
        done = await action.result()
        assert (done.state, done.by, done.deployment_id) == (ActionState.DONE, "ada", "d3")
        assert len(on.after.orders) == 1


async def test_a_fix_that_did_not_hold_is_tried_once_more_with_the_numbers(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, statuses=[MeasurementStatus.NOT_HELD]) as on:
        result = await on.ends(outcome_seconds=(60,))
        assert result.outcome is RepairOutcome.NOT_HELD
        _, second = on.world.asked
        assert (second.turn, second.measurements[0].sentence) == (1, "It is not_held.")
        (record,) = (await on.ledger()).track.records
        assert (record.outcomes, record.recent, record.merged) == ({"not_held": 2}, "nn", 2)
        branches = [publish.repair.branch for publish in on.world.published]
        assert branches == ["railmend/0123456789ab", "railmend/0123456789ab-2"]
        assert [notice.retried for notice in on.after.comments] == [True, False]


async def test_a_second_fix_that_comes_to_nothing_is_said_where_it_was_announced(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with repairing(temporal, statuses=[MeasurementStatus.NOT_HELD]) as on:
        on.world.mended = WorkspaceChange(files=())
        handle = await on.start(Policy(follow_up=FollowUp(outcome_seconds=(60,))))
        result = await handle.result()
        assert result.outcome is RepairOutcome.NOT_HELD
        assert len(on.world.published) == 1
        announced, corrected = on.after.comments
        assert (announced.retried, corrected.retried) == (True, False)
        assert corrected.no_other_fix == result.reason
        assert corrected.measurements[0].sentence == announced.measurements[0].sentence
        # The Web UI, and `show`, say why, too.
        web_ui: Any = await handle.query(run_status.METADATA_QUERY, result_type=WorkflowMetadata)

        async def connected() -> tuple[None, Client]:
            return None, on.client

        monkeypatch.setattr(runs, "connected", connected)
        shown = await run_status.read(handle.id)
        assert shown.stands is not None
        assert shown.details == web_ui.current_details
        assert shown.stands.detail == result.reason


async def test_where_it_cannot_be_told_it_is_waited_longer_and_then_said(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, statuses=[MeasurementStatus.CANNOT_TELL]) as on:
        result = await on.ends()
        assert result.outcome is RepairOutcome.CANNOT_TELL
        assert len(on.after.measured_at) == 4
        assert on.after.measured_at[-1] - on.after.measured_at[0] > timedelta(hours=70)


@pytest.mark.parametrize(
    ("deployments", "what"),
    [
        ([DeploymentView(state=DeployState.WAITING), DeploymentView(state=DeployState.FAILED)], "failed"),
        ([DeploymentView(state=DeployState.CRASHED)], "crashed"),
    ],
    ids=["failed", "crashed"],
)
async def test_a_merge_that_is_not_deployed_is_told_and_nothing_else_touched(
    temporal: WorkflowEnvironment, deployments: list[DeploymentView], what: str
) -> None:
    async with repairing(temporal, deployments=deployments) as on:
        result = await on.ends()
        assert result.outcome is RepairOutcome.NOT_DEPLOYED
        assert [notice.what for notice in on.after.not_deployed] == [what]
        assert (on.after.comments, on.after.orders) == ([], [])


SKIPPED = DeploymentView(state=DeployState.SKIPPED, deployment_id="d2", detail="CI check suite failed.")


@pytest.mark.parametrize(
    ("deployments", "told"),
    [
        ([SKIPPED] * 4 + [UP], "was skipped by Railway"),
        # It is asked each minute for two hours, then each half hour.
        ([DeploymentView(state=DeployState.WAITING)] * 125 + [UP], "is not up after 2 hours"),
    ],
    ids=["skipped", "no deployment"],
)
async def test_a_merge_that_railway_does_not_deploy_is_told_once_and_measured_with_what_it_rides_on(
    temporal: WorkflowEnvironment, deployments: list[DeploymentView], told: str
) -> None:
    async with repairing(temporal, deployments=deployments) as on:
        result = await on.ends()
        (notice,) = on.after.not_deployed
        assert (notice.what, result.outcome) == (told, RepairOutcome.HELD)
        assert notice.waits_until is not None


async def test_a_merge_that_rides_on_nothing_is_not_deployed_after_three_days(
    temporal: WorkflowEnvironment,
) -> None:
    async with repairing(temporal, deployments=[SKIPPED]) as on:
        result = await on.ends()
        assert (result.outcome, SKIPPED.detail in result.reason) == (RepairOutcome.NOT_DEPLOYED, True)
        told = [(notice.what, notice.waits_until is None) for notice in on.after.not_deployed]
        assert told == [("was skipped by Railway", False), ("is not up after 3 days", True)]


async def test_no_session_is_spent_on_an_incident_that_an_open_pull_request_is_about(
    temporal: WorkflowEnvironment,
) -> None:
    """As after a ledger was lost: its claim is gone, its pull request waits."""
    related = Related(number=9, url="http://forge/9", why="Pull request 9 is about the same incident.")
    async with repairing(temporal, related=related, same_incident=True) as on:
        result = await on.ends()
        assert (result.outcome, result.reason) == (RepairOutcome.RELATED, related.why)
        assert on.world.calls["run_session"] == on.world.calls["prepare_workspace"] == 0
        assert (await on.ledger()).total.usd == 0


async def test_a_related_pull_request_gets_a_comment_instead_of_a_rival(
    temporal: WorkflowEnvironment,
) -> None:
    related = Related(number=9, url="http://forge/9", why="Pull request 9 changes app.py.")
    async with repairing(temporal, related=related) as on:
        result = await on.ends()
        assert (result.outcome, result.pull_request) == (RepairOutcome.RELATED, None)
        assert "pull/9#comment" in result.reason
        assert on.world.calls["commit_and_push"] == 0
        assert on.world.calls["delete_workspace"] == 1


async def test_long_waiting_keeps_every_history_short_and_forgets_nothing(
    temporal: WorkflowEnvironment,
) -> None:
    """The poll is as short as in production, for long enough that runs are handed on twice.

    The server skips time at most 200 times for one workflow, over all its runs: then it waits for real.
    """
    looks = 160
    async with repairing(temporal, views=[OPEN, commented(1), *[OPEN] * looks, commented(2), MERGED]) as on:
        handle = await on.start(Policy(follow_up=FollowUp(outcome_seconds=(60,))))
        first = handle.first_execution_run_id
        result = await handle.result()
        assert result.outcome is RepairOutcome.HELD
        assert [request.turn for request in on.world.asked] == [0, 1, 2]
        assert max(on.after.waits()) < timedelta(minutes=5), "also where a run is handed on"
        runs, run_id = 0, first
        while run_id:
            history = await on.client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
            runs += 1
            assert len(history.events) < 1000
            last = history.events[-1]
            run_id = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        assert runs > 2
        assert LONGEST_HISTORY < 1000


async def test_workers_that_are_restarted_go_on_where_the_last_one_was(
    temporal: WorkflowEnvironment,
) -> None:
    """Each with nothing in memory: every step of a workflow is replayed from its history."""
    queue = f"review-{uuid.uuid4().hex[:8]}"
    after = ReviewStage(views=[OPEN, OPEN, commented(1), OPEN, MERGED])
    world = World(queue=queue, services=(), findings=(), after_pull_request=after)
    on = RepairStage(temporal.client, world)
    activities: Any = world.orchestration(temporal.client)

    def worker(identity: str) -> Worker:
        return Worker(
            temporal.client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=activities,
            identity=identity,
            max_cached_workflows=0,
        )

    async with Worker(temporal.client, task_queue=CODING_QUEUE, activities=[world.prepare_workspace]):
        async with worker("first"):
            handle = await on.start(Policy())
            await until(lambda: after.seen["poll_pull_request"] >= 2)
        async with worker("second"):
            await until(lambda: after.seen["measure_service"] >= 1)
        async with worker("third"):
            result = await handle.result()
    assert result.outcome is RepairOutcome.HELD
    assert [request.turn for request in world.asked] == [0, 1]
    assert (len(after.answers), len(after.measured_at)) == (1, 2)
    events = (await handle.fetch_history()).events
    started = [event.workflow_task_started_event_attributes.identity for event in events]
    assert {name for name in started if name} == {"first", "second", "third"}


ACTION = ActionRequest(
    kind=ActionKind.RESTART,
    environment_id="env",
    service_id="s",
    service_name="checkout",
    deployment_id="d1",
    reason="It hangs.",
)


async def act(on: RepairStage) -> WorkflowHandle[ApprovedAction, Any]:
    return await on.client.start_workflow(
        ApprovedAction.run, ACTION, id=f"action/{uuid.uuid4()}", task_queue=on.world.queue
    )


async def test_an_action_is_decided_once_and_expires(temporal: WorkflowEnvironment) -> None:
    async with repairing(temporal) as on:
        with temporal.with_time_skipping_disabled():
            rejected = await act(on)
            await rejected.execute_update(ApprovedAction.reject, Approval(by="ada", reason="No."))
            result = await rejected.result()
        assert (result.state, result.by, result.detail) == (ActionState.REJECTED, "ada", "No.")
        expired = await act(on)
        assert (await expired.result()).state is ActionState.EXPIRED
        assert on.after.orders == []
