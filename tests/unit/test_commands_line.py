"""The command line as a whole: help that lists everything, JSON where data is printed, exit codes."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from typer.main import get_command

from commands import incidents as commands
from commands.doctor.check import Bad, Check, Status, conclude, failed, line
from commands.doctor.check import Result as Checked
from commands.durations import seconds
from commands.incidents import Known, Trouble
from commands.line.options import Level
from commands.statistics import show_statistics, statistics
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import Spent
from railmend.contracts.record import Record, Track
from railmend.settings import ConfigurationError
from starter import COMMANDS, app

ROOT = Path(__file__).parents[2]
HISTORIES = ROOT / "tests" / "replay" / "histories"
NOW = datetime.now(UTC)


def starter(*arguments: str) -> Result:
    return CliRunner().invoke(get_command(app), list(arguments))


def test_the_words_for_autonomy_are_the_contracts() -> None:
    assert list(get_args(Level)) == [one.value for one in Autonomy]


def test_help_says_what_each_command_does_in_one_unbroken_line() -> None:
    told = starter("--help").output
    for command in COMMANDS:
        (row,) = (row for row in told.splitlines() if row.startswith(f"  {command.__name__} "))
        assert row.endswith((".", "?"))
        assert not row.endswith("...")


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("3h", 10800)])
def test_a_window_is_written_as_people_do(text: str, expected: int) -> None:
    assert seconds(text) == expected


def test_a_bad_window_is_named() -> None:
    with pytest.raises(ConfigurationError, match="--window 'soon' is no interval"):
        seconds("soon")


def trouble(service: str, state: str, outcome: str = "") -> Trouble:
    pull = f"http://forge/{service}/1" if outcome == "pull_request" else ""
    return Trouble(
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
        id=f"incident/e/{service}",
    )


KNOWN = Known(
    troubles=[trouble("checkout", "silent", "pull_request"), trouble("[red]jobs", "open")],
    days={"shop": [Spent(key=f"{NOW:%Y-%m-%d}", usd=1.5), Spent(key="2020-01-01", usd=9.0)]},
)


def test_statistics_count_and_sum_by_period() -> None:
    told = statistics(KNOWN)
    assert told["by_state"] == {"silent": 1, "open": 1}
    assert told["pull_requests"] == 1
    assert told["usd_today"] == {"shop": 1.5}
    assert told["usd_this_month"] == {"shop": 1.5}
    assert (told["usd_per_held_fix"], told["seconds_to_recovery"], told["win_rates"]) == (None, None, [])


def test_statistics_tell_what_became_of_the_fixes() -> None:
    record = Record(
        repository="acme/[b]shop",
        kind="memory_leak",
        outcomes={"held": 3, "not_held": 1, "closed": 1, "cannot_tell": 1},
        merged=5,
        edited=2,
        at=NOW,
    )
    track = Track(records=(record,), opened_seconds=(60, 300, 120), recovered_seconds=(900,))
    known = KNOWN.model_copy(
        update={"totals": {"p": Spent(key="total", usd=1.5)}, "tracks": {"p": track, "q": Track()}}
    )
    told = statistics(known)
    assert told["fixes"] == {
        "merged_unchanged": 3,
        "merged_edited": 2,
        "closed": 1,
        "held": 3,
        "not_held": 1,
        "worse": 0,
        "cannot_tell": 1,
        "not_deployed": 0,
    }
    assert told["usd_per_held_fix"] == 0.5
    assert (told["seconds_to_pull_request"], told["seconds_to_recovery"]) == (120, 900)
    (rate,) = told["win_rates"]
    assert (rate["held"], rate["of"], rate["share"]) == (3, 5, 0.6)
    out = StringIO()
    show_statistics(known, Console(file=out, width=160))
    assert "acme/[b]shop  memory_leak  3     5   60%" in out.getvalue()


def test_a_list_names_what_to_look_at_and_a_name_is_no_markup() -> None:
    out = StringIO()
    commands.show(KNOWN, Console(file=out, width=160))
    assert "http://forge/checkout/1" in out.getvalue()
    assert "[red]jobs" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("what", ["list", "statistics"])
def test_incidents_as_json(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async def known(project: str | None, *, only_open: bool) -> Known:
        return KNOWN

    monkeypatch.setattr(commands, "incidents", known)
    told = starter("incidents", "--json", *(["--stats"] if what == "statistics" else []))
    assert told.exit_code == 0
    data = json.loads(told.stdout)
    assert data["troubles"] == 2 if what == "statistics" else data[0]["service"] == "checkout"


def test_a_recorded_history_replays_from_the_command_line() -> None:
    told = starter("replay", str(HISTORIES / "ledger.json"), "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["replays"] is True


def test_a_history_that_differs_ends_with_code_1_and_says_where(tmp_path: Path) -> None:
    altered = tmp_path / "altered.json"
    text = (HISTORIES / "repository_repair.json").read_text()
    altered.write_text(text.replace('"run_session"', '"another_step"'))
    told = starter("replay", str(altered))
    assert told.exit_code == 1
    assert "another_step" in told.output


def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("no history")
    told = starter("replay", str(file))
    assert told.exit_code == 2
    assert "temporal workflow show" in told.stderr


def test_the_ledger_is_not_cancelled() -> None:
    told = starter("cancel", "ledger/p")
    assert told.exit_code == 2
    assert "must stay open" in told.stderr


async def test_a_check_that_breaks_is_only_its_own_result() -> None:
    async def breaks() -> list[Checked]:
        raise RuntimeError("unforeseen")

    async def finds() -> list[Checked]:
        raise Bad("no git", "install git")

    (one,), (two,) = await conclude(Check("a", breaks)), await conclude(Check("git", finds))
    assert (one.status, one.said) == (Status.BAD, "RuntimeError: unforeseen")
    assert line(two).endswith("git: no git -> install git")
    assert failed([one, two])
    assert not failed([Checked(name="x", status=Status.WARNING, said="")])
