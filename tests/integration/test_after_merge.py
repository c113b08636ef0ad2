"""What becomes of pull requests, with real processes: reviewed, merged, deployed, measured, or closed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowHandle

from commands.demo import until_symptoms
from railmend.contracts.repair import RepairOutcome, RepairResult
from tests.integration.test_end_to_end import QUIET, Run, running, scan
from tests.unit.test_workspace import run
from workflows.repository_repair import RepositoryRepair

pytestmark = pytest.mark.integration
QUICK = {"poll_seconds": 2, "outcome_seconds": [75], "reopen_seconds": 2, "retries": 0}
RAISED = '    percent = product["discount"]["percent"]\n'
WRAPPED = (
    f"    try:\n    {RAISED}    except KeyError as error:\n"
    '        raise ValueError("no discount") from error\n'
)


class Person:
    """Reviews, merges and closes, as somebody who may write."""

    def __init__(self, on: Run, repository: str) -> None:
        token = json.loads((on.folder / "railyard" / "person.json").read_text())["GITHUB_TOKEN"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self._api = f"{on.variables['GITHUB_API_URL']}/repos/{repository}"

    def __call__(self, method: str, path: str, /, **body: Any) -> Any:
        answer = httpx.request(method, self._api + path, json=body, headers=self._headers, timeout=30)
        return answer.raise_for_status().json()

    async def until_said(self, text: str) -> str:
        while True:
            for comment in self("GET", "/issues/1/comments"):
                if text in comment["body"]:
                    return str(comment["body"])
            await asyncio.sleep(1)


async def opened(
    on: Run, monkeypatch: pytest.MonkeyPatch, *services: str
) -> dict[str, WorkflowHandle[RepositoryRepair, RepairResult]]:
    """Repairs whose pull requests are open, by service."""
    arguments = [part for name in services for part in ("--service", name)]
    await on.start_railyard(*arguments)
    on.variables["RAILMEND_FOLLOW_UP"] = json.dumps(QUICK)
    client, settings = await on.client(await on.start_worker(), monkeypatch)
    await until_symptoms(settings, QUIET, services)
    ending = await scan(client, settings)
    assert set(ending.pull_requests()) == set(services)
    return {
        row.name: client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id or "")
        for row in ending.report.rows
    }


async def test_a_reviewed_fix_is_followed_up_merged_and_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(400), running(tmp_path) as on:
        handle = (await opened(on, monkeypatch, "checkout"))["checkout"]
        assert not list((tmp_path / "worker" / "repairs").glob("*/tree")), (
            "no code is kept while people review"
        )
        you = Person(on, "acme/checkout")
        you("POST", "/issues/1/comments", body="Use a bounded LRU instead, please.")
        answer = await you.until_said("Done in ")
        assert "> you: Use a bounded LRU instead, please." in answer
        branch = you("GET", "/pulls/1")["head"]["ref"]
        git_dir = on.git_dir("acme/checkout")
        assert "move_to_end" in run(git_dir, "show", f"{branch}:quotes.py")
        commits = run(git_dir, "log", "--format=%s", f"main..{branch}").splitlines()
        assert (len(commits), commits[0]) == (2, "Answer the review of you")
        you("PUT", "/pulls/1/merge", merge_method="squash")
        result = await handle.result()
        assert result.outcome is RepairOutcome.HELD, result.reason
        assert result.merge is not None
        assert result.merge.sha == run(git_dir, "rev-parse", "main")
        told = await you.until_said("## The fix holds")
        assert "memory leak" in told
        assert "xychart-beta" in told
        labels = [label["name"] for label in you("GET", "/issues/1/labels")]
        assert "railmend: held" in labels
        assert not list((tmp_path / "worker" / "repairs").iterdir()), "nothing of the repair is left"


@pytest.mark.long
async def test_a_fix_that_hides_nothing_does_not_hold_and_a_closed_one_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(400), running(tmp_path) as on:
        handles = await opened(on, monkeypatch, "catalog", "reports")
        reports = Person(on, "acme/reports")
        reports("POST", "/issues/1/comments", body="We drop the reports next week.")
        reports("PATCH", "/pulls/1", state="closed")
        you = Person(on, "acme/catalog")
        spoil(on, tmp_path / "spoiled", str(you("GET", "/pulls/1")["head"]["ref"]))
        you("PUT", "/pulls/1/merge", merge_method="merge")
        closed = await handles["reports"].result()
        assert (closed.outcome, closed.reason) == (RepairOutcome.CLOSED, "We drop the reports next week.")
        result = await handles["catalog"].result()
        assert result.outcome is RepairOutcome.NOT_HELD, result.reason
        assert result.edited, "a person changed the fix before it was merged"
        told = await you.until_said("## The fix did not hold")
        assert "a person has to look" in told


def spoil(on: Run, folder: Path, branch: str) -> None:
    """A person replaces the fix by one that only catches the error, and raises it again."""
    bare = on.git_dir("acme/catalog")
    run(folder.parent, "clone", "-q", "-b", branch, str(bare), str(folder))
    old = run(folder, "show", "origin/main:catalog.py")
    assert RAISED in old
    (folder / "catalog.py").write_text(old.replace(RAISED, WRAPPED) + "\n")
    run(folder, "commit", "-qam", "Catch the error")
    run(folder, "push", "-q", "origin", branch)
