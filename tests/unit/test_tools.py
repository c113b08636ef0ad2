"""What a diagnosing model is given to look at: bounded, redacted, of the right commit and times."""

import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from activities.tools import ToolActivities
from railmend.contracts.incident import Fact, Facts, IncidentRequest, Neighbour
from railmend.contracts.investigation import EvidenceResult, Tool, ToolRequest
from railmend.diagnosis.tools import RESULT_TOKENS, checked
from railmend.evidence.change import CommitComparison, ComparedCommit, ComparedFile
from railmend.evidence.tokens import estimate
from railmend.providers.status.reader import StatusReader
from railmend.railway.client import RailwayClient
from railmend.railway.limits import RateLimits
from railmend.railway.parse import iso
from railyard.api.behaviour import Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from tests import samples
from tests.kept import memory_store
from tests.unit.test_evidence_sources import Only, client, log_rows, log_server

WINDOW = samples.WINDOW
CODE = (
    "import os\n\nCACHE = {}\nPASSWORD = 'Tulip9Harbours31x'\n\n\ndef add(item):\n    CACHE[item.id] = item\n"
)


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class GitHub:
    """One repository on disk; its API knows one commit."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.cloned = 0
        self.asked: list[Any] = []

    def clone_url(self, _: str) -> str:
        self.cloned += 1
        return f"file://{self.repository}"

    def git_token(self, _: str) -> str:
        return "token"

    def commits(self, *place: Any, **wanted: Any) -> list[ComparedCommit]:
        self.asked.append((*place, wanted))
        return [ComparedCommit(sha="a" * 40, author="ada", at=samples.NOW, message="Keep every item\n\nmore")]

    def own_change(self, _: str, sha: str) -> CommitComparison:
        patch = "@@ -1,2 +1,3 @@\n import os\n+CACHE = {}\n+KEY = 'ghp_" + "a1B2c3D4e5" * 4 + "'"
        file = ComparedFile(path="app/app.py", status="modified", additions=2, deletions=0, patch=patch)
        return CommitComparison(
            base="b" * 40, head=sha, status="ahead", total=1, commits=tuple(self.commits()), files=(file,)
        )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    (folder / "app").mkdir()
    (folder / "app" / "app.py").write_text(CODE)
    (folder / "app" / "tests").mkdir()
    (folder / "app" / "tests" / "test_app.py").write_text("assert PALETTE == 7\n")
    (folder / "app" / "page.html").write_text("<b>{{ PALETTE }}</b>\n")
    (folder / "app" / "node_modules").mkdir()
    (folder / "app" / "node_modules" / "theirs.js").write_text("const PALETTE = 1\n")
    (folder / "app" / ".env").write_text("PALETTE=Tulip9\n")
    (folder / "app" / "long.py").write_text("".join(f"row_{n} = {n}\n" for n in range(5000)))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "app" / "app.py").write_text("# not deployed yet\n")
    git(folder, "commit", "-qam", "second")
    return folder


class Bench:
    def __init__(self, repository: Path, railway: RailwayClient) -> None:
        self.github = GitHub(repository)
        self.artifacts = memory_store()
        self.activities = ToolActivities(
            railway=Only(railway),
            github=self.github,  # type: ignore[arg-type]
            status=StatusReader({}),
            artifacts=self.artifacts,
        )
        service = samples.service(
            service_id="service-0001",
            active_deployment_id="deployment-service-0001",
            repository="acme/checkout",
            commit=git(repository, "rev-parse", "HEAD~1"),
            branch="main",
            root_directory="app",
        )
        self.incident = samples.incident(
            project_id=PROJECT,
            environment_id=ENVIRONMENT,
            service=service,
            neighbours=(Neighbour(name="db", relation="needs", service_id="service-0000"),),
        )

    async def use(
        self, tool: Tool, incident: IncidentRequest | None = None, **arguments: Any
    ) -> EvidenceResult:
        call = checked("c1", tool.value, arguments, samples.NOW)
        kept = await self.artifacts.put_model(incident or self.incident)
        return await self.activities.use_tool(ToolRequest(incident=kept, call=call))

    async def fact(self, tool: Tool, **arguments: Any) -> Fact:
        result = await self.use(tool, **arguments)
        assert result.facts is not None, result.unseen
        facts = await self.artifacts.get_model(result.facts, Facts)
        assert len(facts.items) == 1, facts.unseen
        return facts.items[0]

    async def nothing(self, tool: Tool, **arguments: Any) -> str:
        result = await self.use(tool, **arguments)
        assert result.facts is not None
        facts = await self.artifacts.get_model(result.facts, Facts)
        assert facts.items == ()
        return " ".join(facts.unseen)


def synthetic() -> RailwayClient:
    app = build_synthetic(Synthetic(2, 1), Gatekeeper())
    return RailwayClient(
        "http://railway/graphql/v2",
        SecretStr(TOKEN),
        transport=httpx.ASGITransport(app=app),
        limits=RateLimits(per_second=10_000),
    )


@pytest.fixture
def bench(repository: Path) -> Bench:
    return Bench(repository, synthetic())


def logging(repository: Path, answer: Callable[[httpx.Request], httpx.Response]) -> Bench:
    return Bench(repository, client(answer))


async def test_code_is_read_at_the_commit_that_serves_with_its_lines(bench: Bench) -> None:
    fact = await bench.fact(Tool.READ_CODE, path="app/app.py", first=3, last=8)
    assert (fact.kind, fact.source) == ("code", "app/app.py, of 9 lines")
    assert "    8     CACHE[item.id] = item" in fact.text
    assert "Tulip9" not in fact.text
    assert "not deployed yet" not in fact.text
    await bench.fact(Tool.READ_CODE, path="app/long.py", first=1, last=200)
    assert bench.github.cloned == 1, "a commit is fetched once"


async def test_a_file_that_is_not_there_names_those_that_may_be_meant(bench: Bench) -> None:
    said = await bench.nothing(Tool.READ_CODE, path="src/app.py", first=1, last=5)
    assert said.startswith("src/app.py cannot be read; there is app/app.py. ")
    said = await bench.nothing(Tool.READ_CODE, path="app/app.py", first=90, last=95)
    assert said == "app/app.py has 9 lines."


async def test_a_search_finds_lines_by_file_and_no_secret_by_guessing(bench: Bench) -> None:
    assert (await bench.fact(Tool.SEARCH_CODE, text="cache[")).text == "app/app.py:8: CACHE[item.id] = item"
    many = await bench.fact(Tool.SEARCH_CODE, text="row_")
    assert many.text.endswith("(4960 more lines)")
    assert "No file holds this text." in await bench.nothing(Tool.SEARCH_CODE, text="Tulip9")


async def test_a_file_that_does_not_run_is_read_and_is_no_source(bench: Bench) -> None:
    for path in ("app/tests/test_app.py", "app/page.html"):
        assert (await bench.fact(Tool.READ_CODE, path=path, first=1, last=5)).kind == "file"
    found = await bench.fact(Tool.SEARCH_CODE, text="PALETTE")
    assert found.kind == "file"
    assert "page.html:1" in found.text
    assert "test_app.py:1" in found.text
    for path in ("app/node_modules/theirs.js", "app/.env"):
        assert f"{path} cannot be read" in await bench.nothing(Tool.READ_CODE, path=path, first=1, last=5)


async def test_a_service_without_a_repository_has_no_code(bench: Bench) -> None:
    service = bench.incident.service.model_copy(update={"repository": None})
    bench.incident = bench.incident.model_copy(update={"service": service})
    for tool, arguments in (
        (Tool.READ_CODE, {"path": "a.py", "first": 1, "last": 2}),
        (Tool.SEARCH_CODE, {"text": "x"}),
        (Tool.COMMITS, {}),
        (Tool.SHOW_COMMIT, {"sha": "a" * 40}),
    ):
        assert "no repository" in await bench.nothing(tool, **arguments)


async def test_commits_are_those_up_to_the_one_that_serves(bench: Bench) -> None:
    since = samples.NOW - timedelta(days=2)
    fact = await bench.fact(Tool.COMMITS, path="app/app.py", since=iso(since))
    assert fact.text.startswith("a" * 12)
    assert "Keep every item" in fact.text
    repository, reference, wanted = bench.github.asked[0]
    assert (repository, reference) == ("acme/checkout", bench.incident.service.commit)
    assert wanted == {"path": "app/app.py", "since": since, "most": 20}


async def test_a_commit_is_shown_with_its_hunks_and_without_its_secrets(bench: Bench) -> None:
    fact = await bench.fact(Tool.SHOW_COMMIT, sha="a" * 40)
    assert "+CACHE = {}" in fact.text
    assert "ghp_" not in fact.text
    assert estimate(fact.text) <= RESULT_TOKENS


async def test_logs_are_those_that_hold_the_text_after_redaction(repository: Path) -> None:
    rows = [*log_rows(30, "ERROR order {} failed"), *log_rows(30, "INFO token=Tulip9Harbours31x{}")]
    bench = logging(repository, log_server(rows, []))
    fact = await bench.fact(Tool.LOGS, text="order")
    assert fact.source == "deploy logs, 30 of 60 lines, condensed"
    assert "30x" in fact.text
    assert "token" not in fact.text
    assert await bench.nothing(Tool.LOGS, text="Tulip9") == "Of 60 log lines none matches."


async def test_logs_are_asked_for_between_the_times_that_are_named(repository: Path) -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:

        asked.append(json.loads(request.content)["variables"])
        return httpx.Response(200, json={"data": {"deploymentLogs": []}})

    bench = logging(repository, answer)
    start, end = WINDOW.start - timedelta(hours=2), WINDOW.start - timedelta(hours=1)
    await bench.use(Tool.LOGS, start=iso(start), end=iso(end))
    assert (asked[0]["start"], asked[0]["end"]) == (iso(start), iso(end))


async def test_requests_are_those_of_the_status_and_the_path(repository: Path) -> None:
    def row(path: str, n: int) -> dict[str, Any]:
        at = iso(WINDOW.start + timedelta(seconds=n))
        fields = {"timestamp": at, "method": "GET", "path": path, "httpStatus": 500, "totalDuration": 9}
        return fields | {"requestId": f"{path}{n}"}

    asked: list[str] = []
    rows = [row(path, n) for n in range(20) for path in ("/cart", "/pay")]
    bench = logging(repository, log_server(rows, asked))
    fact = await bench.fact(Tool.HTTP, path="/cart", status="5xx")
    assert "20 of 40 requests" in fact.source
    assert "/pay" not in fact.text
    assert asked[0] == "@httpStatus:>=500 AND @httpStatus:<600"


async def test_series_are_given_in_numbers_with_their_limit(bench: Bench) -> None:
    fact = await bench.fact(Tool.METRICS, series="memory")
    assert fact.kind == "chart"
    head, memory, limit = fact.text.splitlines()
    assert head.startswith(f"from {WINDOW.start:%Y-%m-%d %H:%M:%S}")
    assert len(memory.partition(": ")[2].split()) <= 60
    assert limit.startswith("limit: ")


@pytest.mark.parametrize("tool", [Tool.DEPLOYMENTS, Tool.CONFIGURATION_DRIFT])
async def test_deployments_and_their_drift_are_read(bench: Bench, tool: Tool) -> None:
    assert (await bench.fact(tool)).text


async def test_a_neighbour_is_known_by_its_name(repository: Path) -> None:
    asked: list[str] = []
    bench = logging(repository, log_server(log_rows(20, "FATAL too many connections {}"), asked))
    fact = await bench.fact(Tool.NEIGHBOUR, service="db")
    assert "too many connections" in fact.text
    assert asked == ["@service:service-0000 AND @level:error"]
    assert await bench.nothing(Tool.NEIGHBOUR, service="x") == (
        "No service 'x' is next to this one; there are db."
    )


async def test_an_unknown_provider_is_none(bench: Bench) -> None:
    assert await bench.nothing(Tool.PROVIDER_STATUS, provider="nobody") == "No provider 'nobody' is known."


async def test_an_incident_that_is_gone_is_told(bench: Bench) -> None:
    call = checked("c1", "deployments", {}, samples.NOW)
    lost = (await memory_store().put_model(bench.incident)).model_copy(update={"sha256": "0" * 64})
    result = await bench.activities.use_tool(ToolRequest(incident=lost, call=call))
    assert (result.call_id, result.facts) == ("c1", None)
    assert "lost" in result.unseen
