"""The lines that matter survive, in every language, among any noise, within the budget."""

import json
import random
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railmend.evidence.condense import Condensed, Condenser, condense_logs
from railmend.evidence.log_level import LogLevel, level_of_line
from railmend.evidence.streams import StreamRow
from railmend.evidence.templates import route
from railmend.evidence.tokens import cut, estimate
from tests.unit.build_log_samples import BUILD_SAMPLES
from tests.unit.log_samples import RUNTIME_SAMPLES, Sample

START = datetime(2026, 2, 3, 10, tzinfo=UTC)
NOISE_ROWS = 900
WORDS = [
    f"{first}{second}" for first in ("ba", "de", "ki", "lo", "mu") for second in ("ra", "tes", "von", "zi")
]


def row(second: int, message: str, severity: str = "info") -> StreamRow:
    return StreamRow(START + timedelta(seconds=second), severity, message)


def rows(*messages: str, severity: str = "error") -> list[StreamRow]:
    return [row(second, message, severity) for second, message in enumerate(messages)]


def noise(chance: random.Random, second: int, *, build: bool) -> StreamRow:
    """What a healthy service or build says, with complaints that have always been there."""
    number = chance.randrange(9999)
    if build:
        fetched, set_up = f"Get:{number} http://deb.debian.org liba", f"Setting up liba ({number}) ..."
        return row(second, chance.choice([fetched, set_up, "npm warn deprecated glob@7.2.3: not supported"]))
    share = chance.random()
    if share < 0.45:
        return row(second, f"GET /api/items/{number} 200 {number / 1000:.3f} ms")
    if share < 0.9:
        return row(second, f"2026-02-03 10:00:00,{number % 999} INFO app.items item {number} loaded", "error")
    if share < 0.94:
        return row(
            second, f'level=error msg="metrics push failed" attempt={number} err="context canceled"', "error"
        )
    if share < 0.97:
        return row(second, f"WARN session store holds {number} sessions", "error")
    return row(second, f"ERROR feature-flag client: stream closed, reconnecting ({number})", "error")


def case(sample: Sample, *, times: int, torn: bool) -> list[StreamRow]:
    """The failure among noise; `torn`: lines of others stand inside it."""
    chance = random.Random(len(sample.name))  # noqa: S311 - noise
    build = sample.stream == "build"
    made = [noise(chance, second, build=build) for second in range(NOISE_ROWS)]
    for _ in range(times):
        for line in sample.block.split("\n"):
            made.append(row(len(made), line, "info" if build else "error"))
            if torn and chance.random() < 0.15:
                made.append(noise(chance, len(made), build=build))
        if not build:
            made += [noise(chance, len(made) + n, build=False) for n in range(40)]
    return made


CASES = [(sample, 1, False) for sample in (*RUNTIME_SAMPLES, *BUILD_SAMPLES)]
CASES += [(sample, 12, torn) for sample in RUNTIME_SAMPLES for torn in (False, True)]


@pytest.mark.parametrize(("sample", "times", "torn"), CASES)
def test_a_failure_of_any_language_survives(sample: Sample, times: int, torn: bool) -> None:
    made = case(sample, times=times, torn=torn)
    summary = condense_logs(made, budget_tokens=1000, build=sample.stream == "build")
    text = re.sub(r"\s+", " ", summary.text)
    assert [wanted for wanted in sample.wanted if not re.search(wanted, text, re.I)] == []
    assert estimate(summary.text) <= 1000


def test_a_trace_is_folded_to_the_frames_of_the_application() -> None:
    text = condense_logs(
        rows(
            "Traceback (most recent call last):",
            '  File "/app/.venv/lib/python3.12/site-packages/fastapi/routing.py", line 381, in run',
            "    return await call()",
            '  File "/app/app/pricing.py", line 8, in convert',
            "    raise ValueError(currency)",
            "ValueError: SEK",
        )
    ).text
    assert "(1 library frames)" in text
    assert "fastapi" not in text
    assert text.index("pricing.py") < text.index("ValueError: SEK")


