"""A failed lookup is found in whatever way a packet holds its trace: whole, split, mixed, cut, or as code."""

import itertools
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railmend.evidence.streams import condense_streams, parse_row
from railyard.rehearsal.diagnosis import diagnose, refute
from railyard.rehearsal.evidence import Item, MissingKey, Place, missing_key
from tests import samples

TRACE = (
    "Traceback (most recent call last):",
    '  File "/deploys/app.py", line 17, in do_GET',
    "    status, body = self.answer()",
    '  File "/deploys/app.py", line 36, in answer',
    '    return (404, {"error": "no"}) if product is None else (200, catalog.detail(product))',
    '  File "/deploys/catalog.py", line 23, in detail',
    '    percent = product["discount"]["percent"]',
    "KeyError: 'discount'",
)
# As `git diff` names a hunk after the function before it; the lookup that is gone is none.
CHANGE = """1 commits from f956c1cb492e to 7c8ce5506934, 1 files:
  7c8ce5506934 2026-11-25 20:54 Ben: Show the discount in the product detail
Files:
  modified catalog.py +3 -1
--- catalog.py
@@ -18,10 +18,12 @@ def overview() -> list[dict]:
-    rebates = [product["discount"] for product in PRODUCTS.values()]
     return [{"id": product["id"]} for product in PRODUCTS.values()]


 def detail(product: dict) -> dict:
+    percent = product["discount"]["percent"]
     return {
"""
CODE = """--- catalog.py lines 4-9: makes what is looked up
def _product(number: int) -> dict:
    product["discount"] = {"percent": 5}

--- catalog.py lines 22-24: named by a trace
def detail(product: dict) -> dict:
    percent = product["discount"]["percent"]
"""
SHOWN = {"change": ("change", CHANGE), "code": ("code", CODE)}
EXPECTED = Place("catalog.py", "detail")


def packet(log: str, *others: tuple[str, str]) -> str:
    """Return a packet as a model reads it."""
    parts = [("finding", "error_rate", "30 % failed"), ("deploy_log", "deploy logs", log)]
    parts += [(kind, "acme/catalog", text) for kind, text in others]
    return "\n\n".join(
        f"[E{number}] ({kind}) {source}\n```\n{text}\n```"
        for number, (kind, source, text) in enumerate(parts, start=1)
    )


def understands(log: str, *others: tuple[str, str]) -> bool:
    answer = diagnose(packet(log, *others))
    cited = {evidence for cause in answer["causes"] for evidence in cause["evidence"]}
    named = "detail() fails where `discount` is missing" in answer["summary"]
    return (answer["verdict"], answer["suspected_files"], named) == ("code", ["catalog.py"], True) and {
        "E1",
        "E2",
    } <= cited


def events(cuts: list[int]) -> list[str]:
    """Return the trace cut before these lines, as condensed events."""
    bounds = [0, *sorted(set(cuts)), len(TRACE)]
    return [
        "\n".join(["91x 12:00:00 to 12:01:00, new", *TRACE[low:high]])
        for low, high in itertools.pairwise(bounds)
    ]


@given(cuts=st.lists(st.integers(1, len(TRACE) - 1)), chance=st.randoms(), shown=st.sampled_from(list(SHOWN)))
@settings(max_examples=150, deadline=None)
def test_a_trace_in_any_pieces_in_any_order_with_the_code_or_the_change(
    cuts: list[int], chance: random.Random, shown: str
) -> None:
    pieces = events(cuts)
    chance.shuffle(pieces)
    assert understands("\n\n".join(pieces), SHOWN[shown])


@given(cuts=st.lists(st.integers(1, len(TRACE) - 1)))
@settings(max_examples=60, deadline=None)
def test_a_trace_in_any_pieces_alone(cuts: list[int]) -> None:
    assert understands("\n\n".join(events(cuts)))


@given(chance=st.randoms(), threads=st.integers(1, 4), gap=st.sampled_from([0, 2, 1000, 5000]))
@settings(max_examples=25, deadline=None)
def test_traces_of_threads_that_write_at_once_as_the_product_condenses_them(
    chance: random.Random, threads: int, gap: int
) -> None:
    """`gap`: milliseconds at most between two lines."""
    at, rows = samples.NOW, []
    waiting, open_traces = [list(TRACE) for _ in range(30)], []
    while waiting or open_traces:
        while waiting and len(open_traces) < threads:
            open_traces.append(waiting.pop())
        trace = chance.choice(open_traces)
        for _ in range(chance.choice([1, 2, len(trace)])):
            row = {"ts": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "stream": "deploy", "severity": "error"}
            rows.append(parse_row({**row, "message": trace.pop(0), "attributes": {}}))
            at += timedelta(milliseconds=chance.randint(0, gap))
            if not trace:
                break
        open_traces = [each for each in open_traces if each]
    assert understands(condense_streams({"deploy": rows}, budget_tokens=2200), SHOWN["change"])


@pytest.mark.parametrize("shown", SHOWN)
def test_the_error_alone_leads_to_the_code_that_looks_it_up(shown: str) -> None:
    assert understands("91x 12:00:00\nKeyError: 'discount'", SHOWN[shown])
    assert refute(packet("91x 12:00:00\nKeyError: 'discount'", SHOWN[shown]))["survives"]


def test_the_code_that_a_trace_leads_to_is_meant_rather_than_any_other() -> None:
    other = '--- prices.py lines 1-2\ndef total(product):\n    return product["discount"]\n'
    items = [
        Item("E2", "deploy_log", "", "\n".join(TRACE)),
        Item("E3", "code", "", other),
        Item("E4", "change", "", CHANGE),
    ]
    assert missing_key(items) == MissingKey(EXPECTED, "discount", ("E2", "E4"))


def test_of_a_mixed_log_what_it_shows_most_often_counts() -> None:
    mixed = f"1x 12:00:00\n{TRACE[3]}\n{TRACE[6]}"
    assert understands("\n\n".join([mixed, *events([])]))


def test_a_key_that_no_code_looks_up_and_no_frame_leads_to_is_unclear() -> None:
    nowhere = '--- prices.py lines 1-2\ndef total(product):\n    product["discount"] = 1\n'
    assert diagnose(packet("KeyError: 'discount'", ("code", nowhere)))["verdict"] == "unclear"
