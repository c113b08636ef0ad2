"""The whole loop with real processes: railyard, worker, Temporal, OpenCode, git."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console
from temporalio.client import Client, WorkflowHandle

from commands.demo_run import BROKEN, ROOT, Demo, environment, scan_until_repaired, triggered, until_symptoms
from commands.progress import follow
from commands.scan_request import scan_request, start_scan
from commands.scan_result import ScanResult
from commands.schedule import create_or_update
from hosting import clients
from hosting.dev_server import Running
from railmend.assessment.rules import assess
from railmend.assessment.settings import AssessmentRules
from railmend.contracts.repair import RepairOutcome, RepairResult
from railmend.contracts.scan import Finding, Window
from railmend.railway.client import RailwayClient
from railmend.settings import Settings
from railyard.platform.model import utc_now
from tests.patience import PATIENCE
from tests.unit.test_workspace import run
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.shared.policies import COOLDOWN

pytestmark = pytest.mark.integration
QUIET = Console(quiet=True)
HOUR = timedelta(hours=1)
# A report that computes for a second and more, all the time, leaves too little of a machine to all else: a
# slow disk takes as long and computes nothing.
REPORT_SECONDS = "REPORT_SECONDS = 0.03"
MEMORY, DISK = "lambda: time.monotonic()", "lambda: time.sleep(0.02) or time.monotonic()"
RULES = AssessmentRules(services={"reports": {"latency_ms": 300.0}})
QUICK = {"poll_seconds": 2, "outcome_seconds": [60], "reopen_seconds": 2, "retries": 0}


def lighter(services: Path) -> None:
    """Make their work less: reports wait, and half the traffic where little is enough for a symptom."""
    orders, app = services / "reports/orders.py", services / "reports/app.py"
    orders.write_text(re.sub(r"^REPORT_SECONDS = .*", REPORT_SECONDS, orders.read_text(), flags=re.MULTILINE))
    assert MEMORY in app.read_text()
    app.write_text(app.read_text().replace(MEMORY, DISK))
    manifest = json.loads((services / "manifest.json").read_text())
    for entry in manifest:
        if entry["name"] in ("catalog", "storefront"):
            entry["traffic"]["rate_per_second"] /= 2
    (services / "manifest.json").write_text(json.dumps(manifest))


class Run:
    """One demo, driven step by step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.demo = Demo(folder, QUIET)
        self.variables: dict[str, str] = {}

    async def start_railyard(self, *arguments: str) -> None:
        yard, services = self.folder / "railyard", self.folder / "services"
        lighter(shutil.copytree(ROOT / "railyard/services", services))
        arguments = ("--state", str(yard), "--services", str(services), *arguments)
        self.demo.start("railyard", ["-m", "railyard", *arguments], {})
        self.variables = environment(await self.demo.wait_for(yard / "railyard.json"), self.folder)
        self.variables["ASSESSMENT"] = RULES.model_dump_json(exclude_unset=True)

    async def start_worker(self, clock_ahead: timedelta = timedelta(0)) -> Running:
        """Start a worker, as on a machine whose clock is ahead by so much."""
        skewed = ["-m", "tests.skewed", str(clock_ahead.total_seconds())] if clock_ahead else []
        self.demo.start("worker", [*skewed, "worker.py", "--dev"], self.variables)
        return Running.model_validate(await self.demo.wait_for(self.folder / "worker" / "temporal.json"))

    def kill_worker(self) -> None:
        _, worker = self.demo.processes.pop()
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()

    async def client(self, temporal: Running, monkeypatch: pytest.MonkeyPatch) -> tuple[Client, Settings]:
        for name, value in self.variables.items():
            monkeypatch.setenv(name, value)
        settings = Settings(temporal_address=temporal.address)
        return await clients.temporal(settings), settings

    def pull_requests(self, repository: str) -> list[dict[str, object]]:
        state = json.loads((self.folder / "railyard" / "forge" / "state.json").read_text())
        return list(state["repos"][repository]["issues"].values())

    def git_dir(self, repository: str) -> Path:
        return self.folder / "railyard" / "forge" / f"{repository}.git"

    def open_code_servers(self) -> list[Path]:
        return list((self.folder / "worker" / "repairs").glob("*/run/server.json"))

    async def findings(self, seconds: int) -> list[Finding]:
        """What the newest stretch of time looks like."""
        railway = RailwayClient(self.variables["RAILWAY_API_URL"], SecretStr(self.variables["RAILWAY_TOKEN"]))
        ids = (self.variables["RAILWAY_PROJECT_ID"], self.variables["RAILWAY_ENVIRONMENT_ID"])
        try:
            end = utc_now() - timedelta(seconds=2)
            window = Window(start=end - timedelta(seconds=seconds), end=end, step_seconds=1)
            survey = await railway.surveyor.survey(*ids, window)
        finally:
            await railway.aclose()
        by_id = {service.service_id: service for service in survey.services}
        found: list[Finding] = []
        for one in survey.slices:
            service = by_id[one.service_id]
            found += assess(one, service, environment_id=ids[1], settings=RULES.settings_for(service))
        return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Run]:
    one = Run(folder)
    try:
        yield one
    finally:
        await asyncio.to_thread(one.demo.stop)


