"""The model of all repairs, told apart by their keys: each message is answered by an edit and a word."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.chaos.gates import waits
from tests.integration.scripted_model import ScriptedModel, Step

ANSWER = "Done in "
KEY = re.compile(r"/repairs/([0-9a-f]{12})/")


def content(turn: int) -> str:
    """Of app.py, as this turn of the session leaves it; the base has turn -1."""
    return f"x = {turn + 2}\n"


class ScriptedAgent(ScriptedModel):
    """The first turn's tool call waits where the repository asks for it (see `SandboxGate`)."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked: Counter[str] = Counter()

    def _step(self, messages: list[dict[str, Any]]) -> Step:
        key, step = paths(messages)
        self.asked[key] += 1
        kind, turn = step.split("/")
        if kind == "word":
            return {"text": f"{ANSWER}turn {turn}."}
        wait = f"if [ -e hold-tool ]; then {waits('tool')}; fi; " if turn == "0" else ""
        command = f"{wait}printf '{content(int(turn))}' > app.py && echo edited {turn}"
        return {"tool": "bash", "args": {"command": command, "description": "edit", "timeout": 600_000}}


def paths(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """The repair, and what comes next there: `edit/<turn>` or `word/<turn>`."""
    text = json.dumps(messages)
    found = KEY.search(text)
    turn = sum(message["role"] == "user" for message in messages) - 1
    last = max(number for number, message in enumerate(messages) if message["role"] == "user")
    edited = any(f"edited {turn}" in said for said in _tools(messages[last:]))
    return found[1] if found else "", f"{'word' if edited else 'edit'}/{turn}"


def _tools(messages: list[dict[str, Any]]) -> Iterable[str]:
    return (json.dumps(message["content"]) for message in messages if message["role"] == "tool")


def asks(key: str, step: str, body: bytes) -> bool:
    """Whether a request to the model is this repair's, for this step."""
    return paths(json.loads(body)["messages"]) == (key, step) if body else False
