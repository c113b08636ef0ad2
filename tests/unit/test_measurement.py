"""Did it hold? Tables of numbers, and properties that hold for all of them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.measurement import MeasurementActivities
from railmend.contracts.comments import MeasurementComment
from railmend.contracts.incident import Criterion, MeasuredSeries
from railmend.contracts.measurement import (
    MAX_POINTS,
    DeploymentQuestion,
    DeployState,
    MeasurementInput,
    MeasurementStatus,
    MeasureRequest,
    WindowMetrics,
    overall_status,
)
from railmend.contracts.review import Merge, MergeMethod
from railmend.contracts.scan import Finding, FindingKind, Window
from railmend.measurement import evaluate, matched_windows, window_metrics
from railmend.publishing.charts import TITLES, chart, shown_by
from railmend.publishing.comments import format_measurement_comment
from railmend.railway.errors import RailwayError
from railmend.railway.model import DeploymentRecord, Slice
from tests import samples
from tests.kept import memory_store

HOUR = Window(start=samples.NOW - timedelta(hours=1), end=samples.NOW, step_seconds=60)
LATER = Window(start=samples.NOW + timedelta(hours=1), end=samples.NOW + timedelta(hours=2), step_seconds=60)


def numbers(window: Window = HOUR, **changes: object) -> WindowMetrics:
    values: dict[str, object] = {
        "known": 1.0,
        "requests": 3000.0,
        "requests_per_minute": 50.0,
        "memory_gb": 0.3,
        "memory_slope_gb_per_hour": 0.0,
        "error_share": 0.0,
        "p95_ms": 120.0,
    }
    return WindowMetrics(window=window, **{**values, **changes})  # type: ignore[arg-type]


def symptom(kind: FindingKind, value: float, threshold: float) -> Finding:
    return samples.finding(kind=kind).model_copy(update={"value": value, "threshold": threshold})


LEAK = symptom(FindingKind.MEMORY_LEAK, 0.8, 0.0)
ERRORS = symptom(FindingKind.ERROR_RATE, 0.3, 0.02)
SLOW = symptom(FindingKind.LATENCY, 2400.0, 1000.0)
CRASHES = symptom(FindingKind.CRASH_LOOP, 5, 3)


def compared(
    finding: Finding, before: dict[str, object], after: dict[str, object], **more: object
) -> MeasurementInput:
    return MeasurementInput(
        service_name="checkout",
        findings=(finding,),
        before=numbers(**before),
        after=numbers(LATER, **after),
        **{"criteria": (), "minutes_up": 60.0, **more},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("finding", "before", "after", "status", "part"),
    [
        (
            LEAK,
            {"memory_slope_gb_per_hour": 0.8},
            {"memory_slope_gb_per_hour": 0.01},
            MeasurementStatus.HELD,
            "is gone",
        ),
        (
            LEAK,
            {"memory_slope_gb_per_hour": 0.8},
            {"memory_slope_gb_per_hour": 0.7},
            MeasurementStatus.NOT_HELD,
            "0.7",
        ),
        (LEAK, {}, {"memory_slope_gb_per_hour": None}, MeasurementStatus.CANNOT_TELL, "could be measured"),
        (ERRORS, {"error_share": 0.3}, {"error_share": 0.001}, MeasurementStatus.HELD, "is gone"),
        (
            ERRORS,
            {"error_share": 0.3},
            {"error_share": 0.28},
            MeasurementStatus.NOT_HELD,
            "28.0% of requests",
        ),
        (
            ERRORS,
            {"error_share": 0.3},
            {"error_share": 0.5},
            MeasurementStatus.WORSE,
            "50.0% of the requests fail",
        ),
        (SLOW, {"p95_ms": 2400.0}, {"p95_ms": 80.0}, MeasurementStatus.HELD, "is gone"),
        (SLOW, {"p95_ms": 2400.0}, {"p95_ms": 2300.0}, MeasurementStatus.NOT_HELD, "latency is 2300 ms"),
        (SLOW, {"p95_ms": 2400.0}, {"p95_ms": 4800.0}, MeasurementStatus.WORSE, "4800 ms, 2400 ms before"),
        (
            LEAK,
            {"memory_slope_gb_per_hour": 0.8},
            {"error_share": 0.2},
            MeasurementStatus.WORSE,
            "20.0% of the requests",
        ),
        (LEAK, {"memory_slope_gb_per_hour": 0.8}, {"p95_ms": 900.0}, MeasurementStatus.WORSE, "900 ms"),
        (
            LEAK,
            {},
            {"requests": 300.0, "requests_per_minute": 5.0},
            MeasurementStatus.CANNOT_TELL,
            "traffic is at 10%",
        ),
        (
            LEAK,
            {},
            {"requests": 12.0},
            MeasurementStatus.CANNOT_TELL,
            "12 requests in 60 minutes are too few",
        ),
        (LEAK, {}, {"known": 0.2}, MeasurementStatus.CANNOT_TELL, "only 20% of 60 minutes"),
        (
            LEAK,
            {"requests": None, "memory_slope_gb_per_hour": 0.8},
            {"requests": None},
            MeasurementStatus.HELD,
            "is gone",
        ),
        (CRASHES, {}, {}, MeasurementStatus.HELD, "is gone"),
    ],
)
def test_the_verdict_and_its_sentence(
    finding: Finding,
    before: dict[str, object],
    after: dict[str, object],
    status: MeasurementStatus,
    part: str,
) -> None:
    result = evaluate(compared(finding, before, after))
    assert (result.status, part in result.sentence) == (status, True), result.sentence


def test_a_symptom_that_is_found_again_did_not_hold_whatever_its_number() -> None:
    for finding in (LEAK, CRASHES):
        assert evaluate(compared(finding, {}, {}, again=(finding,))).status is MeasurementStatus.NOT_HELD


def test_a_new_trouble_is_worse_even_with_little_traffic() -> None:
    verdict = evaluate(compared(LEAK, {}, {"requests": 5.0}, again=(CRASHES,)))
    assert verdict.status is MeasurementStatus.WORSE
    assert CRASHES.sentence in verdict.sentence


@pytest.mark.parametrize(
    ("minutes_up", "status"),
    [(60.0, MeasurementStatus.HELD), (121.0, MeasurementStatus.NOT_HELD)],
    ids=["not due", "due"],
)
def test_a_criterion_counts_when_its_time_has_come(minutes_up: float, status: MeasurementStatus) -> None:
    criterion = Criterion(series=MeasuredSeries.MEMORY_GB, below=True, threshold=0.2, within_minutes=120)
    measured = compared(
        LEAK, {"memory_slope_gb_per_hour": 0.8}, {}, criteria=(criterion,), minutes_up=minutes_up
    )
    assert evaluate(measured).status is status


CEILING = Criterion(series=MeasuredSeries.MEMORY_GB, below=True, threshold=0.6, within_minutes=30)
RISING = {"memory_slope_gb_per_hour": 0.4}


@pytest.mark.parametrize(
    ("more", "after", "status"),
    [
        ({"last": False}, {}, MeasurementStatus.CANNOT_TELL),
        ({"last": True}, {}, MeasurementStatus.NOT_HELD),
        ({"last": False, "again": (LEAK,)}, {}, MeasurementStatus.CANNOT_TELL),
        ({"last": False, "criteria": (CEILING,)}, {"memory_gb": 0.7}, MeasurementStatus.NOT_HELD),
        ({"last": False, "criteria": (CEILING,)}, {"memory_gb": 0.5}, MeasurementStatus.CANNOT_TELL),
        ({"last": True, "criteria": (CEILING,)}, {"memory_gb": 0.5}, MeasurementStatus.NOT_HELD),
        ({"last": False}, {"memory_slope_gb_per_hour": 0.01}, MeasurementStatus.HELD),
    ],
    ids=[
        "early",
        "last",
        "early, found again",
        "above the ceiling",
        "below the ceiling",
        "last, below the ceiling",
        "level",
    ],
)
def test_memory_that_rises_is_bad_news_only_at_the_last_measurement_or_above_the_plan(
    more: dict[str, object], after: dict[str, object], status: MeasurementStatus
) -> None:
    result = evaluate(compared(LEAK, {"memory_slope_gb_per_hour": 0.8}, RISING | after, **more))
    assert result.status is status, result.sentence
    if status is MeasurementStatus.CANNOT_TELL:
        assert "memory still rises" in result.sentence
        assert all(row.good is not False for row in result.rows)


def test_errors_are_bad_news_at_once() -> None:
    result = evaluate(compared(ERRORS, {"error_share": 0.3}, {"error_share": 0.2}, last=False))
    assert result.status is MeasurementStatus.NOT_HELD


@pytest.mark.parametrize(
    ("requests", "before", "after", "worse"),
    [
        (30, 0.0, 0.10, False),  # three failures of thirty: z = 1.78
        (100, 0.0, 0.09, False),  # z = 3.07 with the pooled variance, 3.14 without
        (100, 0.0, 0.10, True),  # z = 3.24
        (100_000, 0.01, 0.029, False),  # beyond chance, and nobody would notice
        (100_000, 0.01, 0.031, True),
    ],
)
def test_only_more_failures_than_chance_explains_and_users_notice_revert_a_fix(
    requests: int, before: float, after: float, worse: bool
) -> None:
    """The z values are those of the two-proportion test, computed by hand; 3.1 is p = 0.001."""
    sides = ({"requests": requests, "error_share": share} for share in (before, after))
    measured = compared(LEAK, *sides)
    assert (evaluate(measured).status is MeasurementStatus.WORSE) is worse


@pytest.mark.parametrize(
    ("rate", "status"), [(50.0, MeasurementStatus.HELD), (30.0, MeasurementStatus.NOT_HELD)]
)
def test_a_criterion_may_want_more_of_something(rate: float, status: MeasurementStatus) -> None:
    criterion = Criterion(
        series=MeasuredSeries.REQUESTS_PER_MINUTE, below=False, threshold=40.0, within_minutes=30
    )
    measured = compared(CRASHES, {}, {"requests_per_minute": rate}, criteria=(criterion,))
    result = evaluate(measured)
    assert result.status is status
    assert "above 40" in result.rows[-1].bound


@given(
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    latencies=st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)),
    requests=st.floats(0, 1e6),
)
def test_more_failures_or_slower_answers_never_make_a_verdict_better(
    shares: tuple[float, float], latencies: tuple[float, float], requests: float
) -> None:
    """A later window that is worse in every number cannot be judged better."""
    rank = [
        MeasurementStatus.WORSE,
        MeasurementStatus.NOT_HELD,
        MeasurementStatus.CANNOT_TELL,
        MeasurementStatus.HELD,
    ].index
    before: dict[str, object] = {"error_share": 0.1, "p95_ms": 300.0}
    verdicts = [
        evaluate(
            compared(
                ERRORS,
                before,
                {
                    "error_share": share,
                    "p95_ms": ms,
                    "requests": requests,
                    "requests_per_minute": requests / 60,
                },
            )
        ).status
        for share, ms in zip(sorted(shares), sorted(latencies), strict=True)
    ]
    assert rank(verdicts[1]) <= rank(verdicts[0])


@given(hours_up=st.floats(0, 100), window_hours=st.floats(0.1, 30))
def test_windows_are_of_one_length_and_begin_after_the_deployment(
    hours_up: float, window_hours: float
) -> None:
    incident = Window(start=samples.NOW - timedelta(hours=window_hours), end=samples.NOW, step_seconds=60)
    up_since = samples.NOW + timedelta(hours=1)
    windows = matched_windows(incident, up_since, up_since + timedelta(hours=hours_up))
    if windows is None:
        assert min(hours_up * 0.9, window_hours) * 3600 < 6 * 60
        return
    before, after = windows
    assert before.length == after.length <= incident.length
    assert after.start >= up_since
    assert before.start >= incident.start


def test_a_slice_is_condensed_to_its_numbers() -> None:
    steps = 60
    source = Slice(
        service_id="a",
        start=HOUR.start,
        step_seconds=60,
        memory_gb=[0.2 + 0.01 * step for step in range(steps)],
        memory_limit_gb=[1.0] * steps,
        cpu=[0.5] * 30 + [None] * 30,
        cpu_limit=[2.0] * steps,
        http={"2xx": [8.0] * steps, "5xx": [2.0] * steps},
        latency={"p95": [100.0] * steps},
    )
    metrics = window_metrics(source, HOUR)
    assert metrics.memory_slope_gb_per_hour == pytest.approx(0.6)
    assert metrics.memory_share == pytest.approx(0.495)
    assert (metrics.requests, metrics.requests_per_minute, metrics.error_share) == (
        600,
        10,
        pytest.approx(0.2),
    )
    assert (metrics.cpu_share, metrics.p95_ms, metrics.known) == (0.25, 100, 1)
    assert len(metrics.series[MeasuredSeries.MEMORY_GB]) == MAX_POINTS
    assert metrics.series[MeasuredSeries.CPU_CORES][-1] is None
    empty = window_metrics(Slice(service_id="a", start=HOUR.start, step_seconds=60), HOUR)
    assert (empty.known, empty.memory_gb, empty.requests, empty.series) == (0, None, None, {})


def test_the_worst_of_several_services_counts() -> None:
    held = evaluate(compared(LEAK, {"memory_slope_gb_per_hour": 0.8}, {}))
    worse = evaluate(compared(ERRORS, {"error_share": 0.1}, {"error_share": 0.9}))
    assert overall_status([held, worse]) is MeasurementStatus.WORSE
    assert overall_status([]) is MeasurementStatus.CANNOT_TELL


def test_the_comment_shows_verdict_numbers_chart_and_next_step() -> None:
    series = {MeasuredSeries.MEMORY_GB: (0.1, None, 0.3)}
    flat = {MeasuredSeries.MEMORY_GB: (0.1, 0.1, 0.1)}
    measured = compared(
        LEAK,
        {"memory_slope_gb_per_hour": 0.8, "series": series},
        {"memory_slope_gb_per_hour": 0.0, "series": flat},
    )
    merge = Merge(sha="f" * 40, head="e" * 40, method=MergeMethod.SQUASH, at=samples.NOW, by="ada")
    comment = MeasurementComment(
        repository="acme/checkout",
        number=1,
        status=MeasurementStatus.WORSE,
        measurements=(evaluate(measured),),
        merge=merge,
        edited=True,
        revert="http://forge/2",
        action="action/a/b",
    )
    text = format_measurement_comment(comment)
    for part in (
        "## It is worse than before",
        "| memory leak | 0.8 GB/h | 0 GB/h | at most 0.2 GB/h | yes |",
        "bar [0.1, 0.1, 0.3]\n  line [0.1, 0.1, 0.1]",
        "Merged by ada as a squash (`ffffffffffff`), with changes by people.",
        "**Next:** http://forge/2 undoes it, ready to merge. Quicker: `starter.py approve action/a/b` rolls",
    ):
        assert part in text, text


def test_a_chart_needs_two_points_and_cannot_be_broken_out_of() -> None:
    assert shown_by((LEAK, CRASHES, SLOW)) == (MeasuredSeries.MEMORY_GB, MeasuredSeries.P95_MS)
    metrics = numbers(series={MeasuredSeries.MEMORY_GB: (None, 0.5, 0.7)})
    drawn = chart('a"\n```\n# b', MeasuredSeries.MEMORY_GB, metrics)
    assert "line [0.5, 0.5, 0.7]" in drawn
    assert drawn.count("```") == 2
    assert chart("a", MeasuredSeries.P95_MS, metrics) == ""


async def test_the_windows_are_of_the_server_s_time_whatever_the_worker_s_clock_says() -> None:
    asked: list[Window] = []

    class Railway:
        async def client_for(self, _: str) -> "Railway":
            return self

        @property
        def surveyor(self) -> "Railway":
            return self

        async def fetch_detailed(self, _: str, __: object, window: Window) -> None:
            asked.append(window)
            raise RailwayError("enough")

    measuring = MeasurementActivities(Railway(), None, None, settle_seconds=60)  # type: ignore[arg-type]
    request = MeasureRequest(
        environment_id="env",
        service=samples.service(),
        findings=(LEAK,),
        criteria=(),
        window=HOUR,
        up_since=samples.NOW,
        at=samples.NOW + timedelta(minutes=31),
    )
    with pytest.raises(ApplicationError, match="enough"):
        await measuring.measure_service(request)
    assert asked == [HOUR.model_copy(update={"start": HOUR.end - timedelta(minutes=27)})]


MERGED_AT = samples.NOW
OWN, NEXT_PUSH, OTHER = "f" * 40, "9" * 40, "1" * 40


def record(status: str, commit: str | None = OWN, after: float = 1, reason: str = "") -> DeploymentRecord:
    at = MERGED_AT + timedelta(minutes=after)
    name = f"{status.lower()}-{after:g}"
    return DeploymentRecord(id=name, status=status, created_at=at, commit=commit, reason=reason or None)


class History:
    """A service's deployments, newest first, and a repository where `NEXT_PUSH` contains `OWN`."""

    def __init__(self, records: list[DeploymentRecord]) -> None:
        self.records = sorted(records, key=lambda record: record.created_at, reverse=True)
        self.compared: list[str] = []

    async def client_for(self, _: str) -> "History":
        return self

    async def deployments(self, *_: object) -> list[DeploymentRecord]:
        return self.records

    def carries(self, _: str, commit: str, ancestor: str) -> bool:
        self.compared.append(commit)
        return (commit, ancestor) == (NEXT_PUSH, OWN)


