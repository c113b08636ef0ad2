"""What a person gets from the command line when something is missing or wrong."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from commands import incident_list
from commands.checks import github as github_checks
from commands.durations import interval
from railmend.contracts.ledger import LedgerEntry
from railmend.publishing.github import GitHubError
from railmend.settings import ConfigurationError
from tests import samples

ROOT = Path(__file__).parents[2]


def starter(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "starter.py"), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", timedelta(seconds=90)), ("10m", timedelta(minutes=10)), ("1d", timedelta(days=1))],
)
def test_intervals(text: str, expected: timedelta) -> None:
    assert interval(text) == expected


@pytest.mark.parametrize("text", ["", "10", "0m", "-1m", "ten", "1w"])
def test_what_is_no_interval_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an interval: write 90s, 10m, 1h or 1d"):
        interval(text)


def test_all_settings_that_the_roles_of_a_worker_lack_are_told_at_once() -> None:
    roles = [f"--role={role}" for role in ("orchestration", "planning", "coding")]
    worker = subprocess.run(
        [sys.executable, str(ROOT / "worker.py"), *roles],
        env={"PATH": os.environ["PATH"], "TEMPORAL_ADDRESS": "127.0.0.1:1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert worker.returncode == 2
    lines = worker.stderr.splitlines()
    for names in ("RAILWAY_PROJECT_ID, RAILWAY_ENVIRONMENT_ID", "GITHUB_TOKEN", "MODEL, MODEL_API_KEY"):
        assert any(line.startswith(f"Not set: {names}.") for line in lines)
    assert "Temporal" not in worker.stderr
    assert "Traceback" not in worker.stderr


def test_a_bad_setting_is_refused_at_start() -> None:
    done = starter("scan", RAILMEND_STEP_SECONDS="0")
    assert done.returncode == 2
    assert "RAILMEND_STEP_SECONDS: Input should be greater than or equal to 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_the_commands() -> None:
    assert all(name in starter("--help").stdout for name in ("scan", "schedule", "demo"))


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (GitHubError("GitHub did not answer (ConnectTimeout).", retryable=True), 1),
        (GitHubError("GitHub answered 401. Check GITHUB_TOKEN.", retryable=False, status=401), 1),
        (GitHubError("GitHub answered 404. Check that it exists.", retryable=False, status=404), 14),
    ],
    ids=["outage", "token", "each its own"],
)
def test_one_outage_of_github_is_one_line_of_doctor(error: GitHubError, lines: int) -> None:
    class GitHub:
        def check_publishable(self, *_: str) -> None:
            raise error

    names = [f"acme/service-{number}" for number in range(14)]
    results = github_checks._rights_of_all(GitHub(), names, names, ())  # type: ignore[arg-type]
    assert len(results) == lines
    assert str(error) in results[0].message
    if lines == 1:
        assert "13 more" in results[0].message


def test_an_open_fault_of_which_the_ledger_knows_no_more_has_its_row() -> None:
    """The ledger leaves out what is as it was at the beginning."""
    entry = LedgerEntry(
        fingerprint="env/id-checkout/memory_leak", state="open", holder="scan/env/1", since=samples.NOW
    )
    row = incident_list._row("shop", entry, {"env/id-checkout": "checkout"})
    assert (row.service, row.state, row.outcome, row.until, row.times) == ("checkout", "open", "", None, 1)
