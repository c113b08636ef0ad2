"""The repository's own checks, run in the sandbox: without the change, and with it."""

import asyncio
from collections.abc import Mapping, Sequence

from temporalio import activity

from activities.coding_environment import CodingEnvironment, Egress
from activities.errors import translated
from activities.heartbeat import heartbeating
from railmend.coding.checks import CheckSettings, Suite, check_environment, find_suites
from railmend.coding.git import TrustedRepository
from railmend.coding.sandbox import EGRESS_SOCKET, CommandResult, SandboxCommand, run_sandboxed
from railmend.contracts.repair import CheckReport, CheckRun, CodingRequest
from railmend.evidence.redact import redact

# Characters of output: of one run, of all that fail together, of one that passed.
MAX_OUTPUT, MAX_OUTPUTS, OF_PASSED = 3000, 4000, 200
# The shell's exit code for a program that does not exist.
NOT_FOUND = 127


class CheckActivities:
    """The repositories' checks. `settings`: by repository, where they replace what its files say."""

    def __init__(
        self, environment: CodingEnvironment, settings: Mapping[str, CheckSettings], egress: Egress
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._egress = egress

    @activity.defn
    async def prepare_checks(self, request: CodingRequest) -> CheckReport:
        """Install what the checks need, with the registries' network and no secret; then run them once."""
        with translated():
            async with heartbeating() as beat:
                repository = await self._repository(request)
                suites = await self._suites(request, repository)
                if not suites:
                    return CheckReport(unverified="No checks were found in the repository's files.")
                async with self._egress(self._environment.paths(request.workspace.key)):
                    for suite in suites:
                        for command in suite.prepare:
                            beat.state = {"preparing": command}
                            done = await self._run(request, suite, command, network=True)
                            if done.code != 0:
                                await self._restore(request, repository)
                                return CheckReport(unverified=_failed_preparation(command, done))
                await self._restore(request, repository)
                return await self._check(request, repository, suites)

    @activity.defn
    async def run_checks(self, request: CodingRequest) -> CheckReport:
        """Run the checks that the base commit has: a change does not choose how it is checked."""
        with translated():
            async with heartbeating():
                repository = await self._repository(request)
                suites = await self._suites(request, repository)
                return await self._check(request, repository, suites)

    async def _check(
        self, request: CodingRequest, repository: TrustedRepository, suites: list[Suite]
    ) -> CheckReport:
        """Run the checks; afterwards the work tree is as it was."""
        tree = await asyncio.to_thread(repository.snapshot, request.workspace.base)
        runs = []
        for suite in suites:
            for command in suite.checks:
                done = await self._run(request, suite, command, network=False)
                runs.append(_check_run(suite, command, done))
        await self._restore(request, repository, tree)
        return CheckReport(runs=within(runs, MAX_OUTPUTS))

    async def _restore(
        self, request: CodingRequest, repository: TrustedRepository, tree: str | None = None
    ) -> None:
        base = request.workspace.base
        await asyncio.to_thread(repository.restore, tree or f"{base}^{{tree}}", base)
        await asyncio.to_thread(
            self._environment.sandbox.hand_over, self._environment.paths(request.workspace.key)
        )

    async def _run(
        self, request: CodingRequest, suite: Suite, command: str, *, network: bool
    ) -> CommandResult:
        sandbox, paths = self._environment.sandbox, self._environment.paths(request.workspace.key)
        settings = self._settings_for(request)
        (port,) = await asyncio.to_thread(sandbox.ports, 1)
        path = await asyncio.to_thread(sandbox.tools_path)
        proxy = f"http://127.0.0.1:{port}" if network else None
        launch = SandboxCommand(
            paths=paths,
            command=("sh", "-c", command),
            environment=check_environment(str(paths.home), path, settings.environment, proxy),
            directory=paths.tree / suite.directory,
            outward={port: EGRESS_SOCKET} if network else None,
        )
        return await run_sandboxed(sandbox, launch, settings.seconds, self._environment.quota, MAX_OUTPUT)

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
        return self._settings.get(request.workspace.repository, CheckSettings())

    async def _repository(self, request: CodingRequest) -> TrustedRepository:
        workspace = request.workspace
        return await asyncio.to_thread(self._environment.repository, workspace.key, workspace.repository)


def within(runs: Sequence[CheckRun], most: int) -> tuple[CheckRun, ...]:
    """Return the runs with the ends of their output: of those that fail as much as `most` allows."""
    share = most // max(sum(not run.passed for run in runs), 1)
    return tuple(
        run.model_copy(update={"output": run.output[-(OF_PASSED if run.passed else share) :]}) for run in runs
    )


def _check_run(suite: Suite, command: str, done: CommandResult) -> CheckRun:
    output = redact(done.output)
    if done.reason is not None:
        output += f"\n[ended: {done.reason}]"
    return CheckRun(
        command=command,
        directory=suite.directory,
        passed=None if done.code == NOT_FOUND else done.code == 0,
        seconds=round(done.seconds, 1),
        output=output[-MAX_OUTPUT:],
    )


def _failed_preparation(command: str, done: CommandResult) -> str:
    why = done.reason or f"exit code {done.code}"
    return f"What the checks need could not be installed: `{command}` ({why}).\n{redact(done.output)[-800:]}"
