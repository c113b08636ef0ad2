"""Lines are joined as the program wrote them, whatever stands before each and in whatever order they came."""

import random
import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railmend.evidence.condense import condense_logs
from railmend.evidence.events import Joiner
from railmend.evidence.streams import StreamRow
from tests.unit.stack_samples import STACK_SAMPLES, StackSample
from tests.unit.test_condense import START, row, rows

TIMES = 3


def among_calm_lines(sample: StackSample) -> list[StreamRow]:
    """Every failure arrives in one moment, as a process writes it."""
    chance = random.Random(7)  # noqa: S311 - noise
    made: list[StreamRow] = []

    def calm(count: int) -> None:
        for _ in range(count):
            made.append(row(len(made), chance.choice(sample.calm).format(n=chance.randrange(100, 999))))

    calm(280)
    for _ in range(TIMES):
        second = len(made)
        made.extend(row(second, line) for line in sample.block.split("\n"))
        calm(100)
    return made


@pytest.mark.parametrize("sample", STACK_SAMPLES, ids=lambda sample: sample.name)
def test_a_failure_of_a_stack_is_so_many_events_and_counted_right(sample: StackSample) -> None:
    text = condense_logs(among_calm_lines(sample), budget_tokens=1000).text
    assert [wanted for wanted in sample.wanted if not re.search(wanted, text)] == []
    assert len(re.findall(rf"^{TIMES}x \d\d:", text, re.MULTILINE)) == sample.events, text


PREFIXES = st.sampled_from(
    [
        *(
            "0|api  | ",
            "web.1    | ",
            "api-1  | ",
            "[api] ",
            "    ",
            "  ",
            " ⨯ ",
            "@acme/api:start: ",
            "svc » ",
        ),
        *(
            "2026-11-20T01:30:00+00:00 app[web.1]: ",
            "Nov 20 01:30:00 host app[12]: ",
            "<14>Nov 20 01:30:00 a[1]: ",
        ),
        *("2026-11-20T01:30:00.123456789Z ", "2026-11-20T01:30:00.123456789Z stdout F "),
    ]
)
HEADS = st.sampled_from(
    [
        *(
            "served 12",
            "INFO job 7 done",
            "ERROR no rate for SEK",
            "Error: no rate",
            "TypeError: x is not a function",
        ),
        *(
            "2026-11-20 01:30:00,123 WARNING pool is full",
            "GET /a 200 12ms",
            "Traceback (most recent call last):",
        ),
        *("{", "info: Shop.Stock[0]", "java.lang.IllegalStateException: negative", "panic: nil map"),
    ]
)
BELOW = st.sampled_from(
    [
        *(
            '  File "/app/a.py", line 3, in f',
            "    g()",
            "    at f (/app/a.js:3:9)",
            "\tat com.acme.A.a(A.java:9)",
        ),
        *("      read in 12 ms", '  "level": "error",', "Caused by: java.io.IOException: closed", "}"),
        *("KeyError: 'x'", "goroutine 1 [running]:", "main.f(0x1)", "\t/app/main.go:12 +0x1d"),
    ]
)
EVENTS = st.lists(st.tuples(HEADS, st.lists(BELOW, max_size=5)), min_size=2, max_size=12)


def groups_of(lines: list[str]) -> list[tuple[int, int]]:
    """Where each event begins and how many lines it has."""
    joiner = Joiner()
    events = [*joiner.feed(row(0, line) for line in lines), *joiner.rest()]
    return sorted((event.position, len(event.lines)) for event in events)


@given(EVENTS, PREFIXES)
@settings(deadline=None)
def test_a_prefix_before_every_line_changes_no_group(
    events: list[tuple[str, list[str]]], prefix: str
) -> None:
    lines = [line for head, below in events for line in (head, *below)]
    assert groups_of([prefix + line for line in lines]) == groups_of(lines)


FAILURES = (
    *("Error: no card", "TypeError: x is no function", "ERROR mailer: queue is full", "WARN pool exhausted"),
    *("2026-11-20 01:30:00,123 ERROR shop: deadlock on stock", "[严重] 支付网关无响应", "panic: nil map"),
)


