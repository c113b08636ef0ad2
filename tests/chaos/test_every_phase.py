"""In every phase the worker is killed or drained, or the server dies: nothing is lost, nothing is twice.

Each story suffers all three deaths, each some points after the one before. Together they have each death at
each point in `make chaos`; in every run of the tests there are fewer stories, which have one at each point.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError

from hosting import dev_server, search_attributes
from railmend.contracts.ledger import LedgerState
from railmend.contracts.repair import Approval, RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ScanRequest
from tests.chaos.phases_worker import APPROVED
from tests.chaos.stage import ROOT
from tests.integration.serving import serving
from tests.patience import PATIENCE
from tests.unit.test_diagnosis import GOOD, Model
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.plugin import railmend_plugin
from workflows.shared.start import ORCHESTRATION_QUEUE

pytestmark = [pytest.mark.integration, pytest.mark.chaos]
IN_CALL = "in the model call"
# As a story passes them. Where a plan waits for a person nothing has to be held: it is a story of its own.
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
    "coding": "before run_session",
    "coded": "after run_session",
    "checked": "after run_checks",
    "sampling": "before sample_requests",
    "sampled": "after sample_requests",
    "proving": "before reproduce_on_base",
    "reproducing": "in reproduce_on_base",
    "reproduced": "after reproduce_on_base",
    "change-proving": "before prove_change",
    "change-measuring": "in prove_change",
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


VICTIMS = tuple(Victim)
AT = tuple(POINTS.values())
# A drained worker finishes what was held before an activity: it must not be held again right after it.
APART = 3
NOTICED_WITHIN = timedelta(minutes=1)
CALL_USD = 0.0012  # 120 tokens


class Story:
    """One environment, and where it is as each of the victims dies."""

    def __init__(self, first: int) -> None:
        """`first`: the index of its first point; negative where it begins after the first death."""
        self.name = f"story-{first + APART * (len(VICTIMS) - 1):02}"
        indexes = range(first, first + APART * len(VICTIMS), APART)
        self.points = [AT[index] if 0 <= index < len(AT) else "" for index in indexes]

    def begins(self, death: int) -> bool:
        return self.points[death] != "" and not any(self.points[:death])


ALL = [Story(first) for first in range(-APART * (len(VICTIMS) - 1), len(AT))]
# Those whose points lie side by side: of nine points in a row, each of three stories has every third.
FEW = [Story(first) for first in range(len(AT)) if first % (APART * len(VICTIMS)) < APART]


class World:
    """Server, worker and model, which all stories share."""

    def __init__(self, folder: Path, stories: list[Story]) -> None:
        self.folder = folder
        self.stories = stories
        self.model = HeldModel(folder, [*(story.name for story in stories), *map(planned, VICTIMS)])
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
        await seen((self.folder / "ready").exists)

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        self.worker.wait()

    async def drain_worker(self, death: int) -> None:
        """Ask it to stop; what is held before an activity goes on meanwhile, the rest is handed back."""
        assert self.worker is not None
        self.worker.terminate()
        self.move_on(death, "before ")
        assert await asyncio.to_thread(self.worker.wait, PATIENCE) == 0

    async def kill_server(self) -> None:
        os.kill(self.server.pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, self.server.pid, 0)
        await self.start_server()

    def hold(self, name: str, point: str) -> None:
        """Hold a story at its next point; "" lets it go to its end."""
        whole = self.folder / "next"
        whole.write_text(point)
        whole.rename(self.folder / "hold" / name)  # it is never read half written

    def move_on(self, death: int, which: str = "") -> None:
        for story in self.stories:
            if story.points[death] and story.points[death].startswith(which):
                self.hold(story.name, (*story.points, "")[death + 1])

    def forget_held(self) -> None:
        for told in (self.folder / "held").iterdir():
            told.unlink()

    def all_held(self, death: int) -> bool:
        held = {told.name for told in (self.folder / "held").iterdir()}
        return held.issuperset(story.name for story in self.stories if story.points[death])

    def carried_out(self) -> Counter[tuple[str, str]]:
        """How often each activity was, by environment and name."""
        lines = (self.folder / "log").read_text().splitlines()
        return Counter((line.partition(" ")[0], line.partition(" ")[2]) for line in lines)


class HeldModel(Model):
    """Holds the calls of the environments whose point is in the call; counts by environment."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__()
        self._folder, self._names = folder, names
        self.answers = [GOOD]
        self.calls: Counter[str] = Counter()

    async def complete(self, request: Request) -> Response:
        text = json.dumps(await request.json())
        for hold in list((self._folder / "hold").iterdir()):
            if hold.name in text and hold.read_text() == IN_CALL:
                self.calls[hold.name] += 1
                (self._folder / "held" / hold.name).touch()
                while hold.read_text() == IN_CALL and not await request.is_disconnected():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                return Response(status_code=499)
        for name in self._names:
            self.calls[name] += name in text
        return await super().complete(request)


def planned(victim: Victim) -> str:
    """Return the name of the story whose plan waits for a person as this one dies."""
    return f"{victim}-{APPROVED}"


