"""The story from scan to pull request, with the real worker, sandbox, plugin and ledger."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.action import ActionKind
from railmend.contracts.autonomy import Autonomy, EarnedAutonomy
from railmend.contracts.incident import EvidencePacket, IncidentReport, Verdict
from railmend.contracts.ledger import Budget, Limit
from railmend.contracts.measurement import MeasurementStatus
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import (
    Approval,
    CodingState,
    RepairOutcome,
    WorkspaceChange,
)
from railmend.contracts.scan import (
    DownstreamEffect,
    FindingKind,
)
from railmend.contracts.status import RESTART_WAITS
from tests import samples
from tests.workflows.review_stage import ReviewStage
from tests.workflows.stand_ins import CHANGE, DONE
from tests.workflows.story import Stage, row_of, stage
from workflows.actions.approved_action import ApprovedAction
from workflows.repair.repository_repair import RepositoryRepair
from workflows.shared.search_attributes import SUMMARY


async def in_the_list(on: Stage, workflow_id: str) -> str | None:
    """Return what tells a run's row in Temporal's list from the others."""
    run = await on.client.get_workflow_handle(workflow_id).describe()
    return run.typed_search_attributes.get(SUMMARY)


async def test_a_service_in_trouble_ends_in_one_pull_request(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), samples.service("healthy")) as on:
        report = await on.scan()
        checkout = row_of(report, "checkout")
        assert checkout.verdict == "code"
        assert checkout.repair_workflow_id is not None
        assert [row.name for row in report.rows] == ["checkout"]
        assert report.healthy == ("healthy",)
        assert report.unseen == ("Nothing of the moon.",)
        result = await on.repair(checkout.repair_workflow_id)
        run = await temporal.client.get_workflow_handle(checkout.repair_workflow_id).describe()
        assert (await run.static_summary() or "").startswith("checkout: code: ")
        incident = f"incident/{on.environment_id}/id-checkout"
        assert [await in_the_list(on, each) for each in (on.scans[0], incident, run.id)] == [
            "1 affected: checkout (memory leak)",
            "checkout (memory leak): code",
            f"checkout: code: {on.environment_id}/checkout#1: the fix holds",
        ]
        assert result.outcome is RepairOutcome.HELD
        assert result.pull_request is not None
        assert on.world.removed == [checkout.repair_workflow_id.rpartition("/")[2]]


async def test_the_same_trouble_is_not_taken_up_twice(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        first = await on.scan()
        workflow_id = row_of(first, "checkout").repair_workflow_id
        await on.repair(workflow_id)
        second = row_of(await on.scan(), "checkout")
        assert second.action == "suppressed"
        assert workflow_id in second.detail
        assert on.world.calls["diagnose"] == 1
        assert on.world.calls["open_pull_request"] == 1


async def test_two_services_of_one_repository_make_one_repair(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("api"), samples.service("jobs")) as on:
        shared = f"{on.environment_id}/mono"
        on.world.services = tuple(
            s.model_copy(update={"repository": shared, "root_directory": s.name}) for s in on.world.services
        )
        report = await on.scan()
        repairs = {row.repair_workflow_id for row in report.rows}
        assert len(repairs) == 1
        await on.repair(repairs.pop())
        assert on.world.calls["open_pull_request"] == 1


@pytest.mark.parametrize(
    "verdict", [v for v in Verdict if v not in (Verdict.CODE, Verdict.CONFIGURATION)], ids=lambda v: v.value
)
async def test_every_other_verdict_starts_no_coding(temporal: WorkflowEnvironment, verdict: Verdict) -> None:
    async with stage(temporal, samples.service("checkout"), verdicts={"checkout": verdict}) as on:
        row = row_of(await on.scan(), "checkout")
        assert row.verdict == verdict.value
        assert row.repair_workflow_id is None
        assert on.world.calls["prepare_workspace"] == 0
        assert [entry.outcome for entry in (await on.ledger()).entries] == [verdict.value]
        offered = "starter.py approve action/" in row.detail
        assert (offered, row.action == "rollback_offered") == ((verdict is Verdict.BAD_DEPLOY,) * 2)


@pytest.mark.parametrize(("dependency", "offered"), [("Healthy", True), ("a database elsewhere", False)])
async def test_a_needed_service_that_does_not_answer_is_linked_and_its_restart_offered(
    temporal: WorkflowEnvironment, dependency: str, offered: bool
) -> None:
    said = samples.diagnosis(Verdict.DEPENDENCY_DOWN).model_copy(update={"dependency": dependency})
    needs = samples.service("checkout", depends_on=("id-healthy",))
    async with stage(temporal, needs, samples.service("healthy"), diagnosis=said) as on:
        row = row_of(await on.scan(), "checkout")
        assert (row.verdict, on.world.calls["prepare_workspace"]) == ("dependency_down", 0)
        assert (row.action == "restart_offered", "/service/id-healthy " in row.detail) == (offered, offered)
        if offered:
            action = on.client.get_workflow_handle_for(ApprovedAction.run, row.detail.rpartition(" ")[2])
            status = await action.query(ApprovedAction.status)
            assert (status.label, status.detail) == (RESTART_WAITS, "Of healthy.")
            request = await action.query(ApprovedAction.offered)
            assert (request.kind, request.reason[:17]) == (ActionKind.RESTART, "checkout needs it")


async def test_a_small_project_is_decided_at_the_first_look(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), decided=True) as on:
        assert row_of(await on.scan(), "checkout").verdict == "code"
        assert on.world.calls["assess_candidates"] == 0


async def test_report_only_asks_no_model(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        row = row_of(await on.scan(Autonomy.REPORT), "checkout")
        assert [f.kind for f in row.findings] == [FindingKind.MEMORY_LEAK]
        assert on.world.calls["diagnose"] == 0


async def test_a_source_that_fails_alone_is_said_and_costs_nothing_else(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout"), broken=frozenset({"http_log_facts"})) as on:
        report = await on.scan()
        repair_id = row_of(report, "checkout").repair_workflow_id
        assert (await on.repair(repair_id)).outcome is RepairOutcome.HELD
        handle = on.client.get_workflow_handle(f"incident/{on.environment_id}/id-checkout")
        ended = IncidentReport.model_validate(await handle.result())
        said = (await on.world.artifacts.get_model(ended.packet, EvidencePacket)).unseen
        assert said == ("The HTTP logs could not be read: http_log_facts is broken on purpose",)


async def test_a_failed_investigation_is_told_and_does_not_fail_the_scan(
    temporal: WorkflowEnvironment,
) -> None:
    services = (samples.service("checkout"), samples.service("healthy"))
    async with stage(temporal, *services, broken=frozenset({"diagnose"})) as on:
        row = row_of(await on.scan(), "checkout")
        assert (row.verdict, row.action) == ("unclear", "failed")
        assert "diagnose is broken on purpose" in row.detail


@pytest.mark.parametrize(
    ("world", "outcome", "reason"),
    [
        ({"change": WorkspaceChange(files=())}, RepairOutcome.NO_CHANGE, "Bounded the cache."),
        (
            {"change": CHANGE.model_copy(update={"refused": ("app.py may not be touched.",)})},
            RepairOutcome.REFUSED,
            "app.py may not be touched.",
        ),
        (
            {"coding": DONE.model_copy(update={"state": CodingState.ABORTED, "reason": "time: too long"})},
            RepairOutcome.FAILED,
            "time: too long",
        ),
        ({"broken": frozenset({"run_session"})}, RepairOutcome.FAILED, "run_session is broken on purpose"),
    ],
    ids=["no change", "refused", "aborted", "failed"],
)
async def test_a_repair_that_cannot_be_published_says_why_and_cleans_up(
    temporal: WorkflowEnvironment, world: dict[str, object], outcome: RepairOutcome, reason: str
) -> None:
    async with stage(temporal, samples.service("checkout"), **world) as on:
        row = row_of(await on.scan(), "checkout")
        result = await on.repair(row.repair_workflow_id)
        assert result.outcome is outcome
        assert reason in result.reason
        assert on.world.calls["open_pull_request"] == 0
        assert on.world.calls["delete_workspace"] == 1
        assert [entry.state for entry in (await on.ledger()).entries] == ["suppressed"]


async def test_a_cancelled_repair_leaves_no_workspace(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), hang=True) as on:
        row = row_of(await on.scan(), "checkout")
        while not on.world.calls["run_session"]:  # noqa: ASYNC110 - counted by the activity
            await asyncio.sleep(0.05)
        handle = on.client.get_workflow_handle(row.repair_workflow_id)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert on.world.calls["delete_workspace"] == 1
        assert [(e.state, e.outcome) for e in (await on.ledger()).entries] == [("suppressed", "cancelled")]


async def test_a_downstream_effect_is_linked_to_its_root_cause_and_gets_no_repair(
    temporal: WorkflowEnvironment,
) -> None:
    why = "api suffers from db."
    link = DownstreamEffect(service_id="id-api", root_cause_service_id="id-db", sentence=why)
    async with stage(
        temporal, samples.service("api"), samples.service("db"), downstream_effects=(link,)
    ) as on:
        report = await on.scan()
        row = row_of(report, "api")
        assert (row.verdict, row.action, row.detail) == ("downstream_effect", "linked", why)
        assert row.repair_workflow_id is None
        assert on.world.calls["diagnose"] == 1
        await on.repair(row_of(report, "db").repair_workflow_id)


async def test_a_verdict_the_sceptic_refutes_starts_no_repair(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), survives=False) as on:
        row = row_of(await on.scan(), "checkout")
        assert (row.verdict, row.repair_workflow_id) == ("unclear", None)
        assert on.world.calls["refute"] == 1


async def test_the_sceptic_can_be_switched_off(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), survives=False) as on:
        row = row_of(await on.scan(policy=Policy(sceptic=False)), "checkout")
        assert row.verdict == "code"
        assert on.world.calls["refute"] == 0
        await on.repair(row.repair_workflow_id)


TWO_A_DAY = Budget(incident=Limit(), day=Limit(diagnoses=2), month=Limit())


async def test_a_used_up_budget_delays_diagnoses_to_the_next_day(temporal: WorkflowEnvironment) -> None:
    names = [f"s{number}" for number in range(5)]
    services = [samples.service(name) for name in names]
    async with stage(temporal, *services, verdicts=dict.fromkeys(names, Verdict.UNCLEAR)) as on:
        now = datetime.now(UTC)
        on.later(now.replace(hour=12) + timedelta(days=1) - now)  # at noon: no midnight comes between
        report = await on.scan(policy=Policy(budget=TWO_A_DAY))
        verdicts = sorted(row.verdict for row in report.rows)
        assert verdicts == ["unclear", "unclear", "waiting", "waiting", "waiting"]
        waiting = next(row for row in report.rows if row.verdict == "waiting")
        assert waiting.action == "waiting_for_budget"
        assert "the limit of 2 diagnoses a day is reached" in waiting.detail
        assert on.world.calls["diagnose"] == 2
        again = await on.scan(policy=Policy(budget=TWO_A_DAY))
        assert on.world.calls["diagnose"] == 2, "not even evidence is collected until then"
        assert {row.action for row in again.rows} == {"suppressed"}
        on.later(timedelta(days=1))
        await on.scan(policy=Policy(budget=TWO_A_DAY))
        assert on.world.calls["diagnose"] == 4


async def test_many_scans_over_one_unchanged_fault_cost_one_diagnosis(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        first = row_of(await on.scan(), "checkout")
        await on.repair(first.repair_workflow_id)
        for _ in range(25):
            on.later(timedelta(minutes=10))
            row = row_of(await on.scan(), "checkout")
            assert row.action == "suppressed"
        calls = on.world.calls
        assert (calls["diagnose"], calls["run_session"], calls["open_pull_request"]) == (1, 1, 1)
        (spent,) = (await on.ledger()).incidents
        assert (spent.diagnoses, spent.sessions) == (1, 1)


async def test_a_second_fault_while_the_first_waits_gets_a_repair_of_its_own(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        first = row_of(await on.scan(), "checkout").repair_workflow_id
        await on.repair(first)
        on.world.findings = tuple(
            finding.model_copy(update={"kind": FindingKind.LATENCY}) for finding in on.world.findings
        )
        second = row_of(await on.scan(), "checkout").repair_workflow_id
        assert second not in (None, first)
        await on.repair(second)


async def test_a_plan_waits_for_a_person_and_no_scan_does(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        with temporal.with_time_skipping_disabled():
            row = row_of(await on.scan(Autonomy.PLAN), "checkout")
        handle = on.client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)
        assert await handle.query(RepositoryRepair.waits_for_approval)
        assert on.world.calls["prepare_workspace"] == 0
        await handle.execute_update(RepositoryRepair.approve, Approval(by="ada"))
        while (opened := await handle.query(RepositoryRepair.opened)) is None:  # noqa: ASYNC110 - a query
            await asyncio.sleep(0.05)
        assert opened.outcome is RepairOutcome.PULL_REQUEST
        await handle.terminate("What follows takes real days: this run skips no time.")


@pytest.mark.parametrize("rejected", [True, False], ids=["rejected", "nobody answered"])
async def test_a_plan_that_is_not_approved_changes_nothing(
    temporal: WorkflowEnvironment, rejected: bool
) -> None:
    skipping = temporal.with_time_skipping_disabled() if rejected else nullcontext()
    async with stage(temporal, samples.service("checkout")) as on:
        with skipping:
            row = row_of(await on.scan(Autonomy.PLAN), "checkout")
        handle = on.client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)
        if rejected:
            await handle.execute_update(RepositoryRepair.reject, Approval(by="ada", reason="Not today."))
        result = await handle.result()
        assert result.outcome is RepairOutcome.NOT_ALLOWED
        assert ("ada rejected the plan. Not today." in result.reason) is rejected
        assert on.world.calls["prepare_workspace"] == 0
        (entry,) = (await on.ledger()).entries
        assert (entry.state, entry.outcome) == ("suppressed", "not_allowed")


async def test_an_approval_nobody_waits_for_is_refused(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), hang=True) as on:
        row = row_of(await on.scan(), "checkout")
        handle = on.client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await handle.execute_update(RepositoryRepair.approve, Approval(by="ada"))
        assert "No plan waits here" in str(caught.value.cause)
        on.world.hang = False
        await handle.result()


async def test_autonomy_may_differ_by_service(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), samples.service("jobs")) as on:
        report = await on.scan(service_autonomy={"jobs": Autonomy.REPORT})
        assert row_of(report, "jobs").verdict == "affected"
        assert on.world.calls["diagnose"] == 1
        await on.repair(row_of(report, "checkout").repair_workflow_id)


async def test_what_became_of_a_fix_bounds_the_next_one_and_the_reason_is_told(
    temporal: WorkflowEnvironment,
) -> None:
    policy = Policy(
        earned=EarnedAutonomy(enabled=True, start=Autonomy.PULL_REQUEST, fixes=1),
        follow_up=FollowUp(outcome_seconds=(60,)),
    )
    after = ReviewStage(statuses=[MeasurementStatus.WORSE])
    async with stage(temporal, samples.service("checkout"), after_pull_request=after) as on:
        row = row_of(await on.scan(policy=policy), "checkout")
        assert row.bounded_by == ""
        assert (await on.repair(row.repair_workflow_id)).outcome is RepairOutcome.WORSE
        (record,) = (await on.ledger()).track.records
        assert (record.outcomes, record.merged, record.edited) == ({"worse": 1}, 1, 0)
        on.later(timedelta(days=8))
        row = row_of(await on.scan(policy=policy), "checkout")
        reason = f"plan, because 0 of the last 1 fixes of memory_leak in {on.environment_id}/checkout held"
        assert row.bounded_by == f"{reason}, and 1 made it worse"
        result = await on.repair(row.repair_workflow_id)
        assert result.reason == "Nobody approved the plan within 7 days."
        assert on.world.calls["open_pull_request"] == 1
        assert (await on.ledger()).track.records == (record,), "what was never published is no fix"
