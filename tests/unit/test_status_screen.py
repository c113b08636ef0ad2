"""`starter.py status` as a person sees it: what waits comes first, and what is copied is never broken."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from typer.main import get_command

from commands import approve, ledgers, run_status, runs, status_screen
from commands.runs import KINDS, find, find_waiting, quoted
from commands.status_screen import Money, ProjectStatus, StatusScreen, WorkRow, render, services_by_state
from commands.terminal import SafeConsole
from railmend.contracts.scan import HealthReport, ServiceRow, Symptom, UnknownServices
from railmend.contracts.status import PHASES, WAITS_FOR_APPROVAL, WAITS_FOR_REVIEW, Phase, RepairStatus
from railmend.settings import ConfigurationError
from starter import app
from tests import samples
from workflows.actions.approved_action import ApprovedAction
from workflows.investigation.incident_investigation import IncidentInvestigation
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "commands" / "ledgers.py").read_text()
ID = "repair/acme-with-a-rather-long-name/checkout-service-of-the-shop/0123456789ab"
COMMAND = f"starter.py approve {ID} --plan 0123456789abcdef"
URL = "https://github.com/acme-with-a-rather-long-name/checkout-service-of-the-shop/pull/12345"


def work(name: str, **status: Any) -> WorkRow:
    return WorkRow(id=ID, services=[name], started=samples.NOW, status=RepairStatus(**status))


SCREEN = StatusScreen(
    at=samples.NOW,
    waiting=[
        work("checkout", label=WAITS_FOR_APPROVAL, waits=True, command=COMMAND),
        work("catalog", label=WAITS_FOR_REVIEW, waits=True, link=URL),
    ],
    projects=[
        ProjectStatus(
            project="shop",
            scanned=samples.NOW,
            services={"affected": ["checkout", "[red]catalog"], "healthy": ["storefront"]},
            next_scan=samples.NOW,
            problems=["The last 2 scans failed: no token."],
            day=Money(spent=1.5, limit=25.0),
            month=Money(spent=9.0, limit=None),
            unseen=["Logs of jobs."],
        )
    ],
    incidents=[],
    work=[work("jobs", label=PHASES[Phase.CODING]), work("\x1b[2Jevil", label="failed", ended=True)],
    unseen=[],
)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "piped"])
@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_at_any_width(width: int, terminal: bool) -> None:
    out = StringIO()
    render(SCREEN, SafeConsole(file=out, width=width, force_terminal=terminal, color_system=None))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert COMMAND in lines
    assert URL in lines
    order = ["Waits for you", "Project shop", "Open incidents", "Repairs", "Could not be seen"]
    found = [next(i for i, line in enumerate(lines) if line.startswith(heading)) for heading in order]
    assert found == sorted(found)
    assert "2 affected: checkout, [red]catalog" in lines
    assert "Models cost 1.50 of 25 USD today and 9.00 USD this month." in lines
    reserved = SCREEN.projects[0].model_copy(update={"reserved": 1.25})
    assert reserved.cost.endswith("9.00 USD this month, 1.25 USD of it reserved for what runs.")
    assert "! The last 2 scans failed: no token." in lines
    assert "\x1b[2J" not in out.getvalue()


def test_the_screen_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(_: str | None) -> StatusScreen:
        return SCREEN

    monkeypatch.setattr(status_screen, "read", read)
    result = CliRunner().invoke(get_command(app), ["status", "--json"])
    data = json.loads(result.stdout)
    assert [row["status"]["command"] for row in data["waiting"]] == [COMMAND, ""]
    assert data["projects"][0]["services"]["healthy"] == ["storefront"]


def test_no_service_is_called_healthy_that_was_not_read() -> None:
    row = ServiceRow(
        service_id="s",
        name="jobs",
        findings=(Symptom.model_validate(samples.finding().model_dump(include=set(Symptom.model_fields))),),
    )
    report = HealthReport(
        project_name="shop",
        environment_name="production",
        window=samples.WINDOW,
        rows=(row,),
        healthy=("web",),
        unknown=(UnknownServices(services=("db",), reason="No metrics."),),
    )
    assert services_by_state(report) == {"affected": ["jobs"], "unknown": ["db"], "healthy": ["web"]}


class Run:
    """A run as Temporal lists it."""

    def __init__(self, id: str, *services: str, running: bool = True) -> None:
        self.id, self.run_id, self.services = id, "run", list(services)
        self.status = WorkflowExecutionStatus.RUNNING if running else WorkflowExecutionStatus.COMPLETED
        self.typed_search_attributes = self

    def get(self, _: object) -> list[str]:
        return self.services


class Server:
    """Temporal's list, by the service that a query names."""

    def __init__(self, *runs: Run) -> None:
        self.runs = runs

    async def list_workflows(self, query: str, **_: object) -> Any:
        for run in self.runs:
            if "IS NOT NULL" in query or any(quoted(name) in query for name in run.services):
                yield run


async def test_a_name_finds_the_open_run_and_a_misspelt_one_what_is_close() -> None:
    server: Any = Server(
        Run("repair/a/b/2", "checkout", running=False),
        Run("incident/e/s", "checkout"),
        Run("scan/e/1", "o'neil"),
    )
    assert await find(server, "checkout", *KINDS) == "incident/e/s"
    assert await find(server, "o'neil", *KINDS) == "scan/e/1"
    assert await find(server, "repair/x/y/z", *KINDS) == "repair/x/y/z"
    with pytest.raises(ConfigurationError, match=r"'chekout'. Did you mean checkout\?"):
        await find(server, "chekout", *KINDS)
    with pytest.raises(ConfigurationError, match=r"Known services: checkout, o'neil\."):
        await find(server, "zzz", *KINDS)


