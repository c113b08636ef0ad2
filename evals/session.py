"""A real coding session for a case, and whether the hidden test passes with what it changed."""

import asyncio
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.store import MemoryStore
from pydantic import BaseModel
from temporalio.testing import ActivityEnvironment

from activities.checks import CheckActivities
from activities.coding import CodingActivities, ServerFor
from activities.coding_environment import CodingEnvironment
from evals.case import WINDOW, Case
from evals.play import Played
from evals.production import PROJECT, incident_of
from railmend.artifacts import ArtifactStore
from railmend.coding.metering.meter import SessionLimits
from railmend.coding.sandbox.interface import RepairPaths, Sandbox
from railmend.coding.sandbox.quota import Quota
from railmend.coding.settings import CheckSettings, GuardSettings
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.incident import CODING_VERDICTS, IncidentReport
from railmend.contracts.repair import CodingRequest, CodingState, RepairRequest, WorkspaceRequest

# In the package of the service, so that it can name what is not exported; of no repository's own.
GO_FILE = "zz_hidden_test.go"
HIDDEN_SECONDS = 120


@dataclass(frozen=True)
class Language:
    """`needs`: what must be installed. `command`: a shell command, with `{}` in the place of the program."""

    needs: str
    command: str


LANGUAGES: Mapping[str, Language] = {
    "orders": Language("python3", "python3 -B -c {}"),
    "catalog": Language("node", "node --input-type=module -e {}"),
    "gateway": Language(
        "go",
        f"export GOFLAGS=-mod=mod GOTOOLCHAIN=local; printf %s {{}} > {GO_FILE} && go test -count=1 -v .",
    ),
    "invoices": Language("ruby", "ruby -I. -e {}"),
}


def command(case: Case) -> str | None:
    """Return the shell command of a case's hidden test; None where its language is not installed here."""
    language = LANGUAGES[case.repository]
    if not case.hidden_test or shutil.which(language.needs) is None:
        return None
    return language.command.format(shlex.quote(case.hidden_test))


@dataclass(frozen=True)
class Agent:
    """What a session runs with. `folder`: where workspaces stand; each is removed."""

    folder: Path
    sandbox: Sandbox
    quota: Quota
    server_for: ServerFor
    limits: SessionLimits
    guard: GuardSettings


class Coded(BaseModel):
    """What came of a session. `hidden`: the hidden test passes; None: it cannot be run here.

    `lines`: added and removed. `refused`: what the guard says. `failure`: why there is no change to test.
    """

    hidden: bool | None = False
    lines: int = 0
    refused: tuple[str, ...] = ()
    failure: str = ""
    model_calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0


class _Repositories:
    """In the place of GitHub: one repository, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clone_url(self, _: str) -> str:
        return f"file://{self._folder}"

    def git_token(self, _: str) -> str:
        return ""

    def default_branch(self, _: str) -> str:
        return "main"

    def author(self, _: str) -> tuple[str, str]:
        return "Railmend", "railmend@example.invalid"

    def signer(self, _: str) -> None:
        return None


async def code(case: Case, played: Played, agent: Agent) -> Coded | None:
    """Let the agent change what the diagnosis blames; None where no change is asked for, or wanted.

    The session, the guard and the clean checkout in which the hidden test runs are those of a repair. What
    is not a change of the right kind passes nothing.
    """
    diagnosis = played.diagnosis
    if not case.label.pull_request:
        return None
    if diagnosis is None or diagnosis.verdict not in CODING_VERDICTS:
        return Coded(failure="no change was asked for")
    place = agent.folder / case.name
    await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
    try:
        return await _coded(case, played, agent, place)
    except Exception as error:  # noqa: BLE001 - a failure of the case, not of the run
        return Coded(failure=str(error)[:300])
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


async def _coded(case: Case, played: Played, agent: Agent, place: Path) -> Coded:
    await asyncio.to_thread(commit, case, place / "repository")
    github: Any = _Repositories(place / "repository")
    environment = CodingEnvironment(github, place / "repairs", agent.sandbox, agent.quota)
    artifacts = ArtifactStore(MemoryStore(), "memory")
    coding = CodingActivities(
        environment,
        artifacts=artifacts,
        task_queue="eval",
        server_for=agent.server_for,
        limits=agent.limits,
        guard=agent.guard,
    )
    repair, run = await _repair(case, played, artifacts), ActivityEnvironment().run
    wanted = WorkspaceRequest(key=repair.key, repository=repair.repository, base_branch="main", commit=None)
    began = time.monotonic()
    try:
        request = CodingRequest(workspace=await run(coding.prepare_workspace, wanted), repair=repair)
        session = await run(coding.run_session, request)
        coded = Coded(
            model_calls=session.model_calls,
            tokens=session.tokens,
            usd=session.cost_usd or 0.0,
            seconds=time.monotonic() - began,
        )
        if session.state is not CodingState.DONE:
            return coded.model_copy(update={"failure": session.reason or session.state.value})
        change = await run(coding.review_change, request)
        lines = sum(file.additions + file.deletions for file in change.files)
        update: dict[str, Any] = {"lines": lines, "refused": change.refused}
        if change.refused or not change.files:
            return coded.model_copy(update=update | {"failure": "nothing may be published"})
        request = request.model_copy(update={"reviewed": change.tree})
        return coded.model_copy(update=update | {"hidden": await _hidden(case, environment, request)})
    finally:
        await asyncio.to_thread(environment.remove, repair.key)


async def _repair(case: Case, played: Played, artifacts: ArtifactStore) -> RepairRequest:
    if played.packet is None or played.diagnosis is None:
        raise ValueError(f"{case.name} was not diagnosed.")
    packet = await artifacts.put_model(played.packet)
    return RepairRequest(
        repository=f"acme/{case.repository}",
        key=f"eval-{case.name}"[:40],
        base_branch="main",
        commit=None,
        root_directories=("",),
        incidents=(IncidentReport(request=incident_of(case), packet=packet, diagnosis=played.diagnosis),),
        autonomy=Autonomy.PULL_REQUEST,
        requested_at=WINDOW.end,
        project_id=PROJECT,
    )


async def _hidden(case: Case, environment: CodingEnvironment, request: CodingRequest) -> bool | None:
    """Run the hidden test in a clean checkout of the change, in the sandbox, without network."""
    test = command(case)
    if test is None:
        return None
    settings = CheckSettings(checks=(test,), seconds=HIDDEN_SECONDS)
    checks = CheckActivities(environment, {request.workspace.repository: settings}, _no_network)
    report = await ActivityEnvironment().run(checks.run_checks, request)
    return bool(report.runs) and all(each.passed is True for each in report.runs)


@asynccontextmanager
async def _no_network(_: RepairPaths) -> AsyncIterator[None]:
    yield


def commit(case: Case, folder: Path) -> None:
    """Make the case's repository, with its history."""
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    for each in case.history:
        if each.status != "SUCCESS":
            continue
        for path, text in case.files(each).items():
            (folder / path).write_text(text)
        _git(folder, "add", "-A")
        _git(folder, "commit", "-q", "--allow-empty", "-m", each.message, at=each.time.isoformat())


def _git(folder: Path, *arguments: str, at: str = "") -> None:
    name, mail = "dana", "dana@example.invalid"
    who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": at}
    who |= {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail, "GIT_COMMITTER_DATE": at}
    subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True
    )
