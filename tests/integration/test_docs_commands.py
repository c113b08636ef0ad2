"""Every shell command of README.md and docs/, run in the order in which a reader meets them.

A block marked `sh` is run line by line, unless `<!-- not run: REASON -->` stands above it; a command that
stands in the text alone (`starter.py replay ID`) is run where its page ends. One miniature Railway with one
broken service, one worker and one folder serve them all; `OTHERWISE` has what differs from the page.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hosting.dev_server import stop_server
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
FIRST = ROOT / "docs/getting-started.md"
PAGES = (FIRST, *sorted({ROOT / "README.md", *(ROOT / "docs").glob("*.md")} - {FIRST}))
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```", re.DOTALL
)
IN_TEXT = re.compile(r"`(starter\.py (?:schedule |ledger )?[a-z]+(?: [A-Z]+)?)`")
WORDS = re.compile(r"( [A-Z]+)+$")
COMMAND = re.compile(r"^(\.venv/bin/\w+ |make |docker |temporal |pip |npm )", re.MULTILINE)
# Run by continuous integration itself, or by another test that waits for its end.
ELSEWHERE = {
    "make setup": "continuous integration begins with it",
    ".venv/bin/python starter.py init": "it asks a person: tests/unit/test_init.py answers",
    ".venv/bin/python starter.py scan": "up to pull requests: tests/integration/test_end_to_end.py",
}
# These stay in the foreground; the page says so.
STAYS = ("-m railyard", "worker.py", "starter.py web")
# The window of a scan, and what it leaves out at its end.
FIRST_SYMPTOM_SECONDS = 30
LOG = '{"ts": "2026-01-01T00:00:00Z", "severity": "error", "message": "failed for password=hunter2"}\n'


class Reader:
    """Somebody at a terminal, in a folder that looks like a fresh clone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for entry in ROOT.iterdir():
            if entry.name not in (".git", ".env", ".railmend", "secrets"):
                (folder / entry.name).symlink_to(entry)
        self._venv = folder / ".venv"
        if not self._venv.exists():
            self._venv.symlink_to(sys.prefix)
        (folder / "logs.jsonl").write_text(LOG)
        (folder / "app.log").write_text(LOG)
        (folder / "railmend.toml").write_text("[assessment]\nerror_share = 0.02\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self._staying: list[subprocess.Popen[bytes]] = []
        self._done: set[str] = set()
        self._ids: dict[str, str] = {}
        self._traffic_since = 0.0
        self.environment = {
            # As after `. .venv/bin/activate`.
            "PATH": f"{self._venv / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self._port}",
            # Symptoms sooner, and no complaint where a container forbids the sandbox.
            "RAILMEND_WINDOW_SECONDS": "24",
            "RAILMEND_UNSAFE_AGENT": "1",
        }

    def follow(self, line: str) -> None:
        """Run one line of a page, once; its exit code must be 0."""
        command = line.partition(" #")[0].strip()
        if command in self._done or command in ELSEWHERE:
            return
        self._done.add(command)
        if any(name in command for name in STAYS):
            self._stay(self._as_here(command))
        else:
            before = BEFORE.get(command)
            if before:
                before(self)
            done = self.run(self._as_here(command))
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            if then := THEN.get(command):
                then(done.stdout)

    def try_out(self, command: str) -> None:
        """As `follow`, unless a block had the same command with other words behind it."""
        name = WORDS.sub("", command)
        if not any(done.startswith(name) for done in self._done):
            self.follow(command)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def _as_here(self, command: str) -> str:
        for word, value in OTHERWISE.items():
            if re.search(word, command):
                command = re.sub(word, value(self), command)
        return command

    def _stay(self, command: str) -> None:
        log = (self.folder / f"{len(self._staying)}.log").open("wb")
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdout=log, stderr=log
        )
        self._staying.append(process)
        file, said = Path(log.name), b"/?token=" if "web" in command else b"workers ready"
        ready: Callable[[], bool] = (
            (self.folder / ".railmend/yard/railyard.json").exists
            if "railyard" in command
            else lambda: said in file.read_bytes()
        )
        until = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < until, Path(log.name).read_text()
            time.sleep(0.2)
        self._traffic_since = self._traffic_since or time.monotonic()
        if "web" in command:
            (address,) = re.findall(r"http://\S+", file.read_text())
            with httpx.Client(follow_redirects=True) as browser:
                tells("Waits for you", "memory leak", 'value="approve"')(
                    browser.get(address).raise_for_status().text
                )

    def known(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            self.run(".venv/bin/python starter.py incidents --json").stdout
        )
        return found

    def id_of(self, kind: str) -> str:
        """The incident, or the repair that has it, as `incidents` tells."""
        if not self._ids:
            (one,) = self.known()
            self._ids = {"incident": one["incident"], "repair": one["id"]}
        return self._ids[kind]

    def port(self) -> str:
        return self._port

    def until_trouble(self) -> None:
        """A leak must be seen for a while before it is one."""
        time.sleep(max(0.0, self._traffic_since + FIRST_SYMPTOM_SECONDS - time.monotonic()))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            told = self.run(".venv/bin/python starter.py scan --autonomy report --json")
            if told.returncode == 0 and json.loads(told.stdout)["report"]["rows"]:
                return
            time.sleep(4)
        raise AssertionError(f"no trouble within {PATIENCE} s: {told.stdout}{told.stderr}")

    def leave(self) -> None:
        for process in reversed(self._staying):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        stop_server(self.folder / ".railmend")


