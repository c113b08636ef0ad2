"""What a heartbeat tells of the agent's own list."""

from typing import Any

import pytest

from railmend.coding.todo import todo_line

GITHUB = "ghp_" + "a1B2" * 9


def wrote(*items: tuple[str, str]) -> dict[str, Any]:
    todos = [{"content": text, "status": status, "priority": "high"} for text, status in items]
    return {"type": "tool", "tool": "todowrite", "state": {"status": "completed", "input": {"todos": todos}}}


DONE, OPEN = ("Read app.py", "completed"), ("Bound the cache", "pending")
READ = {"type": "tool", "tool": "read", "state": {"input": {"filePath": "app.py"}}}


@pytest.mark.parametrize(
    ("tools", "line"),
    [
        ([], ""),
        ([READ], ""),
        ([wrote()], ""),
        ([wrote(DONE, OPEN), READ], "1 of 2 done, now: Bound the cache"),
        ([wrote(OPEN), wrote(DONE, OPEN, ("Test it", "in_progress"))], "1 of 3 done, now: Test it"),
        ([wrote(DONE, ("Something else", "cancelled"))], "2 of 2 done"),
        ([wrote(("two\n\x20lines", "pending"))], "0 of 1 done, now: two lines"),
        ([wrote(("x" * 200, "pending"))], f"0 of 1 done, now: {'x' * 99}…"),
        (
            [wrote(OPEN), {"tool": "todowrite", "state": {"status": "pending"}}],
            "0 of 1 done, now: Bound the cache",
        ),
        ([{"tool": "todowrite", "state": {"input": {"todos": "a string"}}}], ""),
        ([{"tool": "todowrite", "state": {"input": [1]}}, {"tool": "todowrite", "state": None}], ""),
    ],
)
def test_the_list_in_a_line(tools: list[dict[str, Any]], line: str) -> None:
    assert todo_line(tools) == line


def test_a_secret_in_the_list_does_not_reach_the_heartbeat() -> None:
    for before in ("Use ", "x" * 80 + " "):  # the second one would be cut in the middle of it
        assert "ghp_" not in todo_line([wrote((before + GITHUB, "pending"))])
