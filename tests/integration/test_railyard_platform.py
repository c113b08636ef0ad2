"""The miniature Railway by itself: its GraphQL endpoint as it is on the wire, and what its processes do."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    is_leaf_type,
    parse,
    validate,
)

import railmend.railway
import railyard.api
from railyard.api.filters import FilterError, compile_filter
from railyard.platform import Platform, ServiceSpec, TrafficProfile
from railyard.platform.model import RequestProfile, utc_now
from tests.integration.test_railyard import APP, SERVICE, Yard, until, yard
from tests.unit.test_workspace import run

SCHEMA = build_schema((Path(railyard.api.__file__).parent / "schema.graphql").read_text())
DOCUMENTS = sorted(Path(railmend.railway.__file__).parent.rglob("*.graphql"))
TOKEN = {"Project-Access-Token": "good"}
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


async def post(
    on: Yard, body: Any, headers: dict[str, str] | None = None, path: str = "/graphql/v2"
) -> httpx.Response:
    async with httpx.AsyncClient(transport=on.transport, base_url="http://railway") as client:
        return await client.post(path, json=body, headers=TOKEN if headers is None else headers)


async def ask(on: Yard, query: str, **variables: Any) -> Any:
    # With a name on the query string: without one more than ten a second are refused.
    answer = (await post(on, {"query": query, "variables": variables}, path="/graphql/v2?op=test")).json()
    assert "errors" not in answer, answer
    return answer["data"]


def window() -> dict[str, str]:
    end = utc_now() + timedelta(seconds=1)
    return {"from": (end - timedelta(minutes=5)).isoformat(), "to": end.isoformat()}


def processes_below(folder: Path) -> list[psutil.Process]:
    """Those that work inside the folder."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        cwd = process.info["cwd"]
        if cwd and Path(cwd).is_relative_to(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def every_field(of: GraphQLObjectType, seen: tuple[str, ...] = ()) -> str:
    """A selection of everything below a type, once around each cycle."""
    parts = []
    for name, field in of.fields.items():
        target = get_named_type(field.type)
        if is_leaf_type(target):
            parts.append(name)
        elif isinstance(target, GraphQLObjectType) and target.name not in seen:
            parts.append(f"{name} {{ {every_field(target, (*seen, target.name))} }}")
    return " ".join(parts)


def whole(name: str, field: GraphQLField, arguments: str) -> str:
    target = get_named_type(field.type)
    below = f"{{ {every_field(target)} }}" if isinstance(target, GraphQLObjectType) else ""
    return f"{name}{arguments} {below}"


async def test_every_field_of_every_root_is_answered(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        await on.get("/")
        await until(lambda: len(on.runner.samples) > 1)
        deployment = on.runner.deployments[0].id
        at = window()
        http = (
            f'(environmentId: "e", serviceId: "{SERVICE}", startDate: "{at["from"]}", endDate: "{at["to"]}")'
        )
        one = f'(deploymentId: "{deployment}")'
        arguments = {
            "buildLogs": one,
            "deploymentLogs": one,
            "httpLogs": one,
            "deployment": f'(id: "{deployment}")',
            "deploymentEvents": f'(id: "{deployment}", first: 5)',
            "deploymentInstanceExecutions": (
                f'(input: {{environmentId: "e", serviceId: "{SERVICE}"}}, first: 5)'
            ),
            "deployments": '(input: {environmentId: "e"}, first: 5)',
            "dnsQueryLogs": '(environmentId: "e")',
            "networkFlowLogs": '(environmentId: "e")',
            "events": f'(projectId: "p", filter: {{serviceId: {{in: ["{SERVICE}"]}}}}, first: 5)',
            "environment": '(id: "e", projectId: "p")',
            "environmentLogs": '(environmentId: "e")',
            "httpDurationMetrics": http,
            "httpMetricsGroupedByStatus": http,
            "metrics": f'(environmentId: "e", startDate: "{at["from"]}", groupBy: [SERVICE_ID], '
            "measurements: [CPU_USAGE, CPU_LIMIT, MEMORY_USAGE_GB, MEMORY_LIMIT_GB])",
            "project": '(id: "p")',
            "serviceInstanceLimits": f'(environmentId: "e", serviceId: "{SERVICE}")',
            "tcpProxies": f'(environmentId: "e", serviceId: "{SERVICE}")',
        }
        assert SCHEMA.query_type is not None
        for name, field in SCHEMA.query_type.fields.items():
            data = await ask(on, "{ " + whole(name, field, arguments.get(name, "")) + " }")
            # Processes of this machine have no logs of their own network, and no proxies.
            none = name in ("dnsQueryLogs", "networkFlowLogs", "tcpProxies")
            assert data[name] or (none and data[name] == []), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_products_documents_are_valid_here(document: Path) -> None:
    assert validate(SCHEMA, parse(document.read_text())) == []


async def test_an_environment_shows_its_service_and_the_commit_it_runs(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        data = await ask(
            on,
            """{ projectToken { projectId environmentId } environment(id: "e") { serviceInstances(first: 1) {
              pageInfo { hasNextPage } edges { node { serviceName source { repo image }
              activeDeployments { status deploymentStopped meta instances { status } } } } } } }""",
        )
        assert data["projectToken"] == {"projectId": "p", "environmentId": "e"}
        services = data["environment"]["serviceInstances"]
        assert services["pageInfo"]["hasNextPage"] is False
        node = services["edges"][0]["node"]
        assert (node["serviceName"], node["source"]) == ("shop", {"repo": "acme/shop", "image": None})
        (active,) = node["activeDeployments"]
        meta = active.pop("meta")
        assert active == {
            "status": "SUCCESS",
            "deploymentStopped": False,
            "instances": [{"status": "RUNNING"}],
        }
        assert meta["commitHash"] == run(on.work, "rev-parse", "HEAD")
        assert (meta["repo"], meta["branch"], meta["reason"]) == ("acme/shop", "main", "deploy")
        assert meta["serviceManifest"]["deploy"]["startCommand"] == "python3 app.py"


async def test_metrics_are_grouped_only_when_asked(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        await on.get("/")
        await on.get("/fail")
        await until(lambda: len(on.runner.samples) > 1)
        data = await ask(
            on,
            """query($from: DateTime!, $to: DateTime!, $s: String!) {
              one: metrics(environmentId: "e", startDate: $from, endDate: $to, measurements: [CPU_LIMIT],
                groupBy: [SERVICE_ID], sampleRateSeconds: 600) { tags { serviceId } values { ts value } }
              all: metrics(environmentId: "e", startDate: $from, endDate: $to, sampleRateSeconds: 1,
                measurements: [MEMORY_USAGE_GB]) { tags { serviceId } values { value } }
              http: httpMetricsGroupedByStatus(environmentId: "e", serviceId: $s, startDate: $from,
                endDate: $to) { statusCode samples { value } }
              failed: httpDurationMetrics(environmentId: "e", serviceId: $s, startDate: $from, endDate: $to,
                statusCode: 500) { samples { p50 p99 } }
              none: httpDurationMetrics(environmentId: "e", serviceId: $s, startDate: $from, endDate: $to,
                statusCode: 404) { samples { p50 } }
            }""",
            s=SERVICE,
            **window(),
        )
        (one,), (total,) = data["one"], data["all"]
        assert one["tags"] == {"serviceId": SERVICE}
        assert [point["value"] for point in one["values"]] == [1.0]
        assert total["tags"] == {"serviceId": None}
        assert all(0 < point["value"] < 1 for point in total["values"])
        counts = {row["statusCode"]: row["samples"] for row in data["http"]}
        assert counts == {200: [{"value": 1.0}], 500: [{"value": 1.0}]}
        assert len(data["failed"]["samples"]) == 1
        assert data["none"]["samples"] == []


async def test_logs_are_filtered_and_limited_as_on_railway(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        for path in ("/a", "/fail", "/b", "/c"):
            await on.get(path)
        deployment = on.runner.deployments[0]
        await until(lambda: len(deployment.logs) == 2)
        query = """query($d: String!, $f: String, $n: Int) {
            httpLogs(deploymentId: $d, filter: $f, limit: $n) { path httpStatus }
            environmentLogs(environmentId: "e", filter: "@level:error AND @service:service-1")
              { severity message tags { serviceId } attributes { key value } } }"""
        data = await ask(on, query, d=deployment.id, f="@httpStatus:>=400 OR /b")
        assert [row["path"] for row in data["httpLogs"]] == ["/fail", "/b"]
        (error,) = data["environmentLogs"]
        assert error["message"] == "Traceback: it broke"
        assert error["severity"] == "error"
        assert error["attributes"] == [{"key": "level", "value": '"error"'}]
        # One more than asked, the newest, oldest first.
        data = await ask(on, query, d=deployment.id, n=1)
        assert [row["path"] for row in data["httpLogs"]] == ["/b", "/c"]


async def test_an_anchor_looks_back_and_on(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        for path in ("/1", "/2", "/3", "/4"):
            await on.get(path)
        middle = on.runner.edge.rows[1].at.isoformat()
        query = """query($d: String!, $at: String, $end: String, $back: Int, $forward: Int) {
            httpLogs(deploymentId: $d, anchorDate: $at, afterDate: $end,
              beforeLimit: $back, afterLimit: $forward) { path } }"""
        found = []
        for back, forward in ((0, 0), (5, 0), (0, 1), (5, 5)):
            one = {"d": on.runner.deployments[0].id, "at": middle, "end": window()["to"]}
            data = await ask(on, query, **one, back=back, forward=forward)
            found.append("".join(row["path"] for row in data["httpLogs"]))
        assert found == ["/2", "/1/2", "/2/3", "/1/2/3/4"]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("broke", True),
        ('"it broke"', True),
        ('"broke it"', False),
        ("-broke", False),
        ("@level:error", True),
        ("-@level:error", False),
        ("@level:warn OR (broke AND -fine)", True),
        ("-(broke OR fine)", False),
        ("@httpStatus:>=400 @httpStatus:<500", False),
        ("@httpStatus:500..599", True),
        ("@httpStatus:500", True),
        ("@unknown:1", False),
    ],
)
def test_the_filter_language(text: str, passes: bool) -> None:
    row: dict[str, str | float] = {"": "and then it broke", "level": "error", "httpStatus": 500.0}
    assert compile_filter(text)(row) is passes


@pytest.mark.parametrize("text", ["(open", "a OR", "AND b", "a )"])
def test_a_filter_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        compile_filter(text)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Not Authorized"),
        ({"Project-Access-Token": "bad"}, "Project Token not found"),
        ({"Authorization": "Bearer good"}, "Project Token not found"),
        ({"Authorization": "Bearer bad"}, "Not Authorized"),
    ],
)
async def test_a_wrong_token_is_refused_in_railways_shape(
    tmp_path: Path, headers: dict[str, str], message: str
) -> None:
    on = Yard(Platform(tmp_path, []), tmp_path, tmp_path)
    answer = await post(on, {"query": "{ platformStatus { isStable } }"}, headers)
    assert answer.status_code == 200
    assert answer.headers["RateLimit-Policy"] == '"default";q=1000;w=3600'
    (error,) = answer.json()["errors"]
    assert answer.json()["data"] is None
    assert (error["message"], error["extensions"]) == (message, {"code": "INTERNAL_SERVER_ERROR"})
    assert error["traceId"].isdecimal()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"query": "{ platformStatus {"}, 400, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ platformStatus { weather } }"}, 400, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query($i: String!) { project(id: $i) { id } }"}, 200, "BAD_USER_INPUT"),
        (
            {"query": '{ a: project(id: "no") { id } platformStatus { isStable } }'},
            200,
            "INTERNAL_SERVER_ERROR",
        ),
        (["no query"], 400, "BAD_USER_INPUT"),
    ],
)
async def test_errors_have_railways_status_and_code(
    tmp_path: Path, body: Any, status: int, code: str
) -> None:
    on = Yard(Platform(tmp_path, []), tmp_path, tmp_path)
    answer = await post(on, body)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (status, code)
    # One bad alias loses the whole answer, and says which it was.
    assert answer.json().get("data") is None
    assert error.get("path") == (["a"] if code == "INTERNAL_SERVER_ERROR" else None)


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
