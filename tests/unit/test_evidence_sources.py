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

from activities.deployments import DeploymentActivities
from activities.evidence import EvidenceActivities
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
from railmend.contracts.scan import FindingKind
from railmend.evidence.change import CommitComparison, ComparedCommit, ComparedFile, describe
from railmend.evidence.condense import condense_logs
from railmend.evidence.deployments import SuspectedDeployments, drift_text, history_text, state_text, suspects
from railmend.evidence.http import condense_http
from railmend.evidence.incident_facts import finding_facts, hints, onset
from railmend.evidence.packet import number, render
from railmend.evidence.tokens import estimate
from railmend.railway.client import RailwayClient
from railmend.railway.context import ConfigurationChange, Context, Deployed, State, Step, Variable, deployed
from railmend.railway.errors import RailwayError
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine
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


def deployment(name: str, status: str, hours: float, **settings: str) -> Deployed:
    """A deployment made so many hours before `NOW`."""
    record = DeploymentRecord(
        id=name,
        status=status,
        created_at=NOW - timedelta(hours=hours),
        commit=name * 8,
        commit_message=f"Change {name}\n\nand more",
        commit_author="eve",
    )
    return Deployed(record=record, settings=settings)


@pytest.mark.parametrize(
    ("history", "onset_hours", "bad", "good"),
    [
        # The one that was deployed last before the onset, not the newest.
        (
            [deployment("d", "SUCCESS", 0.1), deployment("c", "REMOVED", 2), deployment("b", "REMOVED", 9)],
            1,
            "c",
            "b",
        ),
        # A fault measured a moment before its deployment is called finished.
        ([deployment("c", "SUCCESS", 0.99), deployment("b", "REMOVED", 9)], 1, "c", "b"),
        # The first of a run of failures; those before it that failed are not good.
        (
            [deployment("d", "FAILED", 1), deployment("c", "FAILED", 2), deployment("b", "SUCCESS", 3)],
            1,
            "c",
            "b",
        ),
        (
            [deployment("d", "SUCCESS", 1), deployment("c", "FAILED", 2), deployment("b", "REMOVED", 3)],
            0.5,
            "d",
            "b",
        ),
        # What is still being built is no suspect.
        (
            [deployment("d", "BUILDING", 0.1), deployment("c", "SUCCESS", 2), deployment("b", "REMOVED", 3)],
            1,
            "c",
            "b",
        ),
        # A trouble older than all of the history.
        ([deployment("c", "SUCCESS", 2)], 50, "c", None),
        ([deployment("c", "CRASHED", 2), deployment("b", "REMOVED", 3)], 1, "c", "b"),
    ],
)
def test_the_suspected_and_the_last_good_deployment(
    history: list[Deployed], onset_hours: float, bad: str, good: str | None
) -> None:
    suspected = suspects(history, NOW - timedelta(hours=onset_hours))
    assert suspected is not None
    assert suspected.bad.record.id == bad
    assert (suspected.good.record.id if suspected.good else None) == good


def test_nothing_deployed_suspects_nothing() -> None:
    assert suspects([], NOW) is None
    assert suspects([deployment("a", "BUILDING", 1)], NOW) is None


def test_the_history_marks_both() -> None:
    history = [deployment("c", "SUCCESS", 2), deployment("b", "REMOVED", 9)]
    text = history_text(history, suspects(history, NOW))
    assert text.split("\n") == [
        "2026-11-24 07:00:00 SUCCESS cccccccc by eve: Change c  <- served at the onset",
        "2026-11-24 00:00:00 REMOVED bbbbbbbb by eve: Change b  <- last good",
    ]


