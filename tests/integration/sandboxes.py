"""Sandboxes, places and commands in them, for the tests."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from hosting.clients import toolbox
from hosting.sandbox.choice import build_sandbox
from hosting.sandbox.common import ResourceLimits
from railmend.coding.sandbox.interface import (
    CommandResult,
    RepairPaths,
    Sandbox,
    SandboxCommand,
    run_sandboxed,
)
from railmend.coding.sandbox.quota import Quota
from railmend.settings import Settings
from tests.integration.agents_container import agents_container

# Only root can become another user, or start what an engine would start.
KINDS = ("bwrap", "user", "remote") if os.geteuid() == 0 else ("bwrap",)


def the_sandbox(kind: str = "bwrap", shared: Path = Path("/nowhere"), **limits: int) -> Sandbox:
    box = toolbox(Settings.model_validate({"railmend_sandbox": kind}))
    return build_sandbox(kind, box, unsafe=False, limits=ResourceLimits(**limits), shared=shared)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Where another user may walk to; pytest's own folders are private."""
    with tempfile.TemporaryDirectory(prefix="railmend-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def a_sandbox(kind: str) -> Iterator[tuple[Sandbox, Path]]:
    """With a folder for repairs; `remote` with its container."""
    with open_folder() as folder:
        (folder / "state").mkdir()
        if kind != "remote":
            yield the_sandbox(kind), folder / "state"
            return
        (folder / "agents").mkdir()
        with agents_container(folder / "agents"):
            yield the_sandbox(kind, folder / "agents"), folder / "state"


def a_place(folder: Path, sandbox: Sandbox, key: str = "0123456789ab") -> RepairPaths:
    paths = sandbox.paths(folder / key)
    paths.create()
    paths.tree.mkdir()
    (paths.tree / "app.py").write_text("value = 1\n")
    sandbox.hand_over(paths)
    return paths


def name_of(pid: int) -> str:
    with suppress(psutil.Error):
        return psutil.Process(pid).name()
    return ""


def running(words: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if words in " ".join(p.info["cmdline"] or [])]


async def shell(
    folder: Path,
    command: str,
    *,
    sandbox: Sandbox | None = None,
    seconds: float = 30,
    quota: Quota | None = None,
) -> tuple[CommandResult, RepairPaths]:
    around = sandbox or the_sandbox()
    paths = a_place(folder, around)
    return await shell_in(paths, around, command, seconds=seconds, quota=quota), paths


async def shell_in(
    paths: RepairPaths, sandbox: Sandbox, command: str, *, seconds: float = 30, quota: Quota | None = None
) -> CommandResult:
    environment = {"PATH": sandbox.tools_path(), "HOME": str(paths.home)}
    launch = SandboxCommand(paths, ("sh", "-c", command), environment, paths.tree)
    return await run_sandboxed(sandbox, launch, seconds, quota or Quota())


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
