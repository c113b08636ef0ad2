"""What becomes of pull requests, with real processes: reviewed, merged, deployed, measured, or closed."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle

from commands.demo_run import ROOT, until_symptoms
from railmend.contracts.action import ActionState
from railmend.contracts.repair import RepairOutcome, RepairResult
from railmend.contracts.scan import Window
from railmend.railway.client import RailwayClient
from railmend.railway.model import DeploymentRecord
from railyard.platform.model import utc_now
from tests.integration.test_end_to_end import (
    HOUR,
    QUICK,
    QUIET,
    Person,
    Run,
    reviewed_merged_and_held,
    running,
    scan,
)
from tests.patience import PATIENCE
from tests.unit.test_workspace import run
from workflows.actions.approved_action import ApprovedAction
from workflows.repair.repository_repair import RepositoryRepair

pytestmark = pytest.mark.integration
RAISED = '    percent = product["discount"]["percent"]\n'
WRAPPED = (
    f"    try:\n    {RAISED}    except KeyError as error:\n"
    '        raise ValueError("no discount") from error\n'
)
# No error any more, but nobody wants to wait so long.
SLOW = '    import time\n\n    time.sleep(0.4)\n    percent = product.get("discount", {}).get("percent", 0)\n'


Repairs = dict[str, WorkflowHandle[RepositoryRepair, RepairResult]]


async def opened(
    on: Run,
    monkeypatch: pytest.MonkeyPatch,
    *services: str,
    clock_ahead: timedelta = timedelta(0),
    **follow_up: Any,
) -> tuple[Client, Repairs]:
    """Repairs whose pull requests are open, by service. `clock_ahead`: of the worker's machine."""
    arguments = [part for name in services for part in ("--service", name)]
    await on.start_railyard(*arguments)
    on.variables["RAILMEND_FOLLOW_UP"] = json.dumps(QUICK | follow_up)
    client, settings = await on.client(await on.start_worker(clock_ahead), monkeypatch)
    await until_symptoms(settings, QUIET, services)
    ending = await scan(client, settings)
    assert set(ending.pull_requests()) == set(services)
    return client, {
        row.name: client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id or "")
        for row in ending.report.rows
    }


@pytest.mark.long
async def test_a_reviewed_fix_holds_though_the_workers_clock_is_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed worker's test has the same with a clock that is behind."""
    async with asyncio.timeout(2 * PATIENCE), running(tmp_path) as on:
        client, handles = await opened(on, monkeypatch, "checkout", clock_ahead=HOUR)
        await reviewed_merged_and_held(on, client, handles["checkout"])
        assert not list((tmp_path / "worker" / "repairs").iterdir()), "nothing of the repair is left"


@pytest.mark.long
async def test_a_fix_that_hides_nothing_does_not_hold_and_a_closed_one_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(400), running(tmp_path) as on:
        _, handles = await opened(on, monkeypatch, "catalog", "reports")
        reports = Person(on, "acme/reports")
        reports("POST", "/issues/1/comments", body="We drop the reports next week.")
        reports("PATCH", "/pulls/1", state="closed")
        you = Person(on, "acme/catalog")
        # It only catches the error, and raises it again.
        spoil(on, tmp_path / "spoiled", str(you("GET", "/pulls/1")["head"]["ref"]), WRAPPED)
        you("PUT", "/pulls/1/merge", merge_method="merge")
        closed = await handles["reports"].result()
        assert (closed.outcome, closed.reason) == (RepairOutcome.CLOSED, "We drop the reports next week.")
        result = await handles["catalog"].result()
        assert result.outcome is RepairOutcome.NOT_HELD, result.reason
        assert result.edited, "a person changed the fix before it was merged"
        told = await you.until_said("## The fix did not hold")
        assert "a person has to look" in told


