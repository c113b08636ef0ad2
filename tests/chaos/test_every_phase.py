"""In every phase the worker is killed or drained, or the server dies: nothing is lost, nothing is twice."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client, WorkflowHandle

from hosting import dev_server, search_attributes
from railmend.contracts.ledger import LedgerState
from railmend.contracts.repair import Approval, RepairOutcome
from railmend.contracts.scan import HealthReport, ScanRequest
from tests.chaos.phases_worker import APPROVED
from tests.chaos.stage import ROOT
from tests.integration.serving import serving
from tests.unit.test_diagnosis import GOOD, Model
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.plugin import railmend_plugin
from workflows.shared.policies import ORCHESTRATION_QUEUE

pytestmark = [pytest.mark.integration, pytest.mark.chaos]
IN_CALL = "in the model call"
BY_ITSELF = ""  # a repair waits there, and nothing has to be held
POINTS = {
    # of the scan and its investigation
    "before-the-claim": "before claim",
    "claimed": "after claim",
    "evidence": "before http_log_facts",
    "packet": "after build_packet",
    "reserved": "after reserve",
    "model-call": IN_CALL,
    "diagnosed": "after take_turn",
    "paid": "after spend",
    # of the repair, phase by phase
    "repair-started": "before find_earlier",
    APPROVED: BY_ITSELF,
    "coding": "before run_session",
    "coded": "after run_session",
    "checked": "after run_checks",
    "sampling": "before sample_requests",
    "sampled": "after sample_requests",
    "proving": "before reproduce_on_base",
    "reproducing": "in reproduce_on_base",
    "reproduced": "after reproduce_on_base",
    "proving-the-change": "before prove_change",
    "measuring-the-change": "in prove_change",
    "proved": "after prove_change",
    "committed": "after commit_and_push",
    "publishing": "before open_pull_request",
    "review": "before poll_pull_request",
    "merged": "after poll_pull_request",
    "deployment": "before find_deployment",
    "deployed": "after find_deployment",
    "measurement": "before measure_service",
    "measured": "after comment_measurement",
    "settled": "after settle",
}


class Victim(StrEnum):
    KILLED = "killed"  # the worker, by SIGKILL
    DRAINED = "drained"  # the worker, by SIGTERM
    SERVER = "server"


NOTICED_WITHIN = 45  # seconds, a new attempt included
CALL_USD = 0.012  # 120 tokens


class World:
    """Server, worker and model; every point of every victim has an environment of its own."""

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
        command = [sys.executable, "-m", "tests.chaos.phases_worker", str(self.folder)]
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(  # noqa: ASYNC220 - it is waited for by its file
                [*command, self.server.address, model_url], cwd=ROOT, stdout=log, stderr=log
            )
        await seen(lambda: (self.folder / "ready").exists(), 60)

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    async def drain_worker(self) -> None:
        """Ask it to stop; what is held before an activity goes on meanwhile, the rest is handed back."""
        assert self.worker is not None
        self.worker.terminate()
        self.let_go("before ")
        assert await asyncio.to_thread(self.worker.wait, 30) == 0

    async def kill_server(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, self.server.pid, 0)
        await self.start_server()

    def let_go(self, which: str = "") -> None:
        for hold in (self.folder / "hold").iterdir():
            if hold.read_text().startswith(which):
                hold.unlink()

    def all_held(self, environments: Iterable[str]) -> bool:
        return {hold.name for hold in (self.folder / "held").iterdir()}.issuperset(environments)

    def carried_out(self) -> Counter[tuple[str, str]]:
        """How often each activity was, by environment and name."""
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
        for victim, point in product(Victim, POINTS):
            self.calls[f"{victim}-{point}"] += f"{victim}-{point}" in text
        return await super().complete(request)


async def seen(holds: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - other processes tell by files
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("phases")
    made = World(folder)
    routes = [Route("/chat/completions", made.model.complete, methods=["POST"])]
    with serving(Starlette(routes=routes)) as url:
        await made.start_server()
        await made.start_worker(url)
        try:
            yield made
        finally:
            made.kill_worker()
            dev_server.stop_server(folder / "temporal")


async def strike(world: World, victim: Victim) -> None:
    match victim:
        case Victim.KILLED:
            world.kill_worker()
        case Victim.DRAINED:
            await world.drain_worker()
        case Victim.SERVER:
            await world.kill_server()
            world.kill_worker()  # nothing that it holds goes on
    world.let_go()


@pytest.mark.parametrize("victim", list(Victim))
async def test_each_fault_has_one_diagnosis_and_one_repair_whoever_dies_in_whichever_phase(
    world: World, victim: Victim
) -> None:
    client = await Client.connect(world.server.address, plugins=[railmend_plugin()])
    await search_attributes.register(client)
    scans: dict[str, WorkflowHandle[HealthScan, HealthReport]] = {}
    environments = {f"{victim}-{name}": point for name, point in POINTS.items()}
    for environment, point in environments.items():
        if point is not BY_ITSELF:
            (world.folder / "hold" / environment).write_text(point)
        scans[environment] = await client.start_workflow(
            HealthScan.run,
            ScanRequest(project_id=f"project-{environment}", environment_id=environment),
            id=f"scan/{environment}/1",
            task_queue=ORCHESTRATION_QUEUE,
        )
    planned = scans[f"{victim}-{APPROVED}"]
    (row,) = (await planned.result()).rows
    assert row.repair_workflow_id, row
    held = [environment for environment, point in environments.items() if point is not BY_ITSELF]
    await seen(lambda: world.all_held(held), 60)
    died = time.monotonic()
    await strike(world, victim)
    approved = client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)
    approving = asyncio.create_task(approved.execute_update(RepositoryRepair.approve, Approval(by="ada")))
    await world.start_worker(world.model_url)
    await approving
    for environment, scan in scans.items():
        (row,) = (await scan.result()).rows
        assert (row.verdict, row.action) == ("code", "repair"), environment
        repair = client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id or "")
        assert (await repair.result()).outcome is RepairOutcome.HELD, environment
    assert time.monotonic() - died < 2 * NOTICED_WITHIN, "the attempts that died are noticed soon"
    carried_out = world.carried_out()
    for environment, point in environments.items():
        ledger = client.get_workflow_handle_for(Ledger.run, f"ledger/project-{environment}")
        state: LedgerState = await ledger.query(Ledger.state)
        assert carried_out[environment, "open_pull_request"] == 1
        assert [entry.outcome for entry in state.entries] == ["held"]
        assert (state.total.diagnoses, state.total.sessions) == (1, 1)
        assert all(reservation.settled for reservation in state.reservations)
        assert [record.outcomes for record in state.track.records] == [{"held": 1}], "it is settled once"
        calls = 2 if point in (IN_CALL, "after take_turn") else 1
        assert world.model.calls[environment] == calls, environment
        assert state.total.usd >= calls * CALL_USD - 0.001, "what was spent before is counted"
