"""The screens as a person sees them: in a pseudo-terminal of 80 and of 120 columns, and piped."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from tests.unit.test_status_screen import COMMAND, ID, URL

ROOT = Path(__file__).parents[2]
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Each screen behind its name, printed on the console that commands print on.
PROGRAM = """
import sys

from commands import incident_list, run_status, scan_result, status_screen
from commands.checks.check import bad, line, ok, render_totals
from commands.incident_list import IncidentList
from commands.options import console
from commands.run_status import RelatedRun, RunStatus
from commands.scan_result import ScanResult
from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ServiceRow, Symptom, UnknownServices
from railmend.contracts.status import WAITS_FOR_APPROVAL, WAITS_FOR_REVIEW, RepairStatus
from railmend.publishing.screen import IncidentRow
from tests import samples
from tests.unit.test_status_screen import COMMAND, ID, SCREEN, URL

finding = Symptom.model_validate(samples.finding().model_dump(include=set(Symptom.model_fields)))
rows = [ServiceRow(service_id=n, name=n, findings=(finding,), repair_workflow_id=f"{ID}-{n}") for n in "ab"]
pull = PullRequest(number=12345, url=URL, head="a")
scan = ScanResult(
    report=HealthReport(
        project_name="shop", environment_name="production", window=samples.WINDOW, rows=tuple(rows),
        healthy=tuple(f"service-{n}" for n in range(30)),
        unknown=(UnknownServices(services=("db",), reason="No metrics."),),
    ),
    repairs={f"{ID}-a": RepairResult(outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=pull)},
    waiting={f"{ID}-b": f"starter.py approve {ID}-b --plan 12"},
)
incident = IncidentRow(
    project="shop", service="checkout", kind="memory_leak", state="open", since=samples.NOW, until=None,
    outcome="", label=WAITS_FOR_APPROVAL, command=COMMAND, detail="", pull_request=URL, times=1, id=ID,
    incident="incident/11111111-2222-4333-8444-555555555555/66666666-7777-4888-8999-000000000000",
)
run = RunStatus(
    id=ID, run_id="r", status="running", summary="checkout: memory", started=samples.NOW, ended=None,
    attributes={"RailmendService": ["checkout"]}, about="- one step\\n- and another", details="",
    stands=RepairStatus(label=WAITS_FOR_APPROVAL, command=COMMAND, link=URL),
    related=[RelatedRun(relation="incident", id=incident.incident, status=WAITS_FOR_REVIEW)],
)
screens = {
    "status": lambda out: status_screen.render(SCREEN, out),
    "incidents": lambda out: incident_list.render(IncidentList(rows=[incident], days={}), out),
    "show": lambda out: run_status.render(run, out),
    "scan": lambda out: scan_result.render(scan, out),
    "doctor": lambda out: doctor(out),
}


def doctor(out):
    results = ok("temporal", "answers") + bad("github", "the token is wrong " * 9, "see " + URL)
    for result in results:
        out.print(line(result), soft_wrap=True, highlight=False)
    render_totals(results, out)


for name, show in screens.items():
    print(f"== {name}", flush=True)
    show(console())
"""
INCIDENT = "incident/11111111-2222-4333-8444-555555555555/66666666-7777-4888-8999-000000000000"
# What is copied from each screen: on a line of its own, or at the end of one, and never broken.
COPIED = {
    "status": (COMMAND, URL),
    "incidents": (COMMAND, ID, URL),
    "show": (ID, COMMAND, URL, INCIDENT),
    "scan": (URL, f"starter.py approve {ID}-b"),
    "doctor": (URL,),
}
SAID = {
    "status": ("Waits for you", "Open incidents", "Could not be seen"),
    "incidents": ("service", "the plan waits for your approval"),
    "show": ("running; started", "service: checkout", "one step"),
    "scan": ("shop / production", "pull request #12345", "and 10 more", "Unknown: db: No metrics."),
    "doctor": ("ok      temporal: answers", "1 ok, 0 warnings, 1 error."),
}


def screens(columns: int | None) -> dict[str, str]:
    """Return what each screen prints in a terminal of so many columns; None: into a pipe."""
    arguments = [sys.executable, "-c", PROGRAM]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    if columns is None:
        text = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout
    else:
        text = in_a_terminal(arguments, environment, columns).replace("\r\n", "\n")
    parts = re.split(r"^== (\w+)\n", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def in_a_terminal(arguments: list[str], environment: dict[str, str], columns: int) -> str:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    read: list[bytes] = []

    def collect() -> None:
        try:
            while piece := os.read(ours, 65536):
                read.append(piece)
        except OSError:
            return  # Linux says so when the other side is closed

    reader = threading.Thread(target=collect)
    reader.start()
    done = subprocess.run(arguments, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, check=False)
    os.close(theirs)
    reader.join()
    os.close(ours)
    text = b"".join(read).decode()
    assert done.returncode == 0, text
    return text


@pytest.fixture(scope="module", params=[80, 120, None], ids=["80", "120", "piped"])
def shown(request: pytest.FixtureRequest) -> tuple[int | None, dict[str, str]]:
    return request.param, screens(request.param)


@pytest.mark.parametrize("name", COPIED)
def test_a_screen_in_a_terminal_and_piped(shown: tuple[int | None, dict[str, str]], name: str) -> None:
    columns, printed = shown
    raw = printed[name]
    assert ("\x1b" in raw) == (columns is not None), "colours belong to a terminal, and to nothing else"
    lines = [line.rstrip() for line in ANSI.sub("", raw).splitlines()]
    for text in COPIED[name]:
        assert any(line.endswith(text) or f"{text} " in line or f"{text}:" in line for line in lines), text
    together = " ".join(" ".join(lines).split())
    for text in SAID[name]:
        assert " ".join(text.split()) in together or (columns == 80 and name in ("incidents", "scan"))
    # A row of a table fits; what is longer is one unbroken text, which the terminal wraps.
    for line in lines if name in ("incidents", "scan") else ():
        assert columns is None or len(line) <= columns or not re.search(r"\S {3,}\S", line), line
