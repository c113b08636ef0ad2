"""Which folders of repairs a worker removes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from activities.coding_environment import CodingEnvironment
from hosting.sandbox.choice import NoSandbox
from hosting.sandbox.common import Toolbox
from hosting.sandbox.remote import RemoteSandbox
from hosting.sandbox.remote_daemon import REPAIRS
from hosting.workspace_gc import remove_abandoned_workspaces, removing_abandoned_workspaces
from railmend.coding.sandbox.quota import Quota


@dataclass
class Listed:
    id: str


class Server:
    """Knows which repairs run."""

    def __init__(self, *running: str) -> None:
        self._running = running

    async def list_workflows(self, _: str) -> AsyncIterator[Listed]:
        for name in self._running:
            yield Listed(name)


async def test_old_folders_of_repairs_that_are_over_are_removed(tmp_path: Path) -> None:
    old = time.time() - 7200
    for name, when in (("over", old), ("running", old), ("young", time.time())):
        (tmp_path / name / "tree").mkdir(parents=True)
        os.utime(tmp_path / name, (when, when))
    unused: Any = None
    environment = CodingEnvironment(
        github=unused, state_dir=tmp_path, sandbox=NoSandbox(Toolbox({})), quota=Quota()
    )
    client = cast(Any, Server("repair/acme/checkout/running", "repair/acme/jobs/elsewhere"))
    assert await remove_abandoned_workspaces(client, environment) == ["over"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["running", "young"]


async def test_the_folder_of_a_repair_that_is_terminated_goes_while_the_worker_runs(tmp_path: Path) -> None:
    unused: Any = None
    environment = CodingEnvironment(
        github=unused, state_dir=tmp_path, sandbox=NoSandbox(Toolbox({})), quota=Quota()
    )
    folder = tmp_path / "over"
    async with removing_abandoned_workspaces(cast(Any, Server()), environment, every_seconds=0.01):
        (folder / "tree").mkdir(parents=True)
        os.utime(folder, (0, 0))
        async with asyncio.timeout(10):
            while folder.exists():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_without_a_folder_nobody_is_asked(tmp_path: Path) -> None:
    unused: Any = None
    environment = CodingEnvironment(
        github=unused, state_dir=tmp_path / "none", sandbox=NoSandbox(Toolbox({})), quota=Quota()
    )
    assert await remove_abandoned_workspaces(unused, environment) == []


async def test_what_was_shared_with_the_agents_container_is_removed_too(tmp_path: Path) -> None:
    """Also where the worker's own folder is gone already."""
    old = time.time() - 7200
    shared = tmp_path / "agents" / REPAIRS / "over"
    (shared / "tree").mkdir(parents=True)
    os.utime(shared, (old, old))
    unused: Any = None
    sandbox = RemoteSandbox(tmp_path / "agents", Toolbox({}))
    environment = CodingEnvironment(
        github=unused, state_dir=tmp_path / "state", sandbox=sandbox, quota=Quota()
    )
    assert await remove_abandoned_workspaces(cast(Any, Server()), environment) == ["over"]
    assert not shared.exists()
