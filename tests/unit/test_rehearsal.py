"""The rehearsal model works on what it is given, and says so when it does not understand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from railyard.rehearsal.coder import ToolCall, next_step
from railyard.rehearsal.diagnosis import diagnose

SERVICES = Path(__file__).parents[2] / "railyard" / "services"
TRACE = """Traceback (most recent call last):
  File "/deploys/app.py", line 17, in do_GET
    status, body = self.answer()
  File "/deploys/catalog.py", line 28, in detail
    percent = product["discount"]["percent"]
KeyError: 'discount'"""


def packet(finding: str, kind: str, text: str) -> str:
    return f"[E1] (finding) {finding}\n```\n{finding}\n```\n\n[E2] ({kind}) source\n```\n{text}\n```"


PACKETS = {
    "checkout": packet("memory_leak", "deploy_log", "quotes: 900 rendered pages kept in memory"),
    "catalog": packet("error_rate", "deploy_log", TRACE),
    "reports": packet(
        "latency", "http_log", "GET /reports/{id}: 30x (100.0% of all) [200 30x], p50 900 ms, p95 1500 ms"
    ),
}
FIXES = {
    "checkout": ("quotes.py", "RENDERED.popitem(last=False)"),
    "catalog": ("catalog.py", 'product.get("discount", {}).get("percent", 0)'),
    "reports": ("schema.sql", "CREATE INDEX IF NOT EXISTS orders_customer_id_month ON orders"),
}


@pytest.mark.parametrize("name", PACKETS)
def test_a_known_symptom_gets_a_verdict_that_cites_what_is_there(name: str) -> None:
    answer = diagnose(PACKETS[name])
    assert answer["verdict"] == "code"
    assert answer["summary"].startswith("[rehearsal]")
    assert {i for cause in answer["causes"] for i in cause["evidence"]} == {"E1", "E2"}


@pytest.mark.parametrize("finding", ["error_rate", "outage"])
def test_slow_requests_that_the_edge_gives_up_on_are_slow(finding: str, tmp_path: Path) -> None:
    """On a busy machine all requests of the slow service fail."""
    text = "GET /reports/{id}: 23x (100.0% of all) [502 23x], p50 30000 ms, p95 30020 ms"
    agent = Agent("reports", tmp_path)
    agent.messages[0]["content"] = packet(finding, "http_log", text)
    assert diagnose(agent.messages[0]["content"])["verdict"] == "code"
    assert agent.run().endswith("The repository's tests pass.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        packet("crash_loop", "deploy_log", TRACE),
        packet("memory_leak", "deploy_log", "all is well"),
        packet("error_rate", "deploy_log", "Traceback: ValueError: 3"),
        packet("latency", "http_log", "GET /: 30x (100.0% of all) [200 30x], p50 9 ms, p95 15 ms"),
    ],
)
def test_what_it_does_not_understand_is_unclear(text: str) -> None:
    assert diagnose(text)["verdict"] == "unclear"


class Agent:
    """The tools of a coding agent over a copy of a service."""

    def __init__(self, name: str, folder: Path) -> None:
        self.tree = folder / name
        shutil.copytree(SERVICES / name, self.tree)
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": PACKETS[name]}]

    def run(self) -> str:
        for number in range(40):
            step = next_step(self.messages)
            if isinstance(step, str):
                return step
            call = {
                "id": f"c{number}",
                "function": {"name": step.name, "arguments": json.dumps(step.arguments)},
            }
            self.messages.append({"role": "assistant", "tool_calls": [call]})
            result = getattr(self, f"_{step.name}")(step)
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        raise AssertionError("it never ends")

    def _glob(self, step: ToolCall) -> str:
        return "\n".join(str(path) for path in sorted(self.tree.glob(step.arguments["pattern"])))

    def _read(self, step: ToolCall) -> str:
        lines = Path(step.arguments["filePath"]).read_text().split("\n")[:-1]
        shown = "\n".join(f"{number}: {line}" for number, line in enumerate(lines, start=1))
        return f"<path>x</path>\n<type>file</type>\n<content>\n{shown}\n\n(End of file)\n</content>"

    def _edit(self, step: ToolCall) -> str:
        file, old = Path(step.arguments["filePath"]), step.arguments["oldString"]
        text = file.read_text()
        if text.count(old) != 1:
            return "Could not find oldString in the file."
        file.write_text(text.replace(old, step.arguments["newString"]))
        return "Edit applied successfully."

    def _write(self, step: ToolCall) -> str:
        file = Path(step.arguments["filePath"])
        assert not file.exists()
        file.write_text(step.arguments["content"])
        return "Wrote file successfully."

    def _bash(self, step: ToolCall) -> str:
        command = step.arguments["command"].replace("python3", sys.executable)
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.tree, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr


@pytest.mark.parametrize("name", PACKETS)
def test_a_known_bug_is_mended_and_the_tests_still_pass(name: str, tmp_path: Path) -> None:
    agent = Agent(name, tmp_path)
    summary = agent.run()
    assert summary.startswith("[rehearsal]")
    assert summary.endswith("The repository's tests pass.")
    file, fix = FIXES[name]
    assert fix in (agent.tree / file).read_text()


@pytest.mark.parametrize("head", ["def detail(product: dict) -> dict:\n", ""], ids=["named", "a part of it"])
def test_a_split_trace_is_mended_where_the_code_looks_the_key_up(head: str, tmp_path: Path) -> None:
    agent = Agent("catalog", tmp_path)
    code = f'--- catalog.py lines 23-24\n{head}    percent = product["discount"]["percent"]'
    agent.messages[0]["content"] = (
        packet("error_rate", "deploy_log", "91x 12:00:00\nKeyError: 'discount'")
        + f"\n\n[E3] (code) acme/catalog\n```\n{code}\n```"
    )
    assert agent.run().endswith("The repository's tests pass.")
    assert FIXES["catalog"][1] in (agent.tree / "catalog.py").read_text()


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("checkout", "RENDERED: dict[str, bytes] = {}", "RENDERED = dict()", "no container at module level"),
        ("catalog", '["discount"]["percent"]', '.get("discount", {}).get("percent")', "no direct lookup"),
        ("reports", ");\n", ");\nCREATE INDEX i ON orders (customer_id, month);\n", "no table is selected"),
    ],
)
def test_an_altered_bug_is_left_alone(name: str, old: str, new: str, why: str, tmp_path: Path) -> None:
    agent = Agent(name, tmp_path)
    file = agent.tree / FIXES[name][0]
    altered = file.read_text().replace(old, new)
    assert altered != file.read_text()
    file.write_text(altered)
    summary = agent.run()
    assert summary.startswith("NO CHANGE:")
    assert why in summary
    assert file.read_text() == altered


def test_a_fix_that_breaks_the_tests_is_not_offered(tmp_path: Path) -> None:
    agent = Agent("catalog", tmp_path)
    (agent.tree / "tests" / "test_more.py").write_text("import unittest\nraise SystemExit(1)\n")
    assert agent.run().startswith("NO CHANGE:")