def test_a_recursion_is_one_frame_with_a_count() -> None:
    frame = "    at walk (/app/tree.js:9:12)"
    text = condense_logs(rows("RangeError: Maximum call stack size exceeded", *[frame] * 60)).text
    assert text.count("tree.js:9") == 1
    assert "(the same frame 60 times)" in text


def test_the_root_cause_of_a_long_chain_is_kept() -> None:
    chain = ["java.lang.RuntimeException: outermost", "\tat com.acme.A.a(A.java:1)"]
    for number in range(30):
        chain += [
            f"Caused by: com.acme.Layer{number}Exception: layer {number}",
            f"\tat com.acme.L.l(L.java:{number})",
        ]
    text = condense_logs(rows(*chain)).text
    assert "outermost" in text
    assert "layer 29" in text
    assert "causes between them left out" in text


def test_what_is_on_standard_output_does_not_tear_a_trace_on_standard_error() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "/app/a.py", line 3, in f',
        "    g()",
        "KeyError: 'x'",
    ]
    pairs = ((row(n, line, "error"), row(n, f"GET /{n} 200")) for n, line in enumerate(lines))
    made = [logged for pair in pairs for logged in pair]
    text = condense_logs(made).text
    assert "  File \"/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'" in text


def test_what_an_object_in_an_error_says_stands_before_its_other_members() -> None:
    detail = {f"field_{number}": f"{number}" * 40 for number in range(20)} | {"error_str": "No space left"}
    logged = {"s": "E", "c": "WT", "msg": "WiredTiger error message", "attr": {"message": detail}}
    assert "error_str=No space left" in condense_logs([row(1, json.dumps(logged))]).text


def test_the_error_and_its_stack_are_found_in_a_loggers_attributes() -> None:
    refused = "connect ECONNREFUSED 10.0.0.4:5432"
    stack = f"Error: {refused}\\n    at /app/node_modules/pg/x.js:1:1\\n    at /app/db.js:8:11"
    pairs = {"level": "info", "err.message": refused, "err.stack": stack, "req.method": "GET"}
    pairs["req.url"] = "/v1/items/3"
    attributes = tuple((key, f'"{value}"') for key, value in pairs.items())
    logged = StreamRow(START, "info", "request errored", attributes)
    text = condense_logs([logged]).text
    assert "ECONNREFUSED 10.0.0.4:5432" in text
    assert "/app/db.js:8:11" in text
    assert "GET /v1/items/3" in text


def test_a_go_stack_in_an_attribute_is_folded() -> None:
    own, library = (
        "main.accept\\n\\t/src/main.go:44",
        "net/http.F.ServeHTTP\\n\\t/usr/local/go/src/net/http/s.go:2",
    )
    stack = f"{own}\\n{library}"
    logged = StreamRow(
        START, "error", "accept failed", (("error", '"no such quote"'), ("trace", f'"{stack}"'))
    )
    text = condense_logs([logged]).text
    assert "no such quote" in text
    assert "main.accept /src/main.go:44" in text
    assert "(1 library frames)" in text


def test_what_stands_below_the_first_line_gives_an_event_its_level() -> None:
    below = ("prices were read\n  ERROR 3 are refused", "WARN prices lag\n  FATAL none is left")
    heads = ("INFO prices were sent\n  FATAL 3 are refused", "ERROR no price was taken")
    made = rows(*(line for _ in range(9) for line in (*heads, *below)), severity="info")
    text = condense_logs([*made, *rows(*["tick"] * 400, severity="info")]).text
    # What calls itself ordinary is an error at most: it does not stand above what is one by its own words.
    order = ["FATAL none is left", "prices were sent", "no price was taken", "prices were read"]
    assert sorted(order, key=text.index) == order


