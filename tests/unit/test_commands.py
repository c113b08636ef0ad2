"""What a person gets from the command line when something is missing or wrong."""

import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from commands.checks import github as github_checks
from commands.demo_run import _verdict
from commands.durations import interval
from commands.scan_result import ScanResult, render
from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ServiceRow
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
    with pytest.raises(ConfigurationError, match="is no interval: write 90s, 10m, 1h or 1d"):
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


def scan_result(*repaired: str, reason: str = "") -> ScanResult:
    """Four services; those named have a pull request, the other broken ones ended with the reason."""
    rows, repairs = [], {}
    for name in ("checkout", "catalog", "reports", "storefront"):
        healthy = name == "storefront" and name not in repaired
        if not healthy:
            row = ServiceRow(service_id=name, name=name, findings=(samples.finding(name),))
            rows.append(row.model_copy(update={"repair_workflow_id": f"repair/{name}"}))
        if name in repaired:
            pull = PullRequest(number=1, url=f"http://forge/{name}/pull/1", head="a")
            outcome = RepairOutcome.PULL_REQUEST
            repairs[f"repair/{name}"] = RepairResult(outcome=outcome, reason="", pull_request=pull)
        elif not healthy:
            repairs[f"repair/{name}"] = RepairResult(outcome=RepairOutcome.NO_CHANGE, reason=reason)
    report = HealthReport(
        project_name="acme",
        environment_name="production",
        window=samples.WINDOW,
        rows=tuple(rows),
        healthy=("storefront",),
    )
    return ScanResult(report=report, repairs=repairs)


@pytest.mark.parametrize(
    ("repaired", "code"),
    [
        (("checkout", "catalog", "reports"), 0),
        (("checkout", "catalog"), 1),
        (("checkout", "catalog", "reports", "storefront"), 1),
        ((), 1),
    ],
)
def test_the_demo_fails_when_a_pull_request_is_missing_or_wrong(repaired: tuple[str, ...], code: int) -> None:
    assert _verdict(scan_result(*repaired), Console(file=StringIO())) == code


@pytest.mark.parametrize(
    ("repaired", "reason", "line"),
    [
        (("checkout", "catalog"), "no container", "`reports` got no pull request: no container."),
        (("checkout", "catalog"), "", "`reports` got no pull request: no reason is known."),
        (("storefront",), "", "`storefront` got a pull request, and nothing was wrong with it."),
    ],
)
def test_the_demo_says_what_went_wrong(repaired: tuple[str, ...], reason: str, line: str) -> None:
    out = StringIO()
    _verdict(scan_result(*repaired, reason=reason), Console(file=out))
    assert line in out.getvalue().splitlines()


def test_the_report_says_why_nothing_was_changed() -> None:
    out = StringIO()
    render(scan_result("catalog", reason="NO CHANGE: [rehearsal] no container"), Console(file=out, width=200))
    text = out.getvalue()
    assert "no_change: NO CHANGE: [rehearsal] no container" in text
    assert "http://forge/catalog/pull/1" in text
    assert "Well: storefront" in text


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
    results = github_checks._rights_of_all(GitHub(), names)  # type: ignore[arg-type]
    assert len(results) == lines
    assert str(error) in results[0].message
    if lines == 1:
        assert "13 more" in results[0].message
