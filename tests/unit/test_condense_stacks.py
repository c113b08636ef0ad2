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
CHAIN = "During handling of the above exception, another exception occurred:"
PYTHON = (
    "Traceback (most recent call last):",
    '  File "/app/a.py", line 3, in f',
    "    g()",
    "KeyError: 'x'",
)
RUST = ("thread 'main' panicked at src/a.rs:3:9:", "no rate", "note: run with `RUST_BACKTRACE=1` to see more")
NEXT = {
    "python, chained": [(*PYTHON, CHAIN, *PYTHON), PYTHON],
    "node": [
        ("Uncaught Error: no card", "    at f (/app/a.js:3:9)"),
        ("Error: no rate", "    at g (/app/b.js:4:1)"),
    ],
    "the jvm": [
        ('Exception in thread "main" a.b.NoRateException: SEK', "\tat a.b.C.d(C.java:3)"),
        (
            "java.io.IOException: closed",
            "\tat a.b.C.e(C.java:4)",
            "Caused by: a.b.GoneException: x",
            "\t... 3 more",
        ),
    ],
    ".net": [
        ("Unhandled exception. A.NoRateException: SEK", "   at A.B.C(Int32 n) in /src/B.cs:line 3"),
        ("System.IO.IOException: closed", "   at A.B.D() in /src/B.cs:line 4"),
    ],
    "rust": [RUST, ("Error: no rate", "    at f (/app/a.js:3:9)"), RUST],
}


@pytest.mark.parametrize("events", NEXT.values(), ids=NEXT)
def test_an_exception_right_behind_another_is_an_event_of_its_own(events: list[tuple[str, ...]]) -> None:
    lines = [line for event in events for line in event]
    assert [length for _, length in groups_of(lines)] == [len(event) for event in events]


def test_an_empty_line_of_a_container_has_its_prefix_too() -> None:
    prefix = "2026-11-20T01:30:00.123456789Z stdout F "
    lines = [
        "panic: nil map",
        "",
        "goroutine 1 [running]:",
        "main.f(0x1)",
        "\t/app/main.go:12 +0x1d",
        "served 12",
    ]
    assert groups_of([prefix + line for line in lines]) == groups_of(lines) == [(0, 4), (5, 1)]


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


def test_what_follows_a_complete_trace_is_no_part_of_it() -> None:
    whole = [
        "Traceback (most recent call last):",
        '  File "/app/a.py", line 3, in f',
        "    g()",
        "KeyError: 'x'",
    ]
    torn = ['  File "/app/b.py", line 9, in h', "    raise ValueError(y)", "ValueError: y"]
    assert groups_of([*whole, *torn]) == [(0, 4), (4, 3)]


TRACES = (
    (
        "java.sql.SQLException: link failure",
        "\tat org.apache.dbutils.Q.run(Q.java:3)",
        "\tat com.acme.Poll.ask(Poll.java:12)",
        "Caused by: java.net.ConnectException: refused",
        "\tat com.acme.Net.open(Net.java:4)",
        "\t... 3 more",
    ),
    (
        "Stripe::InvalidRequestError: No such destination",
        "/gems/stripe-9/lib/c.rb:9:in `ask'",
        "/app/pay.rb:1:in `pay'",
    ),
    ("Traceback (most recent call last):", '  File "/app/a.py", line 3, in f', "    g()", "KeyError: 'x'"),
    ("TypeError: x is not a function", "    at f (/app/a.js:3:9)", "    at async g (/app/b.js:4:1)"),
    ("panic: nil map", "goroutine 12 [running]:", "main.f(0x1)", "\t/app/main.go:12 +0x1d"),
)
# What distinguishes the lines of each thread or process: `{who}`.
HEADS_OF_LINES = (
    *("2026-11-20 05:58:43,{ms} ERROR [{who}] c.a.Poll - ", "05:58:43,{ms} ERROR [stderr] (default {who}) "),
    *(
        "2026-11-20T05:58:43.{ms}Z ERROR 1 --- [{who}] c.a.Poll    : ",
        "2026-11-20 05:58:43,{ms} {who} ERROR: ",
    ),
    *(
        "2026-11-20 05:58:43,{ms} | ERROR | stderr | {who} | ",
        "2026-11-20T02:01:37.{ms}Z pid=1 tid={who} WARN: ",
    ),
    *("[2026-11-20 05:58:43,{ms}: ERROR/{who}] ", "E, [2026-11-20T02:01:37.{ms}123 #{who}] ERROR -- : "),
    *("App {pid} output: ", "Nov 20 02:01:37 host app[{pid}]: ", "web-{pid}  | "),
)


@given(
    st.sampled_from(HEADS_OF_LINES), st.lists(st.sampled_from(TRACES), min_size=1, max_size=4), st.randoms()
)
@settings(deadline=None)
def test_traces_written_line_by_line_by_many_threads_are_as_if_each_stood_apart(
    head: str, traces: list[tuple[str, ...]], chance: random.Random
) -> None:
    calm = [head.replace("ERROR", "INFO").replace("WARN", "INFO") + "served {ms}"] * 300
    left = [list(trace) for trace in traces]
    written = [line.format(ms=chance.randrange(100, 999), who="exec-1", pid=1) for line in calm]
    while any(left):
        thread = chance.choice([number for number, lines in enumerate(left) if lines])
        before = head.format(ms=chance.randrange(100, 999), who=f"exec-{thread}", pid=thread)
        written.append(before + left[thread].pop(0))
    joiner = Joiner()
    events = [*joiner.feed(row(0, line) for line in written), *joiner.rest()]
    joined = sorted(len(event.lines) for event in events if "served" not in event.lines[0])
    assert joined == sorted(len(trace) for trace in traces)
    text = condense_logs([row(0, line) for line in written], budget_tokens=8000).text
    counts = sorted(
        int(count) for count in re.findall(r"^(\d+)x \d\d:", text, re.MULTILINE) if count != "300"
    )
    assert counts == sorted(traces.count(trace) for trace in set(traces))


def test_below_what_is_said_line_by_line_plain_frames_go_on() -> None:
    """Celery puts its head before each call that prints; the code below a frame comes with the same one."""
    head = "worker  | [2026-11-20 05:58:43,{}: WARNING/ForkPoolWorker-{}] "
    lines = [head.format(100 + n, n % 3) + "done" for n in range(9)]
    lines += [head.format(200, 1) + "Traceback (most recent call last):"]
    lines += [head.format(201, 1) + '  File "/app/a.py", line 3, in f', "worker  |     g()"]
    lines += [head.format(202, 1) + "OSError: no memory"]
    assert groups_of(lines)[-1] == (9, 4)


def test_the_message_of_an_exception_has_more_lines_behind_the_same_head() -> None:
    head = "2026-11-20 05:58:43,202 | ERROR | stderr | Invalidator | "
    lines = ["java.sql.SQLException: link failure", "", "The last packet was received 10 s ago."]
    lines += ["      at org.dbutils.Q.run(Q.java:3)", "      at com.acme.Poll.ask(Poll.java:12)"]
    assert groups_of([(head + line).rstrip() for line in lines]) == [(0, 4)]


def test_variants_that_differ_only_in_what_names_one_case_are_left_out() -> None:
    made = rows(
        *(f"WARN: pid=1 tid=a{'xyz'[n]}b card of acct_{n} was refused at 10:00:0{n}" for n in range(3)),
        "WARN: pid=1 tid=axb card of acct_9 was expired at 10:00:09",
    )
    text = condense_logs(made).text
    assert re.findall("also: .*", text) == [
        "also: WARN: pid=1 tid=axb card of acct_9 was expired at 10:00:09"
    ]
