"""Who is told what, and that telling is never in a repair's way."""

from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.autonomy import Autonomy
from railmend.contracts.incident import Verdict
from railmend.contracts.notification import NotificationKind
from railmend.contracts.policy import Policy
from railmend.contracts.repair import Approval, RepairOutcome
from tests import samples
from tests.workflows.stand_ins import CHANGE
from tests.workflows.story import row_of, stage
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.alarm import ScanAlarm

TOLD = Policy(notify=True)


async def test_an_incident_and_its_pull_request_are_told_once_each(temporal: WorkflowEnvironment) -> None:
    services = (samples.service("checkout"), samples.service("jobs"))
    async with stage(temporal, *services, verdicts={"jobs": Verdict.BAD_DEPLOY}) as on:
        report = await on.scan(policy=TOLD)
        await on.repair(row_of(report, "checkout").repair_workflow_id)
        await on.scan(policy=TOLD)  # the same again: silent
        told = {(one.kind, one.services, one.verdict or one.outcome) for one in on.world.notified}
        assert told == {
            (NotificationKind.INCIDENT, ("checkout",), "code"),
            (NotificationKind.INCIDENT, ("jobs",), "bad_deploy"),
            (NotificationKind.PULL_REQUEST, ("checkout",), "pull_request"),
            (NotificationKind.OUTCOME, ("checkout",), "held"),
            (NotificationKind.ACTION, ("jobs",), "rollback"),
        }
        assert len(on.world.notified) == 5
        opened = next(one for one in on.world.notified if one.kind is NotificationKind.PULL_REQUEST)
        assert opened.pull_request.endswith("/pull/1")
        assert opened.proof == "proven"
        assert set(opened.threads) < {thread for one in on.world.notified for thread in one.threads}


async def test_a_plan_that_waits_is_told_and_what_came_of_it(temporal: WorkflowEnvironment) -> None:
    refusing = CHANGE.model_copy(update={"refused": ("no",)})
    async with stage(temporal, samples.service("checkout"), change=refusing) as on:
        with temporal.with_time_skipping_disabled():
            report = await on.scan(Autonomy.PLAN, policy=TOLD)
        repair_id = row_of(report, "checkout").repair_workflow_id
        handle = on.client.get_workflow_handle_for(RepositoryRepair.run, repair_id)
        await handle.execute_update(RepositoryRepair.approve, Approval(by="ada"))
        assert (await on.repair(repair_id)).outcome is RepairOutcome.REFUSED
        assert [one.kind for one in on.world.notified] == [
            NotificationKind.INCIDENT,
            NotificationKind.APPROVAL,
            NotificationKind.OUTCOME,
        ]


async def test_a_channel_that_always_fails_fails_no_repair(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), broken=frozenset({"notify"})) as on:
        report = await on.scan(policy=TOLD)
        result = await on.repair(row_of(report, "checkout").repair_workflow_id)
        assert result.outcome is RepairOutcome.HELD
        assert on.world.calls["notify"] == 3  # the incident, the pull request, what became of it


async def test_missed_scans_are_told_once_and_again_after_a_week(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("healthy")) as on:

        async def alarm() -> WorkflowHandle[ScanAlarm, None]:
            """As every worker does at each look, while scans are missed."""
            return await on.client.start_workflow(
                ScanAlarm.run,
                samples.missed_scans(),
                id=f"alarm/{on.environment_id}",
                task_queue=on.world.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )

        await (await alarm()).result()  # the server skips the week
        (told,) = on.world.notified
        assert told.services == ("shop",)
        assert "The last 3 scans failed, since 2026-11-24 09:00 UTC: The token is refused." in told.summary
        assert "starter.py schedule trigger" in told.summary
        with temporal.with_time_skipping_disabled():
            await alarm()
            streak = await alarm()
        await streak.signal(ScanAlarm.over)
        await streak.result()
        assert len(on.world.notified) == 2


async def test_nobody_is_told_who_did_not_ask(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        report = await on.scan()
        await on.repair(row_of(report, "checkout").repair_workflow_id)
        assert on.world.calls["notify"] == 0
