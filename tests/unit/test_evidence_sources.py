"""What the sources make of Railway's and GitHub's answers."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from activities.by_reference import EvidenceActivities
from activities.deployments import DeploymentActivities
from activities.logs import MAX_HTTP_ROWS, MAX_ROWS, LogActivities
from railmend.contracts.incident import (
    EvidencePacket,
    EvidenceSource,
    Fact,
    Facts,
    IncidentRequest,
    PacketRequest,
    StoredFacts,
)
from railmend.contracts.proof import RequestSample
from railmend.contracts.scan import FindingKind
from railmend.evidence.condense import condense_logs
from railmend.evidence.http import condense_http
from railmend.evidence.incident_facts import finding_facts, hints, onset
from railmend.evidence.packet import number, render
from railmend.railway.client import RailwayClient
from railmend.railway.context import Context
from railmend.railway.errors import RailwayError
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.model import HttpLogLine, LogLine
from railmend.railway.parse import iso
from railmend.railway.pool import RailwayPool
from railmend.railway.transport import Transport
from railyard.api.behaviour import Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from railyard.rehearsal.diagnosis import diagnose as rehearse
from tests import samples
from tests.kept import facts_of, memory_store

NOW = samples.NOW
ROOT = Path(__file__).parents[2]


# -- against the miniature's synthetic project


def transport(handler: Callable[[httpx.Request], httpx.Response] | None = None) -> Transport:
    inner: httpx.AsyncBaseTransport = (
        httpx.MockTransport(handler)
        if handler
        else httpx.ASGITransport(app=build_synthetic(Synthetic(2, 1), Gatekeeper()))
    )
    url, gate = "http://railway/graphql/v2", RateLimiter(RateLimits(per_second=10_000))
    return Transport(url, SecretStr(TOKEN), "project", inner, 30.0, gate)


def client(handler: Callable[[httpx.Request], httpx.Response]) -> RailwayClient:
    limits = RateLimits(per_second=10_000)
    return RailwayClient(
        "http://railway/graphql/v2", SecretStr(TOKEN), transport=httpx.MockTransport(handler), limits=limits
    )


def incident(**changes: Any) -> IncidentRequest:
    service = samples.service(service_id="service-0001", active_deployment_id="deployment-service-0001")
    return samples.incident(project_id=PROJECT, environment_id=ENVIRONMENT, service=service, **changes)


async def test_the_context_is_read_from_railway() -> None:
    context = Context(transport())
    ids = (PROJECT, ENVIRONMENT, "service-0001")
    assert [deployment.record.commit for deployment in await context.history(*ids)] == ["c" * 40]
    assert [step.name for step in await context.steps("deployment-service-0001")] == ["BUILD_IMAGE"]
    assert [change.action for change in await context.changes(*ids)] == ["deployed"]
    assert [variable.name for variable in await context.variables(*ids)] == ["UPSTREAM_URL"]


async def test_one_investigation_reads_its_deployments_once_and_a_failure_is_not_kept() -> None:
    answers = iter([httpx.Response(503), httpx.Response(200, json={"data": {"deployments": {"edges": []}}})])
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["op"])
        return next(answers)

    context = Context(transport(answer))
    ids = (PROJECT, ENVIRONMENT, "service-0001")
    with pytest.raises(RailwayError):
        await context.history(*ids)
    assert await asyncio.gather(*(context.history(*ids) for _ in range(3))) == [[], [], []]
    assert asked == ["deployments", "deployments"]


async def test_what_a_narrow_token_may_not_read_is_said_and_the_rest_is_given() -> None:
    history = {"id": "d", "status": "SUCCESS", "createdAt": iso(NOW), "meta": None}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params["op"] == "deployments":
            return httpx.Response(200, json={"data": {"deployments": {"edges": [{"node": history}]}}})
        return httpx.Response(200, json={"errors": [{"message": "Not Authorized"}], "data": None})

    artifacts = memory_store()
    stored = await DeploymentActivities(Only(client(answer)), artifacts).drift_facts(incident())
    facts = await facts_of(artifacts, stored)
    assert "No earlier deployment served" in facts.items[0].text
    assert [sentence.split(":")[0] for sentence in facts.unseen][1:] == [
        "Variable names",
        "The activity feed",
    ]


class Only(RailwayPool):
    """A pool of one client, whatever is asked for."""

    def __init__(self, client: RailwayClient) -> None:
        super().__init__("http://railway", ())
        self._client = client

    async def client_for(self, environment_id: str) -> RailwayClient:
        return self._client


def log_server(rows: list[dict[str, Any]], asked: list[str]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        variables = json.loads(request.content)["variables"]
        asked.append(variables.get("filter") or variables.get("deploymentId", ""))
        root = {"deployment_logs": "deploymentLogs", "build_logs": "buildLogs", "http_logs": "httpLogs"}
        root["environment_logs"] = "environmentLogs"
        chosen = [row for row in rows if row["timestamp"] <= variables["end"]]
        if "http" in str(variables.get("filter")).lower():
            chosen = [row for row in chosen if row["httpStatus"] >= 500]
        return httpx.Response(
            200, json={"data": {root[request.url.params["op"]]: chosen[-variables["limit"] :]}}
        )

    return answer


def log_rows(count: int, message: str) -> list[dict[str, Any]]:
    start = samples.WINDOW.start
    return [
        {"timestamp": iso(start + timedelta(seconds=n)), "message": message.format(n), "severity": "error"}
        for n in range(count)
    ]


async def test_log_lines_are_redacted_before_they_leave_the_activity() -> None:
    rows = log_rows(30, "ERROR mail to jane@example.com failed, key ghp_" + "a1B2c3D4e5" * 4)
    activities = LogActivities(Only(client(log_server(rows, []))), memory_store())
    facts = await facts_of(activities.artifacts, await activities.deploy_log_facts(incident()))
    assert "30x" in facts.items[0].text
    assert "jane" not in facts.model_dump_json()
    assert "ghp_" not in facts.model_dump_json()
    assert facts.items[0].start == samples.WINDOW.start


async def test_the_newest_deployment_is_read_too_where_it_failed() -> None:
    asked: list[str] = []
    activities = LogActivities(Only(client(log_server(log_rows(5, "ERROR boom"), asked))), memory_store())
    request = incident()
    failed = request.service.model_copy(update={"latest_status": "FAILED", "latest_deployment_id": "new"})
    request = request.model_copy(update={"service": failed})
    deploy = await facts_of(activities.artifacts, await activities.deploy_log_facts(request))
    build = await facts_of(activities.artifacts, await activities.build_log_facts(request))
    assert asked == ["deployment-service-0001", "new", "new"]
    assert [item.kind for item in (*deploy.items, *build.items)] == ["deploy_log", "deploy_log", "build_log"]
    assert "which failed" in deploy.items[1].source


async def test_where_a_service_says_too_much_its_errors_are_asked_for_over_the_window() -> None:
    asked: list[str] = []
    activities = LogActivities(
        Only(client(log_server(log_rows(MAX_ROWS + 1500, "tick {}"), asked))), memory_store()
    )
    facts = await facts_of(activities.artifacts, await activities.deploy_log_facts(incident()))
    assert asked[-1] == "@service:service-0001 AND @level:error"
    assert [item.source.split(",")[0] for item in facts.items] == [
        "deploy logs of the deployment that serves",
        "deploy logs of level error over the window",
    ]
    assert "Of the deploy logs" in facts.unseen[0]


async def test_too_many_requests_to_read_are_asked_for_by_error_and_duration() -> None:
    start = samples.WINDOW.start
    rows = [
        {
            "timestamp": iso(start + timedelta(milliseconds=n)),
            "method": "GET",
            "path": f"/items/{n}",
            "httpStatus": 500 if n < 10 else 200,
            "totalDuration": 5,
        }
        for n in range(MAX_HTTP_ROWS + 2000)
    ]
    asked: list[str] = []
    finding = samples.finding(kind=FindingKind.LATENCY).model_copy(
        update={"threshold": 300, "unit": "ms p95"}
    )
    activities = LogActivities(Only(client(log_server(rows, asked))), memory_store())
    stored = await activities.http_log_facts(incident(findings=(finding,)))
    facts = await facts_of(activities.artifacts, stored)
    assert set(asked) == {"deployment-service-0001", "@httpStatus:>=500", "@totalDuration:>=300"}
    assert "500 10x" not in facts.items[0].text
    assert "GET /items/{id}: 10x (100.0% of all), 100.0% failed [500 10x]" in facts.items[1].text
    assert re.search(r"Of the requests only the newest \d{4} rows were read", facts.unseen[0])


async def test_a_sample_of_requests_is_kept_without_what_tells_of_people() -> None:
    rows = [
        {
            "timestamp": iso(samples.WINDOW.start + timedelta(seconds=n)),
            "method": "GET",
            "path": f"/users/ada{n}@example.com/orders" if n % 2 else f"/orders/{n}",
            "httpStatus": 500 if n < 4 else 200,
            "totalDuration": 5,
        }
        for n in range(40)
    ]
    activities = LogActivities(Only(client(log_server(rows, []))), memory_store())
    kept = await activities.artifacts.get_model(await activities.sample_requests(incident()), RequestSample)
    assert sorted(each.path for each in kept.requests if each.failed) == ["/orders/0", "/orders/2"]
    assert all("@" not in each.path and "ada" not in each.path for each in kept.requests)
    quiet = LogActivities(Only(client(log_server([], []))), memory_store())
    none = await quiet.artifacts.get_model(await quiet.sample_requests(incident()), RequestSample)
    assert none.unseen.startswith("There is no HTTP log")


async def test_a_packet_of_all_sources_is_small_and_complete() -> None:
    artifacts = memory_store()
    activities = EvidenceActivities(artifacts)
    findings = await activities.finding_facts(incident())
    found = Facts(items=(("deploy_log", "logs", "KeyError: 'x'"),))  # type: ignore[arg-type]
    logs = StoredFacts(source=EvidenceSource.DEPLOY_LOGS, facts=await artifacts.put_model(found))
    first = StoredFacts(source=EvidenceSource.FINDINGS, facts=findings)
    reference = await activities.build_packet(PacketRequest(incident=incident(), facts=(first, logs)))
    packet = await artifacts.get_model(reference, EvidencePacket)
    assert [item.kind for item in packet.items] == ["finding", "architecture", "deploy_log"]
    assert "KeyError: 'x'" in render(packet)


async def test_what_a_source_found_and_was_lost_is_named_in_the_packet() -> None:
    artifacts = memory_store()
    activities = EvidenceActivities(artifacts)
    findings = await activities.finding_facts(incident())
    elsewhere = await memory_store().put_model(Facts(items=()))
    lost = StoredFacts(source=EvidenceSource.DEPLOY_LOGS, facts=elsewhere)
    first = StoredFacts(source=EvidenceSource.FINDINGS, facts=findings)
    reference = await activities.build_packet(PacketRequest(incident=incident(), facts=(first, lost)))
    packet = await artifacts.get_model(reference, EvidencePacket)
    assert packet.items
    (sentence,) = packet.unseen
    assert packet.unread == (EvidenceSource.DEPLOY_LOGS,)
    assert sentence.startswith("The deploy logs were read, and are lost.")
    assert "RAILMEND_ARTIFACTS" in sentence


def log_line(second: int, message: str, severity: str = "error") -> LogLine:
    at = samples.WINDOW.start + timedelta(seconds=second)
    return LogLine(timestamp=at, severity=severity, message=message)


TRACE = (
    "Traceback (most recent call last):",
    '  File "/app/app.py", line 40, in do_GET',
    "    self.show(product)",
    '  File "/app/catalog.py", line 12, in detail',
    "    return product['discount']",
    "KeyError: 'discount'",
)


@pytest.mark.parametrize("kind", [FindingKind.MEMORY_LEAK, FindingKind.ERROR_RATE, FindingKind.LATENCY])
def test_a_reader_of_the_rendering_finds_the_cause(kind: FindingKind) -> None:
    """The demo's stand-in model reads the packet as any model has to: as text."""
    finding = samples.finding(kind=kind).model_copy(update={"onset": samples.WINDOW.start})
    request = samples.incident(findings=(finding,))
    kept = [log_line(n, f"quotes: {n} rendered pages kept in memory", "info") for n in range(0, 2000, 5)]
    traces = [log_line(n * 60 + m, line) for n in range(20) for m, line in enumerate(TRACE)]
    slow = [
        HttpLogLine(
            timestamp=samples.WINDOW.start + timedelta(seconds=n),
            method="GET",
            path=f"/orders/{n}",
            status=200,
            duration_ms=900,
        )
        for n in range(200)
    ]
    rows = sorted([*kept, *traces], key=lambda line: line.timestamp)
    logs = condense_logs(rows, onset=onset(request), hints=hints(request)).text
    facts = (
        Facts(items=finding_facts(request)),
        Facts(items=(Fact(kind="deploy_log", source="deploy logs", text=logs),)),
        Facts(items=(Fact(kind="http_log", source="HTTP logs", text=condense_http(slow).text),)),
    )
    answer = rehearse(render(number("checkout", facts)))
    assert answer["verdict"] == "code", answer["summary"]
