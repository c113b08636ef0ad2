"""The command line as a whole: help that lists everything, JSON where data is printed, exit codes."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
import unicodedata
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.service import RPCError, RPCStatusCode
from typer.main import get_command

from commands import incident_list, ledgers, progress, record
from commands.checks.check import (
    Check,
    CheckFailed,
    CheckResult,
    CheckStatus,
    any_failed,
    conclude,
    line,
    render_totals,
)
from commands.durations import interval, seconds, written
from commands.incident_list import IncidentList
from commands.ledgers import FaultRow, LedgerOverview
from commands.options import Level
from commands.statistics import print_statistics, statistics
from commands.terminal import SafeConsole
from railmend import __version__
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import SpendingTotal
from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport
from railmend.contracts.status import (
    PHASES,
    WAITS_FOR_APPROVAL,
    Phase,
    RepairStatus,
    status_of_result,
)
from railmend.contracts.track_record import FaultRecord, TrackRecord
from railmend.publishing.screen import IncidentRow
from railmend.settings import ConfigurationError
from starter import COMMANDS, app
from tests import samples

ROOT = Path(__file__).parents[2]
HISTORIES = ROOT / "tests" / "replay" / "histories"
NOW = datetime.now(UTC)


def starter(*arguments: str) -> Result:
    return CliRunner().invoke(get_command(app), list(arguments))


def test_the_words_for_autonomy_are_the_contracts() -> None:
    assert list(get_args(Level)) == [level.value for level in Autonomy]


def test_help_says_what_each_command_does_in_one_unbroken_line() -> None:
    result = starter("--help").output
    for command in COMMANDS:
        (row,) = (row for row in result.splitlines() if row.startswith(f"  {command.__name__} "))
        assert row.endswith((".", "?"))
        assert not row.endswith("...")


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("3h", 10800)])
def test_a_window_is_written_as_people_do(text: str, expected: int) -> None:
    assert seconds(text) == expected


def test_a_bad_window_is_named() -> None:
    with pytest.raises(ConfigurationError, match="--window 'soon' is no interval"):
        seconds("soon")


@pytest.mark.parametrize("text", ["90s", "10m", "1h", "36h", "2d"])
def test_an_interval_is_told_as_it_is_written(text: str) -> None:
    assert written(interval(text)) == text


def test_a_slice_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> tuple[list[object], list[str]]:
        return [], []

    monkeypatch.setattr(record, "slices", nothing)
    for name in ("RAILWAY_PROJECT_ID", "RAILWAY_ENVIRONMENT_ID", "RAILWAY_TOKEN"):
        monkeypatch.setenv(name, "x")
    result = starter("record", "/nowhere/slices.jsonl")
    assert result.exit_code == 2
    assert "/nowhere/slices.jsonl cannot be written" in result.stderr


def test_recorded_slices_come_from_a_pipe() -> None:
    result = CliRunner().invoke(get_command(app), ["backtest", "-"], input="no slice\n")
    assert result.exit_code == 2
    assert "-:1: no recorded slice" in result.stderr


async def test_a_scan_that_nobody_works_on_says_so_until_a_worker_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The queries of an unserved queue fail; a result comes all the same, later."""
    monkeypatch.setattr(progress, "POLL_SECONDS", 0)
    done: asyncio.Future[HealthReport] = asyncio.get_running_loop().create_future()
    out = StringIO()

    class Handle:
        id = "scan/e/manual"
        asked = 0

        async def result(self) -> HealthReport:
            return await done

        async def describe(self, **_: object) -> SimpleNamespace:
            raw = DescribeWorkflowExecutionResponse()
            raw.pending_workflow_task.scheduled_time.FromDatetime(samples.NOW)
            return SimpleNamespace(raw_description=raw)

        async def query(self, *_: object, **__: object) -> None:
            self.asked += 1
            if self.asked == 3:
                done.set_result(
                    HealthReport(project_name="shop", environment_name="e", window=samples.WINDOW, rows=())
                )
            raise RPCError("no poller", RPCStatusCode.FAILED_PRECONDITION, b"")

    handle: Any = Handle()
    result = await progress.follow(handle, handle, Console(file=out, width=120))
    assert out.getvalue().count("start `worker.py`") == 1
    assert result.report.project_name == "shop"


