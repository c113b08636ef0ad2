"""The demo: it scans again for what a busy machine did not show, and when it is red it says why."""

from io import StringIO

import pytest
from rich.console import Console

from commands import demo_run
from commands.demo_run import SCANS, WINDOW_SECONDS, _verdict, scan_until_repaired
from commands.scan_result import ScanResult, render
from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ServiceRow
from tests import samples

BROKEN = ("checkout", "catalog", "reports")


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
        (("storefront",), "", "`storefront` got a pull request although nothing was wrong with it."),
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
    assert "the agent proposes no change: NO CHANGE: [rehearsal] no container" in text
    assert "http://forge/catalog/pull/1" in text
    assert "Healthy: storefront" in text


def seen(result: ScanResult, *names: str) -> ScanResult:
    """Return the result of a scan that found nothing but these."""
    rows = tuple(row for row in result.report.rows if row.name in names)
    repairs = {each: ended for each, ended in result.repairs.items() if each.removeprefix("repair/") in names}
    return ScanResult(report=result.report.model_copy(update={"rows": rows}), repairs=repairs)


async def no_sleep(_: float) -> None:
    """Wait for nothing."""


@pytest.mark.parametrize(
    ("scans", "asked", "code"),
    [
        ([scan_result(*BROKEN)], [None], 0),
        ([scan_result("checkout", "catalog"), scan_result(*BROKEN)], [None, ("reports",)], 0),
        # What was not even found cannot be asked for by its ID: all are looked at.
        ([seen(scan_result(), "checkout"), scan_result(*BROKEN)], [None, ()], 0),
        (
            [scan_result("checkout"), *(seen(scan_result(name), name) for name in ("catalog", "reports"))],
            [None, ("catalog", "reports"), ("reports",)],
            0,
        ),
        ([scan_result(reason="too little traffic")] * SCANS, [None, BROKEN, BROKEN], 1),
    ],
    ids=["at once", "one later", "not found", "one each time", "never"],
)
async def test_it_scans_again_before_it_gives_up(
    monkeypatch: pytest.MonkeyPatch, scans: list[ScanResult], asked: list[tuple[str, ...] | None], code: int
) -> None:
    monkeypatch.setattr(demo_run.asyncio, "sleep", no_sleep)
    given: list[tuple[str, ...] | None] = []
    windows: list[int] = []

    async def scan(again: tuple[str, ...] | None, window_seconds: int) -> ScanResult:
        given.append(again)
        windows.append(window_seconds)
        return scans[len(given) - 1]

    out = StringIO()
    result = await scan_until_repaired(scan, Console(file=out, width=200))
    assert given == asked
    assert windows == [WINDOW_SECONDS * number for number in range(1, len(asked) + 1)]
    assert _verdict(result, Console(file=out, width=200)) == code
    assert out.getvalue().count("Once more for") == len(asked) - 1
    reasons = out.getvalue().count("got no pull request: too little traffic.")
    assert reasons == (len(BROKEN) if code else 0)
