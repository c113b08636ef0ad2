"""What the change proves: its regression tests and its start, measured on the base and on the change."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from temporalio import activity

from activities.by_reference import packet_or_none
from activities.checks import SuiteRun
from activities.coding_environment import CodingEnvironment, Egress
from activities.heartbeat import Heartbeat, working
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.coding.checks.base_checks import checked_tree
from railmend.coding.checks.databases import (
    DATABASES,
    MANIFEST,
    MIGRATION_SECONDS,
    START_SECONDS,
    beside,
    lacking,
    migrations,
    needs,
)
from railmend.coding.checks.suites import Suite, check_environment, find_suites
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.proof import regression, replay
from railmend.coding.proof.concealed import conceals, spares
from railmend.coding.proof.start import StartCommand, find_start, start, variables
from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.interface import RepairPaths, SandboxCommand
from railmend.coding.settings import CheckSettings
from railmend.contracts.incident import Incident
from railmend.contracts.proof import (
    Answers,
    Proof,
    ProofRun,
    RequestCost,
    RequestSample,
    SampledRequest,
    SideReport,
    StartRun,
    TestFileRuns,
)
from railmend.contracts.repair import CodingRequest, Workspace
from railmend.evidence.packet import render
from railmend.source.files import ships

# Sandboxes in which nothing that is run reaches a network.
WITHOUT_NETWORK = ("bwrap", "remote")
NO_SANDBOX = "It needs a sandbox without network, RAILMEND_SANDBOX=bwrap or remote."
NO_START = StartRun(started=None, why="Neither Railway nor the repository says how it is started.")
# Where there is none, a test that stands for those of a directory.
ANY_TEST = "test_any.py"
UNKNOWN_RUNNER = "Railmend does not know how to run this file alone."
# Of a service, so many source files are searched for the variables that it demands.
MOST_SOURCES = 300
# And so many manifests for the databases that it needs.
MOST_MANIFESTS = 20
# A regression test that takes longer, in seconds, is ended.
TEST_SECONDS = 120


@dataclass(frozen=True)
class _Material:
    """What both sides are made of. `tests`: the change's own tests and their data, by path."""

    repository: TrustedRepository
    request: CodingRequest
    settings: CheckSettings
    tree: str
    tests: tuple[str, ...]

    @cached_property
    def files(self) -> list[tuple[str, str]]:
        """Return path and text of each file with test cases. Blocking."""
        texts = ((path, self.repository.text(self.request.reviewed, path) or "") for path in self.tests)
        found = [(path, text) for path, text in texts if regression.has_cases(text)]
        return found[: regression.MOST_TESTS]

    def read(self, path: str) -> str | None:
        """Return a file of the base, or a test. Blocking."""
        base = self.request.workspace.base
        text = self.repository.text(self.request.reviewed if path in self.tests else base, path)
        if not text or not path.endswith("package.json"):
            return text
        return regression.with_test_script(text, for_node=self._for_node)

    @cached_property
    def _for_node(self) -> bool:
        """Whether any of the change's tests is written for Node's own runner."""
        return any(regression.is_for_node(text) for _, text in self.files)

    def start(self) -> StartCommand | None:
        """Return how the service of the worst incident is started. Blocking."""
        service = self._incident.service
        return find_start(
            service.root_directory,
            service.start_command,
            service.health_check,
            self.read,
            service.pre_deploy_command,
        )

    def service(self, tree: str) -> dict[str, str]:
        """Return the texts of that service's source files and manifests, by path inside. Blocking."""
        root = self._incident.service.root_directory
        prefix = f"{root}/" if root else ""
        inside = [path for path in self.repository.paths(tree) if path.startswith(prefix)]
        read = [path for path in inside if MANIFEST.search(path)][:MOST_MANIFESTS]
        read += [path for path in inside if ships(path)][:MOST_SOURCES]
        texts = {path: self.repository.text(tree, path) or "" for path in read}
        return {path.removeprefix(prefix): texts.get(path, "") for path in inside}

    @property
    def _incident(self) -> Incident:
        return self.request.repair.incidents[0].request

    def suites(self) -> list[Suite]:
        """Return the base's suites, as they are with the tests. Blocking."""
        paths = {*self.repository.paths(self.request.workspace.base), *self.tests}
        # So that what the service needs is installed also where there is no test.
        roots = self.request.repair.root_directories or ("",)
        paths |= {f"{root}/{ANY_TEST}".lstrip("/") for root in roots}
        return find_suites(sorted(paths), self.read, self.request.repair.root_directories, self.settings)


