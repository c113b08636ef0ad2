"""The processes of `starter.py demo`, and what becomes of them."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleHandle, WorkflowHandle

from activities.railway import RailwayActivities
from commands.durations import interval
from commands.progress import follow
from commands.scan_request import scan_request, start_scan
from commands.scan_result import ScanResult
from commands.schedule import create_or_update
from hosting import clients
from hosting.connection import local
from hosting.dev_server import Running, stop_server
from railmend.contracts.scan import HealthReport, ScreenRequest
from railmend.scan_settings import scan_settings
from railmend.settings import ConfigurationError, Settings, secret_variables

ROOT = Path(__file__).resolve().parent.parent
BROKEN = ("checkout", "catalog", "reports")
HEALTHY = ("storefront",)
START_SECONDS = 90
# Long enough for a leak to be told from a start-up, short enough to watch.
WINDOW_SECONDS = 55
# How often the services are measured until all of them show symptoms, and how long at most.
POLL_SECONDS = 5
SYMPTOM_SECONDS = 120
STOP_SECONDS = 15
# On a busy machine a window may hold too little to judge by: the demo gives up after so many scans.
SCANS = 3


@dataclass
class Demo:
    """The processes of one demo, with their logs in the folder `state`."""

    state: Path
    console: Console
    processes: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    logs: list[IO[bytes]] = field(default_factory=list)

    def start(self, name: str, arguments: list[str], environment: dict[str, str]) -> None:
        log = (self.state / f"{name}.log").open("ab")
        self.logs.append(log)
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.state), **environment},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append((name, process))

    async def wait_for(self, file: Path) -> dict[str, object]:
        """Return the JSON that a process writes when it is ready."""
        for _ in range(START_SECONDS * 5):
            for name, process in self.processes:
                if process.poll() is not None:
                    raise ConfigurationError(f"{name} ended early: see {self.state / name}.log")
            if file.exists():
                content: dict[str, object] = json.loads(file.read_text())
                return content
            await asyncio.sleep(0.2)
        raise ConfigurationError(f"{file.name} did not appear: see the logs in {self.state}")

    def stop(self) -> None:
        """Stop the worker first, so that nothing starts anew; the Temporal server it brought last."""
        for _, process in reversed(self.processes):
            _end(process)
        stop_server(self.state / "worker")
        for log in self.logs:
            log.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment(railyard: dict[str, object], state: Path) -> dict[str, str]:
    """Return variables as in production; MODEL from the caller's environment replaces the rehearsal."""
    values = {key: str(value) for key, value in railyard.items()}
    own = {
        key: os.environ[key] for key in ("MODEL", "MODEL_BASE_URL", "MODEL_API_KEY") if os.environ.get(key)
    }
    rehearsal = {
        "MODEL": "openai/rehearsal",
        "MODEL_BASE_URL": values.pop("REHEARSAL_URL"),
        "MODEL_API_KEY": "rehearsal",
        # The rehearsal can be trusted: where no sandbox works, the demo goes on without one.
        "RAILMEND_UNSAFE_AGENT": "1",
    }
    # What a `.env` of this folder says about somebody's real accounts is not the demo's.
    return {
        **dict.fromkeys(secret_variables(), ""),
        **values,
        **(own if "MODEL" in own else rehearsal),
        "RAILMEND_STATE_DIR": str(state / "worker"),
        "RAILMEND_AUTONOMY": "pull_request",
        "RAILMEND_WINDOW_SECONDS": str(WINDOW_SECONDS),
        "RAILMEND_STEP_SECONDS": "1",
        "RAILMEND_SETTLE_SECONDS": "2",
    }


