"""Rows joined into events: a stack trace arrives line by line, and other lines may stand between them.

One open event for standard output and one for standard error, so that the two do not tear each other's
traces apart. Works on a stream, holds a few events at a time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from railmend.evidence import attributes
from railmend.evidence.log_level import LogLevel, gravity, level

MAX_LINES = 240
MAX_WIDTH = 4000
# Lines of others that may stand inside a trace.
FOREIGN = 8
# Of the severities only these are a logger's own word: `error` may be no more than standard error.
MARKED = {"warn": LogLevel.WARNING, "warning": LogLevel.WARNING, "fatal": LogLevel.FATAL}
ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")

STARTS = re.compile(
    r"Traceback \(most recent call last\):|panic: |fatal error: |goroutine \d+ \["
    r"|thread '[^']{0,80}' (?:\(\d+\) )?panicked"
    r"|Unhandled exception|Uncaught |(?:PHP )?Fatal error: |Exception in thread "
    r"|(?:(?:file://)?/\S+\.[cm]?[jt]sx?|node:\S+):\d+$"
    r"|\*\* \(|terminate called"
)
# Of these the ones that do not say themselves what failed.
NEEDS_HEAD = re.compile(r"(?:Exception Group )?Traceback \(|goroutine \d+ \[|\*\* \(")
# What goes on under an open event although it is not indented.
GOES_ON = re.compile(
    r"Caused by|Suppressed: |Wrapped by: |During handling of the above|The above exception was the direct"
    r"|at (?:async )?[\w$.<>\[\]/ @]+\(|Stack trace:|\[stacktrace\]|stack backtrace:|note: |#\d+ "
    r"|\{main\}|thrown in "
    r"|created by |goroutine \d+ \[|\[signal |exit status \d|Node\.js v\d|--- End of|\d+ more|\.{3} \d+ "
    r"|\[SQL: |\[parameters: |\(Background on this error|[}\])]{1,3};?,?$|[\^~]+$"
)
# Python's groups of exceptions are indented from their first line on.
GROUP = re.compile(r"\s*\+ Exception Group Traceback")
# A frame for certain: it belongs to the trace that was open last, whatever came between.
FRAME = re.compile(
    r'\s+(?:File "|at |from \S+:\d|\.{3} \d+ |\d+: |\()|\t\S+\.(?:go|s):\d+|#\d+ |Caused by: |\s*\|\s'
)
EXCEPTION = re.compile(
    r"(?:[A-Za-z_$][\w$]*(?:\.|::))*[A-Za-z_$][\w$]*(?:Error|Exception|Throwable|Failure|Fault|Timeout|Interrupt|Exit)\b(?:[:\s(\[]|$)"
    r"|(?:[a-z_$][\w$]*\.){2,}[A-Z][\w$]*(?:: |$)"
)
PYTHON_END = re.compile(r"[A-Za-z_][\w.]*(?:: |:?$)")
GO_CALL = re.compile(r"[\w./*()$·\[\]{}-]{1,300}\(.*\)$")
RUBY_FRAME = re.compile(r"\S+\.(?:rb|erb|ru):\d+:in ")
# PostgreSQL tells the rest of an error in lines of their own.
POSTGRES = re.compile(r".{0,60}?\b(?:STATEMENT|DETAIL|HINT|CONTEXT|QUERY): ")
POSTGRES_ERROR = re.compile(r".{0,60}?\b(?:ERROR|FATAL|PANIC): ")
# Code under a compiler's message: `12 | let x`, `> 3 │ foo`, `  --> src/main.rs`.
EXCERPT = re.compile(r"[>\s]{0,12}\d{0,6}\s{0,12}[|│]|\s{0,12}-->|\s{0,12}= (?:note|help)")
OPENS = re.compile("|".join(p.pattern for p in (STARTS, GOES_ON, EXCEPTION, RUBY_FRAME, EXCERPT, POSTGRES)))
# BuildKit puts the number of its step and the seconds before every line.
BUILDKIT = re.compile(r"#\d+ (?:\d+\.\d+ )?")
# Rails puts the id of its request before every line of a trace.
REQUEST_TAG = re.compile(r"\[[0-9a-f]{8}-[0-9a-f-]{27}\] ?")
# `info: Category[0]`, whose message stands indented on the next line.
DOTNET_HEAD = re.compile(r"[a-z]{4}: \S+\[\d+\]$")
BUILD_BLOCK = re.compile(
    r"npm (?:error|ERR!|warn)|yarn error|error (?=[A-Z])|\[ERROR\]|\s*│|➤ YN\d+:|E\s{2,}"
)
NEXT_JOINS = re.compile(r"thread '[^']{0,80}' (?:\(\d+\) )?panicked at ")
# The same for what build tools print.
NEXT_JOINS_BUILD = re.compile(
    r"ERROR in |\* What went wrong:|Failed to compile\.?$|(?:\./)?[\w@./\[\]()-]+\.[cm]?[jt]sx?:\d+:\d+$"
    r"|FAILED |[✘×✖] |.{0,60} failed:$"
)


class LogRow(Protocol):
    """A line as Railway gives it."""

    @property
    def timestamp(self) -> datetime: ...
    @property
    def severity(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def attributes(self) -> tuple[tuple[str, str], ...]: ...


@dataclass(slots=True)
class Event:
    """One thing that happened: its first row's time and place in the stream, and all of its lines."""

    at: datetime
    position: int
    lines: list[str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    marked: LogLevel = LogLevel.ORDINARY  # by a logger's own severity, not by the stream
    trace: bool = False
    complete: bool = False
    dropped: int = 0


class Joiner:
    """Takes rows page by page. `build`: blocks of one tool's error lines are one event."""

    def __init__(self, *, build: bool = False) -> None:
        self.rows = 0
        self._build = build
        self._pipes: dict[str, _Pipe] = {}

    def feed(self, rows: Iterable[LogRow]) -> Iterator[Event]:
        """The events that have ended, in that order; call `rest` after the last page."""
        pipes = self._pipes
        for row in rows:
            pipe = pipes.get(row.severity)
            if pipe is None:
                pipe = pipes[row.severity] = _Pipe(self._build, MARKED.get(row.severity, LogLevel.ORDINARY))
            pipe.take(row, self.rows)
            self.rows += 1
            if pipe.done:
                yield from pipe.done
                pipe.done.clear()

    def rest(self) -> Iterator[Event]:
        """What is still open."""
        for pipe in self._pipes.values():
            yield from (event for event in (pipe.torn, pipe.open) if event is not None)
            pipe.torn = pipe.open = None


def first_start(rows: Sequence[LogRow]) -> int:
    """The place of the first row that goes on with nothing before it; 0 where none is found in reach."""
    for number, row in enumerate(rows[:MAX_LINES]):
        line = row.message
        if line[:1] not in ("", " ", "\t") and not OPENS.match(line):
            return number
    return 0


class _Pipe:
    """What is open on one output. `torn`: a trace that a line of another event stands in."""

    __slots__ = ("build", "done", "foreign", "marked", "open", "torn")

    def __init__(self, build: bool, marked: LogLevel) -> None:
        self.build = build
        self.marked = marked
        self.open: Event | None = None
        self.torn: Event | None = None
        self.foreign = 0
        self.done: list[Event] = []

    def take(self, row: LogRow, position: int) -> None:
        text = row.message
        if "\x1b" in text:
            text = ANSI.sub("", text)
        if row.attributes or text[:1] == "{":
            found = attributes.read(text, row.attributes)
            if found is not None:
                self._close()
                self.open = Event(row.timestamp, position, found.lines, found.rest, found.gravity)
                return
        for line in text.split("\n") if "\n" in text else (text,):
            line = line.rstrip()
            if line[:1] == "[":
                line = REQUEST_TAG.sub("", line, count=1)
            elif self.build and line[:1] == "#":
                line = BUILDKIT.sub("", line, count=1)
            if not line:
                continue
            line = line if len(line) <= MAX_WIDTH else f"{line[:MAX_WIDTH]}…"
            target = None
            if self._may_continue(line):
                target = _target(self.open, self.torn, line, self.build)
            if target is not None:
                _append(target, line)
                continue
            self._close()
            self.open = Event(row.timestamp, position, [line], marked=self.marked)
            self.open.trace = (STARTS.match(line) or GROUP.match(line)) is not None

    def _may_continue(self, line: str) -> bool:
        """A quick no for nearly all lines: not indented, not the beginning of a trace, and none is open."""
        if self.build or line[0] in " \t" or self.torn is not None:
            return True
        return (self.open is not None and self.open.trace) or OPENS.match(line) is not None

    def _close(self) -> None:
        """The open event ends; a trace is kept a little longer, for lines of others may stand inside it."""
        event = self.open
        self.open = None
        if self.torn is not None:
            self.foreign += 1
            if self.foreign > FOREIGN or (event is not None and event.trace):
                self.done.append(self.torn)
                self.torn = None
        if event is None:
            return
        if event.trace and not event.complete:
            self.torn, self.foreign = event, 0
        else:
            self.done.append(event)


def _target(event: Event | None, torn: Event | None, line: str, build: bool) -> Event | None:
    """The event that this line goes on with; None: it begins one."""
    if event is None:
        return torn if torn is not None and FRAME.match(line) else None
    indented = line[0] in " \t"
    if (
        torn is not None
        and not event.trace
        and (FRAME.match(line) or (indented and not DOTNET_HEAD.match(event.lines[0])))
    ):
        return torn
    if GROUP.match(line):
        return event if _heads(event, line.lstrip(" +"), build) else None
    if indented or EXCERPT.match(line):
        return event
    if event.trace:
        return _goes_on(event, line)
    return event if _heads(event, line, build) else None


def _goes_on(event: Event, line: str) -> Event | None:
    """Under an open trace, for a line that is not indented."""
    last = event.lines[-1]
    if GOES_ON.match(line):
        return event
    if event.complete:
        return event if line.startswith("Traceback (") and _chained(last) else None
    if last[0] in " \t" and _python(event):
        return event if PYTHON_END.match(line) and level(line) is None else None
    if line.startswith("Traceback (") and (_chained(last) or len(event.lines) == 1):
        return event
    if _go(event) and GO_CALL.match(line):
        return event
    if RUBY_FRAME.match(line):
        return event
    if NEXT_JOINS.match(last) or (
        len(event.lines) < 6 and STARTS.match(event.lines[0]) and EXCEPTION.match(line)
    ):
        return event
    return None


def _heads(event: Event, line: str, build: bool) -> bool:
    """Whether this line continues an event that is no trace yet, or opens the trace whose header it is."""
    head = event.lines[0]
    last = event.lines[-1]
    if NEXT_JOINS.match(last) or (build and NEXT_JOINS_BUILD.match(last)):
        return True
    if build:
        block = BUILD_BLOCK.match(line)
        if block and head.startswith(block[0].strip()):
            return True
    if POSTGRES.match(line):
        return POSTGRES_ERROR.match(head) is not None
    if NEEDS_HEAD.match(line) or RUBY_FRAME.match(line):
        # A line that calls itself ordinary is not the header of a trace.
        return (level(head) or LogLevel.ORDINARY) >= LogLevel.WARNING or gravity(head) >= LogLevel.ERROR
    if STARTS.match(line):
        return False
    if EXCEPTION.match(line) and level(line) is None:
        return len(event.lines) == 1 and gravity(head) >= LogLevel.WARNING and not EXCEPTION.match(head)
    return bool(GOES_ON.match(line)) and gravity(head) >= LogLevel.ERROR


def _append(event: Event, line: str) -> None:
    if not event.trace:
        event.trace = bool(STARTS.match(line) or FRAME.match(line) or RUBY_FRAME.match(line))
    elif line[0] not in " \t" and _python(event) and event.lines[-1][0] in " \t" and PYTHON_END.match(line):
        event.complete = True
    elif event.complete and GOES_ON.match(line):
        event.complete = False
    event.lines.append(line)
    if len(event.lines) > MAX_LINES:  # the head says what, the end of a chain says why
        del event.lines[MAX_LINES // 2]
        event.dropped += 1


def _chained(line: str) -> bool:
    return line.startswith(("During handling of the above", "The above exception was the direct"))


def _python(event: Event) -> bool:
    return any(line.startswith("Traceback (") for line in event.lines[:8]) or '  File "' in event.lines[-1]


def _go(event: Event) -> bool:
    return any(line.startswith(("goroutine ", "panic: ")) for line in event.lines[:6])
