"""The order of all tests."""

import pytest

# Tests of minutes begin first, so that the workers of a run end together.
FIRST = (
    "chaos/",
    "test_end_to_end",
    "test_after_merge",
    "test_docs_commands",
    "test_sandbox",
    "integration/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((number for number, part in enumerate(FIRST) if part in item.nodeid), len(FIRST))

    items.sort(key=rank)