@dataclass
class ProofActivities:
    """The proofs of a change, on the machine that has its workspace. `settings`: as for its checks."""

    environment: CodingEnvironment
    settings: Mapping[str, CheckSettings]
    egress: Egress
    artifacts: ArtifactStore

    @activity.defn
    async def reproduce_on_base(self, request: CodingRequest) -> SideReport:
        """Run the change's regression tests on the base, where they must fail as was diagnosed."""
        async with working() as beat:
            material = await self._material(request)
            base = material.request.workspace.base
            return await self._side(material, base, beat, await self._named(request))

    @activity.defn
    async def prove_change(self, request: CodingRequest) -> Proof:
        """Run the same on the change, and compare: `request.on_base` is what the base did."""
        async with working() as beat:
            material = await self._material(request)
            base = request.on_base or SideReport(unavailable="It was not run without the change.")
            change = await self._side(material, material.tree, beat)
            files = await asyncio.to_thread(
                material.repository.changed_files, request.reviewed, material.request.workspace.base
            )
            emptied = replay.emptied(base, change)
            concealed = conceals(files) or (spares(files) if emptied is None else emptied)
            rows = regression.regression_rows(base, change, concealed, request.text)
            starts = [regression.start_row(base.start or NO_START, change.start or NO_START)]
            asked = [replay.replay_row(base, change)] if request.requests else []
            return Proof(rows=(*rows, *starts, *asked))

    async def _side(
        self, material: _Material, tree: str, beat: Heartbeat, named: str | None = None
    ) -> SideReport:
        """Measure one side. `named`: on the base, what a failure must be one of."""
        if self.environment.sandbox.name not in WITHOUT_NETWORK:
            untried = StartRun(started=None, why=NO_SANDBOX)
            return SideReport(unavailable=NO_SANDBOX, start=untried, unasked=NO_SANDBOX)
        files = await asyncio.to_thread(lambda: material.files)
        way = await asyncio.to_thread(material.start)
        missing = "" if files else regression.NO_TEST_ADDED
        if missing and way is None:
            return SideReport(unavailable=missing, start=NO_START, unasked=NO_START.why)
        suites = await asyncio.to_thread(material.suites)
        key, repository = material.request.workspace.key, material.repository
        bounded = material.settings.model_copy(
            update={"seconds": min(material.settings.seconds, TEST_SECONDS)}
        )
        async with self.environment.clean_checkout(key, repository, tree) as paths:
            run = SuiteRun(self.environment, material.settings, self.egress, beat, suites)
            await asyncio.to_thread(repository.lay, material.request.reviewed, material.tests, paths.tree)
            await asyncio.to_thread(self.environment.sandbox.hand_over, paths)
            await run.prepare(paths)
            if suites and len(run.dropped) == len(suites):
                why = run.dropped[0][0]
                untried = StartRun(started=None, why=why)
                return SideReport(unavailable=missing or why, start=untried, unasked=why)
            run = replace(run, settings=bounded)
            tests = [await self._runs(run, paths, material, *file, named) for file in files]
            beat.state = {"starting": way.command if way else ""}
            requests = await self._requests(material.request)
            started, answers, cost = NO_START, list[Answers](), None
            if way:
                started, answers, cost = await self._start(paths, material, tree, way, requests.requests)
        return SideReport(
            tests=tuple(tests),
            unavailable=missing,
            start=started,
            answers=tuple(answers),
            unasked="" if answers else requests.unseen or started.why,
            cost=cost,
        )

    async def _requests(self, request: CodingRequest) -> RequestSample:
        """Return the sample; an empty one where it is gone."""
        if request.requests is None:
            return RequestSample()
        try:
            return await self.artifacts.get_model(request.requests, RequestSample)
        except ArtifactGone:
            return RequestSample(unseen="The sample of requests is gone.")

    async def _start(
        self,
        paths: RepairPaths,
        material: _Material,
        tree: str,
        way: StartCommand,
        requests: Sequence[SampledRequest],
    ) -> tuple[StartRun, list[Answers], RequestCost | None]:
        """Start the service and its databases, with harmless values for the variables it demands; ask it."""
        sandbox = self.environment.sandbox
        files = await asyncio.to_thread(material.service, tree)
        needed = needs(files)
        port, *ports = await asyncio.to_thread(sandbox.ports, 1 + len(DATABASES))
        path = await asyncio.to_thread(sandbox.tools_path)
        texts = tuple(files.values())
        databases, given = await asyncio.to_thread(beside, needed, texts, ports)
        build = f"{way.build} || exit\n" if way.build else ""
        lacks = lacking(needed)
        filling = "" if lacks else migrations(files, files.get("package.json", ""), way.release)
        extra = {**await asyncio.to_thread(variables, texts), **given}
        before = START_SECONDS * len(needed) + 2 * MIGRATION_SECONDS * bool(filling)
        launch = SandboxCommand(
            paths=paths,
            command=("sh", "-c", databases + build + filling + way.command),
            environment=check_environment(
                str(paths.home), path, {**extra, **material.settings.environment, "PORT": str(port)}, None
            ),
            directory=paths.tree / way.directory,
            serve=port,
        )
        run, answers, cost = await start(sandbox, launch, way, self.environment.quota, requests, before)
        if lacks and run.started is False and tree == material.request.workspace.base:
            run = run.model_copy(update={"why": f"{lacks} {run.why}"})
        return run, answers, cost

    async def _runs(
        self, run: SuiteRun, paths: RepairPaths, material: _Material, path: str, text: str, named: str | None
    ) -> TestFileRuns:
        if not regression.asserts(text):
            return TestFileRuns(path=path, doubt="It asserts nothing, so any answer passes.")
        found = await asyncio.to_thread(_suite_of, material, run.ready, path, text)
        if found is None:
            dropped = await asyncio.to_thread(_suite_of, material, run.suites, path, text)
            why = run.dropped[run.suites.index(dropped[0])][0] if dropped else UNKNOWN_RUNNER
            return TestFileRuns(path=path, doubt=why)
        runs: list[ProofRun] = []
        for _ in range(regression.RUNS):
            run.beat.state = {"proving": found[1]}
            done = await run.command(paths, *found)
            runs.append(regression.run_of(done))
            if runs[-1].passed is None:
                break
            unnamed = (
                None if named is None or runs[-1].passed else regression.unnamed_failure(done.output, named)
            )
            if unnamed is not None:
                doubt = f"Without the change it fails for a reason that was not diagnosed: {unnamed}"
                return TestFileRuns(path=path, runs=tuple(runs), doubt=doubt)
        if named is None and all(each.passed for each in runs):
            doubt = await self._lies(run, paths, material, path, text, found[1])
            return TestFileRuns(path=path, runs=tuple(runs), doubt=doubt)
        return TestFileRuns(path=path, runs=tuple(runs))

    async def _lies(
        self, run: SuiteRun, paths: RepairPaths, material: _Material, path: str, text: str, command: str
    ) -> str:
        """Return why the runner is not believed: it reports success for a test that fails."""
        failing = regression.with_failing_test(path, text, command, f"T{secrets.token_hex(8)}")
        found = await asyncio.to_thread(_suite_of, material, run.ready, path, failing)
        await asyncio.to_thread(foreign_files.write, paths.tree, path, (failing.encode(),))
        await asyncio.to_thread(self.environment.sandbox.hand_over, paths)
        if found is not None and regression.is_believed(await run.command(paths, *found)):
            return ""
        return "With the change its runner reports success even for a test that fails."

    async def _material(self, request: CodingRequest) -> _Material:
        workspace = request.workspace
        repository = await asyncio.to_thread(self.environment.repository, workspace.key, workspace.repository)
        request = request.model_copy(update={"workspace": await self._onto_base(request, repository)})
        base = request.workspace.base
        tree, own = await asyncio.to_thread(checked_tree, repository, base, request.reviewed)
        settings = self.settings.get(workspace.repository, CheckSettings())
        tests = tuple(regression.regression_tests(own))
        return _Material(repository, request, settings, tree, tests)

    async def _onto_base(self, request: CodingRequest, repository: TrustedRepository) -> Workspace:
        """Return the workspace; of a follow-up, made on the branch, with what that left as its base."""
        workspace, repair = request.workspace, request.repair
        into = repair.base_branch or await asyncio.to_thread(
            self.environment.github.default_branch, workspace.repository
        )
        left = await asyncio.to_thread(repository.merge_base, repair.branch, into)
        return workspace.model_copy(update={"base": left or workspace.base})

    async def _named(self, request: CodingRequest) -> str:
        """Return diagnosis and evidence, in which the fault is named."""
        parts = []
        for incident in request.repair.incidents:
            diagnosis = incident.diagnosis
            parts += [diagnosis.summary, *(cause.text for cause in diagnosis.causes)]
            packet = await packet_or_none(self.artifacts, incident.packet)
            parts += [render(packet)] if packet else []
        return "\n".join(parts)


def _suite_of(material: _Material, suites: Sequence[Suite], path: str, text: str) -> tuple[Suite, str] | None:
    """Return the suite of the nearest directory that runs the file, and the command for it. Blocking."""
    for suite in sorted(suites, key=lambda each: -len(each.directory)):
        prefix = f"{suite.directory}/" if suite.directory else ""
        if not path.startswith(prefix):
            continue
        script = regression.test_script(material.read(f"{prefix}package.json") or "{}", suite.checks)
        inside = path.removeprefix(prefix)
        if (command := regression.test_command(suite, inside, text, script)) is not None:
            return suite, command
    return None
