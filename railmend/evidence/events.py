"""Join rows into events: a stack trace arrives line by line, and other lines may stand between them.

A stream is what has one severity, so that standard output and standard error do not interrupt each other. In
a stream a frame belongs to the nearest first line before it that can have one, of the same process or thread
where lines name it. Works on pages and holds a few events of each stream at a time.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from railmend.evidence import attributes
from railmend.evidence.layout import SAMPLE, Layout, learn
from railmend.evidence.log_level import LogLevel, access_line, level_of_line, stated_level

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
    r"|\*\* \(|terminate called|<--- Last few GCs|╭─+ Traceback "
)
# Those of them that do not say what failed; the line before does.
NEEDS_HEAD = re.compile(r"(?:Exception Group )?Traceback \(|goroutine \d+ \[|\*\* \(|╭─")
# Lines that continue an open event although they are not indented.
CONTINUES = re.compile(
    r"Caused by|Suppressed: |Wrapped by: |During handling of the above|The above exception was the direct"
    r"|at (?:async )?[\w$.<>\[\]/ @]+\(|Stack trace:|\[stacktrace\]|stack backtrace:|note: |#\d+ "
    r"|\{main\}|thrown in |Require stack:|- /|\(Use .node --trace|-{5} Native stack trace|<--- JS stacktrace"
    r"|created by |goroutine \d+ \[|\[signal |exit status \d|Node\.js v\d|--- End of|\d+ more|\.{3} \d+ "
    r"|Last message(?: |:)|State: |Initial Call: |[│╰├]"
    r"|\[SQL: |\[parameters: |\(Background on this error|\"?[}\])]{1,3};?,?$|[\^~]+$"
)
# Python's groups of exceptions are indented from their first line on.
GROUP = re.compile(r"\s*\+ Exception Group Traceback")
# Certainly a frame: it belongs to the trace that was open last, whatever came between.
FRAME = re.compile(
    r'\s+(?:File "|at |from \S+:\d|\.{3} \d+ |\d+: |\()|\t\S+\.(?:go|s):\d+|#\d+ |Caused by: |\s*\|\s'
)
EXCEPTION = re.compile(
    r"(?:[A-Za-z_$][\w$]*(?:\.|::))*[A-Za-z_$][\w$]*(?:Error|Exception|Throwable|Failure|Fault|Timeout|Interrupt|Exit)\b(?:[:\s(\[]|$)"
    r"|(?:Error|Exception)(?:: |:?$| [\[({])"
    r"|(?:[a-z_$][\w$]*\.){2,}[A-Z][\w$]*(?:: |$)"
)
PYTHON_END = re.compile(r"[A-Za-z_][\w.]*(?:: |:?$)")
POINTER = re.compile(r"\s*[\^~]+$")
GO_CALL = re.compile(r"(?=\S*[.(])[\w./*()$·\[\]{}-]{1,300}(?:\(.*\))?$")
# Lines between a failure and its frames: Phoenix's request, a function of zap's stack.
BEFORE_FRAMES = re.compile(r"(?:Server|Request): |[\w./-]{1,200}\.[\w.()*]{1,200}$")
# Ruby's first line has the form of a frame, and the exception's class at its end.
RUBY_START = re.compile(r"\S+\.(?:rb|erb|ru):\d+:in .{1,2000} \([A-Z]\w*(?:::\w+)*\)$")
RUBY_FRAME = re.compile(rf"(?!{RUBY_START.pattern})\S+\.(?:rb|erb|ru):\d+:in ")
# PostgreSQL writes the rest of an error as lines of their own.
POSTGRES = re.compile(r".{0,60}?\b(?:STATEMENT|DETAIL|HINT|CONTEXT|QUERY): ")
POSTGRES_ERROR = re.compile(r".{0,60}?\b(?:ERROR|FATAL|PANIC): ")
# Code below a compiler's message: `12 | let x`, `> 3 │ foo`, `  --> src/main.rs`.
EXCERPT = re.compile(r"[>\s]{0,12}\d{0,6}\s{0,12}[|│]|\s{0,12}-->|\s{0,12}= (?:note|help)")
OPENS = re.compile("|".join(p.pattern for p in (STARTS, CONTINUES, EXCEPTION, RUBY_FRAME, EXCERPT, POSTGRES)))
# BuildKit puts the number of its step and the seconds before every line.
BUILDKIT = re.compile(r"#\d+ (?:\d+\.\d+ )?")
# Rails puts the id of its request before every line of a trace.
REQUEST_TAG = re.compile(
    r"(?P<logger>[A-Z], \[[^\]]{1,60}\] {1,2}[A-Z]{1,8} -- [^:]{0,40}: )?"
    r"(?P<label>\[[0-9a-f]{8}-[0-9a-f-]{27}\]) ?"
)
# Some loggers write a trace line by line, each behind their time, level and thread.
DECORATED = re.compile(
    r"(?P<before>[\w\[(<].{0,120}?[\s\]:|-])"
    r'(?=Traceback \(most recent|  File "[^"]{1,300}", line \d|(?:\t|    )at [^\s(]{1,300} ?\(.{1,300}\)$)'
)
MAX_DECORATIONS = 8
THREAD = re.compile(r"\[([^\[\]\s:]{1,60})\]")
# A first line although it is indented: a level set to the right, a symbol, an access line, a time.
INDENTED_HEAD = re.compile(
    r"\s{1,5}(?:TRACE|DEBUG|VERBOSE|INFO|NOTICE|LOG|WARN(?:ING)?|ERROR|FATAL|CRITICAL)[\s:\[|]"
    r"|\s{1,2}[⨯✓✔✗✘✖○●◌⚠▲ℹ✕❌✅](?:\s|️)|\s{1,2}(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /"
    r"|\s{1,3}\[?(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d)"
)
# Words of a first line below which frames may follow.
FAILS = re.compile(
    r"(?i)err(?:or|eur|o)\b|error|exception|panic|fatal|fail|uncaught|unhandled|critical|severe|fehler|crash|abort"
    r"|错误|严重|失败|异常|エラー|例外|ошибка|오류"
)
MAX_HEAD = 300
# A failure that had no frames so often has none.
BARE, MAX_BARE = 3, 500
MAX_PENDING = 12
ZEROS = str.maketrans("123456789", "000000000")
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
    stream's. `prefix`: what stood before its first line. `fails`: its first line speaks of a failure, so that
    frames may follow. `trace`: it has frames, or announces them. `complete`: its exception has ended it.
    `foreign`: how many events began since. `pending`: lines that belong to it if frames follow them.
    """

    at: datetime
    position: int
    lines: list[str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    logged_level: LogLevel = LogLevel.ORDINARY
    on_stderr: bool = False
    label: str = ""
    prefix: str = ""
    fails: bool = False
    trace: bool = False
    complete: bool = False
    foreign: int = 0
    pending: list["_Line"] = field(default_factory=list)


class _Line(NamedTuple):
    text: str
    label: str
    prefix: str
    row: LogRow
    position: int


class Joiner:
    """Joins the rows of successive pages. `build`: a block of one tool's error lines is one event."""

    def __init__(self, *, build: bool = False) -> None:
        self.rows = 0
        self.stderr_rows = 0
        self._build = build
        self._streams: dict[str, _Stream] = {}

    def feed(self, rows: Iterable[LogRow]) -> Iterator[Event]:
        """Yield events in the order in which they end; call `rest` after each page read backwards."""
        streams = self._streams
        for row in rows:
            stream = streams.get(row.severity)
            if stream is None:
                stream = streams[row.severity] = _Stream(self._build, row.severity)
            stream.take(row, self.rows)
            self.rows += 1
            self.stderr_rows += row.severity == "error"
            if stream.done:
                yield from stream.done
                stream.done.clear()

    def rest(self) -> Iterator[Event]:
        """Yield the events that are still open."""
        for stream in self._streams.values():
            stream.flush()
            yield from stream.done
            stream.done.clear()


def first_start(rows: Sequence[LogRow]) -> int:
    """Return the index of the first row that begins an event, 0 if none of the first `MAX_LINES` does."""
    layout = learn([row.message for row in rows[:SAMPLE]])
    for number, row in enumerate(rows[:MAX_LINES]):
        line = layout.split(row.message)[2]
        if line[:1] not in ("", " ", "\t") and not OPENS.match(line):
            return number
    return 0


class _Stream:
    """What is open on one output, the newest last. `bare`: counts failures without frames, by their start."""

    def __init__(self, build: bool, severity: str) -> None:
        self.build = build
        self.severity = severity
        self.logged_level = LOGGED_LEVELS.get(severity, LogLevel.ORDINARY)
        self.open: list[Event] = []
        self.done: list[Event] = []
        self.bare: Counter[str] = Counter()
        self.decorations: set[str] = set()
        self.layout = Layout()
        self.sample: list[str] = []
        self.waiting: list[tuple[LogRow, int]] = []
        self.label = ""

    def take(self, row: LogRow, position: int) -> None:
        """Read a row, or keep it until there are enough of them to learn the layout."""
        if len(self.sample) >= SAMPLE:
            self._read(row, position)
            return
        self.waiting.append((row, position))
        if len(self.sample) + len(self.waiting) >= SAMPLE:
            self._read_waiting()

    def flush(self) -> None:
        """End every open event."""
        self._read_waiting()
        while any(event.pending for event in self.open):
            self._release(next(event for event in self.open if event.pending))
        self.done += self.open
        self.open = []

    def _read_waiting(self) -> None:
        self.sample += [ANSI.sub("", line) for row, _ in self.waiting for line in row.message.split("\n")]
        self.layout = learn(self.sample)
        waiting, self.waiting = self.waiting, []
        for row, position in waiting:
            self._read(row, position)

    def _read(self, row: LogRow, position: int) -> None:
        text = row.message
        if "\x1b" in text:
            text = ANSI.sub("", text)
        label, prefix, rest = self.layout.split(text) if self.layout.layers else ("", "", text)
        if row.attributes or rest[:1] == "{":
            structured = attributes.read(rest, row.attributes)
            if structured is not None:
                line = _Line(structured.lines[0], label, prefix, row, position)
                event = self._begin(line)
                event.lines, event.attributes = structured.lines, structured.rest
                event.logged_level, event.fails = structured.level, False
                return
        begun = None
        for line in text.split("\n") if "\n" in text else (text,):
            begun = self._read_line(line.rstrip(), row, position, begun)

    def _read_line(self, line: str, row: LogRow, position: int, begun: Event | None) -> Event | None:
        """Read a line. `begun`: the event that an earlier line of the same row has begun."""
        label, prefix, text = self.layout.split(line) if self.layout.layers else ("", "", line)
        if (text[:1] == "[" or text[1:3] == ", ") and (tag := REQUEST_TAG.match(text)):
            label, text = tag["label"], text if tag["logger"] else text[tag.end() :]
        elif self.build and text[:1] == "#":
            text = BUILDKIT.sub("", text, count=1)
        if not text.strip():
            return begun
        if len(text) > MAX_WIDTH:
            text = f"{text[: MAX_WIDTH // 2]} … {text[-MAX_WIDTH // 2 :]}"
        self.label = label = label or self.label
        line = _Line(text, label, prefix, row, position)
        inner = self._undecorated(line)
        if self.open and self.open[-1].pending and not self._settle_pending(inner):
            return None
        event = begun or self._target(inner)
        if event is not None:
            _append(event, inner.text)
            return event
        if self._waits(line):
            return None
        return self._begin(inner if inner.text.startswith("Traceback (") else line)

    def _undecorated(self, line: _Line) -> _Line:
        """Return a line without what a logger put before each line of a trace that it wrote line by line."""
        text = line.text
        if ("Traceback (" in text or ", line " in text or ("at " in text and ":" in text)) and (
            decorated := DECORATED.match(text)
        ):
            before = decorated["before"]
            if len(self.decorations) < MAX_DECORATIONS:
                self.decorations.add(before.translate(ZEROS))
        else:
            masked = text.translate(ZEROS) if self.decorations else ""
            before = next((text[: len(each)] for each in self.decorations if masked.startswith(each)), "")
        if not before:
            return line
        thread = THREAD.findall(before)
        return line._replace(
            text=text[len(before) :] or " ",
            prefix=line.prefix + before,
            label=thread[-1] if thread else line.label,
        )

    def _target(self, line: _Line) -> Event | None:
        """Return the open event that a line continues; None: it begins one."""
        text = line.text
        indented = text[0] in " \t"
        if not self.open or (not (indented or self.build or self._busy()) and not OPENS.match(text)):
            return None
        if indented and INDENTED_HEAD.match(text):
            return None
        events = [event for event in reversed(self.open) if event.label == line.label]
        if not events:
            return None
        newest = events[0]
        if FRAME.match(text):
            taker = self._taker(events)
            if taker and taker.complete and text.startswith('  File "'):
                return None
            return taker or (newest if indented else None)
        if GROUP.match(text):
            return newest if _extends(newest, text.lstrip(" +"), self.build) else None
        if indented or EXCERPT.match(text):
            torn = next((event for event in events if event.lines[-1].lstrip().startswith('File "')), newest)
            return newest if newest.trace or newest.lines[1:] else torn
        if newest.trace:
            joins = not _repeats(newest, text) and _continues_trace(newest, text)
        else:
            trace = EXCEPTION.match(text) or NEEDS_HEAD.match(text)
            joins = not (trace and self._is_bare(newest)) and _extends(newest, text, self.build)
        if joins:
            return newest
        if newest.fails and not self._is_bare(newest):
            return None
        torn = (event for event in events[1:] if event.trace and not event.complete)
        return next(
            (event for event in torn if not _repeats(event, text) and _continues_trace(event, text)), None
        )

    def _is_bare(self, event: Event) -> bool:
        """Whether a failure of one line has had no frames whenever it came."""
        return len(event.lines) == 1 and self.bare[_start(event)] >= BARE

    def _busy(self) -> bool:
        return any(event.trace or event.fails for event in self.open)

    def _taker(self, events: Sequence[Event]) -> Event | None:
        """Return the event that a frame belongs to: the nearest that fails, unless that one never has any."""
        takers = [event for event in events if event.trace or event.fails]
        torn = next((event for event in takers[1:] if event.trace and not event.complete), None)
        if torn and self._is_bare(takers[0]):
            return torn
        return takers[0] if takers else None

    def _settle_pending(self, line: _Line) -> bool:
        """Join the lines that were kept, or begin events with them; False: this line is kept as well."""
        newest = self.open[-1]
        if FRAME.match(line.text) or line.text.startswith("** ("):
            newest.lines += [pending.text for pending in newest.pending]
            newest.pending = []
        elif self._waits(line):
            return False
        else:
            self._release(newest)
        return True

    def _waits(self, line: _Line) -> bool:
        """Keep a line of a message that has several, if it is one: only frames below it will tell."""
        newest = self.open[-1] if self.open else None
        if newest is None or newest.label != line.label or len(newest.pending) >= MAX_PENDING:
            return False
        if not newest.fails or newest.trace or _is_head(line.text):
            return False
        if not EXCEPTION.match(newest.lines[-1]) and not BEFORE_FRAMES.match(line.text):
            return False
        newest.pending.append(line)
        return True

    def _release(self, event: Event) -> None:
        """Make events of the lines that were kept: no frame came."""
        pending, event.pending = event.pending, []
        for line in pending:
            self._begin(line)

    def _begin(self, line: _Line) -> Event:
        if self.open and self.open[-1].pending:
            self._release(self.open[-1])
        text = line.text
        if INDENTED_HEAD.match(text):
            text = text.lstrip()
        event = Event(
            line.row.timestamp,
            line.position,
            [text],
            logged_level=self.logged_level,
            on_stderr=self.severity == "error",
            label=line.label,
            prefix=line.prefix,
            trace=any(pattern.match(text) for pattern in (STARTS, GROUP, FRAME, RUBY_START)),
        )
        event.fails = event.trace or (
            FAILS.search(text[:MAX_HEAD]) is not None and _stated(text) >= LogLevel.WARNING
        )
        still_open = []
        for older in self.open:
            if self._stays(older, event):
                still_open.append(older)
            else:
                self._finish(older)
        self.open = [*still_open, event]
        return event

    def _stays(self, older: Event, newer: Event) -> bool:
        older.foreign += 1
        if older.foreign > MAX_FOREIGN or older.complete:
            return False
        if older.label != newer.label:
            return True
        return older.trace or (older.fails and not newer.fails)

    def _finish(self, event: Event) -> None:
        if event.fails and not event.trace:
            if len(self.bare) > MAX_BARE:
                self.bare.clear()
            self.bare[_start(event)] += 1
        self.done.append(event)


def _start(event: Event) -> str:
    return event.lines[0][:40].translate(ZEROS)


def _repeats(event: Event, text: str) -> bool:
    """Whether a line is a trace's first line once more: the same failure again."""
    return len(event.lines) > 1 and _start(event) == text[:40].translate(ZEROS)


def _stated(text: str) -> LogLevel:
    """Return the stated level; a line that states none may be an exception's."""
    stated = stated_level(text)
    return LogLevel.ERROR if stated is None else stated


def _is_head(text: str) -> bool:
    """Whether a line is certainly the first of an event."""
    return bool(
        OPENS.match(text)
        or text[0].isdigit()
        or text[0] in "[{"
        or stated_level(text) is not None
        or access_line(text)
    )


def _continues_trace(event: Event, line: str) -> bool:
    """Whether a line that is not indented belongs to the open trace."""
    last = event.lines[-1]
    if CONTINUES.match(line) or POINTER.match(last):
        return True
    if event.lines[0].startswith("<---"):
        return line[0] in "[<#-" or line.startswith("FATAL ERROR")
    if event.complete:
        return line.startswith("Traceback (") and _is_chain(last)
    if last[0] in " \t" and _is_python(event):
        return PYTHON_END.match(line) is not None and stated_level(line) is None
    if line.startswith("Traceback (") and (_is_chain(last) or len(event.lines) == 1):
        return True
    if (_is_go(event) and GO_CALL.match(line)) or RUBY_FRAME.match(line) or NEXT_JOINS.match(last):
        return True
    if last[0] == "╰" and EXCEPTION.match(line):
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
    if line[0] == "#" == head[0]:  # the JVM's report of its own crash
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
    if not event.fails and EXCEPTION.match(line):
        event.fails = True
    if event.trace and _ends_python_trace(event, line):
        event.complete = True
    elif event.complete and CONTINUES.match(line):
        event.complete = False
    event.foreign = 0
    event.lines.append(line)
    if len(event.lines) > MAX_LINES:  # the beginning says what, the end of a chain says why
        del event.lines[MAX_LINES // 2]


def _ends_python_trace(event: Event, line: str) -> bool:
    below_frames = line[0] not in " \t" and event.lines[-1][0] in " \t"
    return below_frames and _is_python(event) and PYTHON_END.match(line) is not None


def _is_chain(line: str) -> bool:
    return line.startswith(("During handling of the above", "The above exception was the direct"))


def _is_python(event: Event) -> bool:
    if event.lines[0].startswith('  File "') or '  File "' in event.lines[-1]:
        return True
    return any(line.startswith("Traceback (") for line in event.lines[:8])


def _is_go(event: Event) -> bool:
    frames = event.lines[-1].startswith("\t") and ".go:" in event.lines[-1]
    return frames or any(line.startswith(("goroutine ", "panic: ")) for line in event.lines[:6])
