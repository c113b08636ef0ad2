"""Claims on a real Temporal server: whoever dies, ends or is stuck, one fault has one holder."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

import activities.ledger
from activities.ledger import LedgerActivities
from commands import ledgers, run_status
from commands.schedule import create_or_update
from hosting.dev_server import DYNAMIC_CONFIG
from railmend.contracts.action import ActionKind, ActionRequest, ActionState
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import ClaimBatch, ClaimRequest, ClaimState, LedgerEntry, SettleRequest
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import Approval, RepairOutcome
from railmend.contracts.scan import FindingKind, HealthReport, ScanRequest, ScanSettings, Service
from railmend.settings import ConfigurationError
from tests import samples
from tests.patience import PATIENCE
from tests.workflows.stand_ins import DONE
from tests.workflows.story import Stage, row_of, stage
from workflows.actions.approved_action import ApprovedAction
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.plugin import railmend_plugin
from workflows.shared.search_attributes import REGISTRY

pytestmark = pytest.mark.integration
SOON = Policy(follow_up=FollowUp(poll_seconds=1, outcome_seconds=(1,)), notify=True)


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    arguments = [part for value in DYNAMIC_CONFIG for part in ("--dynamic-config-value", value)]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
        dev_server_extra_args=arguments,
        plugins=[railmend_plugin()],
        search_attributes=REGISTRY,
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities.ledger, "ASK_AGAIN", timedelta(seconds=0.5))


@pytest.fixture
async def on(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with stage(temporal, samples.service("checkout"), hang=True) as started:
        person_of(started, temporal.client, monkeypatch, tmp_path)
        yield started


def person_of(on: Stage, client: Client, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Somebody whose command line knows this project."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    monkeypatch.setenv("RAILWAY_PROJECT_ID", on.environment_id)
    monkeypatch.setenv("RAILWAY_ENVIRONMENT_ID", on.environment_id)


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.05)


async def called(on: Stage, activity: str, times: int = 1) -> None:
    async def often_enough() -> bool:
        return on.world.calls[activity] >= times

    await until(often_enough)


async def start_scan(on: Stage) -> WorkflowHandle[HealthScan, HealthReport]:
    on.world.settings = ScanSettings(policy=SOON)
    request = ScanRequest(project_id=on.environment_id, environment_id=on.environment_id)
    return await on.client.start_workflow(
        HealthScan.run,
        request,
        id=f"scan/{on.environment_id}/{uuid.uuid4()}",
        task_queue=on.world.queue,
    )


async def repairing(on: Stage) -> WorkflowHandle[Any, Any]:
    """The repair of checkout, in the midst of its session."""
    row = row_of(await on.scan(policy=SOON), "checkout")
    assert row.repair_workflow_id, row
    await called(on, "run_session")
    return on.client.get_workflow_handle(row.repair_workflow_id)


async def entry(on: Stage) -> LedgerEntry:
    (one,) = (await on.ledger()).entries
    return one


def shared(on: Stage) -> tuple[Service, ...]:
    """All services in one repository."""
    repository = f"{on.environment_id}/mono"
    return tuple(s.model_copy(update={"repository": repository}) for s in on.world.services)


async def taken_by_another(on: Stage, fingerprint: str, grant: int) -> str:
    """By a repair that is open; return its workflow ID."""
    other = f"repair/{on.environment_id}/another"
    await on.client.start_workflow("Unserved", id=other, task_queue=f"nobody-{on.environment_id}")
    ledger = LedgerActivities(on.client, on.world.queue)
    claim = ClaimRequest(
        claim_id=str(uuid.uuid4()),
        fingerprints=(fingerprint,),
        holder=other,
        at=datetime.now(UTC),
        replaces=(grant,),
    )
    (answer,) = (await ledger.claim(ClaimBatch(project_id=on.environment_id, claims=(claim,)))).answers
    assert answer.state is ClaimState.GRANTED
    return other


@pytest.mark.parametrize("ending", ["terminated", "cancelled"])
async def test_a_fault_whose_repair_was_stopped_is_taken_up_again(on: Stage, ending: str) -> None:
    repair = await repairing(on)
    await (repair.terminate("by an operator") if ending == "terminated" else repair.cancel())
    with pytest.raises(WorkflowFailureError):
        await repair.result()
    on.world.hang = False
    row = row_of(await on.scan(policy=SOON), "checkout")
    if ending == "cancelled":  # a person's decision, so it is quiet for a while
        assert row.action == "suppressed"
        return
    assert (row.action, row.repair_workflow_id) == ("repair", repair.id)
    assert (await on.repair(repair.id)).outcome is RepairOutcome.HELD
    assert on.world.calls["open_pull_request"] == 1


async def test_a_fault_whose_scan_was_terminated_is_taken_up_again(on: Stage) -> None:
    on.world.gates["checkout"] = asyncio.Event()
    scan = await start_scan(on)
    await called(on, "diagnose")
    assert row_of(await on.scan(policy=SOON), "checkout").detail.startswith(f"{scan.id} has held it since ")
    await scan.terminate("by an operator")
    on.world.gates.clear()
    assert row_of(await on.scan(policy=SOON), "checkout").action == "repair"


async def test_a_scan_that_is_cancelled_leaves_no_claim(on: Stage) -> None:
    on.world.gates["checkout"] = asyncio.Event()
    scan = await start_scan(on)
    await called(on, "diagnose")
    await scan.cancel()
    with pytest.raises(WorkflowFailureError):
        await scan.result()
    assert (await on.ledger()).entries == (), "nothing came of it, so nothing is remembered"


async def test_a_healthy_repair_keeps_its_claim_however_many_scans_ask(on: Stage) -> None:
    repair = await repairing(on)
    before = await entry(on)
    for _ in range(3):
        row = row_of(await on.scan(policy=SOON), "checkout")
        assert (row.action, row.repair_workflow_id) == ("held", None)
        assert row.detail.startswith(f"{repair.id} has held it since ")
    assert await entry(on) == before
    assert before.first_run_id == (await repair.describe()).raw_info.first_run_id


async def test_two_scans_that_overlap_open_one_pull_request(
    temporal: WorkflowEnvironment,
) -> None:
    """The first has finished one service and waits for another of the same repository."""
    async with stage(temporal, samples.service("api"), samples.service("jobs")) as on:
        on.world.services = shared(on)
        on.world.gates["jobs"] = asyncio.Event()
        first = await start_scan(on)
        await called(on, "diagnose", 2)
        second = await on.scan(policy=SOON)
        assert {row.action for row in second.rows} == {"held"}
        assert {row.detail.partition(" ")[0] for row in second.rows} == {first.id}
        on.world.gates["jobs"].set()
        (repair,) = {row.repair_workflow_id for row in (await first.result()).rows}
        assert repair is not None
        await on.repair(repair)
        assert (on.world.calls["diagnose"], on.world.calls["open_pull_request"]) == (2, 1)


async def test_the_same_fault_in_another_group_finds_the_repair_that_has_it(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("api"), hang=True) as on:
        on.world.services = shared(on)
        repair = row_of(await on.scan(policy=SOON), "api").repair_workflow_id
        jobs = samples.finding("jobs").model_copy(update={"environment_id": on.environment_id})
        on.world.findings = (*on.world.findings, jobs)
        on.world.services = (
            *on.world.services,
            samples.service("jobs").model_copy(update={"repository": f"{on.environment_id}/mono"}),
        )
        report = await on.scan(policy=SOON)
        assert row_of(report, "api").detail.startswith(f"{repair} has held it since ")
        other = row_of(report, "jobs").repair_workflow_id
        assert other not in (None, repair)
        state = await on.client.get_workflow_handle_for(RepositoryRepair.run, other).query(
            RepositoryRepair.state
        )
        assert [report.request.service.name for report in state.request.incidents] == ["jobs"]
        on.world.hang = False
        await asyncio.gather(*map(on.repair, (repair, other)))


async def test_a_service_whose_hand_over_is_refused_is_not_in_the_repair(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("api"), samples.service("jobs"), hang=True) as on:
        on.world.services = shared(on)
        on.world.gates["jobs"] = asyncio.Event()
        scan = await start_scan(on)
        await called(on, "diagnose", 2)
        (api,) = [e for e in (await on.ledger()).entries if "id-api" in e.fingerprint]
        other = await taken_by_another(on, api.fingerprint, api.grant)
        on.world.gates["jobs"].set()
        report = await scan.result()
        refused, repaired = row_of(report, "api"), row_of(report, "jobs")
        assert (refused.action, refused.repair_workflow_id) == ("held", None)
        assert refused.detail.startswith(f"{other} has held it since ")
        handle = on.client.get_workflow_handle_for(RepositoryRepair.run, repaired.repair_workflow_id)
        state = await handle.query(RepositoryRepair.state)
        assert [report.request.service.name for report in state.request.incidents] == ["jobs"]
        holders = {e.fingerprint: e.holder for e in (await on.ledger()).entries}
        assert sorted(holders.values()) == sorted([other, handle.id])
        on.world.hang = False
        await handle.result()


async def test_a_repair_that_lost_its_claim_publishes_nothing_and_pays(on: Stage) -> None:
    on.world.coding = DONE.model_copy(update={"cost_usd": 0.3})
    repair = await repairing(on)
    held = await entry(on)
    other = await taken_by_another(on, held.fingerprint, held.grant)
    on.world.hang = False
    result = await on.repair(repair.id)
    assert result.outcome is RepairOutcome.FAILED
    assert f"is lost, so nothing more is done: {other} has held it since" in result.reason
    calls = on.world.calls
    assert (calls["commit_and_push"], calls["open_pull_request"], calls["delete_workspace"]) == (0, 0, 1)
    assert (await entry(on)).holder == other
    assert (await on.ledger()).total.usd == 0.3


async def test_a_person_hears_once_of_a_stuck_holder_and_frees_its_fault(
    on: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade that does not replay: the run is open and gets nowhere."""
    monkeypatch.setattr(activities.ledger, "STUCK_ATTEMPTS", 2)
    on.world.hang = False
    stuck = await on.client.start_workflow("NoSuchType", id="repair/acme/stuck", task_queue=on.world.queue)
    (finding,) = on.world.findings
    fingerprint = f"{on.environment_id}/{finding.service_id}/{finding.kind.value}"
    claim = ClaimRequest(claim_id="c", fingerprints=(fingerprint,), holder=stuck.id, at=datetime.now(UTC))
    ledger = LedgerActivities(on.client, on.world.queue)
    await ledger.claim(ClaimBatch(project_id=on.environment_id, claims=(claim,)))

    async def fails() -> bool:
        return (await stuck.describe()).raw_description.pending_workflow_task.attempt >= 2

    await until(fails)
    shown = await run_status.read(stuck.id)
    assert "its workflow task has failed" in shown.still_runs
    assert "NoSuchType" in shown.still_runs, "and why"
    for _ in range(2):
        row = row_of(await on.scan(policy=SOON), "checkout")
        assert row.action == "held"
        assert f"`starter.py ledger release {fingerprint} --terminate`" in row.detail
    (told,) = on.world.notified
    assert (told.workflow_id, told.verdict) == (stuck.id, "repair_stuck")
    assert "starter.py ledger release" in told.summary
    (overview,) = await ledgers.overviews(None)
    assert [(f.fingerprint, f.standing) for f in overview.faults] == [(fingerprint, "stuck")]
    with pytest.raises(ConfigurationError, match="works on it"):
        await ledgers.release([fingerprint], terminate=False)
    done = await ledgers.release([fingerprint], terminate=True)
    assert done == [f"{stuck.id}: terminated.", f"{fingerprint}: released; the next scan may pick it up."]
    assert row_of(await on.scan(policy=SOON), "checkout").action == "repair"


