"""Which of production's requests are asked again, and what their answers show."""

from dataclasses import dataclass
from datetime import datetime

import pytest

from railmend.coding.proof.load import LoadRecord, compared, quantile, slope
from railmend.coding.proof.replay import (
    CONTROL,
    MOST_FAILED,
    MOST_HEALTHY,
    emptied,
    holds_nothing,
    replay_row,
    sample,
)
from railmend.coding.sandbox.resource_usage import ResourceUsage
from railmend.contracts.proof import Answers, SampledRequest, SideReport
from railmend.evidence.redact import Redactor
from railmend.settings import Settings
from tests.samples import NOW


@dataclass(frozen=True)
class Row:
    path: str
    status: int = 200
    duration_ms: float = 5.0
    method: str = "GET"
    timestamp: datetime = NOW


def test_a_sample_only_reads_is_bounded_and_spread_over_the_routes() -> None:
    busy = [Row(f"/orders/{n}") for n in range(1000)]
    rare = [Row("/up"), Row("/names", 301)]
    failing = [Row(f"/prices/{n}", 500) for n in range(100)] + [Row("/rare", 503)]
    writes = [Row("/orders", 500, method=method) for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")]
    slow = [Row("/report", 200, 900.0), Row("/socket", 101, 90_000.0), Row("/gone", 502, 30_000.0)]
    chosen = sample([*busy, *rare, *failing, *writes, *slow], 500.0)
    assert {each.method for each in chosen} == {"GET"}
    assert [each.path for each in chosen if each.slow] == ["/report"]
    failed = [each for each in chosen if each.failed]
    healthy = [each for each in chosen if not each.failed and not each.slow]
    assert (len(failed), len(healthy)) == (MOST_FAILED, MOST_HEALTHY)
    assert {"/rare", "/gone"} < {each.path for each in failed}
    assert {"/up", "/names"} < {each.path for each in healthy}
    assert len({each.path for each in chosen}) == len(chosen)


def test_other_methods_are_repeated_where_a_setting_names_them() -> None:
    rows = [Row("/orders", 500, method=method) for method in ("GET", "POST", "DELETE")]
    chosen = sample(rows, 500.0, Settings(railmend_replay_methods="GET,POST").replay_methods())
    assert [each.route for each in chosen] == ["GET /orders", "POST /orders"]


TOLD = {
    "a user's id": ("/users/48213377/orders", "/users/11111111/orders"),
    "a uuid": ("/o/3f2c8a10-9b7e-4d55-8c21-0a9be6d3f411", "/o/1a1a1a11-1a1a-1a11-1a11-1a1aa1a1a111"),
    "a mail address": ("/find?q=ada@example.com&page=2", "/find?q=aaa@aaaaaaa.aaa&page=2"),
    "a small number": ("/products/17?page=2", "/products/17?page=2"),
    "words": ("/api/v1/orders", "/api/v1/orders"),
}


@pytest.mark.parametrize(("path", "asked"), TOLD.values(), ids=TOLD)
def test_ids_of_people_keep_their_shape_alone(path: str, asked: str) -> None:
    (request,) = sample([Row(path)], 500.0)
    assert request.path == asked


def test_what_was_redacted_or_is_no_path_is_not_asked() -> None:
    token = "/hook?key=AKIA" + "IOSFODNN7EXAMPLE"
    redacted = Redactor()(token)
    assert redacted != token
    assert (
        sample([Row(redacted), Row("//evil\r\nHost: x"), Row("http://evil/"), Row("/" + "a" * 500)], 500)
        == ()
    )


def asked(
    route: str,
    said: int,
    *statuses: int,
    ms: float = 5,
    slow: bool = False,
    body: str = "b",
    nothing: bool = False,
) -> Answers:
    request = SampledRequest(method="GET", path=route, route=route, status=said, duration_ms=ms, slow=slow)
    times = len(statuses)
    return Answers(
        request=request,
        statuses=statuses,
        durations_ms=(float(ms),) * times,
        bodies=(body,) * times,
        nothing=(nothing,) * times,
    )


FAULT = asked("/cup", 500, 500, 500, 500)
WELL = (
    asked(CONTROL, 404, 404, 404, 404),
    asked("/up", 200, 200, 200, 200),
    asked("/names", 200, 200, 200, 200),
)
MENDED = asked("/cup", 500, 200, 200, 200)
SLOW = asked("/report", 200, 200, 200, 200, ms=300, slow=True)
JUDGED: dict[str, tuple[tuple[Answers, ...], tuple[Answers, ...], str, str]] = {
    "mended": ((FAULT, *WELL), (MENDED, *WELL), "passed", "2 healthy ones of 2 other routes"),
    "still there": ((FAULT, *WELL), (FAULT, *WELL), "failed", "/cup shows it with the change too"),
    "sometimes there": (
        (FAULT, *WELL),
        (asked("/cup", 500, 200, 500, 200), *WELL),
        "failed",
        "/cup shows it with the change too",
    ),
    "never answered": ((FAULT, *WELL), (asked("/cup", 500, 0, 0, 0), *WELL), "failed", "/cup shows it"),
    "not asked with the change": ((FAULT, *WELL), WELL, "not_had", "no time to ask"),
    "one route sampled": ((FAULT, *WELL[:2]), (MENDED, *WELL[:2]), "not_had", "Of other routes 1"),
    "behind a login": (
        (asked("/cup", 500, 401, 401, 401), *WELL),
        (MENDED, *WELL),
        "not_had",
        "Not reproducible here: the base answers them well",
    ),
    "flaky on the base": (
        (asked("/cup", 500, 500, 200, 500), *WELL),
        (MENDED, *WELL),
        "not_had",
        "Not reproducible here",
    ),
    "the healthy ones need a database": (
        (FAULT, *(asked(each.request.route, 200, 500, 500, 500) for each in WELL)),
        (MENDED, *WELL),
        "not_had",
        "Of other routes 0",
    ),
    "nothing failed": (WELL, WELL, "not_had", "the sample holds none"),
    "breaks another": (
        (FAULT, *WELL),
        (MENDED, *WELL[:2], asked("/names", 200, 500, 500, 500)),
        "failed",
        "/names answered 200, and answers 500 with the change",
    ),
    "breaks another now and then": (
        (FAULT, *WELL),
        (MENDED, *WELL[:2], asked("/names", 200, 200, 500, 200)),
        "failed",
        "/names answered 200, and answers 500 with the change",
    ),
    "another answer": (
        (FAULT, *WELL),
        (MENDED, *WELL[:2], asked("/names", 200, 200, 200, 200, body="[]")),
        "failed",
        "/names answers with something else",
    ),
    "slow, mended": ((SLOW, *WELL), (asked("/report", 200, 200, 200, 200, slow=True), *WELL), "passed", ""),
    "slow, as before": ((SLOW, *WELL), (SLOW, *WELL), "failed", "/report shows it"),
    "slow in production alone": (
        (asked("/report", 200, 200, 200, 200, ms=20, slow=True), *WELL),
        (asked("/report", 200, 200, 200, 200, slow=True), *WELL),
        "not_had",
        "Not reproducible here",
    ),
}


@pytest.mark.parametrize(("base", "change", "verdict", "why"), JUDGED.values(), ids=JUDGED)
def test_answers_count_where_the_base_shows_the_fault_and_else_is_as_production(
    base: tuple[Answers, ...], change: tuple[Answers, ...], verdict: str, why: str
) -> None:
    row = replay_row(SideReport(answers=base), SideReport(answers=change))
    assert (row.verdict.value, row.shows_fault) == (verdict, False), row
    assert why in row.reason


EMPTY = asked("/cup", 500, 200, 200, 200, nothing=True)
EMPTIED: dict[str, tuple[tuple[Answers, ...], tuple[Answers, ...], str | None]] = {
    "with something": ((FAULT, *WELL), (MENDED, *WELL), ""),
    "with nothing": ((FAULT, *WELL), (EMPTY, *WELL), "/cup failed, and answers with nothing"),
    "with nothing, as is usual there": (
        (FAULT, asked("/cup", 200, 200, 200, 200, nothing=True)),
        (EMPTY, asked("/cup", 200, 200, 200, 200, nothing=True)),
        None,
    ),
    "not found": ((FAULT, *WELL), (asked("/cup", 500, 404, 404, 404), *WELL), None),
    "by a worker that does not say": (
        (FAULT, *WELL),
        (MENDED.model_copy(update={"nothing": ()}), *WELL),
        None,
    ),
    "what did not fail": (WELL, WELL, None),
}


@pytest.mark.parametrize(("base", "change", "why"), EMPTIED.values(), ids=EMPTIED)
def test_what_failed_and_is_answered_with_nothing_is_told(
    base: tuple[Answers, ...], change: tuple[Answers, ...], why: str | None
) -> None:
    sides = SideReport(answers=base), SideReport(answers=change)
    found = emptied(*sides)
    assert (found or "").startswith(why) if why else found == why
    if why:
        row = replay_row(*sides)
        assert (row.verdict.value, row.reason) == ("not_had", found)


@pytest.mark.parametrize(
    "body", ["", " ", "[]", "{}", "null", "0", '""', '{"ok": true, "rows": [{"a": []}]}']
)
def test_a_body_without_a_text_or_number_holds_nothing(body: str) -> None:
    assert holds_nothing(body.encode())


@pytest.mark.parametrize("body", ["ok", "[1]", '{"rows": ["a"]}', "<html></html>", "[" * 100_000, "\xff"])
def test_any_other_body_holds_something(body: str) -> None:
    assert not holds_nothing(body.encode("latin-1"))


@pytest.mark.parametrize("side", ["base", "change"])
def test_a_side_that_could_not_be_asked_is_told(side: str) -> None:
    none = SideReport(unasked="It ended with exit code 1.")
    full = SideReport(answers=(FAULT, *WELL))
    row = replay_row(none, full) if side == "base" else replay_row(full, none)
    assert (row.verdict.value, row.reason) == ("not_had", "It ended with exit code 1.")


def used(memory: float, cpu: float) -> ResourceUsage:
    return ResourceUsage(0, 0, 0, 0, int(memory), 0, 0, cpu)


def recorded(kib: float, cpu_ms: float, failing: int = 0, measurements: int = 20) -> LoadRecord:
    """Return a record of 100 requests, each of which costs so much; memory is noisy by 100 KiB."""
    record = LoadRecord()
    record.used(used(1e9, 50.0))  # while it starts
    for number in range(100):
        record.answers.append((500 if number < failing else 200, float(number)))
        if (number + 1) % (100 // measurements) == 0:
            noise = 102_400 * (number % 2)
            record.used(used(5e7 + kib * 1024 * number + noise, 2.0 + cpu_ms * number / 1000))
    return record


def test_what_requests_cost_is_told_with_intervals() -> None:
    cost, quiet = recorded(40, 2.5, failing=30).cost(), recorded(0, 2.5).cost()
    assert cost is not None and quiet is not None  # noqa: PT018
    assert cost.memory_kib is not None and quiet.memory_kib is not None  # noqa: PT018
    assert cost.memory_kib.low < 40 < cost.memory_kib.high < 45, "what it used to start does not count"
    assert quiet.memory_kib.low < 0 < quiet.memory_kib.high < 5
    assert (cost.p50_ms.low, cost.p50_ms.value, cost.p50_ms.high) == (40, 49, 59)
    assert (cost.p95_ms.low, cost.p95_ms.value, cost.p95_ms.high) == (90, 94, 99)
    assert (round(cost.failed.low, 2), cost.failed.value, round(cost.failed.high, 2)) == (0.22, 0.3, 0.4)
    told = compared(cost, quiet)
    assert told.startswith(
        "Per request, of 100 → 100, with 95 % intervals: failed 30 % (22 to 40) → 0 % (0 to 4), "
    )
    assert "CPU 2.5 ms (2.5 to 2.5) → 2.5 ms (2.5 to 2.5)" in told


def test_what_was_measured_too_seldom_or_never_is_left_out() -> None:
    seldom = recorded(40, 2.5, measurements=4)
    assert not seldom.measured
    cost = seldom.cost()
    assert cost is not None
    assert (cost.memory_kib, cost.cpu_ms) == (None, None)
    assert "memory" not in compared(cost, cost)
    assert LoadRecord().cost() is None
    assert slope([(float(n), 0.0) for n in range(9)]) is None, "an older daemon does not tell of it"
    one = quantile([7.0], 0.95)
    assert (one.low, one.value, one.high) == (7, 7, 7)


def test_a_row_tells_what_both_sides_cost() -> None:
    cost = recorded(40, 2.5).cost()
    side = SideReport(answers=(FAULT, *WELL), cost=cost)
    row = replay_row(side, SideReport(answers=(MENDED, *WELL), cost=cost))
    assert "other routes answer as before. Per request, of 100" in row.reason
    assert "Per request" not in replay_row(side, SideReport(answers=(MENDED, *WELL))).reason
