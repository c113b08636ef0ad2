"""Workspace, coding session, guard, commit and push, on the machine that has the workspace."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.by_reference import packet_or_none
from activities.coding_environment import CodingEnvironment
from activities.heartbeat import in_thread, working
from railmend.artifacts import ArtifactStore
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.review import Plan, Round, never_published, review_rounds
from railmend.coding.metering.meter import SessionLimits
from railmend.coding.sandbox.interface import RepairPaths
from railmend.coding.session.follow import SessionProgress, Task
from railmend.coding.session.run import run_session
from railmend.coding.session.server import CodingServer
from railmend.coding.settings import GuardSettings
from railmend.contracts.incident import IncidentReport
from railmend.contracts.repair import (
    CodingRequest,
    CodingResult,
    Commit,
    PublishRequest,
    RepairRequest,
    Workspace,
    WorkspaceChange,
    WorkspaceRequest,
)
from railmend.diagnosis.prompt import follow_up_prompt, not_held_prompt, repair_prompt, review_prompt
from railmend.evidence.packet import missing, render
from railmend.evidence.safe_text import PromptText
from railmend.publishing.text import Author, commit_message, follow_up_message

# Where repositories keep their rules for agents and people, and how much of them is passed on.
RULES = ("AGENTS.md", "CONTRIBUTING.md", ".github/CONTRIBUTING.md", "docs/CONTRIBUTING.md")
MAX_RULES = 16_000
# Characters of the names of changed files, and of what the guard says of them.
MAX_NAMES, MAX_REFUSED = 2500, 3000

# Makes the coding server for the folders of one repair.
ServerFor = Callable[[RepairPaths], CodingServer]


@dataclass
class CodingActivities:
    """The coding activities; any machine may prepare a workspace, and has its later ones to itself.

    `task_queue`: this machine's own.
    """

    environment: CodingEnvironment
    artifacts: ArtifactStore
    task_queue: str
    server_for: ServerFor
    limits: SessionLimits
    guard: GuardSettings

    @activity.defn
    async def prepare_workspace(self, request: WorkspaceRequest) -> Workspace:
        """Clone, and hand the work tree over to the agent's user. Raise `SandboxError` without a sandbox."""
        paths = self.environment.paths(request.key)
        async with working():
            repository = await self._repository(request.key, request.repository)
            branch = request.base_branch or await asyncio.to_thread(
                self.environment.github.default_branch, request.repository
            )
            paths.create()
            base = await asyncio.to_thread(repository.prepare, branch, request.commit)
            await asyncio.to_thread(self.environment.sandbox.hand_over, paths)
        return Workspace(
            key=request.key,
            repository=request.repository,
            task_queue=self.task_queue,
            work_tree=str(paths.tree),
            base=base,
        )

    @activity.defn
    async def run_session(self, request: CodingRequest) -> CodingResult:
        """Idempotent: a new attempt adopts the server and the session that an earlier one left."""
        key = request.workspace.key
        paths = self.environment.paths(key)
        async with working() as beat:

            def report(progress: SessionProgress) -> None:
                beat.state = progress.model_dump()

            task = Task(
                work_tree=str(paths.tree),
                key=key,
                title=f"Railmend repair {key}",
                prompt=await self._prompt(request),
                turn=request.turn,
                opening=await self._opening(request) if request.turn else "",
            )
            server, sandbox, quota = (
                self.server_for(paths),
                self.environment.sandbox,
                self.environment.quota,
            )
            return await run_session(server, sandbox, paths, task, self.limits, quota, report)

    @activity.defn
    async def review_change(self, request: CodingRequest) -> WorkspaceChange:
        workspace, repair = request.workspace, request.repair
        async with working():
            repository = await self._repository(workspace.key, workspace.repository)
            base_branch = repair.base_branch or await asyncio.to_thread(
                self.environment.github.default_branch, workspace.repository
            )
            await asyncio.to_thread(self.environment.settle, workspace.key)
            taken = await asyncio.to_thread(repository.take, workspace.base)
            tree = taken.tree
            files = await asyncio.to_thread(repository.changed_files, tree, workspace.base, taken.oversized)
            current = Round(
                files=files,
                head=workspace.base,
                tree=tree,
                merge_base=await asyncio.to_thread(repository.merge_base, repair.branch, base_branch),
                author=(await self._author(workspace.repository))[1],
            )
            refused = await asyncio.to_thread(review_rounds, repository, current, plan_of(repair), self.guard)
            drafts = self.guard.second_refusal == "draft"
            draft_allowed = drafts and not await asyncio.to_thread(never_published, files)
        named = len(bounded((file.path for file in files), MAX_NAMES))
        return WorkspaceChange(
            files=tuple(file.change() for file in files[:named]),
            more_files=len(files) - named,
            refused=bounded(refused, MAX_REFUSED),
            tree=tree,
            draft_allowed=draft_allowed,
        )

    @activity.defn
    async def commit_and_push(self, request: PublishRequest) -> Commit:
        """Commit and push the reviewed tree; a retry finds or makes the same commit. Raise `BranchMoved`."""
        workspace, repair = request.workspace, request.repair
        async with working():
            repository = await self._repository(workspace.key, workspace.repository)
            author = await self._author(workspace.repository)
            message = follow_up_message(request, author) if request.notes else commit_message(repair, author)
            sha = await asyncio.to_thread(
                repository.publish,
                repair.branch,
                request.change.tree,
                workspace.base,
                message,
                author,
                repair.requested_at,
            )
        return Commit(sha=sha, branch=repair.branch)

    @activity.defn
    async def delete_workspace(self, workspace: Workspace) -> None:
        await in_thread(self.environment.remove, workspace.key)

    @activity.defn
    async def trim_workspace(self, workspace: Workspace) -> None:
        """Keep only the session while people review; a follow-up prepares the rest again."""
        await in_thread(self.environment.trim, workspace.key)

    async def _repository(self, key: str, full_name: str) -> TrustedRepository:
        return await asyncio.to_thread(self.environment.repository, key, full_name)

    async def _author(self, full_name: str) -> Author:
        return await asyncio.to_thread(self.environment.github.author, full_name)

    async def _prompt(self, request: CodingRequest) -> PromptText:
        if request.notes:
            return review_prompt(request.notes)
        if request.measurements:
            return not_held_prompt(request.measurements)
        return follow_up_prompt(request.complaints) if request.turn else await self._opening(request)

    async def _opening(self, request: CodingRequest) -> PromptText:
        """Read the repository's rules from the base commit, not from a tree that others write to."""
        workspace, repair = request.workspace, request.repair
        repository = await self._repository(workspace.key, workspace.repository)
        rules = await asyncio.to_thread(rules_of, repository, workspace.base, repair.root_directories)
        packets = [await self._evidence(incident) for incident in repair.incidents]
        return repair_prompt(request, packets, rules)

    async def _evidence(self, incident: IncidentReport) -> PromptText:
        packet = await packet_or_none(self.artifacts, incident.packet)
        return render(packet) if packet else missing(incident.request.service.name)


def bounded(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the first of `texts` that together have at most `most` characters; the first one always."""
    kept: list[str] = []
    for text in texts:
        most -= len(text)
        if kept and most < 0:
            break
        kept.append(text[: max(most + len(text), 0)])
    return tuple(kept)


def rules_of(repository: TrustedRepository, base: str, root_directories: Sequence[str]) -> dict[str, str]:
    """Return the repository's rules for those who change it, by path, nearest first, `MAX_RULES` in all."""
    own = [f"{directory}/{RULES[0]}" for directory in root_directories if directory]
    rules: dict[str, str] = {}
    left = MAX_RULES
    for path in (*own, *RULES):
        if left > 0 and (text := repository.text(base, path)):
            rules[path] = text[:left]
            left -= len(text)
    return rules


def plan_of(repair: RepairRequest) -> Plan:
    """Return what was asked for, as the guard needs it."""
    diagnoses = [incident.diagnosis for incident in repair.incidents]
    return Plan(
        text="\n".join(line for diagnosis in diagnoses for line in (diagnosis.summary, *diagnosis.plan)),
        files=tuple(file for diagnosis in diagnoses for file in diagnosis.suspected_files),
        root_directories=repair.root_directories,
    )
