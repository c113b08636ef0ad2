"""Fences, places and commands in them, for the tests."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from hosting.clients import toolbox
from hosting.sandbox import build
from hosting.sandbox_parts import Caps
from railmend.coding.fence import Fence, Finished, Launch, Place, run_fenced
from railmend.coding.quota import Quota
from railmend.settings import Settings


def the_fence(**caps: int) -> Fence:
    return build("bwrap", toolbox(Settings()), unsafe=False, caps=Caps(**caps))


def a_place(folder: Path, fence: Fence) -> Place:
    place = Place(folder / "0123456789ab")
    place.tree.mkdir(parents=True)
    place.make()
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
    environment = {"PATH": around.tools_path(), "HOME": str(place.home)}
    launch = Launch(place, ("sh", "-c", command), environment, place.tree)
    return await run_fenced(around, launch, seconds, quota or Quota()), place


async def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