@pytest.mark.parametrize(
    ("records", "state", "part"),
    [
        ([], DeployState.WAITING, "Railway lists no deployment that contains the merge"),
        ([record("SUCCESS", OTHER, -60)], DeployState.WAITING, "Railway lists no deployment"),
        ([record("BUILDING")], DeployState.WAITING, "It is BUILDING"),
        ([record("SUCCESS")], DeployState.UP, ""),
        ([record("FAILED")], DeployState.FAILED, ""),
        ([record("CRASHED")], DeployState.CRASHED, ""),
        (
            [record("SKIPPED", reason="CI check suite failed")],
            DeployState.SKIPPED,
            "Railway's reason: CI check suite failed. Railway does not try it again by itself.",
        ),
        # What another push does is not the fix's.
        ([record("SUCCESS"), record("SKIPPED", NEXT_PUSH, 9)], DeployState.UP, ""),
        ([record("SUCCESS"), record("FAILED", NEXT_PUSH, 9)], DeployState.UP, ""),
        ([record("SUCCESS"), record("SKIPPED", OTHER, 9)], DeployState.UP, ""),
        ([record("REMOVED"), record("SUCCESS", NEXT_PUSH, 9)], DeployState.UP, ""),
        ([record("REMOVED"), record("CRASHED", NEXT_PUSH, 9)], DeployState.WAITING, "need not be the fix's"),
        ([record("FAILED", NEXT_PUSH, 9)], DeployState.WAITING, "need not be the fix's"),
        ([record("SKIPPED"), record("FAILED", NEXT_PUSH, 9)], DeployState.SKIPPED, "need not be the fix's"),
        ([record("SKIPPED"), record("BUILDING", NEXT_PUSH, 9)], DeployState.WAITING, "It is BUILDING"),
        ([record("SKIPPED"), record("SUCCESS", NEXT_PUSH, 9)], DeployState.UP, ""),
        ([record("FAILED"), record("SUCCESS", NEXT_PUSH, 9)], DeployState.UP, ""),
        ([record("FAILED"), record("SUCCESS", OWN, 9)], DeployState.UP, ""),
        ([record("SKIPPED"), record("SUCCESS", OTHER, 9)], DeployState.SKIPPED, "does not try it again"),
        ([record("NEEDS_APPROVAL")], DeployState.WAITING, "It is NEEDS_APPROVAL"),
    ],
    ids=lambda value: str(value) if isinstance(value, DeployState) else None,
)
async def test_how_far_a_merge_is_deployed(
    records: list[DeploymentRecord], state: DeployState, part: str
) -> None:
    history = History(records)
    activities: Any = MeasurementActivities(history, history, memory_store(), 60)  # type: ignore[arg-type]
    view = await ActivityEnvironment().run(
        activities.find_deployment,
        DeploymentQuestion(
            project_id="p",
            environment_id="e",
            service_id="s",
            repository="acme/shop",
            commit=OWN,
            merged_at=MERGED_AT,
        ),
    )
    assert view.state is state, view
    assert part in view.detail