@pytest.mark.parametrize(
    ("waiting", "error"),
    [(1, ""), (0, "Nothing about checkout waits for an approval"), (2, "Several things about checkout wait")],
)
async def test_an_answer_by_name_goes_to_the_one_plan_that_waits(
    monkeypatch: pytest.MonkeyPatch, waiting: int, error: str
) -> None:
    async def status_of(_: object, run: Run) -> RepairStatus:
        number = int(run.id[-1])
        return RepairStatus(label="x", command=f"starter.py approve {run.id}" if number < waiting else "")

    monkeypatch.setattr(runs, "status_of", status_of)
    server: Any = Server(*(Run(f"repair/a/b/{number}", "checkout") for number in range(3)))
    if not error:
        assert await find_waiting(server, "checkout") == "repair/a/b/0"
        return
    with pytest.raises(ConfigurationError, match=error):
        await find_waiting(server, "checkout")


async def test_a_plan_that_was_read_is_no_yes_to_an_action_of_the_same_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connected() -> tuple[None, None]:
        return None, None

    async def waits(_: object, name: str) -> str:
        return f"action/production/{name}"

    monkeypatch.setattr(runs, "connected", connected)
    monkeypatch.setattr(runs, "find_waiting", waits)
    with pytest.raises(ConfigurationError, match="is an action, which has no plan"):
        await approve._send("checkout", approved=True, reason="", plan="0123456789ab")


def test_the_names_of_workflows_and_queries_are_those_of_the_code() -> None:
    """They are not imported, because that is slow; so nothing else would notice a new name."""
    types = [HealthScan, IncidentInvestigation, RepositoryRepair, ApprovedAction]
    assert [name for name, _ in KINDS.values()] == [each.__name__ for each in types]
    assert all(hasattr(each, "status") for each in (RepositoryRepair, ApprovedAction))
    assert hasattr(HealthScan, "rows")
    assert hasattr(RepositoryRepair, "opened")


# Of these the command line needs none: each costs a tenth of a second or more.
HEAVY = ("numpy", "graphql", "github", "httpx", "litellm", "jinja2", "cryptography", "requests", "uvicorn")
LIGHT = (
    *("status", "incidents", "show x", "scan", "approve x", "reject x --reason y", "cancel x", "rerun x"),
    *("pause", "resume", "schedule show", "schedule create", "ledger show", "evidence x"),
)


def test_a_command_that_asks_temporal_alone_imports_nothing_heavy() -> None:
    code = (
        "import json, shlex, sys\n"
        "from click.testing import CliRunner\n"
        "from typer.main import get_command\n"
        "from starter import app\n"
        f"for words in {LIGHT!r}:\n"
        "    CliRunner().invoke(get_command(app), shlex.split(words))\n"
        f"    print(words, [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    settings = {"RAILWAY_PROJECT_ID": "p", "RAILWAY_ENVIRONMENT_ID": "e", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=settings, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{words} []" for words in LIGHT]


@pytest.mark.parametrize("answered", [True, False])
async def test_that_no_worker_answers_is_known_by_type_whatever_the_words(
    monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    class Described:
        id, run_id, status = ID, "r", WorkflowExecutionStatus.RUNNING
        start_time, close_time = samples.NOW, None
        typed_search_attributes = MappingProxyType[object, object]({})

        async def text(self) -> str:
            return ""

        async def memo(self) -> dict[str, Any]:
            return {}

        static_summary = static_details = text

    async def look_up(*_: object, **__: object) -> Any:
        return runs.Found(None, None, None, Described())  # type: ignore[arg-type]

    async def status_of(*_: object) -> RepairStatus:
        return RepairStatus(label="of any words", answered=answered)

    async def why_open(*_: object) -> str:
        return "and waits for a worker."

    for name, replaced in {"look_up": look_up, "status_of": status_of, "why_open": why_open}.items():
        monkeypatch.setattr(run_status, name, replaced)
    status = await run_status.read("checkout")
    assert (status.details, status.still_runs) == (
        ("Of any words.", "") if answered else ("", "and waits for a worker.")
    )


async def test_a_run_whose_worker_is_away_is_one_that_did_not_answer() -> None:
    class Handle:
        async def query(self, *_: object, **__: object) -> None:
            raise RPCError("no poller", RPCStatusCode.FAILED_PRECONDITION, b"")

    client: Any = SimpleNamespace(get_workflow_handle=lambda *_, **__: Handle())
    run: Any = Run("repair/a/b/1", "checkout")
    assert (await runs.status_of(client, run)).answered is False


def test_the_ledger_is_asked_by_names_that_it_has() -> None:
    names = {each for each in dir(Ledger) if not each.startswith("_")}
    asked = set(re.findall(r"""(?:query|execute_update|signal)\(\s*"(\w+)"|start_signal="(\w+)\"""", SOURCE))
    assert Ledger.__name__ == ledgers.LEDGER
    assert {name for pair in asked for name in pair if name} == {
        "state",
        "settle",
        "suppress",
        "pause",
        "resume",
    }
    assert {"state", "settle", "suppress", "pause", "resume"} <= names
