"""The product's Railway client against services that really run."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from railmend.contracts.scan import ServiceKind, Window
from railmend.railway.client import RailwayClient
from railmend.railway.errors import NotAuthorized, ProjectTokenInvalid
from railyard.api import build_api
from railyard.platform import Platform, ServiceSpec, TrafficProfile
from railyard.platform.model import RequestProfile, utc_now
from tests.unit.test_workspace import run

APP = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
KEPT = []
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/fail":
            print("Traceback: it broke", file=sys.stderr)
        if self.path == "/eat":
            KEPT.append(bytearray(80_000_000))
        self.send_response(500 if self.path == "/fail" else 200)
        self.end_headers()
        self.wfile.write(b"VERSION")
    def log_message(self, *args): pass
print("up")
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SERVICE = "service-1"


class Yard:
    def __init__(self, platform: Platform, work: Path, bare: Path) -> None:
        self.platform, self.work, self.bare = platform, work, bare
        api = build_api(platform, project_id="p", project_name="acme", environment_id="e", token="good")
        self.transport = httpx.ASGITransport(app=api)

    @property
    def runner(self) -> Any:
        return self.platform.services[SERVICE]

    def client(self, token: str = "good", kind: str = "project") -> RailwayClient:
        return RailwayClient("http://railway/graphql/v2", SecretStr(token), kind, self.transport)  # type: ignore[arg-type]

    def push(self, text: str) -> str:
        (self.work / "app.py").write_text(text)
        run(self.work, "add", "-A")
        run(self.work, "commit", "-qm", "change")
        run(self.work, "push", "-q", str(self.bare), "main")
        return run(self.work, "rev-parse", "HEAD")

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.runner.address.url) as client:
            return await client.get(path)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen within 30 s")


@asynccontextmanager
async def yard(
    folder: Path, *, limit: float = 1.0, traffic: TrafficProfile | None = None
) -> AsyncIterator[Yard]:
    work, bare = folder / "work", folder / "bare.git"
    work.mkdir()
    run(work, "init", "-q", "-b", "main")
    run(folder, "init", "-q", "--bare", "-b", "main", str(bare))
    spec = ServiceSpec(
        service_id=SERVICE,
        name="shop",
        repo="acme/shop",
        git_dir=bare,
        start_command=["python3", "app.py"],
        memory_limit_gb=limit,
        cpu_limit=1.0,
        traffic=traffic,
    )
    platform = Platform(folder / "state", [spec], sample_seconds=0.2)
    built = Yard(platform, work, bare)
    built.push(APP.replace("VERSION", "one"))
    await platform.start()
    try:
        yield built
    finally:
        await platform.stop()


def last_minute(step: int = 1) -> Window:
    end = utc_now() + timedelta(seconds=2)
    return Window(start=end - timedelta(seconds=60), end=end, step_seconds=step)


async def test_architecture_series_and_logs_tell_what_happened(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        for _ in range(8):
            assert (await on.get("/")).text == "one"
        for _ in range(2):
            assert (await on.get("/fail")).status_code == 500
        await until(lambda: len(on.runner.samples) >= 3)
        client = on.client()
        window = last_minute()
        survey = await client.surveyor.survey("p", "e", window)
        (service,), (one,) = survey.services, survey.slices
        assert (service.name, service.kind, service.repository) == ("shop", ServiceKind.WEB, "acme/shop")
        assert service.commit == run(on.work, "rev-parse", "HEAD")
        assert service.branch == "main"
        assert survey.unseen == []
        assert survey.fine
        assert sum(filter(None, one.http["2xx"])) == 8
        assert sum(filter(None, one.http["5xx"])) == 2
        assert any(value and value > 0.005 for value in one.memory_gb)
        assert any(value is not None for value in one.latency["p95"])
        deployment = service.active_deployment_id
        assert deployment is not None
        rows = await client.deploy_logs(deployment, window.start, window.end)
        assert {(row.severity, row.message) for row in rows} == {
            ("info", "up"),
            ("error", "Traceback: it broke"),
        }
        failed = await client.http_logs(deployment, window.start, window.end, "@httpStatus:>=400")
        assert [(row.path, row.status) for row in failed] == [("/fail", 500), ("/fail", 500)]
        newest = await client.http_logs(deployment, window.start, window.end, limit=3)
        assert [row.path for row in newest] == ["/", "/fail", "/fail"]


async def test_a_new_commit_is_deployed_and_the_old_one_removed(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        commit = on.push(APP.replace("VERSION", "two"))
        await until(lambda: len(on.runner.deployments) == 2 and on.runner.deployments[1].status == "SUCCESS")
        await until(lambda: on.runner.deployments[0].status == "REMOVED")
        assert (await on.get("/")).text == "two"
        newest, oldest = await on.client().deployments("p", "e", SERVICE)
        assert (newest.status, newest.commit, newest.commit_message) == ("SUCCESS", commit, "change")
        assert oldest.status == "REMOVED"


async def test_a_commit_that_does_not_start_leaves_the_old_one_serving(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        on.push("raise SystemExit('no')")
        await until(lambda: on.runner.deployments[-1].status == "CRASHED")
        assert (await on.get("/")).text == "one"
        (service,) = (await on.client().surveyor.survey("p", "e", last_minute())).services
        assert service.latest_status == "CRASHED"
        assert service.active_deployment_id != service.latest_deployment_id


async def test_what_dies_is_restarted_and_what_eats_too_much_is_killed(tmp_path: Path) -> None:
    async with yard(tmp_path, limit=0.2) as on:
        deployment = on.runner.deployments[0]
        os.kill(on.runner._application._process.pid, signal.SIGKILL)
        await until(lambda: deployment.restarts == 1 and deployment.instance_status == "RUNNING")
        assert (await on.get("/")).text == "one"
        for _ in range(3):
            await on.get("/eat")
        await until(lambda: deployment.restarts == 2)
        assert any("out of memory (limit 0.20 GB)" in row.message for row in deployment.logs)


async def test_traffic_flows_by_itself_and_nothing_is_left_behind(tmp_path: Path) -> None:
    profile = TrafficProfile(rate_per_second=50, requests=[RequestProfile(path="/items/{n}", n_max=3)])
    async with yard(tmp_path, traffic=profile) as on:
        await until(lambda: len(on.runner.edge.rows) >= 20)
        paths = {row.path for row in on.runner.edge.rows}
        pid = on.runner._application._process.pid
    assert paths <= {"/items/1", "/items/2", "/items/3"}
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("token", "kind", "project", "environment", "error"),
    [
        ("bad", "project", "p", "e", ProjectTokenInvalid),
        ("good", "bearer", "p", "e", ProjectTokenInvalid),
        ("bad", "bearer", "p", "e", NotAuthorized),
        ("good", "project", "p", "other", NotAuthorized),
        ("good", "project", "other", "e", NotAuthorized),
    ],
)
async def test_refusals_are_told_apart(
    tmp_path: Path, token: str, kind: str, project: str, environment: str, error: type[Exception]
) -> None:
    platform = Platform(tmp_path, [])
    with pytest.raises(error, match="trace") as caught:
        await (
            Yard(platform, tmp_path, tmp_path)
            .client(token, kind)
            .surveyor.survey(project, environment, last_minute())
        )
    assert not caught.value.retryable  # type: ignore[attr-defined]
