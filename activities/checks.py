"""The repository's own checks, run by Railmend in the sandbox: without the change, and with it."""

import asyncio
from collections.abc import Mapping

from temporalio import activity

from activities.coding_environment import CodingEnvironment, Egress
from activities.errors import translated
from activities.heartbeat import heartbeating
from railmend.coding.checks import CheckSettings, Suite, environment, suites
from railmend.coding.git import TrustedRepository
from railmend.coding.sandbox import EGRESS_SOCKET, CommandResult, SandboxCommand, run_sandboxed
from railmend.contracts.repair import CheckReport, CheckRun, CodingRequest
from railmend.evidence.redact import redact

MAX_OUTPUT = 3000
# The shell's way to say that there is no such program.
NOT_FOUND = 127


class CheckActivities:
    """`settings`: by repository, for those whose checks are not to be found from their files."""

    def __init__(
        self, bench: CodingEnvironment, settings: Mapping[str, CheckSettings], egress: Egress
    ) -> None:
        self._bench = bench
        self._settings = settings
        self._egress = egress

    @activity.defn
    async def prepare_checks(self, request: CodingRequest) -> CheckReport:
        """Install what the checks need, with the registries' network and no secret; then run them once."""
        with translated():
            async with heartbeating() as beat:
                repository = await self._repository(request)
                found = await self._suites(request, repository)
                if not found:
                    return CheckReport(unverified="No checks were found in the repository's files.")
                async with self._egress(self._bench.paths(request.workspace.key)):
                    for suite in found:
                        for command in suite.prepare:
                            beat.state = {"preparing": command}
                            done = await self._run(request, suite, command, network=True)
                            if done.code != 0:
                                await self._restore(request, repository)
                                return CheckReport(unverified=_failed_preparation(command, done))
                await self._restore(request, repository)
                return await self._check(request, repository, found)

    @activity.defn
    async def run_checks(self, request: CodingRequest) -> CheckReport:
        """As they are found in the base commit: a change does not choose how it is checked."""
        with translated():
            async with heartbeating():
                repository = await self._repository(request)
                found = await self._suites(request, repository)
                return await self._check(request, repository, found)

    async def _check(
        self, request: CodingRequest, repository: TrustedRepository, found: list[Suite]
    ) -> CheckReport:
        """Afterwards the work tree is as it was."""
        tree = await asyncio.to_thread(repository.snapshot, request.workspace.base)
        runs = []
        for suite in found:
            for command in suite.checks:
                done = await self._run(request, suite, command, network=False)
                runs.append(_told(suite, command, done))
        await self._restore(request, repository, tree)
        return CheckReport(runs=tuple(runs))

    async def _restore(
        self, request: CodingRequest, repository: TrustedRepository, tree: str | None = None
    ) -> None:
        base = request.workspace.base
        await asyncio.to_thread(repository.restore, tree or f"{base}^{{tree}}", base)
        await asyncio.to_thread(self._bench.sandbox.hand_over, self._bench.paths(request.workspace.key))

    async def _run(
        self, request: CodingRequest, suite: Suite, command: str, *, network: bool
    ) -> CommandResult:
        sandbox, paths = self._bench.sandbox, self._bench.paths(request.workspace.key)
        settings = self._of(request)
        (port,) = await asyncio.to_thread(sandbox.ports, 1)
        path = await asyncio.to_thread(sandbox.tools_path)
        proxy = f"http://127.0.0.1:{port}" if network else None
        launch = SandboxCommand(
            paths=paths,
            command=("sh", "-c", command),
            environment=environment(str(paths.home), path, settings.environment, proxy),
            directory=paths.tree / suite.directory,
            outward={port: EGRESS_SOCKET} if network else None,
        )
        return await run_sandboxed(sandbox, launch, settings.seconds, self._bench.quota, MAX_OUTPUT)

    async def _suites(self, request: CodingRequest, repository: TrustedRepository) -> list[Suite]:
        base = request.workspace.base
        paths = await asyncio.to_thread(repository.paths, base)
        roots = request.repair.root_directories

        def find() -> list[Suite]:
            return suites(paths, lambda path: repository.text(base, path), roots, self._of(request))

        return await asyncio.to_thread(find)

    def _of(self, request: CodingRequest) -> CheckSettings:
        return self._settings.get(request.workspace.repository, CheckSettings())

    async def _repository(self, request: CodingRequest) -> TrustedRepository:
        workspace = request.workspace
        return await asyncio.to_thread(self._bench.repository, workspace.key, workspace.repository)


def _told(suite: Suite, command: str, done: CommandResult) -> CheckRun:
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
