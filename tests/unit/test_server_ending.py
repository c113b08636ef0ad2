"""A server that ends says how, and what it said last: by an exit code, or by a signal."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
from pydantic import SecretStr

from railmend.coding.metering.meter import ModelEndpoint, SessionLimits, Usage
from railmend.coding.sandbox.interface import RepairPaths, Sandbox, SandboxCommand
from railmend.coding.sandbox.quota import Quota
from railmend.coding.sandbox.resource_usage import measure
from railmend.coding.session.follow import SessionLost, Task
from railmend.coding.session.run import run_session
from railmend.coding.session.server import CodingServer, ModelGate, OpenCodeServer, ServerError

TOKEN = "ghp_" + "a1" * 18


class NoGate:
    usage = Usage()

    async def open(self, paths: RepairPaths, key: str) -> None: ...

    async def close(self) -> None: ...


class Shell:
    """Runs a script in the server's place, in no sandbox at all."""

    def __init__(self, script: str) -> None:
        self._script = script

    def hand_over(self, paths: RepairPaths) -> None: ...

    def tools_path(self) -> str:
        return "/usr/bin:/bin"

    def ports(self, count: int) -> list[int]:
        return list(range(4096, 4096 + count))

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        command = ["sh", "-c", self._script]
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def end(self, paths: RepairPaths, pid: int | None) -> None: ...


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        (f"echo no room for {TOKEN}; exit 3", "OpenCode ended with exit code 3: no room for <github-token"),
        ("echo oh; kill -SEGV $$", "OpenCode ended by SIGSEGV: oh"),
        # As a shell, and `hosting/sandbox/init.py`, hand on how their child ended.
        ("exit 137", "OpenCode ended by SIGKILL: it said nothing"),
    ],
)
async def test_a_server_that_does_not_come_up_says_how_it_ended(
    tmp_path: Path, script: str, ending: str
) -> None:
    paths = RepairPaths(tmp_path / "repairs" / "key")
    paths.create()
    paths.tree.mkdir()
    endpoint = ModelEndpoint(base_url="http://127.0.0.1:9/v1", model_id="m", api_key=SecretStr("k"))
    server = OpenCodeServer(paths, cast(Sandbox, Shell(script)), cast(ModelGate, NoGate()), endpoint)
    with pytest.raises(ServerError) as caught:
        await server.start_or_adopt()
    assert str(caught.value).startswith(ending)
    assert TOKEN not in str(caught.value)


class LostServer:
    """It came up, and answers no more."""

    async def start_or_adopt(self) -> None: ...

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[httpx.AsyncClient]:
        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        yield httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://opencode")

    def usage(self) -> Usage | None:
        return None

    def pid(self) -> int | None:
        return None

    async def ending(self) -> str:
        return "OpenCode ended by SIGKILL: oh"

    async def stop(self) -> None: ...


class Measured:
    def usage(self, paths: RepairPaths, pid: int | None) -> object:
        return measure([paths.root], ())


async def test_a_lost_session_says_how_its_server_ended(tmp_path: Path) -> None:
    server, sandbox = cast(CodingServer, LostServer()), cast(Sandbox, Measured())
    task, limits = Task(str(tmp_path), "key", "Repair", "Mend it."), SessionLimits()
    with pytest.raises(SessionLost, match=r"stopped answering .*OpenCode ended by SIGKILL: oh"):
        await run_session(server, sandbox, RepairPaths(tmp_path), task, limits, Quota(), lambda _: None)
