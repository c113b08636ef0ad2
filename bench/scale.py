"""What many projects cost one worker and one Temporal server: CPU, memory, actions, events, bytes.

First idle scans of many projects, with the product's worker, a Railway of formulas in a process of its own,
and the dev server, to which actions are counted by itself. Then one scan at several widths, whose
investigations and repairs are answered from memory. CPU seconds, not the clock: the machine may be shared.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import httpx
import psutil
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.worker import Worker

from activities.methods import activity_methods
from activities.railway import RailwayActivities
from activities.settings import SettingsActivities
from bench.railway import ENVIRONMENT, LATENCY_SECONDS, PROJECT, TOKEN, start
from hosting.workers import WORKFLOWS
from railmend import costs
from railmend.contracts.scan import ScanRequest, Window
from railmend.railway.client import RailwayClient
from railmend.railway.pool import RailwayPool
from railmend.settings import ProjectSettings, Settings
from tests import samples
from tests.integration.serving import serving
from tests.kept import memory_store
from tests.server_metrics import Metered, metered
from tests.workflows import test_wide_incident as wide
from tests.workflows.story import stage
from workflows.scan.health_scan import HealthScan

PROJECTS, SERVICES, SCANS = 200, 20, 3
WIDTHS, AFFECTED = (20, 50, 200, 500), (0, 5, 20)
AT_ONCE = 20
QUEUE = "railmend-bench"
STARTED, HEALTH = 100, "127.0.0.1:8791"


class _Surveyor:
    """Asks for the one environment that there is, whichever is meant."""

    def __init__(self, client: RailwayClient) -> None:
        self._real = client.surveyor

    async def survey(self, _project: str, _environment: str, window: Window) -> Any:
        return await self._real.survey(PROJECT, ENVIRONMENT, window)


class _Client:
    def __init__(self, url: str) -> None:
        self.client = RailwayClient(url, SecretStr(TOKEN))
        self.surveyor = _Surveyor(self.client)


class _Pool:
    """A client of its own for each project, as with a token for each."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients: dict[str, _Client] = {}

    async def client_for(self, environment_id: str) -> _Client:
        if environment_id not in self.clients:
            self.clients[environment_id] = _Client(self.url)
        return self.clients[environment_id]

    @property
    def requests(self) -> int:
        return sum(each.client.requests for each in self.clients.values())


class Usage:
    """CPU seconds and megabytes of this worker and of the Temporal server that it started."""

    def __init__(self) -> None:
        self.worker = psutil.Process()
        self.server = next(p for p in self.worker.children(recursive=True) if p.name().startswith("temporal"))

    def read(self) -> tuple[float, float, float, float]:
        cpu = [sum(process.cpu_times()[:2]) for process in (self.worker, self.server)]
        memory = [process.memory_info().rss / 1e6 for process in (self.worker, self.server)]
        return (*cpu, *memory)  # type: ignore[return-value]


async def idle(server: Metered, url: str, projects: int) -> None:
    watched = [
        ProjectSettings(name=f"p{number}", project_id=f"p{number}", environment_id=f"e{number}")
        for number in range(projects)
    ]
    settings, pool, client = Settings(projects=watched), _Pool(url), server.temporal.client
    railway = RailwayActivities(cast(RailwayPool, pool), memory_store())
    activities = activity_methods(SettingsActivities(lambda: settings, railway.screen), railway)
    turns = asyncio.Semaphore(AT_ONCE)

    async def scan(number: int, at: int) -> int:
        request = ScanRequest(project_id=f"p{number}", environment_id=f"e{number}")
        async with turns:
            handle = await client.start_workflow(
                HealthScan.run, request, id=f"scan/e{number}/{at}", task_queue=QUEUE
            )
            report = await handle.result()
            if len(report.healthy) != SERVICES:
                raise RuntimeError(f"not an idle scan: {report.headline}")
        return sum(event.ByteSize() for event in (await handle.fetch_history()).events)

    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=activities):
        usage = Usage()
        print(f"{projects} projects of {SERVICES} services, nothing wrong; load {os.getloadavg()[0]:.1f}")
        print(("{:>14}" * 8).format(*("scans", "worker CPU", "server CPU", "worker MB", "server MB"), *LAST))
        for at in range(SCANS):
            before, counted, sent = usage.read(), await server.actions(), pool.requests
            sizes = await asyncio.gather(*(scan(number, at) for number in range(projects)))
            after, actions = usage.read(), (await server.actions()) - counted
            row = [after[0] - before[0], after[1] - before[1], *after[2:], _total(actions) / projects + 1]
            row += [sum(sizes) / projects / 1e3, (pool.requests - sent) / projects]
            print(f"{projects:>14}" + "".join(f"{each:>14.1f}" for each in row), flush=True)