async def test_a_history_full_of_skipped_pushes_costs_no_comparison_of_commits() -> None:
    skipped = [record("SKIPPED", f"{number:040d}", number) for number in range(2, 40)]
    history = History([record("SUCCESS"), *skipped])
    activities: Any = MeasurementActivities(history, history, memory_store(), 60)  # type: ignore[arg-type]
    question = DeploymentQuestion(
        project_id="p",
        environment_id="e",
        service_id="s",
        repository="acme/shop",
        commit=OWN,
        merged_at=MERGED_AT,
    )
    view = await ActivityEnvironment().run(activities.find_deployment, question)
    assert (view.state, history.compared) == (DeployState.UP, [])


def test_a_chart_has_the_limit_and_the_onset_where_they_can_be_seen() -> None:
    leak = {MeasuredSeries.MEMORY_GB: (0.1, 0.2, 0.3, 0.4)}
    metrics = numbers(memory_gb=0.25, memory_share=0.5, series=leak)
    start = metrics.window.start
    drawn = chart("web", MeasuredSeries.MEMORY_GB, metrics, start + metrics.window.length * 0.6)
    assert "bar [0, 0, 0.5, 0]\n  line [0.1, 0.2, 0.3, 0.4]\n  line [0.5, 0.5, 0.5, 0.5]" in drawn
    assert "flat line: limit 0.5 GB; bar: onset " in drawn
    assert '"plotColorPalette": "silver, royalblue, crimson"' in drawn
    far = numbers(memory_gb=0.25, memory_share=0.01, series=leak)
    plain = chart("web", MeasuredSeries.MEMORY_GB, far, start - timedelta(hours=1))
    assert "limit" not in plain
    assert "bar" not in plain
    assert '"plotColorPalette": "royalblue"' in plain, "the first colour of its own is all but white"


def test_no_line_of_a_chart_is_longer_than_mermaid_shows() -> None:
    series = dict.fromkeys(TITLES, (0.123, 0.234))
    metrics = numbers(
        memory_gb=0.2512, memory_share=0.5123, cpu_cores=0.1234, cpu_share=0.4321, series=series
    )
    for each in TITLES:
        drawn = chart("x" * 300, each, metrics, metrics.window.start)
        assert max(map(len, re.findall('(?:title|x-axis) "(.*?)"', drawn))) <= 64