@pytest.mark.long
async def test_what_got_worse_is_reverted_and_rolled_back_and_a_failed_build_is_only_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(500), running(tmp_path) as on:
        client, handles = await opened(on, monkeypatch, "catalog", "reports", outcome_seconds=[45])
        catalog, reports = Person(on, "acme/catalog"), Person(on, "acme/reports")
        trees = on.git_dir("acme/catalog")
        base, before = run(trees, "rev-parse", "main", "main^{tree}").split()
        spoil(on, tmp_path / "slow", str(catalog("GET", "/pulls/1")["head"]["ref"]), SLOW)
        unbuildable(on, tmp_path / "unbuildable", str(reports("GET", "/pulls/1")["head"]["ref"]))
        reports("PUT", "/pulls/1/merge", merge_method="squash")
        catalog("PUT", "/pulls/1/merge", merge_method="rebase")

        unbuilt = await handles["reports"].result()
        assert (unbuilt.outcome, unbuilt.revert, unbuilt.action) == (RepairOutcome.NOT_DEPLOYED, None, "")
        await reports.until_said("## Merged, but not in production")
        assert [label["name"] for label in reports("GET", "/issues/1/labels")][-1] == "railmend: not deployed"
        assert len(on.pull_requests("acme/reports")) == 1
        first, failed = await deployments(on, "acme/reports")
        assert (first.status, failed.status) == ("SUCCESS", "FAILED"), "the old one goes on serving"

        worse = await handles["catalog"].result()
        assert worse.outcome is RepairOutcome.WORSE, worse.reason
        assert worse.revert is not None
        assert worse.merge is not None
        assert run(trees, "rev-list", "--count", f"{base}..{worse.merge.sha}") == "2"
        told = await catalog.until_said("## It is worse than before")
        assert worse.revert.url in told
        branch = str(catalog("GET", f"/pulls/{worse.revert.number}")["head"]["ref"])
        assert run(trees, "rev-parse", f"{branch}^{{tree}}") == before

        address = client.service_client.config.target_host
        assert starter(on, address, "approve", worse.action) == 0
        done = await client.get_workflow_handle_for(ApprovedAction.run, worse.action).result()
        assert (done.state, bool(done.by)) == (ActionState.DONE, True), done.detail
        assert starter(on, address, "approve", worse.action) != 0, "it is decided once"
        old, slow, back = await until_served(on, "acme/catalog", 3)
        assert (slow.commit, back.commit) == (worse.merge.sha, old.commit)

        catalog("PUT", f"/pulls/{worse.revert.number}/merge", merge_method="merge")
        assert run(trees, "rev-parse", "main^{tree}") == before


def starter(on: Run, address: str, *arguments: str) -> int:
    command = [sys.executable, "starter.py", *arguments]
    environment = {**os.environ, **on.variables, "TEMPORAL_ADDRESS": address}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode


async def deployments(on: Run, repository: str) -> list[DeploymentRecord]:
    """Of the service of this repository, oldest first."""
    railway = RailwayClient(on.variables["RAILWAY_API_URL"], SecretStr(on.variables["RAILWAY_TOKEN"]))
    ids = (on.variables["RAILWAY_PROJECT_ID"], on.variables["RAILWAY_ENVIRONMENT_ID"])
    try:
        end = utc_now()
        window = Window(start=end - timedelta(seconds=10), end=end, step_seconds=1)
        survey = await railway.surveyor.survey(*ids, window)
        (service,) = (one for one in survey.services if one.repository == repository)
        return (await railway.deployments(*ids, service.service_id, 10))[::-1]
    finally:
        await railway.aclose()


async def until_served(on: Run, repository: str, number: int) -> list[DeploymentRecord]:
    while True:
        found = await deployments(on, repository)
        if len(found) >= number and found[-1].status == "SUCCESS":
            return found
        await asyncio.sleep(1)


def cloned(on: Run, repository: str, branch: str, folder: Path) -> None:
    run(folder.parent, "clone", "-q", "-b", branch, str(on.git_dir(repository)), str(folder))


def unbuildable(on: Run, folder: Path, branch: str) -> None:
    """A person adds a link that leads out of what is built, which no builder takes."""
    cloned(on, "acme/reports", branch, folder)
    (folder / "secrets").symlink_to("/etc/hostname")
    run(folder, "add", "secrets")
    run(folder, "commit", "-qm", "Link the host's name")
    run(folder, "push", "-q", "origin", branch)


def spoil(on: Run, folder: Path, branch: str, instead: str) -> None:
    """A person replaces the fix by another one."""
    cloned(on, "acme/catalog", branch, folder)
    old = run(folder, "show", "origin/main:catalog.py")
    assert RAISED in old
    (folder / "catalog.py").write_text(old.replace(RAISED, instead) + "\n")
    run(folder, "commit", "-qam", "Do it my way")
    run(folder, "push", "-q", "origin", branch)