LAST = ("actions/scan", "kB/scan", "requests/scan")


async def width(server: Metered, services: int, affected: int) -> list[str]:
    async with stage(server.temporal) as on:
        troubled = [wide.service(number) for number in range(affected)]
        repository = {"repository": f"{on.environment_id}/shop"}
        on.world.services = (
            *(each.model_copy(update=repository) for each in troubled),
            *(samples.service(f"well-{number}") for number in range(services - affected)),
        )
        on.world.findings = tuple(each for one in troubled for each in wide.findings(one, on.environment_id))
        usage = Usage()
        before, counted = usage.read(), await server.actions()
        report = await on.scan(policy=wide.POLICY)
        history = await on.client.get_workflow_handle(on.scans[-1]).fetch_history()
        for repair in {row.repair_workflow_id for row in report.rows if row.repair_workflow_id}:
            await on.repair(repair)
        after, actions = usage.read(), _total((await server.actions()) - counted) + 1
    size = sum(event.ByteSize() for event in history.events) / 1e3
    cpu = [f"{after[number] - before[number]:.2f}" for number in (0, 1)]
    return [str(services), str(affected), str(actions), str(len(history.events)), f"{size:.0f}", *cpu]


async def whose(request: Request) -> JSONResponse:
    """Answer the one question of a worker's start: which environment a token is of."""
    await asyncio.sleep(LATENCY_SECONDS)
    environment = request.headers["Project-Access-Token"]
    return JSONResponse({"data": {"projectToken": {"projectId": PROJECT, "environmentId": environment}}})


def start_worker(temporal: str, projects: int) -> None:
    """Print how long a worker of so many projects needs until it takes work, with a token each."""
    table = (
        '[[projects]]\nname = "e{0}"\nproject_id = "{1}"\nenvironment_id = "e{0}"\ntoken_env = "TOKEN{0}"\n'
    )
    railway = Starlette(routes=[Route("/", whose, methods=["POST"])])
    with TemporaryDirectory() as folder, serving(railway) as url:
        (Path(folder) / "railmend.toml").write_text(
            "".join(table.format(n, PROJECT) for n in range(projects))
        )
        variables = {"TEMPORAL_ADDRESS": temporal, "RAILWAY_API_URL": url, "RAILMEND_HEALTH_ADDRESS": HEALTH}
        variables |= {"RAILMEND_STATE_DIR": folder}
        tokens = {f"TOKEN{n}": f"e{n}" for n in range(projects)}
        command = [sys.executable, Path("worker.py").absolute()]
        began = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, env=os.environ | variables | tokens, stdout=subprocess.DEVNULL
        ) as process:
            while not _ready(process):
                time.sleep(0.05)
            took, cpu = time.perf_counter() - began, sum(psutil.Process(process.pid).cpu_times()[:2])
            process.terminate()
    print(f"\nA worker of {projects} projects takes work after {took:.1f} s, {cpu:.1f} s of CPU")


def _ready(process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the worker ended with {process.returncode}")
    try:
        return httpx.get(f"http://{HEALTH}/readyz").is_success
    except httpx.TransportError:
        return False


def extrapolate() -> None:
    print(("{:>14}" * 5).format("projects", "actions", "USD", "requests/h", "with incidents"))
    for projects in (1, 10, 100, 1_000):
        quiet = costs.bill(costs.example(projects, incidents=False))
        busy = costs.bill(costs.example(projects, incidents=True))
        row = (f"{projects:,}", f"{quiet.actions:,}", f"{quiet.actions_usd:,.0f}", f"{quiet.requests:,.0f}")
        print(("{:>14}" * 5).format(*row, f"{busy.actions:,}"))


def _total(actions: Counter[str]) -> int:
    return sum(actions.values())


async def run(projects: int) -> None:
    process, url = start(SERVICES, SERVICES // 2, troubled=0)
    async with AsyncExitStack() as stack:
        stack.callback(process.kill)
        server = await stack.enter_async_context(metered())
        with server.temporal.with_time_skipping_disabled():
            await idle(server, url, projects)
        address = server.temporal.client.service_client.config.target_host
        await asyncio.to_thread(start_worker, address, STARTED)
        head = ("services", "affected", "actions", "scan events", "scan kB", "worker CPU", "server CPU")
        print("\n" + ("{:>14}" * len(head)).format(*head))
        for services in WIDTHS:
            for affected in AFFECTED:
                print(("{:>14}" * len(head)).format(*await width(server, services, affected)), flush=True)
    print()
    extrapolate()


def main(projects: int = PROJECTS) -> None:
    asyncio.run(run(projects))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
