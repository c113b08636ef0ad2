"""Schedules beside settings that change, and projects of which one is wrong. Real server and worker."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import MetricMeter
from temporalio.testing import WorkflowEnvironment

from commands.checks.check import CheckResult, CheckStatus
from commands.checks.temporal import scans
from commands.progress import follow
from commands.scan_request import start_scan
from commands.schedule import create_or_update
from hosting import clients, missed_scans, scan_watch
from hosting.dev_server import binary
from railmend.contracts.scan import HealthReport, ScanRequest
from railmend.settings import Settings
from railyard.api.behaviour import Behaviour, Gatekeeper, WholeFault
from railyard.api.server import graphql_app
from railyard.api.synthetic import ENVIRONMENT, PROJECT, Synthetic
from tests.integration.serving import serving
from tests.patience import PATIENCE
from workflows.scan.alarm import ScanAlarm
from workflows.scan.health_scan import HealthScan
from workflows.shared.failures import reason_of
from workflows.shared.search_attributes import REGISTRY
from workflows.shared.start import ORCHESTRATION_QUEUE

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


class OneEnvironment(Synthetic):
    """A service in trouble, in an environment of any id."""

    def __init__(self, environment_id: str) -> None:
        super().__init__(2, 1, 1)
        self._id = environment_id

    def _projectToken(self, _: Any) -> dict[str, Any]:  # noqa: N802 - the schema's name
        return {**super()._projectToken(_), "environmentId": self._id}

    def _environment(self, _: Any, **arguments: Any) -> dict[str, Any]:
        right = {"id": ENVIRONMENT} if arguments["id"] == self._id else {}
        return {**super()._environment(_, **{**arguments, **right}), "id": self._id}


class Railway:
    """Environments by their project tokens, `token-shop` of `env-shop`; other tokens are refused."""

    def __init__(self, *names: str) -> None:
        self._apps = {
            f"token-{name}": graphql_app(
                OneEnvironment(f"env-{name}").root,
                token=f"token-{name}",
                gatekeeper=Gatekeeper(),
            )
            for name in names
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"]).get(b"project-access-token", b"").decode()
        await self._apps.get(token, next(iter(self._apps.values())))(scope, receive, send)


class Installation:
    """A folder with settings, its worker, and commands that are run in it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
        self._worker: subprocess.Popen[bytes] | None = None

    def write(
        self, *projects: str, autonomy: str = "report", tokens: tuple[str, ...] = (), **named: str
    ) -> None:
        """`named`: another project's token for one of these. `tokens`: whose token is set; default: all."""
        tables = [
            f'[[projects]]\nname = "{name}"\nproject_id = "{PROJECT}"\nenvironment_id = "env-{name}"\n'
            f'token_env = "TOKEN_{name.upper()}"\nautonomy = "{autonomy}"\n'
            for name in projects
        ]
        (self.folder / "railmend.toml").write_text("\n".join(tables))
        given = {name: named.get(name, f"token-{name}") for name in tokens or projects}
        lines = [f"TOKEN_{name.upper()}={token}\n" for name, token in given.items()]
        (self.folder / ".env").write_text("".join(lines))
        (self.folder / ".env").chmod(0o600)

    def start_worker(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, ROOT / "worker.py", "--role", "orchestration"],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def exit_code(self) -> int:
        assert self._worker is not None
        return self._worker.wait(60)

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.terminate()
            self._worker.wait(30)

    def starter(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, ROOT / "starter.py", *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary()),
        search_attributes=REGISTRY,
        dev_server_extra_args=[
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000"),
            *("--dynamic-config-value", "history.timerProcessorMaxPollRPS=1000"),
        ],
    ) as started:
        yield started


@pytest.fixture
def told() -> list[dict[str, str]]:
    """What came to the channel."""
    return []


