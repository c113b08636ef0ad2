"""The phase PROOF: what failed goes back to the session once, and then the pull request says it."""

import pytest
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.ledger import Budget, Limit
from railmend.contracts.policy import Policy
from railmend.contracts.proof import ProofVerdict
from railmend.contracts.repair import RepairOutcome, WorkspaceChange
from tests import samples
from tests.workflows.stand_ins import CHANGE, CHECKED, FAILED_PROOF, FAILING, PROVEN
from tests.workflows.test_scan_to_repair import row_of, stage

BETTER = CHANGE.model_copy(update={"tree": "b" * 40})


async def test_a_proof_that_fails_goes_back_once_and_may_then_be_had(temporal: WorkflowEnvironment) -> None:
    async with stage(
        temporal, samples.service("checkout"), proofs=(FAILED_PROOF, PROVEN), mended=BETTER
    ) as on:
        await on.repair(row_of(await on.scan(), "checkout").repair_workflow_id)
        (complaint,) = on.world.asked[1].complaints
        assert complaint == (
            "Railmend's proof failed, regression test tests/test_app.py: without your change it fails 3 of "
            "3, with it fails 3 of 3. It fails with the change too."
        )
        (published,) = on.world.published
        assert published.proof == PROVEN
        assert published.change == BETTER, "what was proved is what is published"


async def test_a_proof_that_fails_twice_is_published_as_failed(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout"), proofs=(FAILED_PROOF,)) as on:
        result = await on.repair(row_of(await on.scan(), "checkout").repair_workflow_id)
        assert result.outcome is RepairOutcome.HELD
        assert on.world.calls["run_session"] == 2
        assert on.world.published[0].proof == FAILED_PROOF


WORSE: dict[str, dict[str, object]] = {
    "nothing left": {"mended": WorkspaceChange(files=())},
    "a check broken": {"mended": BETTER, "after": (CHECKED, FAILING)},
}


@pytest.mark.parametrize("worse", WORSE.values(), ids=WORSE)
async def test_a_worse_answer_is_not_published_in_place_of_the_first(
    temporal: WorkflowEnvironment, worse: dict[str, object]
) -> None:
    async with stage(temporal, samples.service("checkout"), proofs=(FAILED_PROOF, PROVEN), **worse) as on:
        await on.repair(row_of(await on.scan(), "checkout").repair_workflow_id)
        assert on.world.published[0].change == CHANGE
        assert on.world.published[0].proof == FAILED_PROOF


async def test_without_budget_a_failed_proof_does_not_go_back(temporal: WorkflowEnvironment) -> None:
    policy = Policy(budget=Budget(incident=Limit(sessions=1)))
    async with stage(temporal, samples.service("checkout"), proofs=(FAILED_PROOF,)) as on:
        await on.repair(row_of(await on.scan(policy=policy), "checkout").repair_workflow_id)
        assert on.world.calls["run_session"] == 1
        assert on.world.published[0].proof == FAILED_PROOF


async def test_a_proof_that_cannot_be_run_is_said_and_stops_nothing(temporal: WorkflowEnvironment) -> None:
    broken = frozenset({"reproduce_on_base"})
    async with stage(temporal, samples.service("checkout"), broken=broken) as on:
        await on.repair(row_of(await on.scan(), "checkout").repair_workflow_id)
        (published,) = on.world.published
        assert published.proof is not None
        (row,) = published.proof.rows
        assert row.verdict is ProofVerdict.NOT_HAD
        assert row.reason == "The proof could not be run: reproduce_on_base is broken on purpose"
        assert on.world.calls["run_session"] == 1, "it is not the session's fault"


async def test_requests_of_production_are_asked_where_they_can_be_read(temporal: WorkflowEnvironment) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        await on.repair(row_of(await on.scan(), "checkout").repair_workflow_id)
        assert on.world.proved[0].requests == samples.packet_reference()
    async with stage(temporal, samples.service("checkout"), broken=frozenset({"sample_requests"})) as on:
        await on.repair(row_of(await on.scan(), "checkout").repair_workflow_id)
        assert on.world.proved[0].requests is None
        assert on.world.published[0].proof == PROVEN