def test_a_level_that_railway_gives_to_plain_text_is_not_a_logger() -> None:
    plain = [
        StreamRow(START, "error", "LOG:  checkpoint complete", (("level", '"error"'),)) for _ in range(20)
    ]
    assert "0 of them warnings or errors" in condense_logs(plain).text


def test_lines_that_differ_in_their_exit_code_are_apart() -> None:
    text = condense_logs(rows(*["worker exited with code 0"] * 50, "worker exited with code 137")).text
    assert "1x 10:00:50\nworker exited with code 137" in text


def test_an_error_since_the_beginning_ranks_below_one_since_the_onset() -> None:
    old = [row(second, "ERROR metrics push failed") for second in range(0, 600, 10)]
    new = [row(second, "ERROR charge was refused by the bank") for second in range(300, 600, 30)]
    both = sorted([*old, *new], key=lambda line: line.timestamp)
    text = condense_logs(both, onset=START + timedelta(seconds=299)).text
    assert text.index("refused by the bank") < text.index("metrics push")
    assert "onset 10:04:59" in text


def test_a_rare_line_at_the_onset_is_shown_as_its_context() -> None:
    calm = [row(second, f"GET /items/{second} 200 3 ms") for second in range(500)]
    turn = [row(300, "configuration reloaded from /etc/app.toml")]
    errors = [row(second, "ERROR no route to billing") for second in range(301, 500, 5)]
    text = condense_logs(sorted([*calm, *turn, *errors], key=lambda line: line.timestamp)).text
    assert "configuration reloaded" in text


def test_hints_bring_up_an_ordinary_line_and_both_its_ends() -> None:
    made = rows(*(f"quotes: {number} pages kept in memory" for number in range(0, 5000, 10)), severity="info")
    made += rows(*["tick"] * 4000, severity="info")
    plain, hinted = condense_logs(made).text, condense_logs(made, hints=("memory",)).text
    assert "quotes: 4990" not in plain
    assert "quotes: 0 pages kept in memory\n  the last one: quotes: 4990 pages kept in memory" in hinted


def test_what_was_cut_is_counted() -> None:
    words = random.Random(5)  # noqa: S311 - made-up words
    made = rows(*(f"ERROR {' '.join(words.choices(WORDS, k=6))} failed" for _ in range(300)))
    summary = condense_logs(made, budget_tokens=300)
    assert summary.rows == 300
    assert f"Left out: {summary.left_out} kinds of event" in summary.text
    assert 0 < summary.left_out < summary.groups


def test_failures_of_the_application_are_shown_beyond_what_is_enough_of_others() -> None:
    failures = [
        "\n".join(
            [
                f'Traceback (most recent call last):\n  File "/app/{word}.py", line {n}, in {word}',
                *(
                    f'    {word}_{m} = {word}.read_{m}({word})\n  File "/app/{word}.py", line {m}, in f'
                    for m in range(6)
                ),
                f"{word.title()}Error: no {word}",
            ]
        )
        for n, word in enumerate(WORDS)
    ]
    text = condense_logs(rows(*failures), budget_tokens=8000).text
    shown = [word for word in WORDS if f"Error: no {word}" in text]
    assert estimate(text) > 1200
    assert len(shown) == 12


def test_what_is_left_out_is_told_by_its_most_frequent_ordinary_lines() -> None:
    made = rows(*[f"{line} {n}" for n in range(300) for line in ("ERROR cache: miss of page", "served page")])
    words = random.Random(5)  # noqa: S311 - made-up words
    made += rows(*(f"FATAL {' '.join(words.choices(WORDS, k=6))} failed" for _ in range(90)))
    summary = condense_logs(made, budget_tokens=300, onset=START + timedelta(days=1))
    tail = summary.text.partition("The most frequent:")[2]
    assert "300x served page #" in tail
    assert "FATAL" not in tail
    assert "cache: miss" not in tail