def test_bash_completes_a_command() -> None:
    """By the script that --install-completion installs, for `./starter.py`."""
    typed = "COMP_WORDS=(./starter.py sche); COMP_CWORD=1; _starterpy_completion ./starter.py"
    done = subprocess.run(
        ["bash", "-c", f'eval "$(./starter.py --show-completion bash)"; {typed}; echo ${{COMPREPLY[@]}}'],
        cwd=ROOT,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["schedule"]


def incident(service: str, state: str, outcome: str = "") -> IncidentRow:
    pull = f"http://forge/{service}/1" if outcome == "pull_request" else ""
    return IncidentRow(
        project="shop",
        service=service,
        kind="memory_leak",
        state=state,
        since=NOW,
        until=NOW + timedelta(hours=1),
        outcome=outcome,
        detail="",
        pull_request=pull,
        times=1,
        id=f"repair/acme/{service}/1",
        incident=f"incident/e/{service}",
    )


INCIDENTS = IncidentList(
    rows=[incident("checkout", "suppressed", "pull_request"), incident("[red]jobs", "open")],
    days={"shop": [SpendingTotal(key=f"{NOW:%Y-%m-%d}", usd=1.5), SpendingTotal(key="2020-01-01", usd=9.0)]},
)


def test_statistics_count_and_sum_by_period() -> None:
    numbers = statistics(INCIDENTS, NOW)
    assert numbers["by_state"] == {"suppressed": 1, "open": 1}
    assert numbers["pull_requests"] == 1
    assert numbers["usd_today"] == {"shop": 1.5}
    assert numbers["usd_this_month"] == {"shop": 1.5}
    assert (numbers["usd_per_held_fix"], numbers["seconds_to_recovery"], numbers["win_rates"]) == (
        None,
        None,
        [],
    )


def test_statistics_tell_what_became_of_the_fixes() -> None:
    record = FaultRecord(
        repository="acme/[b]shop",
        kind="memory_leak",
        outcomes={"held": 3, "not_held": 1, "closed": 1, "cannot_tell": 1},
        merged=5,
        edited=2,
        at=NOW,
    )
    proofs = {"proven/held": 4, "proven/worse": 1, "failed/not_held": 2, "failed/held": 1, "proven/closed": 3}
    track = TrackRecord(
        records=(record,),
        opened_seconds=(60, 300, 120),
        recovered_seconds=(900,),
        proofs=proofs | {"unproven/held": 5, "unproven/worse": 1, "unproven/cannot_tell": 1},
    )
    incidents = INCIDENTS.model_copy(
        update={
            "totals": {"p": SpendingTotal(key="total", usd=1.5)},
            "tracks": {"p": track, "q": TrackRecord()},
        }
    )
    numbers = statistics(incidents)
    assert numbers["fixes"] == {
        "merged_unchanged": 3,
        "merged_edited": 2,
        "closed": 1,
        "held": 3,
        "not_held": 1,
        "worse": 0,
        "cannot_tell": 1,
        "not_deployed": 0,
    }
    assert numbers["usd_per_held_fix"] == 0.5
    assert numbers["proof"] == {"predicted": 6, "of": 8, "unproven_held": 5, "unproven": 6}
    assert (numbers["seconds_to_pull_request"], numbers["seconds_to_recovery"]) == (120, 900)
    (rate,) = numbers["win_rates"]
    assert (rate["held"], rate["of"], rate["share"]) == (3, 5, 0.6)
    out = StringIO()
    print_statistics(incidents, Console(file=out, width=160))
    assert "acme/[b]shop  memory_leak  3     5   60%" in out.getvalue()


def test_a_list_names_what_to_look_at_and_a_name_is_no_markup() -> None:
    out = StringIO()
    incident_list.render(INCIDENTS, Console(file=out, width=40))
    lines = out.getvalue().splitlines()
    assert "  repair/acme/checkout/1: http://forge/checkout/1" in lines
    assert "  incident/e/[red]jobs ([red]jobs)" in lines
    assert "\x1b" not in out.getvalue()


PULL = PullRequest(number=1, url="http://forge/jobs/1", head="a")
OPENED = RepairResult(outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=PULL)


@pytest.mark.parametrize(
    "status",
    [
        status_of_result(OPENED),
        RepairStatus(label=WAITS_FOR_APPROVAL, waits=True, command="starter.py approve repair/acme/jobs/1"),
        RepairStatus(label=PHASES[Phase.CODING]),
    ],
    ids=["opened", "waits", "works"],
)
async def test_an_open_incident_stands_as_its_repair_does(
    monkeypatch: pytest.MonkeyPatch, status: RepairStatus
) -> None:
    async def run_of(*_: object) -> object:
        return object()

    async def asked(*_: object) -> RepairStatus:
        return status

    monkeypatch.setattr(incident_list, "described", run_of)
    monkeypatch.setattr(incident_list, "status_of", asked)
    client: Any = None
    row = await incident_list._with_repair(client, incident("jobs", "open"))
    assert (row.label, row.command, row.pull_request) == (status.label, status.command, status.link)


@pytest.mark.parametrize("what", ["list", "statistics"])
def test_incidents_as_json(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async def read(project: str | None, *, only_open: bool) -> IncidentList:
        return INCIDENTS

    monkeypatch.setattr(incident_list, "read", read)
    result = starter("incidents", "--json", *(["--stats"] if what == "statistics" else []))
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert data["incidents"] == 2 if what == "statistics" else data[0]["service"] == "checkout"


def test_a_recorded_history_replays_from_the_command_line() -> None:
    result = starter("replay", str(next(HISTORIES.glob("*/ledger.json"))), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["replays"] is True


def test_a_history_that_differs_ends_with_code_1_and_says_where(tmp_path: Path) -> None:
    altered = tmp_path / "altered.json"
    text = next(HISTORIES.glob("*/repository_repair.json")).read_text()
    altered.write_text(text.replace('"run_session"', '"another_step"'))
    result = starter("replay", str(altered))
    assert result.exit_code == 1
    assert "another_step" in result.output


def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("no history")
    result = starter("replay", str(file))
    assert result.exit_code == 2
    assert "temporal workflow show" in result.stderr


def test_the_ledger_is_not_cancelled() -> None:
    result = starter("cancel", "ledger/p")
    assert result.exit_code == 2
    assert "stays open" in result.stderr


async def test_a_check_that_breaks_is_only_its_own_result() -> None:
    async def breaks() -> list[CheckResult]:
        raise RuntimeError("unforeseen")

    async def finds() -> list[CheckResult]:
        raise CheckFailed("no git", "install git")

    (broken,), (git,) = await conclude(Check("a", breaks)), await conclude(Check("git", finds))
    assert (broken.status, broken.message) == (CheckStatus.BAD, "RuntimeError: unforeseen")
    assert line(git).endswith("git: no git -> install git")
    assert any_failed([broken, git])
    assert not any_failed([CheckResult(name="x", status=CheckStatus.WARNING, message="")])


@pytest.mark.parametrize(
    ("statuses", "totals"),
    [
        ([CheckStatus.OK, CheckStatus.WARNING], "1 ok, 1 warning, 0 errors."),
        ([CheckStatus.BAD, CheckStatus.WARNING, CheckStatus.WARNING], "0 ok, 2 warnings, 1 error."),
    ],
)
def test_the_doctor_counts_what_it_found(statuses: list[CheckStatus], totals: str) -> None:
    out = StringIO()
    results = [CheckResult(name="x", status=status, message="") for status in statuses]
    render_totals(results, Console(file=out))
    assert out.getvalue() == f"{totals}\n"


def test_the_version_is_the_packages() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert __version__ == declared
    assert starter("--version").output == f"railmend {declared}\n"


def test_a_ledger_reads_as_lines_to_copy_and_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FaultRow(
        fingerprint="e/s/latency", state="open", holder="repair/acme/[b]x/1", standing="stuck", since=NOW
    )
    quiet = FaultRow(
        fingerprint="e/s/memory_leak", state="suppressed", holder="person/ada", since=NOW, until=NOW
    )
    overview = LedgerOverview(
        project="shop",
        id="ledger/p",
        paused="Railmend is paused by ada",
        faults=[fault, quiet],
        usd_reserved=0.0,
        bytes=1234,
    )

    async def overviews(project: str | None) -> list[LedgerOverview]:
        return [overview]

    monkeypatch.setattr(ledgers, "overviews", overviews)
    lines = starter("ledger", "show").stdout.splitlines()
    assert "e/s/latency" in lines
    assert any(line.startswith("  stuck: repair/acme/[b]x/1, since ") for line in lines)
    assert any("paused by ada. `starter.py resume` ends that." in line for line in lines)
    (data,) = json.loads(starter("ledger", "show", "--json").stdout)
    assert [row["standing"] for row in data["faults"]] == ["stuck", ""]


def test_a_fault_of_no_known_project_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def temporal(*_: object, **__: object) -> None:
        return None

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ledgers, "connect", temporal)
    result = starter("ledger", "release", "nowhere/s/latency")
    assert result.exit_code == 2
    assert "'nowhere/s/latency' belongs to no project of the settings" in result.stderr


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_what_was_paused_or_resumed_is_named(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    async def done(*_: object, everything: bool) -> list[str]:
        return ["ledger/p", "scan/e"] if everything else []

    monkeypatch.setattr(ledgers, action, done)
    assert starter(action, "--all").stdout.splitlines() == [f"ledger/p: {action}d.", f"scan/e: {action}d."]
    assert json.loads(starter(action, "--json").stdout) == {"action": f"{action}d", "ids": []}


HIDING = "ok\x1b[2J\x1b[1A\x1b]0;title\x07\x1b]8;;https://evil.example\x1b\\\x9b2K\u202efdp.exe\u200b\r"


def test_what_others_wrote_moves_no_cursor_and_hides_nothing_on_a_terminal() -> None:
    shown = StringIO()
    console = SafeConsole(file=shown, force_terminal=True, color_system=None, highlight=False, width=200)
    table = Table(HIDING)
    table.add_row(HIDING)
    console.print(table)
    console.print(escape(HIDING), HIDING)
    console.print(HIDING, markup=False, soft_wrap=True)
    printed = shown.getvalue()
    assert {each for each in printed if unicodedata.category(each)[0] == "C"} == {"\n"}
    assert printed.count("<U+202E>") == 5


def test_every_command_prints_on_that_console() -> None:
    made = [
        f"{file.name}: {line.strip()}"
        for file in sorted((Path(__file__).parents[2] / "commands").rglob("*.py"))
        for line in file.read_text().splitlines()
        if re.search(r"\bConsole\(|rich\.print|^from rich import print", line)
    ]
    assert made == []
