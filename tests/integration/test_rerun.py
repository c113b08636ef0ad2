"""What a person starts again, on a real server: by the command, by a reset, or by "start like this one"."""

from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from commands import rerun
from railmend.contracts.action import ActionKind, ActionRequest
from railmend.contracts.incident import IncidentReport, IncidentRequest, Verdict
from railmend.contracts.repair import Approval
from railmend.settings import ConfigurationError
from tests.integration.test_claims import SOON, _quickly, on, repairing, temporal, until
from tests.workflows.stand_ins import CHANGE
from tests.workflows.story import Stage, row_of
from tests.workflows.test_reset import reset
from workflows.actions.approved_action import ApprovedAction
from workflows.investigation.incident_investigation import IncidentInvestigation
from workflows.scan.health_scan import HealthScan

pytestmark = pytest.mark.integration
__all__ = ["_quickly", "on", "temporal"]


@pytest.fixture(autouse=True)
def _served(on: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    on.world.hang = False
    monkeypatch.setattr("workflows.shared.start.ORCHESTRATION_QUEUE", on.world.queue)


async def unclear(on: Stage) -> str:
    """An incident that ended with a verdict nobody acts on; return its workflow ID."""
    on.world.verdicts["checkout"] = Verdict.UNCLEAR
    assert row_of(await on.scan(policy=SOON), "checkout").verdict == "unclear"
    assert row_of(await on.scan(policy=SOON), "checkout").action == "suppressed"
    on.world.verdicts.clear()
    return f"incident/{on.environment_id}/id-checkout"


async def pull_request_of(on: Stage, scan_id: str) -> None:
    report = await on.client.get_workflow_handle_for(HealthScan.run, scan_id).result()
    repair = row_of(report, "checkout").repair_workflow_id
    assert repair, report
    assert (await on.repair(repair)).pull_request is not None


async def scan_named_by(handle: WorkflowHandle[Any, IncidentReport]) -> str:
    report = await handle.result()
    return report.diagnosis.summary.removeprefix("Started again by hand: ").partition(" ")[0]


async def test_an_incident_that_is_run_again_is_diagnosed_and_acted_upon(on: Stage) -> None:
    incident = await unclear(on)
    await pull_request_of(on, await rerun._rerun(incident))


async def test_a_reset_of_an_ended_incident_leads_somewhere(on: Stage) -> None:
    incident = await unclear(on)
    handle = on.client.get_workflow_handle_for(IncidentInvestigation.run, incident)
    await reset(on, handle)
    newest = on.client.get_workflow_handle_for(IncidentInvestigation.run, incident)
    await pull_request_of(on, await scan_named_by(newest))


async def test_an_incident_started_like_another_one_leads_somewhere(on: Stage) -> None:
    incident = await unclear(on)
    request = await rerun._input(on.client, incident, IncidentRequest)
    handle = await on.client.start_workflow(
        IncidentInvestigation.run, request, id=incident, task_queue=on.world.queue
    )
    await pull_request_of(on, await scan_named_by(handle))


async def test_a_repair_that_ended_is_run_again_as_a_scan_of_its_services(on: Stage) -> None:
    on.world.change = on.world.change.model_copy(update={"files": ()})
    repair = row_of(await on.scan(policy=SOON), "checkout").repair_workflow_id
    assert (await on.repair(repair)).outcome.value == "no_change"
    on.world.change = CHANGE
    await pull_request_of(on, await rerun._rerun(repair))


async def test_what_is_open_is_not_run_again(on: Stage) -> None:
    on.world.hang = True
    repair = await repairing(on)
    with pytest.raises(ConfigurationError, match="is open"):
        await rerun._rerun(repair.id)
    await repair.terminate()


async def test_a_scan_that_is_reset_repeats_nothing_it_has_done(on: Stage) -> None:
    report = await on.scan(policy=SOON)
    repair = row_of(report, "checkout").repair_workflow_id
    await on.repair(repair)
    handle = on.client.get_workflow_handle_for(HealthScan.run, on.scans[0])
    await reset(on, handle)
    again = await on.client.get_workflow_handle_for(HealthScan.run, on.scans[0]).result()
    assert row_of(again, "checkout").action == "suppressed"
    assert on.world.calls["diagnose"] == on.world.calls["open_pull_request"] == 1


async def test_a_ledger_that_is_reset_forgets_nothing(on: Stage) -> None:
    on.world.hang = True
    repair = await repairing(on)
    before = await on.ledger()
    handle = on.client.get_workflow_handle(f"ledger/{on.environment_id}")
    await reset(on, handle)

    async def same() -> bool:
        return bool((await on.ledger()).entries == before.entries)

    await until(same)
    assert (await on.ledger()).total == before.total
    await repair.terminate()


async def test_an_action_that_was_rejected_is_offered_again(on: Stage) -> None:
    request = ActionRequest(
        kind=ActionKind.ROLLBACK,
        environment_id=on.environment_id,
        project_id=on.environment_id,
        service_id="s",
        service_name="checkout",
        deployment_id="d1",
        reason="worse",
    )
    first = await on.client.start_workflow(
        ApprovedAction.run, request, id=request.workflow_id, task_queue=on.world.queue
    )
    await first.execute_update(ApprovedAction.reject, Approval(by="ada"))
    await first.result()
    again = on.client.get_workflow_handle_for(ApprovedAction.run, await rerun._rerun(request.workflow_id))
    await again.execute_update(ApprovedAction.approve, Approval(by="ada"))
    assert (await again.result()).state.value == "done"
    assert len(on.world.after_pull_request.orders) == 1


@pytest.mark.parametrize("name", ["ledger/p", "incident/e/unknown", "nonsense"])
async def test_what_cannot_be_run_again_is_refused_with_a_next_step(on: Stage, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"starter\.py"):
        await rerun._rerun(name)
