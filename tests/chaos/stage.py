"""What a repair happens on: Temporal server, worker, forge and model; and what can be killed of it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
from starlette.applications import Starlette
from starlette.routing import Route
from temporalio.client import Client

from hosting import clients, dev_server
from railmend.coding.sandbox.interface import RepairPaths
from railmend.processes import started
from railmend.settings import Settings
from railyard.forge import Forge, build
from tests.chaos.agent import ScriptedAgent
from tests.chaos.gates import Gated, RequestGate, waits
from tests.integration.serving import serving
from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent.parent
TOKEN, PERSON = "ghp_" + "r" * 36, "ghp_" + "p" * 36
# What a worker may take to end what it does.
GRACE_SECONDS = 2


class Stage:
    """One Temporal server, and one worker that serves all repairs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._forge_gates: list[RequestGate] = []
        self._model_gates: list[RequestGate] = []
        self.forge = Forge(folder / "forge", {TOKEN: "railmend[bot]", PERSON: "ada"})
        self.agent = ScriptedAgent()
        self._worker: subprocess.Popen[bytes] | None = None
        self._temporal: dev_server.Running | None = None
        self.client: Client | None = None
        self.forge_url = self._model_url = ""

    @property
    def _state(self) -> Path:
        return self._folder / "worker"

    def paths(self, key: str) -> RepairPaths:
        return RepairPaths(self._state / "repairs" / key)

    def hold_forge(self, gate: RequestGate) -> RequestGate:
        self._forge_gates.append(gate)
        return gate

    def hold_model(self, gate: RequestGate) -> RequestGate:
        self._model_gates.append(gate)
        return gate

    @asynccontextmanager
    async def playing(self) -> AsyncIterator["Stage"]:
        forge = build(self.forge)
        forge.add_middleware(Gated, gates=self._forge_gates)
        model = Starlette(routes=[Route("/v1/chat/completions", self.agent.answer, methods=["POST"])])
        model.add_middleware(Gated, gates=self._model_gates)
        with serving(forge) as self.forge_url, serving(model) as self._model_url:
            try:
                await self.start_temporal()
                await self.start_worker()
                yield self
            finally:
                await asyncio.to_thread(self._stop)

    async def start_temporal(self) -> None:
        self._temporal = await dev_server.start_or_adopt(self._folder / "temporal")
        if self.client is None:
            self.client = await clients.temporal(Settings(temporal_address=self._temporal.address))

    def kill_temporal(self) -> None:
        _kill(self._server().pid)

    def freeze_temporal(self) -> None:
        """Until `thaw_temporal` nothing that happens is recorded."""
        os.kill(self._server().pid, signal.SIGSTOP)

    def thaw_temporal(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._server().pid, signal.SIGCONT)

    def _server(self) -> dev_server.Running:
        assert self._temporal is not None
        return self._temporal

    async def start_worker(self) -> None:
        self._state.mkdir(exist_ok=True)
        log = self._folder / "worker.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._worker = subprocess.Popen(  # noqa: ASYNC220 - it is waited for by its log
                [sys.executable, str(ROOT / "worker.py")],
                cwd=self._folder,
                env=self._environment(),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        async with asyncio.timeout(PATIENCE):
            while b"workers ready" not in log.read_bytes()[before:]:
                assert self._worker.poll() is None, log.read_text(errors="replace")
                await asyncio.sleep(0.1)

    def kill_worker(self) -> None:
        """The process alone: what it has started ends by itself, or goes on."""
        assert self._worker is not None
        self._worker.kill()
        self._worker.wait()

    def stop_worker(self) -> asyncio.Future[None]:
        """Ask it to stop, as a supervisor does; the future is done when it has gone."""
        assert self._worker is not None
        self._worker.terminate()
        return asyncio.get_running_loop().run_in_executor(None, self._has_stopped, self._worker)

    def _has_stopped(self, worker: "subprocess.Popen[bytes]") -> None:
        with suppress(subprocess.TimeoutExpired):
            worker.wait(PATIENCE)
        assert worker.returncode == 0, (self._folder / "worker.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        folder = clients.opencode_binary(Settings()).resolve().parent.parent
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "TEMPORAL_ADDRESS": self._server().address,
            # Nobody asks it anything: the repairs' environment is not this one.
            "RAILWAY_API_URL": "http://127.0.0.1:9/graphql",
            "RAILWAY_TOKEN": "none",
            "RAILWAY_PROJECT_ID": "project",
            "RAILWAY_ENVIRONMENT_ID": "another",
            "GITHUB_API_URL": f"{self.forge_url}/api/v3",
            "GITHUB_TOKEN": TOKEN,
            "MODEL": "openai/scripted",
            "MODEL_BASE_URL": f"{self._model_url}/v1",
            "MODEL_API_KEY": "k",
            "RAILMEND_STATE_DIR": str(self._state),
            "RAILMEND_TOOLCHAINS": str(folder),
            "OPENCODE_BIN": str(self._slow_to_start(folder / "bin" / "opencode")),
            "RAILMEND_GRACE_SECONDS": str(GRACE_SECONDS),
            "SLOTS": json.dumps({"sessions": 40}),
        }

    def _slow_to_start(self, program: Path) -> Path:
        """OpenCode, that waits before it serves where the repository asks for it (see `SandboxGate`)."""
        script = self._folder / "opencode"
        script.write_text(
            f'#!/bin/sh\nif [ -e hold-server ]; then {waits("server")}; fi\nexec {program} "$@"\n'
        )
        script.chmod(0o755)
        return script

    def kill_opencode(self, key: str) -> None:
        """The server itself, inside its sandbox."""
        root = json.loads((self.paths(key).run / "server.json").read_text())["pid"]
        inside = psutil.Process(root).children(recursive=True)
        _kill(next(process.pid for process in inside if "serve" in process.cmdline()))

    def processes_of(self, key: str) -> list[str]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if str(self.paths(key).root) in line:
                    found.append(line)
        return found

    def _stop(self) -> None:
        for gate in (*self._forge_gates, *self._model_gates):
            gate.open()
        self.thaw_temporal()
        if self._worker is not None:
            self._worker.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._worker.wait(PATIENCE)
            self._worker.kill()
        dev_server.stop_server(self._folder / "temporal")


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while started(pid) is not None:
        time.sleep(0.01)