@given(st.lists(st.sampled_from(FAILURES), min_size=2, unique=True), st.randoms())
@settings(deadline=None)
def test_a_shuffled_millisecond_loses_no_head(heads: list[str], chance: random.Random) -> None:
    lines = [
        line for head in heads for line in (head, "    at f (/app/a.js:3:9)", "    at g (/app/b.js:4:1)")
    ]
    chance.shuffle(lines)
    text = condense_logs([row(0, line) for line in lines], budget_tokens=4000).text
    assert [head for head in heads if head not in text] == []


def test_frames_belong_to_the_nearest_failure_before_them() -> None:
    one, two = "    at pay (/app/pay.js:3:1)", "    at ship (/app/ship.js:4:1)"
    text = condense_logs(rows("Error: no card", one, "Error: no parcel", two, "Error: no card", one)).text
    assert "2x" in text
    assert f"Error: no card\n{one}" in text
    assert f"Error: no parcel\n{two}" in text


def test_a_failure_that_never_has_frames_takes_none_of_a_torn_trace() -> None:
    noise = "ERROR flags: stream closed"
    lines = [
        *[noise] * 5,
        "TypeError: torn",
        "    at a (/app/a.js:1:1)",
        noise,
        "    at b (/app/b.js:2:2)",
        "calm",
    ]
    text = condense_logs(rows(*lines)).text
    assert "TypeError: torn\n    at a (/app/a.js:1:1)\n    at b (/app/b.js:2:2)" in text
    assert "6x" in text


def test_of_a_line_of_sixty_kilobytes_both_ends_are_kept() -> None:
    long = f"ERROR rejected: {'x1 ' * 20_000} field amount is negative"
    text = condense_logs(rows("ok", long)).text
    assert "ERROR rejected" in text
    assert "field amount is negative" in text


def test_a_list_of_exceptions_is_folded_as_a_trace() -> None:
    library = (
        '{"filename": "/app/.venv/lib/python3.12/site-packages/httpx/x.py", "lineno": 9, "name": "send"}'
    )
    own = '{"filename": "/app/ledger/sync.py", "lineno": 51, "name": "pull"}'
    frames = ", ".join([own, *[library] * 40])
    exception = f'[{{"exc_type": "ConnectTimeout", "exc_value": "after 10s", "frames": [{frames}]}}]'
    line = f'{{"event": "sync failed", "level": "error", "exception": {exception}}}'
    text = condense_logs(rows(line, severity="info")).text
    assert '  File "/app/ledger/sync.py", line 51, in pull' in text
    assert "(40 library frames)" in text
    assert "ConnectTimeout: after 10s" in text


def test_where_a_logger_wrote_an_error_is_shown() -> None:
    line = '{"level":"%s","caller":"billing/charge.go:118","msg":"charge %s"}'
    text = condense_logs(rows(line % ("error", "failed"), line % ("info", "done"), severity="info")).text
    assert text.count("caller=billing/charge.go:118") == 1


def test_every_line_is_in_exactly_one_event() -> None:
    for sample in STACK_SAMPLES:
        made = [line for line in among_calm_lines(sample) if "{" not in line.message[:1]]
        joiner = Joiner()
        events = [*joiner.feed(made), *joiner.rest()]
        written = sum(bool(line.message.strip()) for line in made)
        assert sum(len(event.lines) for event in events) == written, sample.name


def test_what_is_rarely_on_standard_error_is_shown_whatever_its_words() -> None:
    calm = [StreamRow(START + timedelta(seconds=n), "info", f"tilaus {n} luettu") for n in range(800)]
    odd = [StreamRow(START + timedelta(seconds=n), "info", f"vaihe {'abcdefgh'[n]} valmis") for n in range(8)]
    failed = StreamRow(START + timedelta(seconds=700), "error", "maksupalvelu ei vastaa")
    made = sorted([*calm, *odd, failed], key=lambda each: each.timestamp)
    text = condense_logs(made, budget_tokens=300).text
    assert "\nmaksupalvelu ei vastaa" in text


def test_a_prefix_of_any_words_is_learned_where_frames_are_indented_behind_it() -> None:
    lines = ["listed 20 results", "http2: panic serving 10.0.0.1:38960: nil pointer dereference"]
    lines += ["goroutine 12 [running]:", "main.get(0x1)", "\t/app/logs.go:327 +0x4f8", "listed 9 results"]
    assert groups_of([f"shop-api-84d786669d-rbbx9 api {line}" for line in lines]) == groups_of(lines)
    assert groups_of(lines) == [(0, 1), (1, 4), (5, 1)]
