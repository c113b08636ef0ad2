"""Join rows into events: a stack trace arrives line by line, and other lines may stand between them.

Standard output and standard error have one open event each, so that neither interrupts a trace of the other.
Works on a stream and holds a few events at a time.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from railmend.evidence import attributes
from railmend.evidence.log_level import LogLevel, level_of_line, stated_level

MAX_LINES = 240
MAX_WIDTH = 4000
# So many lines of other events may stand inside a trace.
MAX_FOREIGN = 8
# Of Railway's severities only these come from a logger: `error` may mean only standard error.
LOGGED_LEVELS = {"warn": LogLevel.WARNING, "warning": LogLevel.WARNING, "fatal": LogLevel.FATAL}
ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]")

STARTS = re.compile(
    r"Traceback \(most recent call last\):|panic: |fatal error: |goroutine \d+ \["
    r"|thread '[^']{0,80}' (?:\(\d+\) )?panicked"
    r"|Unhandled exception|Uncaught |(?:PHP )?Fatal error: |Exception in thread "
    r"|(?:(?:file://)?/\S+\.[cm]?[jt]sx?|node:\S+):\d+$"
    r"|\*\* \(|terminate called"
)
# Those of them that do not say what failed; the line before does.
NEEDS_HEAD = re.compile(r"(?:Exception Group )?Traceback \(|goroutine \d+ \[|\*\* \(")
# Lines that continue an open event although they are not indented.
CONTINUES = re.compile(
    r"Caused by|Suppressed: |Wrapped by: |During handling of the above|The above exception was the direct"
    r"|at (?:async )?[\w$.<>\[\]/ @]+\(|Stack trace:|\[stacktrace\]|stack backtrace:|note: |#\d+ "
    r"|\{main\}|thrown in "
    r"|created by |goroutine \d+ \[|\[signal |exit status \d|Node\.js v\d|--- End of|\d+ more|\.{3} \d+ "
    r"|\[SQL: |\[parameters: |\(Background on this error|[}\])]{1,3};?,?$|[\^~]+$"
)
# Python's groups of exceptions are indented from their first line on.
GROUP = re.compile(r"\s*\+ Exception Group Traceback")
# Certainly a frame: it belongs to the trace that was open last, whatever came between.
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
# PostgreSQL writes the rest of an error as lines of their own.
POSTGRES = re.compile(r".{0,60}?\b(?:STATEMENT|DETAIL|HINT|CONTEXT|QUERY): ")
POSTGRES_ERROR = re.compile(r".{0,60}?\b(?:ERROR|FATAL|PANIC): ")
# Code below a compiler's message: `12 | let x`, `> 3 │ foo`, `  --> src/main.rs`.
EXCERPT = re.compile(r"[>\s]{0,12}\d{0,6}\s{0,12}[|│]|\s{0,12}-->|\s{0,12}= (?:note|help)")
OPENS = re.compile("|".join(p.pattern for p in (STARTS, CONTINUES, EXCEPTION, RUBY_FRAME, EXCERPT, POSTGRES)))
# BuildKit puts the number of its step and the seconds before every line.
BUILDKIT = re.compile(r"#\d+ (?:\d+\.\d+ )?")
# Rails puts the id of its request before every line of a trace.
REQUEST_TAG = re.compile(r"\[[0-9a-f]{8}-[0-9a-f-]{27}\] ?")
# `info: Category[0]`, with its message indented on the next line.
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
    """A log line as Railway gives it."""

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
    """One thing that happened, with all of its lines.

    `at` and `position`: time and index of its first row. `logged_level`: the logger's own severity, not the
    stream's. `complete`: a trace that its exception has ended. `dropped`: lines beyond `MAX_LINES`.
    """

    at: datetime
    position: int
    lines: list[str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    logged_level: LogLevel = LogLevel.ORDINARY
    trace: bool = False
    complete: bool = False
    dropped: int = 0


class Joiner:
    """Joins the rows of successive pages. `build`: a block of one tool's error lines is one event."""

    def __init__(self, *, build: bool = False) -> None:
        self.rows = 0
        self._build = build
        self._streams: dict[str, _Stream] = {}

    def feed(self, rows: Iterable[LogRow]) -> Iterator[Event]:
        """Yield events in the order in which they end; call `rest` after the last page."""
        streams = self._streams
        for row in rows:
            stream = streams.get(row.severity)
            if stream is None:
                level = LOGGED_LEVELS.get(row.severity, LogLevel.ORDINARY)
                stream = streams[row.severity] = _Stream(self._build, level)
            stream.take(row, self.rows)
            self.rows += 1
            if stream.done:
                yield from stream.done
                stream.done.clear()

    def rest(self) -> Iterator[Event]:
        """Yield the events that are still open."""
        for stream in self._streams.values():
            yield from (event for event in (stream.interrupted, stream.open) if event is not None)
            stream.interrupted = stream.open = None


def first_start(rows: Sequence[LogRow]) -> int:
    """Return the index of the first row that begins an event, 0 if none of the first `MAX_LINES` does."""
    for number, row in enumerate(rows[:MAX_LINES]):
        line = row.message
        if line[:1] not in ("", " ", "\t") and not OPENS.match(line):
            return number
    return 0


