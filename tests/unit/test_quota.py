"""Nothing that ends a command goes on after it: a user's next command would be ended, too."""

import asyncio
import subprocess
import time
from pathlib import Path
from typing import cast

import pytest

from railmend.coding.sandbox.interface import (
    CommandResult,
    RepairPaths,
    Sandbox,
    SandboxCommand,
    SandboxError,
    run_sandboxed,
)
from railmend.coding.sandbox.quota import Quota
from railmend.coding.sandbox.resource_usage import ResourceUsage, measure

TOO_LITTLE = Quota(available_mib=10**9)


class SlowToEnd:
    """A sandbox whose commands are dead long before it knows."""

    def __init__(self, *, readable: bool = True) -> None:
        self.ending = 0
        self.ended = 0
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._readable = readable

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(launch.command, stdout=output)
        return self.process

    def usage(self, paths: RepairPaths, pid: int | None) -> ResourceUsage:
        if not self._readable:
            raise SandboxError("It cannot be measured.")
        return measure((paths.run,), ())

    def end(self, paths: RepairPaths, pid: int | None) -> None:
        self.ending += 1
        self._loop.call_soon_threadsafe(self.begun.set)
        self.process.kill()
        if self.ending == 1:
            time.sleep(0.5)
        self.ended += 1

    async def run(self, folder: Path, quota: Quota) -> CommandResult:
        paths = RepairPaths(folder)
        paths.create()
        launch = SandboxCommand(paths, ("sleep", "60"), {}, folder)
        return await run_sandboxed(cast(Sandbox, self), launch, 60, quota)


async def test_a_command_over_its_quota_is_over_when_all_that_ends_it_is(tmp_path: Path) -> None:
    sandbox = SlowToEnd()
    assert (await sandbox.run(tmp_path, TOO_LITTLE)).reason is not None
    assert sandbox.ending == sandbox.ended == 2


async def test_so_is_one_that_cannot_be_measured(tmp_path: Path) -> None:
    sandbox = SlowToEnd(readable=False)
    with pytest.raises(SandboxError):
        await sandbox.run(tmp_path, Quota())
    assert sandbox.ending == sandbox.ended == 2


async def test_so_is_one_that_is_cancelled_while_it_ends(tmp_path: Path) -> None:
    sandbox = SlowToEnd()
    running = asyncio.create_task(sandbox.run(tmp_path, Quota()))
    await asyncio.sleep(0.1)
    running.cancel()
    await sandbox.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sandbox.ending == sandbox.ended
