"""A ledger that does not answer, and repairs that end in ways of which they know nothing."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from activities.ledger import LedgerActivities
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import RepairOutcome
from railmend.contracts.scan import ScanRequest
from tests import samples
from tests.workflows.review_stage import MERGED
from tests.workflows.test_after_pull_request import repairing, until
from tests.workflows.test_scan_to_repair import row_of, stage
from workflows.repair.state import Phase, RepairState
from workflows.scan.health_scan import HealthScan


class Away:
    """A ledger that leaves so many calls without an answer; asked twice a minute at most."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
        self.left = calls
        answers = LedgerActivities._update

        async def update(ledger: LedgerActivities, project: str, name: str, *rest: Any) -> Any:
            if self.left > 0:
                self.left -= 1
                raise ConnectionError("no route to the ledger")
            return await answers(ledger, project, name, *rest)

        monkeypatch.setattr(LedgerActivities, "_update", update)


async def test_a_repair_outlives_a_ledger_that_is_away_for_long(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with repairing(temporal, views=[MERGED]) as on:
        handle = await on.start(Policy(follow_up=FollowUp(outcome_seconds=(60,))))
        began = (await handle.describe()).start_time
        away = Away(monkeypatch, calls=60)
        result = await handle.result()
        assert (result.outcome, away.left) == (RepairOutcome.HELD, 0)
        ended = (await handle.describe()).close_time
        assert ended is not None
        assert ended - began > timedelta(minutes=15)
        assert [entry.outcome for entry in (await on.ledger()).entries] == ["held"]


async def test_a_scan_reports_without_its_ledger(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        Away(monkeypatch, calls=10_000)
        report = await on.scan()
        assert [finding.kind.value for finding in row_of(report, "checkout").findings] == ["memory_leak"]
        assert report.unseen[-1].startswith("The ledger did not answer: no route to the ledger")
        assert f"ledger/{on.environment_id}" in report.unseen[-1]
        assert on.world.calls["diagnose"] == 0


async def test_a_repair_that_ends_with_a_bug_settles_its_claim(temporal: WorkflowEnvironment) -> None:
    """A review without a pull request: a state that no code of ours should make."""
    async with repairing(temporal) as on:
        broken = RepairState(request=samples.repair(), phase=Phase.REVIEW)
        handle = await on.start(Policy(), broken)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        assert [(e.state, e.outcome) for e in (await on.ledger()).entries] == [("suppressed", "failed")]


async def test_an_investigation_that_a_person_stops_is_taken_up_again(
    temporal: WorkflowEnvironment,
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        on.world.gates["checkout"] = asyncio.Event()
        request = ScanRequest(project_id=on.environment_id, environment_id=on.environment_id)
        scan = await on.client.start_workflow(
            HealthScan.run, request, id=f"scan/{on.environment_id}/1", task_queue=on.world.queue
        )
        await until(lambda: on.world.calls["diagnose"] == 1)
        await on.client.get_workflow_handle(f"incident/{on.environment_id}/id-checkout").cancel()
        row = row_of(await scan.result(), "checkout")
        assert row.action == "cancelled"
        assert (await on.ledger()).entries == ()
        on.world.gates.clear()
        assert row_of(await on.scan(), "checkout").action == "repair"
