"""Workspace, coding session, guard, commit and push: all on the machine that has the workspace."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
from temporalio import activity

from activities.errors import translated
from activities.heartbeat import heartbeating
from railmend.coding.git import TrustedRepository
from railmend.coding.guard import review
from railmend.coding.server import CodingServer
from railmend.coding.session import Limits, Progress, follow
from railmend.contracts.repair import (
    Change,
    CodingRequest,
    CodingResult,
    Commit,
    PublishRequest,
    Workspace,
    WorkspaceRequest,
)
from railmend.diagnosis.prompt import repair_prompt
from railmend.evidence.packet import render
from railmend.publishing.github import GitHubClient
from railmend.publishing.text import BOT, commit_message

# The guard looks at the diff as text up to this size; larger changes are refused by their line count.
MAX_DIFF = 400_000
MAX_RULES = 16_000


# A server for a state directory and a work tree.
ServerFor = Callable[[Path, Path], CodingServer]


class CodingActivities:
    """`state_dir` holds one folder per repair; `task_queue` is this machine's own."""

    def __init__(
        self,
        *,
        github: GitHubClient,
        github_token: str,
        state_dir: Path,
        task_queue: str,
        server_for: ServerFor,
        limits: Limits,
    ) -> None:
        self._github = github
        self._token = github_token
        self._state_dir = state_dir
        self._task_queue = task_queue
        self._server_for = server_for
        self._limits = limits

    @activity.defn
    async def prepare_workspace(self, request: WorkspaceRequest) -> Workspace:
        with translated():
            async with heartbeating():
                repository = await self._repository(request.key, request.repository)
                branch = request.base_branch or await asyncio.to_thread(
                    self._github.default_branch, request.repository
                )
                base = await asyncio.to_thread(repository.prepare, branch, request.commit)
        return Workspace(
            key=request.key,
            repository=request.repository,
            task_queue=self._task_queue,
            work_tree=str(self._folder(request.key) / "tree"),
            base=base,
        )

    @activity.defn
    async def run_session(self, request: CodingRequest) -> CodingResult:
        """Idempotent: a new attempt adopts the server and the session that an earlier one left."""
        workspace = request.workspace
        tree = Path(workspace.work_tree)
        server = self._server_for(self._folder(workspace.key) / "opencode", tree)
        with translated():
            async with heartbeating() as beat:

                def report(progress: Progress) -> None:
                    beat.state = progress.model_dump()

                await server.start_or_adopt()
                try:
                    async with httpx.AsyncClient(
                        base_url=server.base_url, auth=("opencode", server.password), timeout=30
                    ) as client:
                        result = await follow(
                            client,
                            str(tree),
                            workspace.key,
                            f"Railmend repair {workspace.key}",
                            self._prompt(request, tree),
                            self._limits,
                            report,
                        )
                finally:
                    # A stopped server loses nothing: its state is on disk, the next attempt continues.
                    await server.stop()
        return result

    @activity.defn
    async def review_change(self, request: CodingRequest) -> Change:
        workspace = request.workspace
        with translated():
            repository = await self._repository(workspace.key, workspace.repository)
            files = await asyncio.to_thread(repository.changes, workspace.base)
            diff = await asyncio.to_thread(repository.diff, workspace.base, MAX_DIFF)
            modes = await asyncio.to_thread(repository.modes, workspace.base)
        refused = review(files, diff, root_directories=request.repair.root_directories, modes=modes)
        return Change(files=tuple(files), refused=refused)

    @activity.defn
    async def commit_and_push(self, request: PublishRequest) -> Commit:
        """Fixed author and date: a repeated try makes the same commit, so the push is a no-op."""
        workspace, repair = request.workspace, request.repair
        with translated():
            repository = await self._repository(workspace.key, workspace.repository)
            message = commit_message(repair)
            sha = await asyncio.to_thread(
                repository.commit, workspace.base, message, BOT, repair.requested_at
            )
            if sha is None:
                sha = workspace.base
            remote = await asyncio.to_thread(repository.remote_head, repair.branch)
            if remote != sha:
                await asyncio.to_thread(repository.push, repair.branch, sha, remote and workspace.base)
        return Commit(sha=sha, branch=repair.branch)

    @activity.defn
    async def remove_workspace(self, workspace: Workspace) -> None:
        with translated():
            repository = await self._repository(workspace.key, workspace.repository)
            await asyncio.to_thread(repository.remove)

    def _folder(self, key: str) -> Path:
        return self._state_dir / key

    async def _repository(self, key: str, full_name: str) -> TrustedRepository:
        url = await asyncio.to_thread(self._github.clone_url, full_name)
        return TrustedRepository(self._folder(key), url, self._token)

    @staticmethod
    def _prompt(request: CodingRequest, tree: Path) -> str:
        rules = tree / "AGENTS.md"
        text = rules.read_text(errors="replace")[:MAX_RULES] if rules.is_file() else None
        packets = [render(incident.packet) for incident in request.repair.incidents]
        return repair_prompt(request.repair, packets, text, str(tree))