async def test_a_fault_that_a_person_suppresses_is_not_taken_up(on: Stage) -> None:
    (finding,) = on.world.findings
    fingerprint = f"{on.environment_id}/{finding.service_id}/{finding.kind.value}"
    other = f"{on.environment_id}/{finding.service_id}/{FindingKind.LATENCY.value}"
    repair = await repairing(on)
    with pytest.raises(ConfigurationError, match="is open"):
        await ledgers.suppress([fingerprint], timedelta(days=7), "")
    await ledgers.suppress([other], timedelta(days=7), "known")
    on.world.findings = (finding.model_copy(update={"kind": FindingKind.LATENCY}),)
    row = row_of(await on.scan(policy=SOON), "checkout")
    assert (row.action, "known" in row.detail) == ("suppressed", True)
    assert on.world.calls["diagnose"] == 1
    with pytest.raises(ConfigurationError, match="is not open"):
        await ledgers.release([other], terminate=False)
    await repair.terminate()


async def test_nothing_new_begins_while_everything_is_paused(
    on: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ScanRequest(project_id=on.environment_id, environment_id=on.environment_id)
    schedule = await create_or_update(on.client, request, timedelta(days=1))
    nothing = ClaimRequest(claim_id="c", fingerprints=(), holder="nobody", at=datetime.now(UTC))
    ledger = LedgerActivities(on.client, on.world.queue)  # which opens it on a queue that is served
    await ledger.claim(ClaimBatch(project_id=on.environment_id, claims=(nothing,)))
    mine = {f"ledger/{on.environment_id}", f"scan/{on.environment_id}"}
    # Those of other tests have no worker: whoever waited for their answers would wait for each.
    monkeypatch.setattr("activities.ledger_recovery.recovered", None)
    assert mine <= set(await ledgers.pause(None, "deploy freeze", everything=True))
    assert (await schedule.describe()).schedule.state.paused
    row = row_of(await on.scan(policy=SOON), "checkout")
    assert row.action == "paused"
    assert "Railmend is paused by " in row.detail
    assert row.detail.endswith("(deploy freeze).")
    assert on.world.calls["diagnose"] == 0
    assert mine <= set(await ledgers.resume(None, everything=True))
    assert not (await schedule.describe()).schedule.state.paused
    on.world.hang = False
    assert row_of(await on.scan(policy=SOON), "checkout").action == "repair"
    await schedule.delete()


async def test_a_session_that_runs_is_kept_and_its_push_waits_for_the_resume(on: Stage) -> None:
    repair = await repairing(on)
    await ledgers.pause(None, "", everything=False)
    on.world.hang = False

    async def waits() -> bool:
        pending = (await repair.describe()).raw_description.pending_activities
        return any("Railmend is paused by " in each.last_failure.message for each in pending)

    await until(waits)
    length = (await repair.describe()).history_length
    await asyncio.sleep(2)  # in which it asks four times
    assert (await repair.describe()).history_length == length, "waiting leaves nothing in the history"
    assert (on.world.calls["run_session"], on.world.calls["commit_and_push"]) == (1, 0)
    await ledgers.resume(None, everything=False)
    assert (await on.repair(repair.id)).outcome is RepairOutcome.HELD


async def test_an_approved_action_waits_for_the_resume(on: Stage) -> None:
    nothing = ClaimRequest(claim_id="c", fingerprints=(), holder="nobody", at=datetime.now(UTC))
    ledger = LedgerActivities(on.client, on.world.queue)
    await ledger.claim(ClaimBatch(project_id=on.environment_id, claims=(nothing,)))
    await ledgers.pause(None, "", everything=False)
    action = ActionRequest(
        kind=ActionKind.RESTART,
        project_id=on.environment_id,
        environment_id=on.environment_id,
        service_id="s",
        service_name="checkout",
        deployment_id="d",
        reason="It is stuck.",
    )
    handle = await on.client.start_workflow(
        ApprovedAction.run, action, id=f"action/{on.environment_id}", task_queue=on.world.queue
    )
    await handle.execute_update(ApprovedAction.approve, Approval(by="ada"))

    async def waits() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any("Railmend is paused by " in each.last_failure.message for each in pending)

    await until(waits)
    assert on.world.after_pull_request.orders == []
    await ledgers.resume(None, everything=False)
    assert (await handle.result()).state is ActionState.DONE


async def test_a_plan_that_waits_for_a_person_keeps_its_claim_after_its_scan(on: Stage) -> None:
    row = row_of(await on.scan(Autonomy.PLAN, policy=SOON), "checkout")
    assert (await entry(on)).holder == row.repair_workflow_id
    again = row_of(await on.scan(Autonomy.PLAN, policy=SOON), "checkout")
    assert again.detail.startswith(f"{row.repair_workflow_id} has held it since "), "its scan ended long ago"
    await on.client.get_workflow_handle(row.repair_workflow_id or "").terminate()


async def test_a_ledger_that_grew_goes_on_with_all_that_it_knew(on: Stage) -> None:
    """Claims, costs and the pause, over a continue-as-new for its size."""
    await repairing(on)
    await ledgers.pause(None, "", everything=False)
    ledger = on.client.get_workflow_handle(f"ledger/{on.environment_id}")
    before, first = await on.ledger(), (await ledger.describe()).run_id
    assert before.paused
    fat = SettleRequest(
        settle_id="s",
        fingerprints=tuple(f"{'e' * 36}/{'s' * 36}/{n}" for n in range(600)),
        holder="nobody",
        outcome="unclear",
        detail="",
        cooldown_seconds=1,
        at=datetime.now(UTC),
    )

    async def renewed() -> bool:
        await ledger.execute_update(Ledger.settle, fat)
        return (await ledger.describe()).run_id != first

    await until(renewed)
    assert await on.ledger() == before
    assert row_of(await on.scan(policy=SOON), "checkout").action == "paused"
