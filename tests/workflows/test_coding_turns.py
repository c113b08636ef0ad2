"""What goes back to the agent, what becomes a draft, and what is published as it is."""

from temporalio.testing import WorkflowEnvironment

from railmend.contracts.repair import RepairOutcome
from tests import samples
from tests.workflows.stand_ins import CHANGE, CHECKED, FAILING
from tests.workflows.story import row_of, stage

REFUSED = CHANGE.model_copy(update={"refused": ("ci.yml may not be touched: it belongs to CI.",)})


async def test_a_refused_change_goes_back_once_and_may_then_be_published(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout"), change=REFUSED, mended=CHANGE) as on:
        row = row_of(await on.scan(), "checkout")
        result = await on.repair(row.repair_workflow_id)
        assert result.outcome is RepairOutcome.HELD
        assert [(one.turn, one.complaints) for one in on.world.asked] == [(0, ()), (1, REFUSED.refused)]
        assert on.world.published[0].doubts == ()
        assert on.world.published[0].verification.verified


async def test_a_change_refused_twice_becomes_a_draft_where_that_is_set(
    temporal: WorkflowEnvironment,
) -> None:
    change = REFUSED.model_copy(update={"draft_allowed": True})
    async with stage(temporal, samples.service("checkout"), change=change) as on:
        row = row_of(await on.scan(), "checkout")
        assert (await on.repair(row.repair_workflow_id)).outcome is RepairOutcome.HELD
        assert on.world.calls["run_session"] == 2
        assert on.world.published[0].doubts == REFUSED.refused
        assert on.world.calls["run_checks"] == 0, "what the guard refuses is not run"


async def test_a_check_that_the_change_breaks_goes_back_once(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), after=(FAILING, CHECKED)) as on:
        row = row_of(await on.scan(), "checkout")
        await on.repair(row.repair_workflow_id)
        assert on.world.asked[0].checks == ("make test: passes",)
        (complaint,) = on.world.asked[1].complaints
        assert complaint.startswith("`make test` passed before and fails now:")
        assert "1 failed" in complaint
        assert on.world.published[0].doubts == ()


async def test_a_check_that_stays_broken_makes_a_draft(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), after=(FAILING,)) as on:
        row = row_of(await on.scan(), "checkout")
        assert (await on.repair(row.repair_workflow_id)).outcome is RepairOutcome.HELD
        assert on.world.calls["run_session"] == 2
        assert on.world.published[0].doubts == ("`make test` fails with it.",)


async def test_a_check_that_failed_before_is_nobodys_fault(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), before=FAILING, after=(FAILING,)) as on:
        row = row_of(await on.scan(), "checkout")
        await on.repair(row.repair_workflow_id)
        assert on.world.calls["run_session"] == 1
        assert on.world.published[0].doubts == ()
        assert not on.world.published[0].verification.verified


async def test_without_checks_there_is_a_pull_request_that_says_so(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), broken=frozenset({"prepare_checks"})) as on:
        row = row_of(await on.scan(), "checkout")
        assert (await on.repair(row.repair_workflow_id)).outcome is RepairOutcome.HELD
        said = on.world.published[0].verification.after.unverified
        assert said == "The checks could not be run: prepare_checks is broken on purpose"
