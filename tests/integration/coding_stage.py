"""One repository, and the coding activities of one worker over it; by default in a sandbox of bwrap."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.coding_environment import CodingEnvironment
from activities.proof import ProofActivities
from hosting.clients import toolbox
from hosting.gateway.egress import egress
from hosting.gateway.model_gateway import ModelGateway
from hosting.sandbox.choice import build_sandbox
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import RepairPaths, Sandbox
from railmend.coding.sandbox.quota import Quota
from railmend.coding.session.server import OpenCodeServer
from railmend.coding.settings import CheckSettings, GuardSettings
from railmend.contracts.checks import CheckReport
from railmend.contracts.proof import Proof, RequestSample
from railmend.contracts.repair import (
    CodingRequest,
    CodingResult,
    RepairRequest,
    Workspace,
    WorkspaceChange,
    WorkspaceRequest,
)
from railmend.publishing.github import GitHubClient
from railmend.settings import Settings
from tests import samples
from tests.kept import memory_store
from tests.unit.test_workspace import run

KEY = "0123456789ab"
NAME = "acme/checkout"


class LocalGitHub:
    """Repositories in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clone_url(self, full_name: str) -> str:
        return f"file://{self._folder / full_name}"

    def author(self, full_name: str) -> tuple[str, str]:
        return "Railmend", "1+railmend@users.noreply.example.invalid"

    def signer(self, full_name: str) -> None:
        return None

    def git_token(self, repository: str) -> str:
        return "ghp_secret"

    def default_branch(self, full_name: str) -> str:
        return "main"


class CodingRoom:
    def __init__(
        self,
        folder: Path,
        files: dict[str, str],
        *,
        model_url: str = "http://127.0.0.1:9/v1",
        limits: SessionLimits | None = None,
        quota: Quota | None = None,
        settings: CheckSettings | None = None,
        repair: RepairRequest | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        self.branch = "main"
        _repository(folder / NAME, files)
        self.sandbox = sandbox or build_sandbox("bwrap", toolbox(Settings()), unsafe=False)
        self.environment = CodingEnvironment(
            github=cast(GitHubClient, LocalGitHub(folder)),
            state_dir=folder / "repairs",
            sandbox=self.sandbox,
            quota=quota or Quota(),
        )
        endpoint = ModelEndpoint(base_url=model_url, model_id="scripted", api_key=SecretStr("k"))
        bounds = limits or SessionLimits(seconds=90)

        def server_for(paths: RepairPaths) -> OpenCodeServer:
            return OpenCodeServer(paths, self.sandbox, ModelGateway(endpoint, bounds), endpoint)

        self.artifacts = memory_store()
        self._coding = CodingActivities(
            self.environment,
            artifacts=self.artifacts,
            task_queue="q",
            server_for=server_for,
            limits=bounds,
            guard=GuardSettings(),
        )
        self.hosts: list[str] = []
        self._checks = CheckActivities(self.environment, {NAME: settings} if settings else {}, self._egress)
        self._proof = ProofActivities(
            self.environment, {NAME: settings} if settings else {}, self._egress, self.artifacts
        )
        self._environment = ActivityEnvironment()
        self._repair = repair or samples.repair()
        self._request: CodingRequest | None = None

    def _egress(self, paths: RepairPaths) -> AbstractAsyncContextManager[None]:
        return egress(paths, self.hosts)

    async def _asked(self) -> CodingRequest:
        """The workspace is prepared at the first call."""
        if self._request is None:
            wanted = WorkspaceRequest(key=KEY, repository=NAME, base_branch=self.branch, commit=None)
            workspace: Workspace = await self._environment.run(self._coding.prepare_workspace, wanted)
            self._request = CodingRequest(workspace=workspace, repair=self._repair)
        return self._request

    @property
    def tree(self) -> Path:
        return self.environment.paths(KEY).tree

    async def session(self, turn: int = 0, complaints: tuple[str, ...] = ()) -> CodingResult:
        """Run the session; as Temporal does, once more where its server died: it goes on where it was."""
        request = (await self._asked()).model_copy(update={"turn": turn, "complaints": complaints})
        try:
            return await self._environment.run(self._coding.run_session, request)
        except ApplicationError as error:
            if error.type != "SessionLost" or error.non_retryable:
                raise
            return await self._environment.run(self._coding.run_session, request)

    async def change(self) -> WorkspaceChange:
        return await self._environment.run(self._coding.review_change, await self._asked())

    async def changed(self) -> list[str]:
        return [file.path for file in (await self.change()).files]

    async def before(self) -> CheckReport:
        return await self._environment.run(self._checks.prepare_checks, await self._asked())

    async def after(self) -> CheckReport:
        return await self._environment.run(self._checks.run_checks, await self._asked())

    async def proof(self, text: str = "", requests: RequestSample | None = None) -> Proof:
        """Measure what now lies in the tree against the base. `requests`: of production."""
        reviewed = (await self.change()).tree
        request = (await self._asked()).model_copy(update={"reviewed": reviewed, "text": text})
        if requests is not None:
            sample = await self.artifacts.put_model(requests)
            request = request.model_copy(update={"requests": sample})
        on_base = await self._environment.run(self._proof.reproduce_on_base, request)
        request = request.model_copy(update={"on_base": on_base})
        return await self._environment.run(self._proof.prove_change, request)


def _repository(work: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
