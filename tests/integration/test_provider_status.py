"""From a repository and a status server on this machine to the first item of the evidence."""

import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.providers import ProviderActivities
from activities.source import SourceReader
from railmend.contracts.incident import Facts, IncidentRequest
from railmend.evidence.packet import number
from railmend.providers.status.reader import StatusReader
from railmend.publishing.github import GitHubError
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.network import NetworkReader
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railmend.railway.reader import Reader
from railmend.railway.transport import Transport
from tests import samples
from tests.integration.serving import serving
from tests.kept import facts_of, memory_store
from tests.unit.test_workspace import run

STARTED = (samples.NOW - timedelta(minutes=50)).isoformat()
LOGS = [
    "listening on 3000",
    "Error: connect ETIMEDOUT, key sk_live_0123456789abcdef",
    "    at request (https://api.stripe.com/v1/charges)",
]


def status_server(*, down: bool) -> Starlette:
    """An Atlassian Statuspage."""
    incident = {
        "name": "Payments API is unavailable",
        "status": "identified",
        "impact": "critical",
        "created_at": STARTED,
        "components": [{"name": "API", "status": "major_outage"}],
        "incident_updates": [{"body": "A database failed over.", "created_at": STARTED}],
    }
    page: dict[str, Any] = {"page": {"updated_at": STARTED}, "incidents": [incident] if down else []}

    async def answer(_: Request) -> Response:
        return JSONResponse(page)

    return Starlette(routes=[Route("/api/v2/summary.json", answer), Route("/api/v2/incidents.json", answer)])


class GitHub:
    def __init__(self, origin: Path) -> None:
        self.origin = origin

    def clone_url(self, repository: str) -> str:
        if not self.origin.exists():
            raise GitHubError(f"Repository {repository}: GitHub answered 503.", retryable=True)
        return f"file://{self.origin}"

    def git_token(self, repository: str) -> str:
        return "tok_secret"


def railway(request: httpx.Request) -> httpx.Response:
    """Logs are read; the network's are forbidden to this token."""
    asked = json.loads(request.content)
    if "deploymentLogs" in asked["query"]:
        stamp = samples.NOW.isoformat()
        rows = [{"timestamp": stamp, "message": line, "severity": "error"} for line in LOGS]
        return httpx.Response(200, json={"data": {"deploymentLogs": rows}})
    return httpx.Response(200, json={"data": None, "errors": [{"message": "Not Authorized"}]})


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    work, bare = tmp_path / "work", tmp_path / "origin.git"
    work.mkdir()
    (work / "package.json").write_text('{"dependencies": {"stripe": "16", "@sentry/node": "8"}}')
    (work / "server.js").write_text("const stripe = require('stripe')(process.env.STRIPE_KEY);\n")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    run(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    return bare


async def facts(
    origin: Path, overrides: dict[str, str], folder: Path, incident: IncidentRequest, attempt: int = 1
) -> Facts:
    limits = RateLimits(per_second=10_000)
    mock = httpx.MockTransport(railway)
    watched = WatchedEnvironment(
        name="p", project_id="project", environment_id="env", token=SecretStr("t"), token_kind="bearer"
    )
    pool = RailwayPool("http://railway/graphql/v2", lambda: [watched], limits, mock)
    transport = Transport("http://railway/graphql/v2", SecretStr("t"), "bearer", mock, 5, RateLimiter(limits))
    status = StatusReader(overrides, timeout=5)
    work = ProviderActivities(
        railway=pool,
        network_of=lambda _: NetworkReader(Reader(transport, limits)),
        code=SourceReader(GitHub(origin), folder),  # type: ignore[arg-type]
        status=status,
        artifacts=memory_store(),
    )
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(ActivityEnvironment.default_info(), attempt=attempt)
    try:
        return await facts_of(work.artifacts, await environment.run(work.provider_facts, incident))
    finally:
        await status.aclose()
        await pool.aclose()


def incident(**changes: object) -> IncidentRequest:
    return samples.incident(service=samples.service(commit=None).model_copy(update=changes))


async def test_a_major_outage_is_the_first_item_of_the_packet(tmp_path: Path, origin: Path) -> None:
    folder = tmp_path / "fetched"
    folder.mkdir()
    with serving(status_server(down=True)) as down, serving(status_server(down=False)) as well:
        found = await facts(origin, {"stripe": down, "sentry": well}, folder, incident())
    assert "sk_live" not in found.model_dump_json()
    assert "tok_secret" not in found.model_dump_json()
    packet = number("checkout", [found])
    first = packet.items[0]
    assert (first.kind, first.source) == ("provider_outage", "status page of Stripe")
    assert first.text.startswith("Stripe: major outage, open since 2026-11-24T08:10+00:00 (identified)")
    assert "Rank 1 of 4: 1 failing call to it was seen in the window (api.stripe.com)." in first.text
    assert "A database failed over." in first.text
    assert [item.kind for item in packet.items] == ["provider_outage", "providers"]
    assert "package stripe (package.json)" in packet.items[1].text
    assert "Sentry (observability, declared)" in packet.items[1].text
    assert [sentence.split(":")[0] for sentence in packet.unseen] == [
        "DNS queries",
        "Network flows",
        "Variable names",
    ]
    assert list(folder.iterdir()) == []


async def test_pages_that_cannot_be_seen_are_said_and_nothing_is_claimed(
    tmp_path: Path, origin: Path
) -> None:
    closed = "http://127.0.0.1:9"
    found = await facts(origin, {"stripe": closed, "sentry": closed}, tmp_path, incident())
    assert [fact.kind for fact in found.items] == ["providers"]
    assert sum("could not be seen" in sentence for sentence in found.unseen) == 2


async def test_without_its_repository_the_logs_still_tell(tmp_path: Path) -> None:
    with serving(status_server(down=True)) as down:
        found = await facts(tmp_path / "gone", {"stripe": down}, tmp_path, incident(repository=None))
    assert found.items[0].kind == "provider_outage"
    assert "The service has no repository, so its code was not searched for providers." in found.unseen


async def test_a_passing_fault_is_retried_and_in_the_end_said(tmp_path: Path) -> None:
    with serving(status_server(down=True)) as down:
        with pytest.raises(ApplicationError, match="503") as caught:
            await facts(tmp_path / "gone", {"stripe": down}, tmp_path, incident())
        assert not caught.value.non_retryable
        found = await facts(tmp_path / "gone", {"stripe": down}, tmp_path, incident(), attempt=2)
    assert found.items[0].kind == "provider_outage"
    assert any("code could not be read: Repository acme/checkout" in sentence for sentence in found.unseen)
