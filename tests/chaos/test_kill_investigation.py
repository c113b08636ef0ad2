"""Worker or server die at each point from claim to repair: one diagnosis, one repair, all paid for."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client, WorkflowHandle

from hosting import dev_server, search_attributes
from hosting.workers import ORCHESTRATION_QUEUE
from railmend.contracts.ledger import LedgerState
from railmend.contracts.repair import RepairOutcome
from railmend.contracts.scan import HealthReport, ScanRequest
from tests.chaos.stage import ROOT
from tests.integration.serving import serving
from tests.unit.test_diagnosis import GOOD, Model
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.plugin import railmend_plugin

pytestmark = [pytest.mark.integration, pytest.mark.chaos]
IN_CALL = "in the model call"
POINTS = {  # by environment
    "at-before-the-claim": "before claim",
    "at-claimed": "after claim",
    "at-evidence": "before http_log_facts",
    "at-packet": "after build_packet",
    "at-reserved": "after reserve",
    "at-model-call": IN_CALL,
    "at-diagnosed": "after diagnose",
    "at-paid": "after spend",
    "at-repair-started": "before find_earlier",
}
NOTICED_WITHIN = 45  # seconds, a new attempt included
CALL_USD = 0.12  # 120 tokens


class World:
    """The server, the worker and the model of one round; every point has an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = HeldModel(folder)
        self.worker: subprocess.Popen[bytes] | None = None
        for name in ("hold", "held"):
            (folder / name).mkdir()

    async def start_server(self) -> None:
        self.server = await dev_server.start_or_adopt(self.folder / "temporal")

    async def start_worker(self, model_url: str) -> None:
        self.model_url = model_url
        (self.folder / "ready").unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.chaos.investigation_worker", str(self.folder)]
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(  # noqa: ASYNC220 - it is waited for by its file
                [*command, self.server.address, model_url], cwd=ROOT, stdout=log, stderr=log
            )
        await seen(lambda: (self.folder / "ready").exists(), 60)

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    async def kill_server(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, self.server.pid, 0)
        await self.start_server()

    def let_go(self) -> None:
        for hold in (self.folder / "hold").iterdir():
            hold.unlink()

    def began(self) -> Counter[tuple[str, str]]:
        """How often each activity began, by environment and name."""
        lines = (self.folder / "log").read_text().splitlines()
        return Counter((line.partition(" ")[0], line.partition(" ")[2]) for line in lines)


class HeldModel(Model):
    """Holds the calls of the environments whose point is in the call; counts by environment."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.answers = [GOOD]
        self.calls: Counter[str] = Counter()

    async def complete(self, request: Request) -> Response:
        text = json.dumps(await request.json())
        for hold in list((self._folder / "hold").iterdir()):
            if hold.name in text and hold.read_text() == IN_CALL:
                self.calls[hold.name] += 1
                (self._folder / "held" / hold.name).touch()
                while hold.exists() and not await request.is_disconnected():  # noqa: ASYNC110 - a file tells
                    await asyncio.sleep(0.05)
                return Response(status_code=499)
        for environment in POINTS:
            self.calls[environment] += environment in text
        return await super().complete(request)


async def seen(holds: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - other processes tell by files
            await asyncio.sleep(0.05)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    routes = [Route("/chat/completions", made.model.complete, methods=["POST"])]
    with serving(Starlette(routes=routes)) as url:
        await made.start_server()
        await made.start_worker(url)
        try:
            yield made
        finally:
            made.kill_worker()
            dev_server.stop_server(tmp_path / "temporal")


@pytest.mark.parametrize("victim", ["worker", "server"])
async def test_one_diagnosis_and_one_repair_whoever_dies_in_an_investigation(
    world: World, victim: str
) -> None:
    client = await Client.connect(world.server.address, plugins=[railmend_plugin()])
    await search_attributes.register(client)
    scans: dict[str, WorkflowHandle[HealthScan, HealthReport]] = {}
    for environment, point in POINTS.items():
        (world.folder / "hold" / environment).write_text(point)
        scans[environment] = await client.start_workflow(
            HealthScan.run,
            ScanRequest(project_id=f"project-{environment}", environment_id=environment),
            id=f"scan/{environment}/1",
            task_queue=ORCHESTRATION_QUEUE,
        )
    await seen(lambda: len(list((world.folder / "held").iterdir())) == len(POINTS), 60)
    died = time.monotonic()
    if victim == "worker":
        world.kill_worker()
        world.let_go()
        await world.start_worker(world.model_url)
    else:
        await world.kill_server()
        world.let_go()
        world.kill_worker()  # whose activities are held for ever
        await world.start_worker(world.model_url)
    for environment, scan in scans.items():
        (row,) = (await scan.result()).rows
        assert (row.verdict, row.action) == ("code", "repair"), environment
        repair = client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id or "")
        assert (await repair.result()).outcome is RepairOutcome.HELD, environment
    assert time.monotonic() - died < 2 * NOTICED_WITHIN, "the attempts that died are noticed soon"
    began = world.began()
    for environment in POINTS:
        ledger = client.get_workflow_handle_for(Ledger.run, f"ledger/project-{environment}")
        state: LedgerState = await ledger.query(Ledger.state)
        assert began[environment, "open_pull_request"] == 1
        assert [entry.outcome for entry in state.entries] == ["held"]
        assert state.total.diagnoses == 1
        calls = 2 if environment in ("at-model-call", "at-diagnosed") else 1
        assert world.model.calls[environment] == calls, environment
        assert state.total.usd >= calls * CALL_USD - 0.001, "what was spent before the kill is counted"
