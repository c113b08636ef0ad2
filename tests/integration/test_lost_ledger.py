"""A ledger that is lost, on a real server: the next one knows what is open and what was spent."""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.ledger import LedgerActivities
from commands import ledgers
from railmend.contracts.ledger import ClaimBatch, ClaimRequest, LedgerState, SpendingTotal
from railmend.settings import ConfigurationError
from tests.integration.test_claims import SOON, _quickly, on, repairing, temporal, until
from tests.workflows.stand_ins import DONE
from tests.workflows.story import Stage, row_of
from workflows.ledger.ledger import Ledger

pytestmark = pytest.mark.integration
__all__ = ["_quickly", "on", "temporal"]


def ledger_of(on: Stage) -> WorkflowHandle[Ledger, None]:
    return on.client.get_workflow_handle_for(Ledger.run, f"ledger/{on.environment_id}")


async def forget_every_run(on: Stage) -> None:
    """As after the end of the retention: nothing is left but who works."""
    handle = ledger_of(on)
    await on.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=on.client.namespace, workflow_execution=WorkflowExecution(workflow_id=handle.id)
        )
    )

    async def gone() -> bool:
        try:
            await handle.describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await until(gone)


async def deployed_anew(on: Stage) -> None:
    """Another deployment with the same fault: only the claim keeps it from a second repair."""
    on.world.services = tuple(
        s.model_copy(update={"active_deployment_id": "d2", "latest_deployment_id": "d2"})
        for s in on.world.services
    )


async def touch(on: Stage) -> None:
    """Anybody asks the ledger for something."""
    nothing = ClaimRequest(claim_id=uuid.uuid4().hex, fingerprints=(), holder="nobody", at=datetime.now(UTC))
    await LedgerActivities(on.client, on.world.queue).claim(
        ClaimBatch(project_id=on.environment_id, claims=(nothing,))
    )


@pytest.mark.parametrize("loss", ["terminated", "forgotten"])
async def test_a_new_deployment_gets_no_second_repair_after_the_ledger_was_lost(on: Stage, loss: str) -> None:
    on.world.coding = DONE.model_copy(update={"cost_usd": 0.3})
    repair = await repairing(on)
    before = await on.ledger()
    if loss == "terminated":
        await ledger_of(on).terminate("by an operator")
    else:
        await forget_every_run(on)
    await deployed_anew(on)
    row = row_of(await on.scan(policy=SOON), "checkout")
    assert (row.action, row.detail.partition(" ")[0]) == ("held", repair.id)
    after = await on.ledger()
    assert [entry.fingerprint for entry in after.entries] == [entry.fingerprint for entry in before.entries]
    if loss == "terminated":
        assert after.total == before.total, "what was reserved before is not free again"
        assert after.entries == before.entries
    on.world.hang = False
    await on.repair(repair.id)
    assert on.world.calls["open_pull_request"] == 1
    assert (await on.ledger()).entries[0].state == "suppressed"


async def test_a_ledger_whose_history_nobody_can_run_goes_on_from_where_it_began(on: Stage) -> None:
    """Its last run answers no query; its input is read."""
    spent = SpendingTotal(key="total", usd=240.0)
    state = LedgerState(project_id=on.environment_id, total=spent)
    lost = await on.client.start_workflow(
        "NoSuchLedger", state, id=ledger_of(on).id, task_queue="nobody", result_type=None
    )
    await lost.terminate()
    await on.scan(policy=SOON)
    assert (await on.ledger()).total.usd == 240.0


async def test_nothing_is_spent_by_a_ledger_that_can_read_nothing_until_a_person_says_so(on: Stage) -> None:
    lost = await on.client.start_workflow("NoSuchLedger", [1, 2], id=ledger_of(on).id, task_queue="nobody")
    await lost.terminate()
    row = row_of(await on.scan(policy=SOON), "checkout")
    assert row.action == "paused"
    assert "`starter.py ledger import FILE`" in row.detail
    assert on.world.calls["diagnose"] == 0
    await ledgers.resume(None, everything=True)
    on.world.hang = False
    assert row_of(await on.scan(policy=SOON), "checkout").action == "repair"


async def test_an_export_opens_a_ledger_again_and_only_that_of_its_project(
    on: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.shared.start.ORCHESTRATION_QUEUE", on.world.queue)
    repair = await repairing(on)
    exported = await ledgers.export(None)
    text = exported.model_dump_json()
    with pytest.raises(ConfigurationError, match="--replace"):
        await ledgers.import_state(None, text, replace=False)
    other = exported.model_copy(update={"project_id": "another"}).model_dump_json()
    with pytest.raises(ConfigurationError, match="not of"):
        await ledgers.import_state(None, other, replace=True)
    with pytest.raises(ConfigurationError, match="not an export"):
        await ledgers.import_state(None, "{", replace=True)
    await ledgers.import_state(None, text, replace=True)
    assert await on.ledger() == exported
    await repair.terminate()


async def test_two_that_find_it_lost_open_one_ledger(on: Stage) -> None:
    repair = await repairing(on)
    await ledger_of(on).terminate()
    await asyncio.gather(*(touch(on) for _ in range(5)))
    (entry,) = (await on.ledger()).entries
    assert entry.holder == repair.id
    await repair.terminate()