def test_pages_read_from_the_newest_back_give_the_same_groups() -> None:
    made = [row(second, "ERROR boom" if second % 7 == 0 else f"ok {second}") for second in range(300)]
    backwards = Condenser()
    for page in (made[200:], made[100:200], made[:100]):
        backwards.read_older(page)
    assert "43x 10:00:00 to 10:04:54" in condense_logs(made).text
    assert "43x 10:00:00 to 10:04:54" in backwards.result(1200).text


def test_a_trace_over_the_border_of_two_pages_is_one_event() -> None:
    trace = [
        "Traceback (most recent call last):",
        '  File "/app/a.py", line 3, in f',
        "    g()",
        "KeyError: 'x'",
    ]
    made = [row(n, line, "error") for n, line in enumerate(["ok 1", *trace, "ok 2", *trace, "ok 3"])]
    for border in range(1, len(made)):
        backwards = Condenser()
        backwards.read_older(made[border:])
        backwards.read_older(made[:border])
        text = backwards.result(1200).text
        assert "2x 10:00:01 to 10:00:06" in text, border
        assert text.count("Traceback") == 1


@pytest.mark.parametrize(
    "piece",
    [
        *("^", "~^", "(", "a.", "exit", "GET /", "at (", "| 500 ", 'File "', "Caused by: "),
        " ",
        "1,",
        "é",
        "[[",
        "::",
    ],
)
@pytest.mark.parametrize("before", ["ok", "panic: boom", "Traceback (most recent call last):"])
def test_work_grows_with_the_line_alone(piece: str, before: str) -> None:
    """Each was quadratic or worse with an expression that was not bounded: it is done at all."""
    long = piece * (4000 // len(piece))
    made = rows(
        before, "goroutine 1 [running]:", long, f"{long}x", f"    {long}", f"    at {long}x", f"{long} 7x"
    )
    assert condense_logs(made * 20).rows == 140
    assert route(f"/{long}x").count("/") <= 11


def test_memory_is_bounded_by_kinds_not_by_rows() -> None:
    """Ten thousand lines of as many kinds: only a bounded number is held, and the error is there."""
    words = random.Random(3)  # noqa: S311 - noise
    made: Iterable[StreamRow] = (
        row(n, "ERROR the one that matters" if n == 4000 else "".join(words.choices("abcdefgh ", k=50)))
        for n in range(10_000)
    )
    condenser = Condenser()
    condenser.read(made)
    summary: Condensed = condenser.result(800)
    assert condenser.forgotten > 0
    assert "the one that matters" in summary.text


@given(st.lists(st.text(max_size=120), max_size=60), st.sampled_from(["info", "error", "warn"]))
@settings(deadline=None)
def test_any_lines_are_condensed_within_the_budget(messages: list[str], severity: str) -> None:
    summary = condense_logs(
        [row(n, message, severity) for n, message in enumerate(messages)], budget_tokens=200
    )
    assert summary.rows == len(messages)
    assert estimate(summary.text) <= 200


@given(st.text(max_size=400), st.integers(min_value=1, max_value=100))
def test_a_cut_text_fits_and_is_a_beginning(text: str, budget: int) -> None:
    kept = cut(text, budget)
    assert text.startswith(kept)
    assert estimate(kept) <= budget


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ConnectTimeout of 5 s", LogLevel.ERROR),
        ("java.lang.OutOfMemoryError", LogLevel.FATAL),
        ("build finished with 0 errors", LogLevel.ORDINARY),
        ("sync done, error=null", LogLevel.ORDINARY),
        ("0 errors, then the disk failed", LogLevel.ERROR),
        ("mirrors and terrors", LogLevel.ORDINARY),
    ],
)
def test_words_tell_the_level_where_none_is_stated(line: str, level: LogLevel) -> None:
    assert level_of_line(line) is level


def test_a_routine_warning_ranks_below_one_that_says_something() -> None:
    text = condense_logs(rows("WARN old call is deprecated", "WARN the pool is exhausted")).text
    assert "WARN the pool is exhausted" in text
    assert "\nWARN old call" not in text.partition("Left out")[0]
