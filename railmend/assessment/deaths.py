"""Read from logs when processes died for want of memory, or were killed: metrics show it only sometimes.

With several replicas, or a heap limit far below the service's, memory hardly falls when one dies.
"""

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import numbers
from railmend.assessment.wording import duration
from railmend.contracts.scan import Finding, FindingKind, Severity
from railmend.railway.model import LogLine, Slice

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
# So many intervals after the last death, it has stopped.
OVER = 1.5
# Replicas share their memory's curve: the death of one of four that were full takes a tenth and more of it.
FELL = 0.1
EXPLAINED = frozenset({FindingKind.CRASH_LOOP, FindingKind.MEMORY_LEAK, FindingKind.OUTAGE})


def leaves_open(source: Slice, findings: Collection[Finding]) -> bool:
    """Return whether memory fell or broke off without a finding that says why: its logs may."""
    if any(finding.kind in EXPLAINED for finding in findings):
        return False
    memory = numbers(source.memory_gb)
    lived = np.flatnonzero(memory > 0)
    values = memory[lived]
    return bool((values[1:] < (1 - FELL) * values[:-1]).any() or (np.diff(lived) > 1).any())


def deaths(lines: Iterable[LogLine]) -> list[datetime]:
    """Return when processes died, oldest first, each death once."""
    found: list[datetime] = []
    for at in sorted(line.timestamp for line in lines if DYING.search(line.message)):
        if not found or at - found[-1] > ONE:
            found.append(at)
    return found


def logged(frame: MetricFrame) -> Finding | None:
    """Find processes that keep dying by their own logs: twice or more, and not long ago."""
    died = [at for at in frame.slice.deaths if frame.at(0) <= at]
    if len(died) < FEWEST:
        return None
    interval = (died[-1] - died[0]) / (len(died) - 1)
    recent = timedelta(minutes=frame.settings.recent_minutes)
    if frame.at(frame.points) - died[-1] > max(OVER * interval, recent):
        return None
    sentence = (
        f"{frame.service.name} died {len(died)} times since {died[0]:%H:%M}, every "
        f"{duration(interval.total_seconds() / 60)}: its logs say that it was killed or out of memory."
    )
    measured = (float(len(died)), float(FEWEST), "deaths in the logs")
    found = frame.finding(FindingKind.CRASH_LOOP, Severity.CRITICAL, measured, 0, 0.9, "logged", sentence)
    return found.model_copy(update={"onset": died[0]})
