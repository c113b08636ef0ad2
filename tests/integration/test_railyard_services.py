"""The services of the miniature Railway: real processes that start, serve, die and are stopped."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from railyard.platform import Platform, ServiceSpec, TrafficProfile
from railyard.platform.model import RequestProfile, utc_now
from tests.integration.test_railyard import APP, SERVICE, Yard, until, yard
from tests.integration.test_railyard_platform import ask
from tests.unit.test_workspace import run

ECHO = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        import gzip
        body = gzip.compress(f"{self.path} {self.headers.get('Cookie')}".encode())
        self.send_response(200)
        self.send_header("Set-Cookie", "one=1")
        self.send_header("Set-Cookie", "two=2")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
# Starts a child in its own group, then serves.
PARENT = "import subprocess, sys\nCHILD = subprocess.Popen(['sleep', '600'])\n" + APP
SILENT = "import time\ntime.sleep(600)\n"  # never listens


def processes_below(folder: Path) -> list[psutil.Process]:
    """Those that work inside the folder."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


async def test_requests_during_an_outage_belong_to_the_deployment_that_is_down(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        deployment = on.runner.deployments[0]
        on.runner._application.kill()
        await until(lambda: deployment.instance_status == "RESTARTING")
        assert (await on.get("/lost")).status_code == 502
        data = await ask(
            on,
            """query($d: String!) { httpLogs(deploymentId: $d, filter: "@httpStatus:502")
              { path responseDetails upstreamRqDuration } }""",
            d=deployment.id,
        )
        assert [row["path"] for row in data["httpLogs"]] == ["/lost"]
        assert data["httpLogs"][0]["responseDetails"]


async def test_the_edge_passes_paths_bodies_and_cookies_as_they_are(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        on.push(ECHO)
        await until(lambda: len(on.runner.deployments) == 2 and on.runner.deployments[1].status == "SUCCESS")
        first = await on.get("/a%3Fb?q=%2F")
        assert first.text == "/a%3Fb?q=%2F None"
        assert first.headers.get_list("set-cookie") == ["one=1", "two=2"]
        # The next user does not get the cookies of the one before.
        assert (await on.get("/")).text == "/ None"


async def test_what_dies_takes_its_children_along(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        on.push(PARENT)
        await until(lambda: len(on.runner.deployments) == 2 and on.runner.deployments[1].status == "SUCCESS")
        deployment = on.runner.deployments[1]
        parent = psutil.Process(on.runner._application._process.pid)
        (child,) = parent.children()
        parent.kill()
        await until(lambda: deployment.restarts == 1 and deployment.instance_status == "RUNNING")
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert processes_below(tmp_path) == []


async def test_stop_leaves_nothing_even_in_the_middle_of_a_deploy(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        on.push(SILENT)
        await until(lambda: len(processes_below(tmp_path)) == 2)
    assert processes_below(tmp_path) == []


def spec(folder: Path, **changes: Any) -> ServiceSpec:
    known: dict[str, Any] = {
        "service_id": SERVICE,
        "name": "shop",
        "repo": "acme/shop",
        "git_dir": folder / "bare.git",
        "start_command": ["python3", "app.py"],
        "memory_limit_gb": 1.0,
        "cpu_limit": 1.0,
    }
    return ServiceSpec(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"start_command": ["no-such-command"]}, "FAILED"),
        ({"root_directory": "/missing"}, "FAILED"),
        ({"root_directory": "/web"}, "SUCCESS"),
    ],
)
async def test_a_service_that_cannot_start_is_told_and_does_not_stop_the_others(
    tmp_path: Path, changes: dict[str, Any], status: str
) -> None:
    work, bare = tmp_path / "work", tmp_path / "bare.git"
    (work / "web").mkdir(parents=True)
    run(work, "init", "-q", "-b", "main")
    run(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    (work / "web" / "app.py").write_text(APP)
    platform = Platform(tmp_path / "state", [spec(tmp_path, **changes)], sample_seconds=0.2)
    Yard(platform, work, bare).push(APP)
    await platform.start()
    try:
        (deployment,) = platform.services[SERVICE].deployments
        assert deployment.status == status
        told = [row.message for row in deployment.logs if row.message.startswith("Cannot start")]
        assert bool(told) is (status == "FAILED")
    finally:
        await platform.stop()
    assert processes_below(tmp_path) == []


async def test_a_branch_without_commits_is_a_service_without_deployments(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "--bare", "-b", "main", str(tmp_path / "bare.git"))
    platform = Platform(tmp_path / "state", [spec(tmp_path)])
    await platform.start()
    try:
        on = Yard(platform, tmp_path, tmp_path)
        data = await ask(
            on,
            """{ environment(id: "e") { serviceInstances { edges { node { latestDeployment { id }
              activeDeployments { id } } } } } }""",
        )
        (edge,) = data["environment"]["serviceInstances"]["edges"]
        assert edge["node"] == {"latestDeployment": None, "activeDeployments": []}
        assert (await on.get("/")).status_code == 502
    finally:
        await platform.stop()


async def test_what_keeps_dying_ends_as_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("railyard.platform.service.RESTART_SECONDS", 0.01)
    async with yard(tmp_path) as on:
        deployment = on.runner.deployments[0]

        def kill_until(condition: Callable[[], bool]) -> Callable[[], bool]:
            def check() -> bool:
                if deployment.instance_status == "RUNNING" and on.runner._application.alive():
                    on.runner._application.kill()
                return condition()

            return check

        await until(kill_until(lambda: deployment.status == "CRASHED"))
        assert deployment.restarts == 10
        state = await ask(on, f'{{ deployment(id: "{deployment.id}") {{ status instances {{ status }} }} }}')
        assert state["deployment"] == {"status": "CRASHED", "instances": [{"status": "CRASHED"}]}


async def test_traffic_waits_for_its_start(tmp_path: Path) -> None:
    later = TrafficProfile(
        rate_per_second=100,
        requests=[RequestProfile(path="/")],
        starts_at=utc_now() + timedelta(hours=1),
    )
    async with yard(tmp_path, traffic=later) as on:
        await asyncio.sleep(0.3)
        assert len(on.runner.edge.rows) == 0


async def test_the_environment_of_a_service_is_made_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    async with yard(tmp_path) as on:
        application = on.runner._application
        given = psutil.Process(application._process.pid).environ()
        assert given["PORT"] == str(application.port)
        assert given["HOME"] == str(application._folder)
        assert "SECRET_OF_THE_HOST" not in given


async def test_people_can_look_at_the_state(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        await on.get("/")
        async with httpx.AsyncClient(transport=on.transport, base_url="http://railway") as client:
            (service,) = (await client.get("/_railyard/state")).json()
        assert (service["service"], service["requests"]) == ("shop", 1)
        assert service["deployments"][0]["status"] == "SUCCESS"
