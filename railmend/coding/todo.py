"""What the agent says it is about, in a line: read from its newest call of the `todowrite` tool."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from railmend.evidence.redact import redact

TOOL = "todowrite"
MAX_CHARACTERS = 100
# As much of an item as is redacted: enough that a secret is cut neither before nor by that.
MAX_READ = 2000
OVER = ("completed", "cancelled")


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore")

    content: str = ""
    status: str = ""


class _Input(BaseModel):
    model_config = ConfigDict(extra="ignore")

    todos: list[_Item] = []


def todo_line(tools: Sequence[dict[str, Any]]) -> str:
    """`2 of 5 done, now: <the first open item, redacted>`; empty: no list yet, or one nobody can read.

    `tools`: the tool parts of OpenCode's messages, oldest first. The agent writes them: nothing is trusted.
    """
    for part in reversed(tools):
        if part.get("tool") == TOOL:
            try:
                items = _Input.model_validate(part["state"]["input"]).todos
            except (KeyError, TypeError, ValidationError):
                continue  # a call that is still being written has no input yet
            if items:
                return _line(items)
    return ""


def _line(items: Sequence[_Item]) -> str:
    count = f"{sum(item.status in OVER for item in items)} of {len(items)} done"
    going = [item for item in items if item.status == "in_progress"]
    waiting = [item for item in items if item.status not in OVER]
    if not waiting:
        return count
    text = " ".join(redact((going or waiting)[0].content[:MAX_READ]).split())
    return f"{count}, now: {text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + '…'}"