# What stands on a page for something that only this installation knows.
OTHERWISE: dict[str, Callable[[Reader], str]] = {
    r"\b7233\b": Reader.port,
    r"\bincident/ENV/SERVICE\b": lambda reader: reader.id_of("incident"),
    r"\bID\b": lambda reader: reader.id_of("incident"),
    r"\bREPAIR\b": lambda reader: reader.id_of("repair"),
    # The page's own port may be taken here.
    r"starter\.py web$": lambda _: "starter.py web --listen 127.0.0.1:0",
    r"-m railyard": lambda _: "-m railyard --service checkout",
}
BEFORE: dict[str, Callable[[Reader], None]] = {
    ".venv/bin/python starter.py scan --autonomy plan": Reader.until_trouble,
}


def tells(*words: str) -> Callable[[str], None]:
    def check(output: str) -> None:
        missing = [word for word in words if word not in output]
        assert missing == [], output

    return check


RUNNING = "\"RailmendService = 'checkout' AND ExecutionStatus = 'Running'\""
# What the page promises to show.
THEN: dict[str, Callable[[str], None]] = {
    ".venv/bin/python starter.py doctor": tells("ok      temporal:", "ok      railway,", " 0 errors."),
    ".venv/bin/python starter.py scan --autonomy plan": tells("verdict checkout: code", "starter.py approve"),
    ".venv/bin/python starter.py incidents": tells(
        "memory_leak", "the plan waits for your approval", "incident/", "repair/acme/checkout/"
    ),
    ".venv/bin/python starter.py status": tells("Waits for you\n  checkout:", "starter.py approve repair/"),
    ".venv/bin/python starter.py show ID": tells("verdict: code", "(E1", "## Plan"),
    ".venv/bin/python starter.py approve REPAIR": tells(": approved by ", "starter.py show repair/"),
    ".venv/bin/python starter.py report --html report.html": tells("1 incident written"),
    ".venv/bin/python starter.py schedule show": tells("every: 10m", "paused: False"),
    ".venv/bin/python starter.py redact < app.log": lambda output: forbidden(output, "hunter2"),
    f"temporal workflow list --query {RUNNING}": tells("RepositoryRepair"),
    ".venv/bin/python starter.py replay ID": tells(": replays"),
    ".venv/bin/python starter.py cancel REPAIR": tells(": asked to stop."),
}


def forbidden(output: str, word: str) -> None:
    assert output.strip()
    assert word not in output


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    one = Reader(tmp_path_factory.mktemp("clone"))
    try:
        yield one
    finally:
        one.leave()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_work(reader: Reader, page: Path) -> None:
    for block in BLOCK.finditer(page.read_text()):
        if block["language"] == "sh" and not block["reason"]:
            for line in filter(str.strip, block["text"].splitlines()):
                reader.follow(line)
    for command in IN_TEXT.findall(page.read_text()):
        reader.try_out(f".venv/bin/python {command}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_hides_in_a_block_that_is_not_run(page: Path) -> None:
    others = [block["text"] for block in BLOCK.finditer(page.read_text()) if block["language"] != "sh"]
    assert [text for text in others if COMMAND.search(text)] == []
