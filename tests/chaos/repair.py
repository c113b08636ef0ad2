"""One repair, what can be seen of it from outside, and what is told of it when it is over."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from railmend.coding.sandbox.interface import RepairPaths
from railmend.contracts.ledger import Budget, Limit
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import RepairRequest, RepairResult
from tests import samples
from tests.chaos.agent import ANSWER, content
from tests.chaos.stage import PERSON, TOKEN, Stage
from tests.patience import PATIENCE
from tests.unit.test_workspace import run
from workflows.repair.repository_repair import RepositoryRepair
from workflows.repair.state import RepairState
from workflows.shared.start import ORCHESTRATION_QUEUE

ENOUGH = Limit(usd=10_000, diagnoses=10_000, sessions=10_000)


@dataclass(frozen=True)
class Told:
    """What is left of a repair that is over."""

    outcome: str
    pull_requests: int
    labels: tuple[str, ...]
    branches: tuple[str, ...]
    commits: tuple[str, ...]  # authors, oldest first
    text: str  # of the file that is mended
    answers: int
    sessions: int  # of OpenCode
    model_calls: int
    folder_left: bool
    processes_left: tuple[str, ...]
    token_in_history: bool


class Repair:
    """`files`: of its repository, name and text."""

    def __init__(self, stage: Stage, name: str, files: Iterable[tuple[str, str]], scratch: Path) -> None:
        self.stage = stage
        self.repository = f"acme/{name}"
        self.key = hashlib.sha256(name.encode()).hexdigest()[:12]
        self._files = (("app.py", content(-1)), *files)
        self._scratch = scratch
        self._git_dir = stage.forge.add_repo(self.repository)
        self._commented = False
        self._handle: WorkflowHandle[Any, Any] | None = None
        self._result: asyncio.Task[RepairResult] | None = None

    @property
    def paths(self) -> RepairPaths:
        return self.stage.paths(self.key)

    @property
    def branch(self) -> str:
        return f"railmend/{self.key}"

    async def start(self) -> None:
        assert self.stage.client is not None
        self._seed(self._scratch / self.key)
        self._handle = await self.stage.client.start_workflow(
            RepositoryRepair.run,
            RepairState(request=self._request()),
            id=f"repair/{self.repository}/{self.key}",
            task_queue=ORCHESTRATION_QUEUE,
        )
        self._result = asyncio.create_task(_result(self._handle))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                if self._result is not None and self._result.done():
                    raise AssertionError(f"{self.key} ended early: {self._result.result()}")
                await asyncio.sleep(0.05)

    async def comment(self) -> None:
        """As a person, once, as soon as there is a pull request."""
        await self.until(self.labelled)
        if not self._commented:
            self._api("POST", "/issues/1/comments", body="Use another value.")
            self._commented = True

    async def finish(self) -> Told:
        """On until there is nothing to do but to wait for people; then a person closes it."""
        await self.comment()
        await self.until(lambda: self.answers() > 0)
        await self.until(lambda: not self.server_runs())
        sessions = self._sessions()
        self._api("PATCH", "/pulls/1", state="closed")
        assert self._handle is not None
        assert self._result is not None
        async with asyncio.timeout(PATIENCE):
            result = await self._result
        history = (await self._handle.fetch_history()).to_json()
        return Told(
            outcome=result.outcome.value,
            pull_requests=len(self._pulls()),
            labels=tuple(self._pulls()[0]["labels"]),
            branches=tuple(run(self._git_dir, "branch", "--format=%(refname:short)").split()),
            commits=self.commits(),
            text=run(self._git_dir, "show", f"{self.branch}:app.py"),
            answers=self.answers(),
            sessions=sessions,
            model_calls=self.stage.agent.asked[self.key],
            folder_left=self.paths.root.exists(),
            processes_left=tuple(self.stage.processes_of(self.key)),
            token_in_history=TOKEN in history,
        )

    def head(self) -> str | None:
        return self.stage.forge.branch(self.repository, self.branch)

    def commits(self) -> tuple[str, ...]:
        if self.head() is None:
            return ()
        return tuple(run(self._git_dir, "log", "--reverse", "--format=%an", f"main..{self.branch}").split())

    def labelled(self) -> bool:
        return any(pull["labels"] for pull in self._pulls())

    def answers(self) -> int:
        """Comments that answer the person's."""
        with self.stage.forge.lock:
            said = [row["body"] for row in self.stage.forge.repo(self.repository)["comments"].values()]
        return sum(ANSWER in text for text in said)

    def waits_for_review(self) -> bool:
        """Its workspace is removed when all of its pull request is recorded."""
        return self.labelled() and not self.paths.tree.exists()

    def server_runs(self) -> bool:
        return (self.paths.run / "server.json").exists()

    def person_pushes(self) -> None:
        work = self._scratch / f"person-{self.key}"
        run(self._scratch, "clone", "-q", "-b", self.branch, str(self._git_dir), str(work))
        (work / "NOTES.md").write_text("Mind the value.\n")
        run(work, "add", "-A")
        run(work, "commit", "-qm", "A person's own")
        run(work, "push", "-q", "origin", self.branch)

    def _seed(self, work: Path) -> None:
        for name, text in self._files:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        run(work, "init", "-q", "-b", "main")
        run(work, "add", "-A")
        run(work, "commit", "-qm", "first")
        run(work, "push", "-q", str(self._git_dir), "main")

    def _request(self) -> RepairRequest:
        name = self.repository.partition("/")[2]
        follow_up = FollowUp(poll_seconds=1, reopen_seconds=0)
        budget = Budget(incident=ENOUGH, day=ENOUGH, month=ENOUGH)
        policy = Policy(budget=budget, follow_up=follow_up)
        return samples.repair(name).model_copy(update={"key": self.key, "policy": policy})

    def _pulls(self) -> list[dict[str, Any]]:
        with self.stage.forge.lock:
            return list(self.stage.forge.repo(self.repository)["issues"].values())

    def _api(self, method: str, path: str, **body: Any) -> None:
        url = f"{self.stage.forge_url}/api/v3/repos/{self.repository}{path}"
        headers = {"Authorization": f"Bearer {PERSON}"}
        httpx.request(method, url, json=body, headers=headers).raise_for_status()

    def _sessions(self) -> int:
        """Read from OpenCode's own database, which is there as long as the repair is."""
        (file,) = self.paths.home.glob("data/opencode/opencode*.db")
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            (count,) = connection.execute("select count(*) from session").fetchone()
        finally:
            connection.close()
        return int(count)


async def _result(handle: WorkflowHandle[Any, RepairResult]) -> RepairResult:
    """However often the server that is asked dies."""
    while True:
        try:
            return await handle.result()
        except RPCError:
            await asyncio.sleep(0.2)
