"""The order of all tests."""

import pytest

# Tests of minutes begin first. Those whose services must show their symptoms in time come last, when the
# machine has nothing else to do.
FIRST = ("chaos/",)
LAST = ("test_docs_commands", "test_after_merge", "test_end_to_end", "test_unrecognised_bug")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        if any(part in item.nodeid for part in FIRST):
            return -1
        return 1 + next((number for number, part in enumerate(LAST) if part in item.nodeid), -1)

    items.sort(key=rank)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse cases from a set: workers that collect them in different orders stop the whole run.

    A set of functions or classes is ordered by their addresses, so one run in a few is hit.
    """
    for mark in metafunc.definition.iter_markers("parametrize"):
        if isinstance(mark.args[1], (set, frozenset)):
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: parametrize over a list, not a set")