async def seen(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - other processes tell by files
            await asyncio.sleep(0.05)


@pytest.fixture(params=[FEW, pytest.param(ALL, marks=pytest.mark.long)], ids=["few", "all"])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    folder = tmp_path
    made = World(folder, request.param)
    routes = [Route("/chat/completions", made.model.complete, methods=["POST"])]
    with serving(Starlette(routes=routes)) as url:
        await made.start_server()
        await made.start_worker(url)
        try:
            yield made
        finally:
            made.kill_worker()
            dev_server.stop_server(folder / "temporal")


async def strike(world: World, death: int) -> None:
    match VICTIMS[death]:
        case Victim.KILLED:
            world.kill_worker()
        case Victim.DRAINED:
            await world.drain_worker(death)
        case Victim.SERVER:
            await world.kill_server()
            world.kill_worker()  # nothing that it holds goes on
    world.move_on(death)
    world.forget_held()


Scans = dict[str, WorkflowHandle[HealthScan, HealthReport]]


async def scanning(client: Client, environment: str) -> WorkflowHandle[HealthScan, HealthReport]:
    return await client.start_workflow(
        HealthScan.run,
        ScanRequest(project_id=f"project-{environment}", environment_id=environment),
        id=f"scan/{environment}/1",
        task_queue=ORCHESTRATION_QUEUE,
    )


async def approve(repair: WorkflowHandle[RepositoryRepair, RepairResult]) -> None:
    """As somebody who asks again: the server refuses while the repair's task is between two workers."""
    while True:
        try:
            await repair.execute_update(RepositoryRepair.approve, Approval(by="ada"), id="ada")
        except RPCError:
            await asyncio.sleep(0.2)
        else:
            return


async def suffer(world: World, client: Client, scans: Scans, death: int) -> None:
    """Wait until every story is at its point, one of them for a person, and let what all share die."""
    victim = VICTIMS[death]
    for story in world.stories:
        if story.begins(death):
            world.hold(story.name, story.points[death])
            scans[story.name] = await scanning(client, story.name)
    scans[planned(victim)] = await scanning(client, planned(victim))
    (row,) = (await scans[planned(victim)].result()).rows
    assert row.repair_workflow_id, row
    await seen(lambda: world.all_held(death))
    await strike(world, death)
    approved = client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id)
    approving = asyncio.create_task(approve(approved))
    await world.start_worker(world.model_url)
    await approving


async def test_each_fault_has_one_diagnosis_and_one_repair_whoever_dies_in_whichever_phase(
    world: World,
) -> None:
    client = await Client.connect(world.server.address, plugins=[railmend_plugin()])
    await search_attributes.register(client)
    scans: Scans = {}
    for death in range(len(VICTIMS)):
        await suffer(world, client, scans, death)
    histories: dict[str, WorkflowHistory] = {}
    repeated = {story.name: {IN_CALL, "after take_turn"} & set(story.points) for story in world.stories}
    for environment, scan in scans.items():
        (row,) = (await scan.result()).rows
        assert (row.verdict, row.action) == ("code", "repair"), environment
        repair = client.get_workflow_handle_for(RepositoryRepair.run, row.repair_workflow_id or "")
        assert (await repair.result()).outcome is RepairOutcome.HELD, environment
        incident = client.get_workflow_handle(f"incident/{environment}/id-{environment}")
        histories[environment] = await incident.fetch_history()
        for history in (await scan.fetch_history(), histories[environment], await repair.fetch_history()):
            assert unnoticed(history) == set(), "an attempt that dies is noticed soon"
    carried_out = world.carried_out()
    for environment in scans:
        ledger = client.get_workflow_handle_for(Ledger.run, f"ledger/project-{environment}")
        state: LedgerState = await ledger.query(Ledger.state)
        assert carried_out[environment, "open_pull_request"] == 1
        assert [entry.outcome for entry in state.entries] == ["held"]
        assert (state.total.diagnoses, state.total.sessions) == (1, 1)
        assert all(reservation.settled for reservation in state.reservations)
        assert [record.outcomes for record in state.track.records] == [{"held": 1}], "it is settled once"
        calls = 2 if repeated.get(environment) else 1
        # A loaded machine that pauses for longer than a heartbeat has attempts more, which ask once each.
        attempts = carried_out[environment, "take_turn"]
        assert calls <= world.model.calls[environment] <= attempts, environment
        assert attempts == calls or timed_out(histories[environment]), environment
        assert state.total.usd >= calls * CALL_USD - 0.0001, "what was spent before is counted"


def unnoticed(history: WorkflowHistory) -> set[str]:
    """Return the activities whose attempts may be dead for longer; not measured, as machines are loaded."""
    late = set()
    for event in history.events:
        asked = event.activity_task_scheduled_event_attributes
        limits = [asked.heartbeat_timeout.ToTimedelta(), asked.start_to_close_timeout.ToTimedelta()]
        if min((limit for limit in limits if limit), default=timedelta(0)) > NOTICED_WITHIN:
            late.add(asked.activity_type.name)
    return late


def timed_out(history: WorkflowHistory) -> bool:
    """Return whether an attempt of the model's turn was made because the one before was not heard of."""
    turns = {
        event.event_id
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "take_turn"
    }
    started = (event.activity_task_started_event_attributes for event in history.events)
    return any(
        each.last_failure.HasField("timeout_failure_info")
        for each in started
        if each.scheduled_event_id in turns
    )
