"""A ledger that does not answer: nothing ends because of it."""

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.ledger import LedgerActivities
from hosting.workers import WORKFLOWS
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import RepairOutcome
from railmend.contracts.scan import ScanRequest, ServiceRow
from tests import samples
from tests.chaos.phases_worker import AnyEnvironment
from tests.workflows.review_stage import MERGED, ReviewStage
from tests.workflows.story import row_of, stage
from tests.workflows.test_after_pull_request import repairing
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.start import CODING_QUEUE, PLANNING_QUEUE


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


class Outage:
    """In environment number N the ledger is away for a quarter of an hour from its Nth call on.

    By the time of the workflow that calls: each has a clock of its own here, which the server moves on.
    """

    LASTS = timedelta(minutes=15)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, list[str]] = {}
        self._began: dict[str, tuple[str, datetime]] = {}
        answers = LedgerActivities._update

        async def update(ledger: LedgerActivities, project: str, name: str, *rest: Any) -> Any:
            if self._is_away(project, name):
                raise ConnectionError("no route to the ledger")
            return await answers(ledger, project, name, *rest)

        monkeypatch.setattr(LedgerActivities, "_update", update)

    def _is_away(self, environment: str, name: str) -> bool:
        info = activity.info()
        calls = self.calls.setdefault(environment, [])
        if info.attempt == 1:
            calls.append(f"{name} of {info.workflow_type}")
            if len(calls) == int(environment.rpartition("-")[2]):
                self._began[environment] = str(info.workflow_id), info.started_time
        workflow_id, began = self._began.get(environment, ("", info.started_time))
        return workflow_id == info.workflow_id and info.started_time - began < self.LASTS


async def test_an_outage_of_a_quarter_of_an_hour_in_any_call_of_the_ledger_loses_and_doubles_nothing(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage, name = Outage(monkeypatch), f"away-{uuid.uuid4().hex[:8]}"
    queue = f"railmend-{name}"
    world = AnyEnvironment(queue=queue, services=(), findings=(), after_pull_request=ReviewStage())
    client, activities = temporal.client, world.orchestration(temporal.client)

    async def scan(environment: str, delay: timedelta | None = None) -> ServiceRow:
        request = ScanRequest(project_id=environment, environment_id=environment)
        report = await client.execute_workflow(
            HealthScan.run,
            request,
            id=f"scan/{environment}/{uuid.uuid4()}",
            task_queue=queue,
            start_delay=delay,
        )
        return report.rows[0]

    async def ends_well(number: int) -> None:
        """At the latest the next scan leads to the one repair."""
        environment = f"{name}-{number}"
        row = await scan(environment)
        if row.action != "repair":
            row = await scan(environment, timedelta(hours=1))
        assert row.action == "repair", (outage.calls[environment], row)
        repair = client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id or "")
        assert (await repair.result()).outcome is RepairOutcome.HELD
        state = await client.get_workflow_handle_for(Ledger.run, f"ledger/{environment}").query(Ledger.state)
        assert [entry.outcome for entry in state.entries] == ["held"]
        assert [record.outcomes for record in state.track.records] == [{"held": 1}]
        published = [each for each in world.published if each.repair.repository.startswith(f"{environment}/")]
        assert len(published) == 1

    async with (
        Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=activities),  # type: ignore[arg-type]
        Worker(client, task_queue=CODING_QUEUE, activities=[world.prepare_workspace]),
        Worker(client, task_queue=PLANNING_QUEUE, activities=[world.take_turn]),
    ):
        await ends_well(0)  # without an outage
        calls = outage.calls[f"{name}-0"]
        assert {call.partition(" ")[0] for call in calls} == {"claim_all", "reserve", "spend", "settle_all"}
        await asyncio.gather(*(ends_well(number) for number in range(1, len(calls) + 1)))


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
