"""The order of all tests."""

import pytest

# First, one a worker, those that wait minutes for symptoms and for what a fix made of them: xdist gives one
# worker several files of one test each, which then run one after another, at the end while all others are
# idle. Files that compute keep the last worker busy meanwhile; short files end the run together.
ORDER = (
    *("test_after_merge", "test_end_to_end", "test_docs_commands"),
    *("tests/unit/", "tests/chaos/", "test_unrecognised_bug", "tests/integration/", "tests/workflows/"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((number for number, part in enumerate(ORDER) if part in item.nodeid), len(ORDER))

    items.sort(key=rank)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse cases from a set: workers that collect them in different orders stop the whole run.

    A set of functions or classes is ordered by their addresses, so one run in a few is hit.
    """
    for mark in metafunc.definition.iter_markers("parametrize"):
        if isinstance(mark.args[1], (set, frozenset)):
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: parametrize over a list, not a set")