async def scan(client: Client, settings: Settings) -> ScanResult:
    request = scan_request(settings)
    schedule = await create_or_update(client, request, timedelta(hours=1))
    return await follow(client, await triggered(client, schedule), QUIET)


async def once_more(
    client: Client,
    settings: Settings,
    first: asyncio.Task[ScanResult],
    again: tuple[str, ...] | None,
    window_seconds: int,
) -> ScanResult:
    """As the demo does: on a busy machine the first window may hold too few requests of a slow service."""
    if again is None:
        return await first
    request = scan_request(settings, window_seconds=window_seconds).model_copy(update={"again": again})
    return await follow(
        client, await start_scan(client, request, f"again-{window_seconds}", "once more", "test"), QUIET
    )


def holders_of(secret: str, folder: Path) -> list[str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return [str(file) for file in files if secret.encode() in file.read_bytes()]


class Person:
    """Reviews, merges and closes, as somebody who may write."""

    def __init__(self, on: Run, repository: str) -> None:
        token = json.loads((on.folder / "railyard" / "person.json").read_text())["GITHUB_TOKEN"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self._api = f"{on.variables['GITHUB_API_URL']}/repos/{repository}"

    def __call__(self, method: str, path: str, /, **body: Any) -> Any:
        answer = httpx.request(method, self._api + path, json=body, headers=self._headers, timeout=30)
        return answer.raise_for_status().json()

    async def until_said(self, text: str) -> str:
        while True:
            for comment in self("GET", "/issues/1/comments"):
                if text in comment["body"]:
                    return str(comment["body"])
            await asyncio.sleep(1)


async def test_a_killed_worker_still_ends_in_one_fix_each_that_is_reviewed_merged_and_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the killed worker was an hour ahead, that of the next one is an hour behind."""
    async with asyncio.timeout(3 * PATIENCE), running(tmp_path) as on:
        await on.start_railyard("--model-delay", "1")
        on.variables["RAILMEND_FOLLOW_UP"] = json.dumps(QUICK)
        temporal = await on.start_worker(HOUR)
        client, settings = await on.client(temporal, monkeypatch)
        await until_symptoms(settings, QUIET)
        scanning = asyncio.create_task(scan(client, settings))
        while not on.open_code_servers() and not scanning.done():  # noqa: ASYNC110 - made elsewhere
            await asyncio.sleep(0.2)
        await asyncio.sleep(4)  # a few steps into the sessions
        environments = [
            Path(f"/proc/{json.loads(file.read_text())['pid']}/environ").read_bytes()
            for file in on.open_code_servers()
        ]
        on.kill_worker()
        mid_session = holders_of(settings.github_token.get_secret_value(), tmp_path / "worker")  # type: ignore[union-attr]
        again = await on.start_worker(-HOUR)
        assert again == temporal, "the restarted worker adopts the Temporal server"
        ending = await scan_until_repaired(partial(once_more, client, settings, scanning), QUIET)
        one_pull_request_each(on, ending)

        token = on.variables["GITHUB_TOKEN"]
        assert environments
        assert not any(token.encode() in each for each in environments)
        assert mid_session == []
        assert holders_of(token, tmp_path / "worker") == []
        assert holders_of(token, tmp_path / "worker.log") == []
        assert not list((tmp_path / "worker" / "repairs").glob("*/tree")), "workspaces are removed"

        for name in BROKEN:
            check_tests_of(on, name, tmp_path / "checkouts" / name)
        for name in BROKEN[1:]:
            Person(on, f"acme/{name}")("PUT", "/pulls/1/merge", merge_method="squash")
        (repair,) = (row.repair_workflow_id for row in ending.report.rows if row.name == BROKEN[0])
        await reviewed_merged_and_held(
            on, client, client.get_workflow_handle_for(RepositoryRepair.run, repair or "")
        )


def one_pull_request_each(on: Run, ending: ScanResult) -> None:
    assert set(ending.pull_requests()) == set(BROKEN), [
        (row.name, row.verdict, row.action, row.detail) for row in ending.report.rows
    ]
    for name in BROKEN:
        assert len(on.pull_requests(f"acme/{name}")) == 1
        branches = run(on.git_dir(f"acme/{name}"), "branch", "--list", "railmend/*").split()
        assert len(branches) == 1
    assert on.pull_requests("acme/storefront") == []


async def until_well(on: Run) -> None:
    """Nothing is wrong in the newest stretch, and nothing ten seconds later.

    A request that began before a fix was live may end long after it, and counts when it ends.
    """
    well = 0
    while well < 2:
        await asyncio.sleep(10)
        well = 0 if await on.findings(40) else well + 1


async def reviewed_merged_and_held(
    on: Run, client: Client, repair: WorkflowHandle[RepositoryRepair, RepairResult]
) -> None:
    """A person asks for another fix of the first service, and merges it."""
    you = Person(on, "acme/checkout")
    you("POST", "/issues/1/comments", body="Use a bounded LRU instead, please.")
    answer = await you.until_said("Done in ")
    assert "> you: Use a bounded LRU instead, please." in answer
    branch = you("GET", "/pulls/1")["head"]["ref"]
    git_dir = on.git_dir("acme/checkout")
    assert "move_to_end" in run(git_dir, "show", f"{branch}:quotes.py")
    commits = run(git_dir, "log", "--format=%s", f"main..{branch}").splitlines()
    assert (len(commits), commits[0]) == (2, "Answer the review of you")
    you("PUT", "/pulls/1/merge", merge_method="squash")
    result, _ = await asyncio.gather(repair.result(), until_well(on))
    assert result.outcome is RepairOutcome.HELD, result.reason
    assert result.merge is not None
    assert result.merge.sha == run(git_dir, "rev-parse", "main")
    told = await you.until_said("## The fix holds")
    assert "memory leak" in told
    assert "xychart-beta" in told
    labels = [label["name"] for label in you("GET", "/issues/1/labels")]
    assert "railmend: held" in labels
    assert not list((on.folder / "worker" / "repairs").glob(f"*{repair.id.rpartition('/')[2]}*"))
    await ledger_keeps_the_servers_time(on, client, repair)


async def ledger_keeps_the_servers_time(
    on: Run, client: Client, repair: WorkflowHandle[RepositoryRepair, RepairResult]
) -> None:
    """The cool-down begins as the repair ends, and what was spent counts for the day it was spent on."""
    ledger = client.get_workflow_handle_for(Ledger.run, f"ledger/{on.variables['RAILWAY_PROJECT_ID']}")
    state, ended = await ledger.query(Ledger.state), (await repair.describe()).close_time
    assert ended is not None
    (entry,) = (entry for entry in state.entries if entry.holder == repair.id)
    assert entry.cooldown_until is not None
    assert abs(entry.cooldown_until - COOLDOWN - ended) < timedelta(minutes=5)
    scanned_on = min(entry.since, ended)
    assert {day.key for day in state.days} <= {f"{scanned_on:%Y-%m-%d}", f"{ended:%Y-%m-%d}"}


def check_tests_of(on: Run, name: str, folder: Path) -> None:
    branch = str(on.pull_requests(f"acme/{name}")[0]["head"])
    folder.parent.mkdir(exist_ok=True)
    run(folder.parent, "clone", "-q", "-b", branch, str(on.git_dir(f"acme/{name}")), str(folder))
    command = [sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
