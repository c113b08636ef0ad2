"""Thousands of rows become the few that matter: events, templates, ranks. What is cut is counted."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from railmend.railway.model import HttpLogLine, LogLine

CHARS_PER_TOKEN = 4  # a fair estimate for logs, without a vocabulary
MAX_EVENT_LINES = 60
MAX_LINE = 400
CONTINUES = re.compile(
    r"^(?:\s+|Traceback |Caused by|During handling|The above exception|\w+(?:\.\w+)*(?:Error|Exception)\b)"
)
STARTS_TRACE = re.compile(r"^(?:Traceback |panic:|goroutine |Exception in|Uncaught |Unhandled)")
VARIABLE = re.compile(r"\b(?:[0-9a-fA-F]{8,64}|\d+(?:\.\d+)?)\b|\"[^\"]{0,200}\"|'[^']{0,200}'")
ID = re.compile(r"^(?:\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F-]{36})$")
WEIGHTS: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"(?i)traceback|panic|fatal|out of memory|oom|segfault|killed|unhandled|uncaught"), 100),
    (re.compile(r"(?i)error|exception|failed|failure|refused|denied|cannot|unable"), 50),
    (re.compile(r"(?i)warn|timeout|timed out|retry|slow|deprecated"), 20),
)


@dataclass
class Group:
    example: str
    first: str
    last: str
    count: int = 0
    weight: int = 0


def _events(lines: Sequence[LogLine]) -> list[tuple[LogLine, list[str]]]:
    """Joins the lines of one stack trace, which arrive one by one."""
    events: list[tuple[LogLine, list[str]]] = []
    in_trace = False
    for line in lines:
        text = line.message[:MAX_LINE]
        starts = bool(STARTS_TRACE.match(text))
        if events and in_trace and not starts and CONTINUES.match(text):
            if len(events[-1][1]) < MAX_EVENT_LINES:
                events[-1][1].append(text)
            in_trace = text[:1].isspace()
            continue
        events.append((line, [text]))
        in_trace = starts
    return events


def _weight(text: str) -> int:
    return max((weight for pattern, weight in WEIGHTS if pattern.search(text)), default=0)


def _template(lines: Sequence[str]) -> str:
    return "\n".join(VARIABLE.sub("#", line) for line in (*lines[:1], *lines[-2:]))


def condense_logs(lines: Sequence[LogLine], *, budget_tokens: int = 1200) -> str:
    """Groups of like events, the gravest and most frequent first; one verbatim example each."""
    groups: dict[str, Group] = {}
    for line, texts in _events(lines):
        stamp = line.timestamp.isoformat(timespec="seconds")
        group = groups.setdefault(_template(texts), Group("\n".join(texts), stamp, stamp))
        group.count += 1
        group.last = stamp
        group.weight = max(group.weight, _weight("\n".join(texts)))
    ranked = sorted(groups.values(), key=lambda group: (-group.weight, -group.count))
    blocks = [f"{g.count}x, {g.first} to {g.last}:\n{g.example}" for g in ranked]
    return _within(blocks, budget_tokens, "groups of log lines")


def _within(blocks: Sequence[str], budget_tokens: int, what: str) -> str:
    left = budget_tokens * CHARS_PER_TOKEN
    kept: list[str] = []
    for block in blocks:
        if kept and len(block) > left:
            break
        kept.append(block[: budget_tokens * CHARS_PER_TOKEN])
        left -= len(block) + 2
    cut = len(blocks) - len(kept)
    return "\n\n".join([*kept, *([f"({cut} more {what} left out)"] if cut else [])])


def _route(path: str) -> str:
    return "/".join("{id}" if ID.match(part) else part for part in path.partition("?")[0].split("/"))


def condense_http(lines: Sequence[HttpLogLine], *, budget_tokens: int = 600) -> str:
    """By method, route and status: count, share, durations, an example; failing and slow routes first."""
    groups: dict[tuple[str, str, int], list[HttpLogLine]] = defaultdict(list)
    for line in lines:
        groups[(line.method, _route(line.path), line.status)].append(line)

    def rank(item: tuple[tuple[str, str, int], list[HttpLogLine]]) -> tuple[bool, float]:
        (_, _, status), rows = item
        return status < 500, -sum(row.duration_ms for row in rows)

    blocks = []
    for (method, route, status), rows in sorted(groups.items(), key=rank):
        times = sorted(row.duration_ms for row in rows)
        p95 = times[min(int(len(times) * 0.95), len(times) - 1)]
        blocks.append(
            f"{method} {route} -> {status}: {len(rows)}x ({len(rows) / len(lines):.1%}), "
            f"p50 {median(times):.0f} ms, p95 {p95:.0f} ms, "
            f"{rows[0].timestamp.isoformat(timespec='seconds')} to "
            f"{rows[-1].timestamp.isoformat(timespec='seconds')}, such as {rows[-1].path[:200]}"
        )
    return _within(blocks, budget_tokens, "routes")
