"""Fences, places and commands in them, for the tests."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from hosting.clients import toolbox
from hosting.sandbox import build
from hosting.sandbox_parts import Caps
from railmend.coding.fence import Fence, Finished, Launch, Place, run_fenced
from railmend.coding.quota import Quota
from railmend.settings import Settings
from tests.integration.agents_container import agents_container

# Only root can become another user, or start what an engine would start.
KINDS = ("bwrap", "user", "remote") if os.geteuid() == 0 else ("bwrap",)


def the_fence(kind: str = "bwrap", shared: Path = Path("/nowhere"), **caps: int) -> Fence:
    box = toolbox(Settings.model_validate({"railmend_sandbox": kind}))
    return build(kind, box, unsafe=False, caps=Caps(**caps), shared=shared)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Where another user may walk to; pytest's own folders are private."""
    with tempfile.TemporaryDirectory(prefix="railmend-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def a_fence(kind: str) -> Iterator[tuple[Fence, Path]]:
    """With a folder for repairs; `remote` with its container."""
    with open_folder() as folder:
        (folder / "state").mkdir()
        if kind != "remote":
            yield the_fence(kind), folder / "state"
            return
        (folder / "agents").mkdir()
        with agents_container(folder / "agents"):
            yield the_fence(kind, folder / "agents"), folder / "state"


def a_place(folder: Path, fence: Fence, key: str = "0123456789ab") -> Place:
    place = fence.place(folder / key)
    place.make()
    place.tree.mkdir()
    (place.tree / "app.py").write_text("value = 1\n")
    fence.admit(place)
    return place


def name_of(pid: int) -> str:
    with suppress(psutil.Error):
        return psutil.Process(pid).name()
    return ""


def running(words: str) -> list[int]:
    return [p.pid for p in psutil.process_iter(["cmdline"]) if words in " ".join(p.info["cmdline"] or [])]


async def shell(
    folder: Path, command: str, *, fence: Fence | None = None, seconds: float = 30, quota: Quota | None = None
) -> tuple[Finished, Place]:
    around = fence or the_fence()
    place = a_place(folder, around)
    return await shell_in(place, around, command, seconds=seconds, quota=quota), place


async def shell_in(
    place: Place, fence: Fence, command: str, *, seconds: float = 30, quota: Quota | None = None
) -> Finished:
    environment = {"PATH": fence.tools_path(), "HOME": str(place.home)}
    launch = Launch(place, ("sh", "-c", command), environment, place.tree)
    return await run_fenced(fence, launch, seconds, quota or Quota())


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