@pytest.fixture
def place(
    server: WorkflowEnvironment, told: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    async def hook(request: Request) -> JSONResponse:
        told.append(await request.json())
        return JSONResponse({})

    channel = Starlette(routes=[Route("/", hook, methods=["POST"])])
    railway = Starlette()
    railway.mount("/", Railway("shop", "blog", "wiki", "cart"))
    with serving(railway) as api, serving(channel) as url:
        variables = {
            "TEMPORAL_ADDRESS": str(server.client.service_client.config.target_host),
            "RAILWAY_API_URL": f"{api}/graphql/v2",
            "GITHUB_TOKEN": "ghp_x",
            "NOTIFY_SLACK_URL": f"{url}/",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        one = Installation(tmp_path, variables)
        try:
            yield one
        finally:
            one.stop()


async def client_of() -> Client:
    return await clients.temporal(Settings())


async def until(true: Callable[[], Any], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - made elsewhere
            await asyncio.sleep(0.1)


async def newest_scan(client: Client, name: str, count: int) -> WorkflowHandle[HealthScan, HealthReport]:
    """The schedule's scan of that number."""
    schedule = client.get_schedule_handle(f"scan/env-{name}")
    async with asyncio.timeout(PATIENCE):
        while True:
            actions = (await schedule.describe()).info.recent_actions
            if len(actions) >= count:
                action = actions[-1].action
                assert isinstance(action, ScheduleActionExecutionStartWorkflow)
                return client.get_workflow_handle_for(
                    HealthScan.run, action.workflow_id, run_id=action.first_execution_run_id
                )
            await asyncio.sleep(0.1)


async def scan(client: Client, name: str, count: int) -> HealthReport | str:
    """Trigger the schedule for the `count`-th time; return the report, or why there is none."""
    await client.get_schedule_handle(f"scan/env-{name}").trigger()
    handle = await newest_scan(client, name, count)
    try:
        return await asyncio.wait_for(handle.result(), 60)
    except WorkflowFailureError as error:
        return reason_of(error.cause)


async def doctor_on(client: Client) -> dict[str, CheckResult]:
    results = await scans(client, Settings())
    return {result.name.rpartition(" ")[2]: result for result in results}


async def test_a_schedule_keeps_to_the_settings_of_the_day_and_another_interval_changes_no_autonomy(
    place: Installation,
) -> None:
    place.write("shop", autonomy="report")
    place.start_worker()
    client = await client_of()
    said = place.starter("schedule", "create", "--every", "2h")
    assert "only measure and report; no model is asked (autonomy of project shop = report)" in said
    report = await scan(client, "shop", 1)
    assert isinstance(report, HealthReport)
    assert [row.verdict for row in report.rows] == ["affected"], "nothing is investigated"

    place.write("shop", autonomy="plan")
    said = place.starter("schedule", "create", "--every", "3h", "--project", "shop")
    assert "a repair waits for `starter.py approve`" in said
    assert "25 USD a day and at most 250 USD a month" in said
    description = await client.get_schedule_handle("scan/env-shop").describe()
    assert [spec.every for spec in description.schedule.spec.intervals] == [timedelta(hours=3)]
    action = description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    (stored,) = await client.data_converter.decode(action.args, [ScanRequest])  # type: ignore[arg-type]
    assert stored == ScanRequest(project_id=PROJECT, environment_id="env-shop")
    assert action.execution_timeout == timedelta(hours=4)
    await client.get_schedule_handle("scan/env-shop").trigger()
    planned = await newest_scan(client, "shop", 2)
    async with asyncio.timeout(PATIENCE):
        while not (await planned.describe()).raw_description.pending_children:  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.1)
    await planned.terminate()


async def test_one_of_three_projects_is_misconfigured_and_the_other_two_are_scanned(
    place: Installation, told: list[dict[str, str]]
) -> None:
    place.write("shop", "blog", "wiki", blog="token-wiki")
    place.start_worker()
    client = await client_of()
    for name in ("shop", "blog", "wiki"):
        place.starter("schedule", "create", "--every", "2h", "--project", name)
    for number in (1, 2):
        for name in ("shop", "wiki"):
            assert isinstance(await scan(client, name, number), HealthReport)
        assert "is the project token of environment env-wiki" in str(await scan(client, "blog", number))
    assert "this project is not watched until it is put right" in place.log()

    doctor = await doctor_on(client)
    assert (doctor["shop"].status, doctor["wiki"].status) == (CheckStatus.OK, CheckStatus.OK)
    assert doctor["blog"].status is CheckStatus.BAD
    assert doctor["blog"].message.startswith("The last 2 scans failed, since 20")
    assert "is the project token of environment env-wiki" in doctor["blog"].message

    for _ in range(2):  # as two workers do, and one after its restart
        await scan_watch.look(client, Settings(), ORCHESTRATION_QUEUE, MetricMeter.noop)
    await until(lambda: told)
    assert len(told) == 1
    assert "Project blog is not being scanned" in told[0]["text"]

    place.write("shop", "blog", "wiki")
    assert isinstance(await scan(client, "blog", 3), HealthReport)
    assert (await doctor_on(client))["blog"].status is CheckStatus.OK
    await scan_watch.look(client, Settings(), ORCHESTRATION_QUEUE, MetricMeter.noop)
    await asyncio.wait_for(client.get_workflow_handle_for(ScanAlarm.run, "alarm/env-blog").result(), 30)
    assert len(told) == 1


async def test_projects_come_and_go_and_a_broken_file_stops_none_while_the_worker_runs(
    place: Installation,
) -> None:
    place.write("shop", "blog", tokens=("shop",))
    place.start_worker()
    client = await client_of()
    place.starter("schedule", "create", "--every", "2h", "--project", "shop")
    place.starter("schedule", "create", "--every", "2h", "--project", "blog")
    assert isinstance(await scan(client, "shop", 1), HealthReport)
    assert "TOKEN_BLOG is not set" in str(await scan(client, "blog", 1))

    place.write("shop", "cart")
    place.starter("schedule", "create", "--every", "2h", "--project", "cart")
    assert isinstance(await scan(client, "cart", 1), HealthReport)

    assert "`starter.py schedule delete --project env-blog`" in str(await scan(client, "blog", 2))
    place.starter("schedule", "delete", "--project", "env-blog")

    good = (place.folder / "railmend.toml").read_text()
    (place.folder / "railmend.toml").write_text("[[projects]\n")
    await client.get_schedule_handle("scan/env-shop").trigger()
    report = await (await newest_scan(client, "shop", 2)).result()
    assert [row.verdict for row in report.rows] == ["affected"]
    assert "settings refused, the last good ones stay in force" in place.log()
    (place.folder / "railmend.toml").write_text(good)
    assert isinstance(await scan(client, "shop", 3), HealthReport)


async def test_a_worker_of_which_every_project_is_refused_ends_with_the_reasons(place: Installation) -> None:
    place.write("shop", "blog", shop="token-blog", blog="token-shop")
    place.start_worker()
    assert place.exit_code() == 2
    for name in ("shop", "blog"):
        assert f"Project {name}: The token of {name} is the project token of environment" in place.log()


async def test_scans_that_are_skipped_because_one_hangs_are_told_with_the_way_out(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed_scans, "LONG", timedelta(0))
    place.write("shop")
    client = await client_of()
    request = ScanRequest(project_id=PROJECT, environment_id="env-shop")
    handle = await create_or_update(client, request, timedelta(seconds=1))
    hanging = await newest_scan(client, "shop", 1)  # no worker takes it
    doctor: dict[str, CheckResult] = {}
    async with asyncio.timeout(PATIENCE):
        while not doctor or "2 scans were skipped" not in doctor["shop"].message:
            await asyncio.sleep(0.1)
            doctor = await doctor_on(client)
    assert doctor["shop"].status is CheckStatus.BAD
    assert f"{hanging.id} still runs, and waits for a worker" in doctor["shop"].message
    assert doctor["shop"].hint.endswith(f"temporal workflow terminate --workflow-id {hanging.id}")
    await handle.pause()
    await hanging.terminate()
    assert (await doctor_on(client))["shop"].status is CheckStatus.WARNING
    assert (await hanging.describe()).status is WorkflowExecutionStatus.TERMINATED


async def waiting(client: Client, text: str, folder: Path) -> str:
    """Start a scan and follow it until the command says that it waits; return what it says."""
    written = folder / "said.txt"
    request = ScanRequest(project_id=PROJECT, environment_id="env-shop")
    handle = await start_scan(client, request, text, "Scan on request", "scan")
    with written.open("w") as file:
        following = asyncio.create_task(follow(client, handle, Console(file=file, width=400)))
        try:
            await until(lambda: file.flush() or "waits" in written.read_text())
        finally:
            await handle.terminate()
            await asyncio.gather(following, return_exceptions=True)
    return written.read_text()


async def test_a_scan_says_that_it_waits_for_what_and_until_when(place: Installation) -> None:
    place.write("shop")
    client = await client_of()
    assert "waits for a worker: start `worker.py`" in await waiting(client, "alone", place.folder)
    api = os.environ["RAILWAY_API_URL"].removesuffix("/graphql/v2")
    limited = Behaviour(wholes=[WholeFault(kind="429", retry_after=50, times=1000)])
    async with httpx.AsyncClient(headers={"Project-Access-Token": "token-shop"}) as http:
        answer = await http.put(f"{api}/_railyard/behaviour", json=limited.model_dump(mode="json"))
    answer.raise_for_status()
    place.start_worker()
    said = await waiting(client, "limited", place.folder)
    while "for a worker" in said:  # it is only starting
        said = await waiting(client, "limited", place.folder)
    assert re.search(r"waits Railway's rate limit is reached.* tried again at \d\d:\d\d:\d\d UTC", said), said
