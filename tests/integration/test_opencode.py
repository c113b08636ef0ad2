"""The real OpenCode server with a scripted model."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hosting.clients import toolbox
from hosting.gateway.model_gateway import ModelGateway
from hosting.sandbox.choice import build_sandbox
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import RepairPaths
from railmend.coding.session.follow import SessionProgress, Task, follow
from railmend.coding.session.server import (
    OpenCodeServer,
    RunningServer,
    ServerError,
    ServerRecord,
    stop_leftovers,
)
from railmend.contracts.repair import CodingResult, CodingState
from railmend.settings import Settings
from tests.integration.scripted_model import ScriptedModel, Step
from tests.integration.serving import serving

pytestmark = pytest.mark.integration


class Room:
    """A work tree and a server for it, in the sandbox that is the default."""

    def __init__(self, folder: Path, endpoint: ModelEndpoint) -> None:
        self.paths = RepairPaths(folder / "key")
        self.tree = self.paths.tree
        self.tree.mkdir(parents=True)
        (self.tree / "app.py").write_text("value = 1\n")
        self.sandbox = build_sandbox("bwrap", toolbox(Settings()), unsafe=False)
        self._endpoint = endpoint
        self.progress: list[SessionProgress] = []

    def server(self, limits: SessionLimits | None = None) -> OpenCodeServer:
        gateway = ModelGateway(self._endpoint, limits or SessionLimits())
        return OpenCodeServer(self.paths, self.sandbox, gateway, self._endpoint)

    def record(self) -> ServerRecord:
        return ServerRecord.model_validate_json((self.paths.run / "server.json").read_text())

    async def follow(
        self, server: OpenCodeServer, limits: SessionLimits | None = None, turn: int = 0
    ) -> CodingResult:
        task = Task(str(self.tree), "key", "Repair", f"Set value to {2 + turn}.", turn)
        async with server.connect() as client:
            return await follow(
                client,
                task,
                limits or SessionLimits(seconds=90),
                self.progress.append,
                server.usage,
                poll_seconds=0.2,
            )


@contextmanager
def room(folder: Path, steps: list[Step], *, endless: bool = False) -> Iterator[tuple[Room, ScriptedModel]]:
    with ScriptedModel(steps, endless=endless).serve() as model:
        paths = Room(folder, ModelEndpoint(base_url=model.url, model_id="scripted", api_key=SecretStr("k")))
        try:
            yield paths, model
        finally:
            stop_leftovers(folder, paths.sandbox)


def edit(tree: Path) -> Step:
    arguments = {"filePath": str(tree / "app.py"), "oldString": "value = 1", "newString": "value = 2"}
    return {"tool": "edit", "args": arguments}


async def test_a_session_edits_the_tree_and_knows_when_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_must_not_be_seen")
    with room(tmp_path, []) as (paths, model):
        read = {"tool": "read", "args": {"filePath": str(paths.tree / "app.py")}}
        token = "ghp_" + "a1" * 18
        todos = [
            {"content": "Read it", "status": "completed", "priority": "high"},
            {"content": f"Set value {token}", "status": "in_progress", "priority": "high"},
        ]
        plan = {"tool": "todowrite", "args": {"todos": todos}}
        model._steps = [read, plan, edit(paths.tree), {"text": f"Set value to 2, not {token}."}]
        server = paths.server()
        await server.start_or_adopt()
        environment = Path(f"/proc/{paths.record().pid}/environ").read_text()
        result = await paths.follow(server)
        assert result.state is CodingState.DONE
        assert result.text.startswith("Set value to 2, not ")
        assert paths.progress[-1].todo.startswith("1 of 2 done: Set value ")
        assert token not in f"{result} {paths.progress}", "what is kept in the history holds no secret"
        assert (paths.tree / "app.py").read_text() == "value = 2\n"
        assert (result.model_calls, result.tokens) == (4, 440)
        assert "ghp_must_not_be_seen" not in environment
        assert "GITHUB" not in environment
        again = await paths.follow(server)
        assert (again.session_id, again.state) == (result.session_id, CodingState.DONE)
        assert model.calls == 4, "a finished session is not asked again"
        await server.stop()
        assert not (paths.paths.run / "server.json").exists()


async def test_a_killed_server_continues_where_it_was(tmp_path: Path) -> None:
    with room(tmp_path, []) as (paths, model):
        slow = {"tool": "bash", "args": {"command": "sleep 3", "description": "wait"}}
        read = {"tool": "read", "args": {"filePath": str(paths.tree / "app.py")}}
        model._steps = [read, slow, edit(paths.tree), {"text": "Done."}]
        server = paths.server()
        await server.start_or_adopt()
        first = asyncio.create_task(paths.follow(server))
        while not any(progress.tool == "bash" for progress in paths.progress):  # noqa: ASYNC110 - polled state
            await asyncio.sleep(0.1)
        os.killpg(paths.record().pid, signal.SIGKILL)
        with pytest.raises(Exception, match="OpenCode"):
            await first
        second = paths.server()
        await second.start_or_adopt()
        result = await paths.follow(second)
        assert result.state is CodingState.DONE
        assert (paths.tree / "app.py").read_text() == "value = 2\n"
        assert {progress.session_id for progress in paths.progress} == {result.session_id}


async def test_a_session_may_keep_files_where_opencode_says_and_nowhere_else(tmp_path: Path) -> None:
    with room(tmp_path, []) as (paths, model):

        def write(path: str) -> Step:
            return {"tool": "write", "args": {"filePath": path, "content": "kept"}}

        shell = f"cat /tmp/opencode/note > {paths.tree}/copied; ls /tmp > {paths.tree}/listed"
        look = {"tool": "bash", "args": {"command": shell, "description": "look"}}
        model._steps = [write("/tmp/opencode/note"), write("/tmp/elsewhere"), look, {"text": "Done."}]
        server = paths.server()
        await server.start_or_adopt()
        result = await paths.follow(server)
        assert result.state is CodingState.DONE
        assert (paths.tree / "copied").read_text() == "kept"
        assert "elsewhere" not in (paths.tree / "listed").read_text()


async def test_a_living_server_is_adopted(tmp_path: Path) -> None:
    with room(tmp_path, [{"text": "Hello."}]) as (paths, _):
        await paths.server().start_or_adopt()
        before = paths.record()
        await paths.server().start_or_adopt()
        assert paths.record() == before


async def test_an_endless_session_is_ended_with_a_reason(tmp_path: Path) -> None:
    step = {"tool": "bash", "args": {"command": "true", "description": "loop"}}
    with room(tmp_path, [step], endless=True) as (paths, _):
        limits = SessionLimits(seconds=90, model_calls=5)
        server = paths.server(limits)
        await server.start_or_adopt()
        result = await paths.follow(server, limits)
        assert result.state is CodingState.ABORTED
        assert result.reason == "calls: more than 5 model calls"


@pytest.mark.parametrize("told", [{"healthy": True, "version": "2.3.0"}, {"healthy": True}])
async def test_a_server_of_another_major_version_is_refused_with_a_sentence(told: dict[str, Any]) -> None:
    """OpenCode 2 answers there too, and on none of the other routes."""

    async def health(_: Request) -> JSONResponse:
        return JSONResponse(told)

    app = Starlette(routes=[Route("/global/health", health)])
    with serving(app) as address, pytest.raises(ServerError, match=r"speaks to 1\.x alone") as caught:
        await RunningServer(address, None).start_or_adopt()
    assert not caught.value.retryable
