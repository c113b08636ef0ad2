"""Read from logs when processes died for want of memory, or were killed: metrics show it only sometimes.

With several replicas, or a heap limit far below the service's, memory hardly falls when one dies.
"""

import re
from collections.abc import Collection, Iterable
from datetime import timedelta

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import OVERDUE, numbers
from railmend.assessment.wording import duration
from railmend.contracts.scan import Finding, FindingKind, Severity
from railmend.railway.model import LoggedDeath, LogLine, Slice

# What runtimes and process managers write. Railway's filter matches substrings in any case.
PHRASES = (
    "heap out of memory",  # Node
    "java.lang.OutOfMemoryError",
    "runtime: out of memory",  # Go
    "System.OutOfMemoryException",  # .NET
    "failed to allocate memory",  # Ruby
    "memory allocation of",  # Rust
    "Perhaps out of memory?",  # gunicorn
    "signal 9",  # PostgreSQL, Celery
    "SIGKILL",
    "code 137",
    "code=137",
    "OOMKilled",
    "oom-kill",
)
FILTER = " OR ".join(f'"{phrase}"' for phrase in PHRASES)
DYING = re.compile(
    r"heap out of memory|^(?:exception in .*|terminating due to )?java\.lang\.OutOfMemoryError|"
    r"fatal error: runtime: out of memory|unhandled exception.*System\.OutOfMemoryException|"
    r"failed to allocate memory \(NoMemoryError\)|memory allocation of \d+ bytes failed|"
    r"was sent SIGKILL! Perhaps out of memory|(?:terminated by|exited prematurely:?) signal 9\b|"
    r"(?:signal|by|with) SIGKILL\b|(?:exit(?:ed)?|code|status)\W+(?:with\W+)?(?:exit\W+)?(?:code\W+)?137\b|"
    r"\bOOMKilled\b|\boom-kill",
    re.IGNORECASE,
)
# One death writes several lines, and its wrapper another.
ONE = timedelta(seconds=30)
FEWEST = 2
# Replicas share their memory's curve: the death of one of four that were full takes a tenth and more of it.
FELL = 0.1
# Minutes within which a sample shows a death, and the severities at which what users send is logged.
AROUND, QUIET = 3, frozenset({"debug", "info"})
EXPLAINED = frozenset({FindingKind.CRASH_LOOP, FindingKind.MEMORY_LEAK, FindingKind.OUTAGE})


def leaves_open(source: Slice, findings: Collection[Finding]) -> bool:
    """Return whether memory fell or broke off without a finding that says why: its logs may."""
    if any(finding.kind in EXPLAINED for finding in findings):
        return False
    memory = numbers(source.memory_gb)
    lived = np.flatnonzero(memory > 0)
    values = memory[lived]
    return bool((values[1:] < (1 - FELL) * values[:-1]).any() or (np.diff(lived) > 1).any())


def deaths(lines: Iterable[LogLine]) -> list[LoggedDeath]:
    """Return the deaths of processes, oldest first, each once."""
    found: list[LoggedDeath] = []
    for line in sorted(lines, key=lambda line: line.timestamp):
        if not DYING.search(line.message):
            continue
        loud = line.severity.lower() not in QUIET
        if found and line.timestamp - found[-1].at <= ONE:
            found[-1].loud |= loud
        else:
            found.append(LoggedDeath(at=line.timestamp, loud=loud))
    return found


def _shows(frame: MetricFrame, death: LoggedDeath) -> bool:
    """Return whether memory fell or broke off around a death."""
    at = frame.step(death.at)
    near = frame.memory[max(at - 1, 0) : at + 1 + frame.steps(AROUND)]
    lived = near[near > 0]
    return len(lived) < len(near) or bool((lived[1:] < (1 - FELL) * lived[:-1]).any())


def logged(frame: MetricFrame) -> Finding | None:
    """Find processes that keep dying by their own logs: twice or more, and not long ago."""
    logged = [death for death in frame.slice.deaths if frame.at(0) <= death.at]
    shown = [death for death in logged if _shows(frame, death)]
    # Anybody who is logged can write such lines: without a trace in memory they are a warning at most.
    sure = len(shown) >= max(FEWEST, len(logged) / 2)
    died = [death.at for death in (logged if sure else [death for death in logged if death.loud])]
    if len(died) < FEWEST:
        return None
    interval = (died[-1] - died[0]) / (len(died) - 1)
    recent = timedelta(minutes=frame.settings.recent_minutes)
    if frame.at(frame.points) - died[-1] > max(OVERDUE * interval, recent):
        return None
    sentence = (
        f"{frame.service.name} died {len(died)} times since {died[0]:%H:%M}, every "
        f"{duration(interval.total_seconds() / 60)}: its logs say that it was killed or out of memory."
    )
    measured = (float(len(died)), float(FEWEST), "deaths in the logs")
    severity, confidence = (Severity.CRITICAL, 0.9) if sure else (Severity.WARNING, 0.6)
    found = frame.finding(FindingKind.CRASH_LOOP, severity, measured, 0, confidence, "logged", sentence)
    return found.model_copy(update={"onset": died[0]})