async def play(keep: bool, state: Path | None, console: Console) -> int:
    """Return exit code 0 when each broken service has its pull request and the healthy one has none."""
    folder = state or Path(tempfile.mkdtemp(prefix="railmend-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    processes = Demo(folder, console)
    try:
        code = await _play(processes)
        if keep:
            await _until_interrupted(processes)
        return code
    finally:
        processes.stop()
        if state is None and not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _play(processes: Demo) -> int:
    console = processes.console
    console.print("[bold]1[/] A miniature Railway starts four real services; three of them have a bug.")
    processes.start("railyard", ["-m", "railyard", "--state", str(processes.state / "railyard")], {})
    railyard = await processes.wait_for(processes.state / "railyard" / "railyard.json")
    variables = environment(railyard, processes.state)
    console.print("[bold]2[/] A worker starts, and brings its own Temporal server.")
    processes.start("worker", ["worker.py", "--dev"], variables)
    temporal = Running.model_validate(await processes.wait_for(processes.state / "worker" / "temporal.json"))
    console.print(f"  Temporal Web UI: {temporal.ui}\n  Repositories:    {variables['FORGE_URL']}")
    console.print("[bold]3[/] Traffic flows until there are symptoms to measure, in about a minute.")
    os.environ.update(variables)  # from here on this process is an ordinary starter.py
    settings = local(Settings(), temporal.address)
    with console.status("measuring"):
        await until_symptoms(settings, console)
    client = await clients.temporal(settings)
    console.print("[bold]4[/] The schedule starts the health scan.")
    schedule = await create_or_update(client, scan_request(settings), interval("10m"))

    async def scan(again: tuple[str, ...] | None, window_seconds: int) -> ScanResult:
        if again is None:
            return await follow(client, await triggered(client, schedule), console)
        request = scan_request(settings, window_seconds=window_seconds)
        request = request.model_copy(update={"again": again})
        name = f"again-{time.monotonic_ns()}"
        handle = await start_scan(client, request, name, "The demo scans again", "demo")
        return await follow(client, handle, console)

    result = await scan_until_repaired(scan, console)
    console.print(f"Temporal Web UI: {temporal.ui}")
    return _verdict(result, console)


async def scan_until_repaired(
    scan: Callable[[tuple[str, ...] | None, int], Awaitable[ScanResult]], console: Console
) -> ScanResult:
    """Scan, and up to `SCANS` times in all for services that have no pull request yet.

    Each looks further back than the one before, as far as traffic has flowed: of a slow service, a short
    window holds too few requests. `scan`: given None the first one, else again for these services (their
    IDs), whatever their cool-down; and the seconds to look back.
    """
    result = await scan(None, WINDOW_SECONDS)
    for number in range(2, SCANS + 1):
        missing = _without_pull_request(result)
        if not missing:
            break
        console.print(f"[bold]5[/] Once more for {', '.join(missing)}: a scan sees more as traffic goes on.")
        await asyncio.sleep(WINDOW_SECONDS)
        result = result.then(await scan(_ids(result, missing), number * WINDOW_SECONDS))
    return result


async def until_symptoms(settings: Settings, console: Console, names: Collection[str] = BROKEN) -> None:
    """Measure as a scan does until all of `names` show symptoms, or for `SYMPTOM_SECONDS`."""
    railway = clients.railway(settings)
    activities, request = RailwayActivities(railway, clients.artifacts(settings)), scan_request(settings)
    scanned = scan_settings(settings, request)
    affected: set[str] = set()
    began = time.monotonic()
    await asyncio.sleep(scanned.window_seconds)
    try:
        while True:
            window = scanned.window(datetime.now(UTC))
            screening = await activities.screen(ScreenRequest(scan=request, window=window))
            candidates = {finding.service_name for finding in screening.findings}
            for name in sorted(candidates - affected):
                console.print(f"  {name} shows trouble")
            affected |= candidates
            if set(names) <= affected or time.monotonic() - began > SYMPTOM_SECONDS:
                return
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await railway.aclose()


async def triggered(client: Client, schedule: ScheduleHandle) -> WorkflowHandle[Any, HealthReport]:
    """Trigger the schedule and return the handle of the scan that it started."""
    await schedule.trigger()
    for _ in range(100):
        actions = (await schedule.describe()).info.recent_actions
        if actions:
            action = actions[-1].action
            if isinstance(action, ScheduleActionExecutionStartWorkflow):
                return client.get_workflow_handle(action.workflow_id, result_type=HealthReport)
        await asyncio.sleep(0.1)
    raise ConfigurationError("The schedule was triggered but started no scan.")


def _without_pull_request(result: ScanResult) -> list[str]:
    return [name for name in BROKEN if name not in result.pull_requests()]


def _ids(result: ScanResult, names: Collection[str]) -> tuple[str, ...]:
    """Return the ids of services to look at whatever their cool-down; none: all, where one was not found."""
    ids = {row.name: row.service_id for row in result.report.rows}
    return tuple(ids[name] for name in names) if set(names) <= set(ids) else ()


def _verdict(result: ScanResult, console: Console) -> int:
    pull_requests = result.pull_requests()
    missing = _without_pull_request(result)
    wrong = [name for name in HEALTHY if name in pull_requests]
    problems = [f"`{name}` got no pull request: {_reason(result, name)}" for name in missing]
    problems += [f"`{name}` got a pull request although nothing was wrong with it." for name in wrong]
    for problem in problems:
        console.print(f"[red]{escape(problem)}[/]", soft_wrap=True)
    if problems:
        return 1
    console.print("[green]Each broken service has its pull request; the healthy one was left alone.[/]")
    return 0


def _reason(result: ScanResult, name: str) -> str:
    """Return why a service has no pull request, in one sentence."""
    for row in result.report.rows:
        if row.name == name:
            repair = result.repairs.get(row.repair_workflow_id or "")
            reason = repair.reason if repair else row.detail or row.verdict
            return f"{reason.rstrip('.') or 'no reason is known'}."
    return "the scan found nothing wrong with it."


async def _until_interrupted(processes: Demo) -> None:
    processes.console.print(f"Left running; logs in {processes.state}. Stop with Ctrl-C.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
