"""A ledger that does not answer: nothing ends because of it."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.ledger import LedgerActivities
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import RepairOutcome
from tests import samples
from tests.workflows.review_stage import MERGED
from tests.workflows.test_after_pull_request import repairing
from tests.workflows.test_scan_to_repair import row_of, stage


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
