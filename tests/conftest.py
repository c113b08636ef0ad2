"""The order of all tests, and what they share."""

import gc
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import pytest

# A version manager's `python3` is a shell script that looks for the real one, which costs as much again.
if not Path(shutil.which("python3") or sys.base_prefix).resolve().is_relative_to(sys.base_prefix):
    os.environ["PATH"] = f"{sys.base_prefix}/bin{os.pathsep}{os.environ['PATH']}"

# A tenth of the processor time otherwise, of all that is imported above all.
gc.set_threshold(100_000, 50, 100)
# Temporal servers that tests start live for minutes: they may keep garbage for longer.
os.environ.setdefault("GOGC", "400")

# First, one a worker, those that wait minutes for symptoms and for what a fix made of them: xdist gives one
# worker several files of one test each, which then run one after another, at the end while all others are
# idle.
FIRST = ("test_end_to_end", "test_docs_commands", "test_wrong_fixes")
# Long files before short ones, which end the run together.
LONG = (
    *("tests/chaos/", "test_misbehaving_model", "test_known_bugs", "test_scan_to_repair"),
    *("test_after_pull_request", "integration/test_replay", "test_proof", "test_dialects", "test_forge_"),
    *("test_head_checks", "test_long_review", "test_eval_sessions", "test_schedule", "test_checks"),
    *("test_approval", "test_claims", "test_counted", "test_gateway"),
)
WAITING = ("tests/chaos/", "tests/integration/", "tests/workflows/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, then spread those that wait for servers among those that compute.

    Run one kind after the other, the first lets processors lie idle and the second asks for more than there
    are, which makes everything that has a time limit late. Neighbours by name wait for the same: they are
    spread too, in an order that is the same for all workers.
    """
    items.sort(key=lambda item: (_rank(item, LONG), crc32(_file(item).encode())))
    places: dict[str, float] = {}
    for waiting in (True, False):
        files = dict.fromkeys(_file(item) for item in items if item.nodeid.startswith(WAITING) is waiting)
        places |= {file: number / len(files) for number, file in enumerate(files)}
    items.sort(key=lambda item: (_rank(item, FIRST), places[_file(item)]))


def pytest_collection_finish() -> None:
    """Share the workflows' sandbox where a test that was collected runs workflows.

    What was collected stays: the garbage collector would look through all of it again and again.
    """
    gc.freeze()
    if "temporalio.worker" in sys.modules:
        from tests.shared_sandbox import share

        share()


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _rank(item: pytest.Item, parts: Sequence[str]) -> int:
    return next((number for number, part in enumerate(parts) if part in item.nodeid), len(parts))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse cases from a set: workers that collect them in different orders stop the whole run.

    A set of functions or classes is ordered by their addresses, so one run in a few is hit.
    """
    for mark in metafunc.definition.iter_markers("parametrize"):
        if isinstance(mark.args[1], (set, frozenset)):
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: parametrize over a list, not a set")