def test_drift_tells_settings_names_and_feed_but_no_value() -> None:
    good = deployment("b", "REMOVED", 9, **{"deploy.startCommand": "serve", "region": "us"})
    bad = deployment(
        "c", "SUCCESS", 2, **{"deploy.startCommand": "serve --fast", "region": "us", "builder": "X"}
    )
    suspected = suspects([bad, good], NOW)
    assert suspected is not None
    old, recent = NOW - timedelta(days=9), NOW - timedelta(hours=1)
    variables = [
        Variable(name="NEW_KEY", created_at=recent, updated_at=recent),
        Variable(name="CHANGED_KEY", created_at=old, updated_at=recent),
        Variable(name="OLD_KEY", created_at=old, updated_at=old),
    ]
    changes = [ConfigurationChange(at=recent, action="updated", object="Variable", severity="INFO")]
    text = drift_text(suspected, variables, changes, NOW)
    assert "deploy.startCommand: serve -> serve --fast" in text
    assert "builder: not set -> X" in text
    assert "region" not in text
    assert "Variables added since: NEW_KEY" in text
    assert "Variables set anew since: CHANGED_KEY" in text
    assert "OLD_KEY" not in text
    assert "Variable updated (info)" in text
    assert "It was deployed 2.0 h before the onset." in text


def test_the_state_tells_of_restarts_and_failed_steps() -> None:
    state = State(
        status="SUCCESS",
        created_at=NOW,
        changed_at=NOW,
        stopped=False,
        instances=("RUNNING", "RESTARTING", "CRASHED"),
    )
    steps = [
        Step(name="BUILD_IMAGE", started=NOW),
        Step(name="HEALTHCHECK", started=NOW, error="503", reason="timeout", attempt=3, attempts=5),
    ]
    text = state_text(state, steps)
    assert "2 of 3 replicas restart or have crashed." in text
    assert "Step HEALTHCHECK at 2026-11-24 09:00:00 (attempt 3 of 5): 503; timeout" in text
    assert "BUILD_IMAGE" not in text


def test_a_manifest_is_flat_and_without_what_is_empty() -> None:
    node: dict[str, Any] = {
        "id": "d",
        "status": "SUCCESS",
        "createdAt": iso(NOW),
        "meta": {
            "rootDirectory": "/web",
            "serviceManifest": {
                "build": {"builder": "RAILPACK", "buildCommand": None, "watchPatterns": ["x"]},
                "deploy": {"multiRegionConfig": {"us": {"numReplicas": 2}}, "startCommand": "serve"},
            },
        },
    }
    assert deployed(node).settings == {
        "rootDirectory": "/web",
        "build.builder": "RAILPACK",
        "deploy.multiRegionConfig.us.numReplicas": "2",
        "deploy.startCommand": "serve",
    }


def changed(path: str, patch: str | None = "@@ -1 +1 @@\n-a\n+b", size: int = 1) -> ComparedFile:
    return ComparedFile(path=path, status="modified", additions=size, deletions=size, patch=patch)


def compared(*files: ComparedFile, total: int = 1) -> CommitComparison:
    commit = ComparedCommit(sha="f" * 40, author="eve", at=NOW, message="Show discounts\n\nbody")
    return CommitComparison(
        base="a" * 40, head="b" * 40, status="ahead", total=total, commits=(commit,), files=files
    )


def test_a_change_shows_the_services_own_code_first_and_no_lock_file() -> None:
    text = describe(
        compared(
            changed("package-lock.json"), changed("api/app.py"), changed("web/test_a.py"), changed("web/a.py")
        ),
        "web",
    )
    assert "ffffffffffff 2026-11-24 09:00 eve: Show discounts" in text
    shown = [line[4:] for line in text.split("\n") if line.startswith("--- ")]
    assert shown == ["web/a.py", "web/test_a.py", "api/app.py"]
    assert "modified package-lock.json +1 -1" in text


def test_a_huge_change_stays_within_its_budget_and_says_what_is_missing() -> None:
    patch = "@@ -1 +1 @@\n" + "\n".join(f"+line {n}" for n in range(2000))
    text = describe(compared(*(changed(f"src/f{n}.py", patch, 9) for n in range(80)), total=90), "")
    assert estimate(text) <= 2300
    assert "(hunks cut)" in text
    assert "(89 commits left out)" in text
    assert "(55 files left out)" in text
    assert re.search(r"hunks of \d+ more files left out", text)