class _Stream:
    """What is open on one output. `interrupted`: a trace that a line of another event stands in."""

    __slots__ = ("build", "done", "foreign", "interrupted", "logged_level", "open")

    def __init__(self, build: bool, logged_level: LogLevel) -> None:
        self.build = build
        self.logged_level = logged_level
        self.open: Event | None = None
        self.interrupted: Event | None = None
        self.foreign = 0
        self.done: list[Event] = []

    def take(self, row: LogRow, position: int) -> None:
        text = row.message
        if "\x1b" in text:
            text = ANSI.sub("", text)
        if row.attributes or text[:1] == "{":
            structured = attributes.read(text, row.attributes)
            if structured is not None:
                self._close()
                self.open = Event(
                    row.timestamp, position, structured.lines, structured.rest, structured.level
                )
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
                target = _target(self.open, self.interrupted, line, self.build)
            if target is not None:
                _append(target, line)
                continue
            self._close()
            self.open = Event(row.timestamp, position, [line], logged_level=self.logged_level)
            self.open.trace = (STARTS.match(line) or GROUP.match(line)) is not None

    def _may_continue(self, line: str) -> bool:
        """Return False, cheaply, for nearly all lines: not indented, no start of a trace, none open."""
        if self.build or line[0] in " \t" or self.interrupted is not None:
            return True
        return (self.open is not None and self.open.trace) or OPENS.match(line) is not None

    def _close(self) -> None:
        """End the open event; an unfinished trace waits a little longer for lines behind foreign ones."""
        event = self.open
        self.open = None
        if self.interrupted is not None:
            self.foreign += 1
            if self.foreign > MAX_FOREIGN or (event is not None and event.trace):
                self.done.append(self.interrupted)
                self.interrupted = None
        if event is None:
            return
        if event.trace and not event.complete:
            self.interrupted, self.foreign = event, 0
        else:
            self.done.append(event)


def _target(event: Event | None, interrupted: Event | None, line: str, build: bool) -> Event | None:
    """Return the event that this line continues; None: it begins one."""
    if event is None:
        return interrupted if interrupted is not None and FRAME.match(line) else None
    indented = line[0] in " \t"
    if (
        interrupted is not None
        and not event.trace
        and (FRAME.match(line) or (indented and not DOTNET_HEAD.match(event.lines[0])))
    ):
        return interrupted
    if GROUP.match(line):
        return event if _extends(event, line.lstrip(" +"), build) else None
    if indented or EXCERPT.match(line):
        return event
    if event.trace:
        return event if _continues_trace(event, line) else None
    return event if _extends(event, line, build) else None


def _continues_trace(event: Event, line: str) -> bool:
    """Whether a line that is not indented belongs to the open trace."""
    last = event.lines[-1]
    if CONTINUES.match(line):
        return True
    if event.complete:
        return line.startswith("Traceback (") and _is_chain(last)
    if last[0] in " \t" and _is_python(event):
        return PYTHON_END.match(line) is not None and stated_level(line) is None
    if line.startswith("Traceback (") and (_is_chain(last) or len(event.lines) == 1):
        return True
    if (_is_go(event) and GO_CALL.match(line)) or RUBY_FRAME.match(line) or NEXT_JOINS.match(last):
        return True
    starts_here = len(event.lines) < 6 and STARTS.match(event.lines[0])
    return bool(starts_here and EXCEPTION.match(line))


def _extends(event: Event, line: str, build: bool) -> bool:
    """Whether a line continues an event that is no trace yet, or opens the trace that it announces."""
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
        # A line that calls itself ordinary does not announce a trace.
        stated = stated_level(head) or LogLevel.ORDINARY
        return stated >= LogLevel.WARNING or level_of_line(head) >= LogLevel.ERROR
    if STARTS.match(line):
        return False
    if EXCEPTION.match(line) and stated_level(line) is None:
        return len(event.lines) == 1 and level_of_line(head) >= LogLevel.WARNING and not EXCEPTION.match(head)
    return bool(CONTINUES.match(line)) and level_of_line(head) >= LogLevel.ERROR


def _append(event: Event, line: str) -> None:
    if not event.trace:
        event.trace = bool(STARTS.match(line) or FRAME.match(line) or RUBY_FRAME.match(line))
    elif _ends_python_trace(event, line):
        event.complete = True
    elif event.complete and CONTINUES.match(line):
        event.complete = False
    event.lines.append(line)
    if len(event.lines) > MAX_LINES:  # the beginning says what, the end of a chain says why
        del event.lines[MAX_LINES // 2]
        event.dropped += 1


def _ends_python_trace(event: Event, line: str) -> bool:
    below_frames = line[0] not in " \t" and event.lines[-1][0] in " \t"
    return below_frames and _is_python(event) and PYTHON_END.match(line) is not None


def _is_chain(line: str) -> bool:
    return line.startswith(("During handling of the above", "The above exception was the direct"))


def _is_python(event: Event) -> bool:
    return any(line.startswith("Traceback (") for line in event.lines[:8]) or '  File "' in event.lines[-1]


def _is_go(event: Event) -> bool:
    return any(line.startswith(("goroutine ", "panic: ")) for line in event.lines[:6])
