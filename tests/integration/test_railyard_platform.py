"""The miniature Railway by itself: its GraphQL endpoint as it is on the wire."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
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
from railyard.api.logs import FilterError, compile_filter
from railyard.platform import Platform
from railyard.platform.model import utc_now
from tests.integration.test_railyard import SERVICE, Yard, until, yard
from tests.unit.test_workspace import run

SCHEMA = build_schema((Path(railyard.api.__file__).parent / "schema.graphql").read_text())
DOCUMENTS = sorted(Path(railmend.railway.__file__).parent.rglob("*.graphql"))
TOKEN = {"Project-Access-Token": "good"}


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
