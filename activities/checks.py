"""The repository's own checks, run in the sandbox: without the change, and with it."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from temporalio import activity

from activities.coding_environment import CodingEnvironment, Egress
from activities.heartbeat import Heartbeat, working
from railmend.coding.checks.base_checks import checked_tree
from railmend.coding.checks.databases import DATABASES, beside, not_had
from railmend.coding.checks.run_counts import RunCounts, count, prints_counts
from railmend.coding.checks.suites import Suite, check_environment, find_suites, step_key
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.interface import (
    EGRESS_SOCKET,
    NO_NETWORK,
    CommandResult,
    RepairPaths,
    SandboxCommand,
    run_sandboxed,
)
from railmend.coding.settings import CheckSettings
from railmend.contracts.checks import CheckReport, CheckRun
from railmend.contracts.repair import CodingRequest
from railmend.evidence.redact import redact

# Characters of output: of one run, of all that fail together, of one that passed.
MAX_OUTPUT, MAX_OUTPUTS, OF_PASSED = 3000, 4000, 200
# Bytes of the end of its output, where tests are counted.
COUNTED_OUTPUT = 1024 * 1024
# Characters of a failed prepare step's output; reasons that are told together.
FAILED_OUTPUT, MAX_REASONS = 800, 3
# What a run says that lacked something of the machine's.
MISSING: Mapping[str, re.Pattern[str]] = {
    "a database or another service that answers": re.compile(
        r"ECONNREFUSED|[Cc]onnection refused|could not connect to server|PG::ConnectionBad"
        r"|SQLSTATE.HY000. .2002.|DBConnection\.ConnectionError|MongooseServerSelectionError"
        r"|password authentication failed|NOAUTH Authentication|(?:database|role) \"\w+\" does not exist"
        r"|extension \"\w+\" is not available|extension control file"
    ),
    "the network": re.compile(NO_NETWORK),
    "a browser": re.compile(
        r"Executable doesn't exist at|browserType\.launch|Cypress binary is missing|chromedriver"
        r"|Could not find Chrome"
    ),
    "a program or package that is not installed": re.compile(
        r"command not found|: not found|No module named|Cannot find module|ERR_MODULE_NOT_FOUND"
        r"|cannot load such file"
    ),
}
# Go's word for a package that cannot be compiled, as without files to embed that CI makes first.
NOT_BUILT = re.compile(r"\[(?:build|setup) failed\]$", re.M)
PUBLIC = frozenset(
    {"registry.npmjs.org", "registry.yarnpkg.com", "pypi.org", "files.pythonhosted.org", "rubygems.org"}
    | {"github.com", "index.rubygems.org", "proxy.golang.org", "repo.packagist.org", "hex.pm"}
)
# The shell's exit code for a program that does not exist.
NOT_FOUND = 127


@dataclass
class CheckActivities:
    """The repositories' checks. `settings`: by repository, where they replace what its files say."""

    environment: CodingEnvironment
    settings: Mapping[str, CheckSettings]
    egress: Egress

    @activity.defn
    async def prepare_checks(self, request: CodingRequest) -> CheckReport:
        """Run the base's checks in a clean checkout of it; then install their needs where the agent works."""
        async with working() as beat:
            repository = await self._repository(request)
            suites = await self._suites(request, repository)
            if not suites:
                return CheckReport(unverified="No checks were found in the repository's files.")
            run = SuiteRun(self.environment, self._settings_for(request), self.egress, beat, suites)
            key, base = request.workspace.key, request.workspace.base
            async with self.environment.clean_checkout(key, repository, base) as paths:
                report = _base_report(await run.report(paths), found=not run.settings.checks)
            if report.runs:
                await self._install(key, repository, base, run)
            return _bounded(report)

    @activity.defn
    async def run_checks(self, request: CodingRequest) -> CheckReport:
        """Run the base's checks and tests on the reviewed tree, in a clean checkout; its own tests apart."""
        async with working() as beat:
            repository = await self._repository(request)
            suites = await self._suites(request, repository)
            key, base = request.workspace.key, request.workspace.base
            reviewed = request.reviewed
            if not reviewed:  # by a workflow of an older version
                await asyncio.to_thread(self.environment.settle, key)
                reviewed = await asyncio.to_thread(repository.snapshot, base)
            tree, own = await asyncio.to_thread(checked_tree, repository, base, reviewed)
            run = SuiteRun(self.environment, self._settings_for(request), self.egress, beat, suites)
            async with self.environment.clean_checkout(key, repository, tree) as paths:
                report = await run.report(paths)
                if own and _all_pass(report.runs):
                    await asyncio.to_thread(repository.lay, reviewed, own, paths.tree)
                    await asyncio.to_thread(self.environment.sandbox.hand_over, paths)
                    added = [each.model_copy(update={"added": True}) for each in await run.checks(paths)]
                    report = CheckReport(runs=(*report.runs, *(run for run in added if not run.not_run)))
            return _bounded(report)

    async def _install(self, key: str, repository: TrustedRepository, base: str, run: "SuiteRun") -> None:
        """Install in the agent's tree, with a home apart from its own; that this fails is no harm.

        What an earlier attempt of the session changed is still there afterwards.
        """
        await asyncio.to_thread(self.environment.settle, key)
        paths = self.environment.paths(key).installing()
        tree = await asyncio.to_thread(repository.snapshot, base)
        await asyncio.to_thread(foreign_files.remove_tree, paths.home)
        await asyncio.to_thread(paths.create)
        await asyncio.to_thread(self.environment.sandbox.hand_over, paths)
        await run.prepare(paths)
        await asyncio.to_thread(repository.restore, tree, base)

    async def _suites(self, request: CodingRequest, repository: TrustedRepository) -> list[Suite]:
        base = request.workspace.base
        paths = await asyncio.to_thread(repository.paths, base)
        roots = request.repair.root_directories

        def find() -> list[Suite]:
            return find_suites(
                paths, lambda path: repository.text(base, path), roots, self._settings_for(request)
            )

        return await asyncio.to_thread(find)

    def _settings_for(self, request: CodingRequest) -> CheckSettings:
        return self.settings.get(request.workspace.repository, CheckSettings())

    async def _repository(self, request: CodingRequest) -> TrustedRepository:
        workspace = request.workspace
        return await asyncio.to_thread(self.environment.repository, workspace.key, workspace.repository)