def test_hunks_of_a_named_file_come_first_and_around_the_named_line() -> None:
    long = "@@ -0,0 +1,3000 @@\n" + "\n".join(f"+value_{n} = compute({n})" for n in range(1, 3001))
    small = [changed(f"src/f{n}.py", "@@ -1 +1 @@\n-a\n+" + "word " * 300, 1) for n in range(9)]
    change = compared(changed("src/big.py", long, 3000), *small)
    assert "value_2500" not in describe(change, "")
    text = describe(change, "", named={"src/big.py": [2500]})
    assert text.index("--- src/big.py") < text.index("hunks cut; line 2") < text.index("+value_2500 = ")
    assert estimate(text) <= 2300


def test_what_the_budget_leaves_goes_to_what_was_cut() -> None:
    patch = "@@ -1 +1 @@\n" + "\n".join(f"+line_{n} = {n}" for n in range(150))
    text = describe(compared(changed("src/a.py", patch, 150)), "")
    assert "hunks cut" not in text
    assert "+line_149 = 149" in text


@pytest.mark.parametrize(
    "path",
    [
        *("bun.lock", "mix.lock", "Pipfile.lock", "deno.lock", "web/yarn.lock", "Package.resolved.lock"),
        *("api/shop.pb.go", "api/shop_pb2.py", "src/schema.generated.ts", "locale/de/django.po", "a/b.snap"),
        *("public/build/app.4f3a9b1c.js", "dist/index.js", "static/js/main.min.js", "data/cities.csv"),
    ],
)
def test_what_programs_wrote_is_listed_and_not_shown(path: str) -> None:
    text = describe(compared(changed(path), changed("src/clock.py")), "")
    assert f"modified {path} +1 -1" in text
    assert f"--- {path}" not in text
    assert "--- src/clock.py" in text


def test_a_dockerfile_is_listed_however_many_files_changed_and_wherever_it_is() -> None:
    many = [changed(f"web/f{n}.py") for n in range(60)]
    text = describe(compared(*many, changed("deploy/api.Dockerfile", size=400)), "web")
    assert "modified deploy/api.Dockerfile +400 -400" in text


def test_a_merge_has_its_title_and_a_renamed_file_its_old_name() -> None:
    merge = ComparedCommit(
        sha="e" * 40,
        author="eve",
        at=NOW,
        message="Merge pull request #12 from eve/x\n\nDouble the pool",
    )
    moved = changed("src/pool.py").model_copy(update={"previous": "src/db.py", "status": "renamed"})
    change = compared(moved).model_copy(update={"commits": (merge,)})
    text = describe(change, "")
    assert "eve: Merge #12: Double the pool" in text
    assert "renamed src/db.py -> src/pool.py +1 -1" in text


def test_a_first_commit_is_not_shown_twice() -> None:
    first = compared(changed("src/a.py", "@@ -0,0 +1 @@\n+first = 1")).model_copy(update={"base": ""})
    assert "+first = 1" in describe(first, "")
    text = describe(first, "", whole=False)
    assert "+first = 1" not in text
    assert "modified src/a.py" in text


def test_a_deployment_that_served_at_the_onset_is_not_said_to_be_deployed_after_it() -> None:
    history = [deployment("c", "SUCCESS", -1 / 60), deployment("b", "REMOVED", 9)]
    suspected = suspects(history, NOW)
    assert suspected is not None
    assert "served at the onset" in history_text(history, suspected)
    assert "after the onset" not in drift_text(suspected, [], [], NOW)
    later = SuspectedDeployments(deployment("c", "FAILED", -9 / 60), history[1], failed=True)
    assert "It was deployed after the onset." in drift_text(later, [], [], NOW)


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
