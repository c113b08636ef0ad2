"""The coding agent's next step, derived from the messages so far: list, read, edit, test, report."""

import json
import re
from dataclasses import dataclass
from typing import Any

from railyard.rehearsal.diagnosis import LABEL
from railyard.rehearsal.knowledge import repair

MAX_FILES = 12
PATTERNS = ("**/*.py", "**/*.sql")
TESTS = "python3 -m unittest discover -s tests -t . && echo TESTS-PASSED || echo TESTS-FAILED"
NUMBERED = re.compile(r"^\d+: ?(.*)$")


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Done:
    call: ToolCall
    result: str


def next_step(messages: list[dict[str, Any]]) -> ToolCall | str:
    """Return a tool to call, or the final answer."""
    start = max(number for number, message in enumerate(messages) if message["role"] == "user")
    task, done = _text(messages[start]), _done(messages[start + 1 :])
    for pattern in PATTERNS:
        if not any(step.call.arguments.get("pattern") == pattern for step in done):
            return ToolCall("glob", {"pattern": pattern})
    files = {
        step.call.arguments["filePath"]: _content(step.result) for step in done if step.call.name == "read"
    }
    for path in _paths(done):
        if path not in files:
            return ToolCall("read", {"filePath": path})
    return _edit_and_test(task, files, done)


def _edit_and_test(task: str, files: dict[str, str], done: list[Done]) -> ToolCall | str:
    wanted = repair(task, files)
    if not wanted.edits:
        return f"NO CHANGE: {LABEL} {wanted.summary}"
    edits = [step for step in done if step.call.name == "edit"]
    if any("applied" not in step.result for step in edits):
        return f"NO CHANGE: {LABEL} an edit did not apply; the tree may be half-changed."
    if len(edits) < len(wanted.edits):
        edit = wanted.edits[len(edits)]
        arguments = {"filePath": edit.path, "oldString": edit.old, "newString": edit.new}
        return ToolCall("edit", arguments)
    if wanted.test and not any(step.call.name == "write" for step in done):
        return ToolCall("write", {"filePath": wanted.test.path, "content": wanted.test.text})
    tests = [step.result for step in done if step.call.name == "bash"]
    if not tests:
        return ToolCall("bash", {"command": TESTS, "description": "Run the tests"})
    if "TESTS-PASSED" not in tests[-1]:
        return f"NO CHANGE: {LABEL} the repository's tests do not pass with the edit."
    return f"{LABEL} {wanted.summary} The repository's tests pass."


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def _done(messages: list[dict[str, Any]]) -> list[Done]:
    results = {m["tool_call_id"]: _text(m) for m in messages if m["role"] == "tool"}
    steps = []
    for message in messages:
        for call in message.get("tool_calls") or []:
            arguments = json.loads(call["function"]["arguments"] or "{}")
            tool = ToolCall(call["function"]["name"], arguments)
            steps.append(Done(tool, results.get(call["id"], "")))
    return steps


def _paths(done: list[Done]) -> list[str]:
    lines = [line for step in done if step.call.name == "glob" for line in step.result.splitlines()]
    paths = sorted(line for line in lines if line.startswith("/") and not _is_test(line))
    return paths[:MAX_FILES]


def _is_test(path: str) -> bool:
    """Judge by the last two names alone; the work tree may lie anywhere."""
    *_, folder, name = ["", *path.split("/")]
    return folder in ("test", "tests") or name.startswith("test_")


def _content(result: str) -> str:
    """Return a file as the read tool shows it, without the line numbers."""
    body = result.partition("<content>\n")[2].rpartition("\n</content>")[0]
    lines = [match[1] for line in body.splitlines() if (match := NUMBERED.match(line))]
    return "\n".join(lines) + "\n"