@dataclass
class SuiteRun:
    """Runs suites in one repair's sandbox; `beat` tells what it is at."""

    environment: CodingEnvironment
    settings: CheckSettings
    egress: Egress
    beat: Heartbeat
    suites: Sequence[Suite]
    # What a prepare step of a directory said that failed, or that it did not; suites share steps.
    prepared: dict[tuple[str, str], CommandResult] = field(default_factory=dict)
    # Why a suite's checks are not run: its need, or its prepare step that failed with its output.
    dropped: dict[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def ready(self) -> list[Suite]:
        """The suites whose needs are installed, once that was tried."""
        return [suite for index, suite in enumerate(self.suites) if index not in self.dropped]

    async def report(self, paths: RepairPaths) -> CheckReport:
        """Install what the checks need, with the registries' network and no secret; then run them once."""
        await self.prepare(paths)
        return CheckReport(runs=tuple(await self.checks(paths)))

    async def prepare(self, paths: RepairPaths) -> None:
        """Run the prepare steps of what can be run; one that fails drops its own suite alone."""
        self.prepared.clear()
        self.dropped = {
            index: (suite.not_run, "") for index, suite in enumerate(self.suites) if suite.not_run is not None
        }
        async with self.egress(paths):
            for index, suite in enumerate(self.suites):
                if index not in self.dropped and (failed := await self._prepare(paths, suite)):
                    self.dropped[index] = failed

    async def _prepare(self, paths: RepairPaths, suite: Suite) -> tuple[str, str] | None:
        for command in suite.prepare:
            key = step_key(suite.directory, command)
            if key not in self.prepared:
                self.beat.state = {"preparing": command}
                self.prepared[key] = await self.command(paths, suite, command, network=True)
            if (done := self.prepared[key]).code != 0:
                return _failed_preparation(suite, command, done), redact(done.output)[-FAILED_OUTPUT:]
        return None

    async def checks(self, paths: RepairPaths) -> list[CheckRun]:
        runs = []
        for index, suite in enumerate(self.suites):
            for command in suite.checks:
                if index in self.dropped:
                    why, output = self.dropped[index]
                    runs.append(_not_run(suite, command, why, output))
                    continue
                self.beat.state = {"checking": command}
                done = await self.command(paths, suite, command)
                runs.append(_check_run(suite, command, done, found=not self.settings.checks))
        return runs

    async def command(
        self, paths: RepairPaths, suite: Suite, command: str, *, network: bool = False
    ) -> CommandResult:
        """Run one command of a suite to its end."""
        sandbox = self.environment.sandbox
        port, *ports = await asyncio.to_thread(sandbox.ports, 1 + len(DATABASES))
        path = await asyncio.to_thread(sandbox.tools_path)
        proxy = f"http://127.0.0.1:{port}" if network else None
        needed, filling = ((), "") if network else (suite.services, suite.filling)
        databases, given = beside(needed, tuple(suite.environment), ports)
        launch = SandboxCommand(
            paths=paths,
            command=("sh", "-c", databases + filling + command),
            environment=check_environment(
                str(paths.home), path, {**suite.environment, **given, **self.settings.environment}, proxy
            ),
            directory=paths.tree / suite.directory,
            outward={port: EGRESS_SOCKET} if network else None,
        )
        seconds, quota = self.settings.seconds, self.environment.quota
        return await run_sandboxed(sandbox, launch, seconds, quota, COUNTED_OUTPUT)


def _bounded(report: CheckReport) -> CheckReport:
    return report.model_copy(update={"runs": within(report.runs, MAX_OUTPUTS)})


def within(runs: Sequence[CheckRun], most: int) -> tuple[CheckRun, ...]:
    """Return the runs with the ends of their output: of those that fail as much as `most` allows."""
    share = most // max(sum(not run.passed for run in runs), 1)
    return tuple(
        run.model_copy(update={"output": run.output[-(OF_PASSED if run.passed else share) :]}) for run in runs
    )


def _all_pass(runs: Sequence[CheckRun]) -> bool:
    """Return whether checks were run, and all of them passed."""
    told = [run.passed for run in runs if run.not_run is None]
    return bool(told) and all(told)


def _base_report(report: CheckReport, *, found: bool) -> CheckReport:
    """Return what the base's checks say of a change to come: nothing, where they ended before a test ran.

    That is so of checks that were found: of those that are set the exit code says enough.
    """
    runs = tuple(map(_with_evidence, report.runs)) if found else report.runs
    if any(run.not_run is None for run in runs):
        return CheckReport(runs=runs)
    reasons = list(dict.fromkeys(run.not_run for run in runs if run.not_run))[:MAX_REASONS]
    output = next((run.output for run in runs if run.output), "")
    return CheckReport(unverified=" ".join(reasons) + (f"\n{output}" if output else ""))


def _with_evidence(run: CheckRun) -> CheckRun:
    """Return a run; as one that says nothing where no test ran, or all failed for want of something ours."""
    if run.passed is False and NOT_BUILT.search(run.output):
        why = "not all of it could be compiled"
        return run.model_copy(update={"passed": None, "not_run": _unable(run, why)})
    if run.passed is not False or (run.ran and run.ran != run.failed):
        return run
    missing = next((what for what, pattern in MISSING.items() if pattern.search(run.output)), None)
    if run.ran and missing is None:
        return run
    why = f"it needs {missing}" if missing else "it ended before a test ran"
    return run.model_copy(update={"passed": None, "not_run": _unable(run, why)})


def _unable(run: CheckRun, why: str) -> str:
    return f"`{run.name}` could not be run in Railmend's sandbox: {why}."


def _not_run(suite: Suite, command: str, why: str, output: str = "") -> CheckRun:
    return CheckRun(
        command=command, directory=suite.directory, passed=None, seconds=0, output=output, not_run=why
    )


def _check_run(suite: Suite, command: str, done: CommandResult, *, found: bool) -> CheckRun:
    """`found`: the command is Railmend's choice, so that it counts only where it says how many tests ran."""
    counts = count(done.output)
    output = redact(done.output[-4 * MAX_OUTPUT :])
    lacks = not_had(done.code, done.output)
    passed = None if done.code == NOT_FOUND or lacks else done.code == 0
    missing = f"A program of `{command}` is not installed in Railmend's sandbox."
    not_run = lacks or missing if passed is None else None
    if done.reason is not None:
        output += f"\n[ended: {done.reason}]"
    elif passed and (doubt := _no_evidence(command, counts)):
        passed = False
        output += f"\n[exit code 0, but {doubt}]"
    elif passed and found and counts is None:
        passed, not_run = None, f"`{command}` ended well, but did not say how many tests it ran."
    return CheckRun(
        command=command,
        directory=suite.directory,
        passed=passed,
        seconds=round(done.seconds, 1),
        output=output[-MAX_OUTPUT:],
        ran=counts.ran if counts else None,
        failed=counts.failed if counts else None,
        skipped=counts.skipped if counts else None,
        not_run=not_run,
    )


def _no_evidence(command: str, counts: RunCounts | None) -> str | None:
    """Return why an exit code of 0 does not show that tests passed; None: it does."""
    if counts is None:
        return "its runner did not say how many tests it ran" if prints_counts(command) else None
    if counts.failed:
        return f"{counts.failed} tests failed"
    return None if counts.ran else "no test ran"


def _failed_preparation(suite: Suite, command: str, done: CommandResult) -> str:
    why = done.reason or f"exit code {done.code}"
    hosts = ", ".join(host for host in suite.registries if host not in PUBLIC)
    hint = f" Packages come from {hosts} too: may `RAILMEND_PREPARE_HOSTS` reach that?" if hosts else ""
    return f"What the checks need could not be installed: `{command}` ({why}).{hint}"
