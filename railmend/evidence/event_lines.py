"""Which lines belong to one event: the forms of first lines, frames and endings in many languages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from railmend.evidence.log_level import LogLevel, access_line, level_of_line, stated_level

MAX_LINES = 240
NO_ATTRIBUTES: Mapping[str, str] = {}

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
# What stands below an exception, so that another one begins an event.
BEGUN = re.compile(rf"{FRAME.pattern}|note: ")
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
POSTGRES = re.compile(r"[SDHCQ](?:(?<=\bS)TATEMENT|(?<=\bD)ETAIL|(?<=\bH)INT|(?<=\bC)ONTEXT|(?<=\bQ)UERY): ")
POSTGRES_WITHIN = 72  # characters
POSTGRES_ERROR = re.compile(r".{0,60}?\b(?:ERROR|FATAL|PANIC): ")
# Code below a compiler's message: `12 | let x`, `> 3 │ foo`, `  --> src/main.rs`.
EXCERPT = re.compile(r"[>\s]{0,12}\d{0,6}\s{0,12}[|│]|\s{0,12}-->|\s{0,12}= (?:note|help)")
OPENS = re.compile(
    "|".join(p.pattern for p in (STARTS, NEEDS_HEAD, GROUP, CONTINUES, EXCEPTION, RUBY_FRAME, EXCERPT))
)
# A first line although it is indented: a level set to the right, a symbol, an access line, a time.
INDENTED_HEAD = re.compile(
    r"\s{1,5}(?:TRACE|DEBUG|VERBOSE|INFO|NOTICE|LOG|WARN(?:ING)?|ERROR|FATAL|CRITICAL)[\s:\[|]"
    r"|\s{1,2}[⨯✓✔✗✘✖○●◌⚠▲ℹ✕❌✅](?:\s|️)|\s{1,2}(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /"
    r"|\s{1,3}\[?(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d)"
)
# Words of a first line below which frames may follow, in lower case.
FAILS = re.compile(
    r"err(?:or|eur|o)\b|error|exception|panic|fatal|fail|uncaught|unhandled|critical|severe|fehler|crash|abort"
    r"|错误|严重|失败|异常|エラー|例外|ошибка|오류"
)
ZEROS = str.maketrans("123456789", "000000000")
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
    attributes: Mapping[str, str]
    logged_level: LogLevel = LogLevel.ORDINARY
    on_stderr: bool = False
    label: str = ""
    prefix: str = ""
    head: str = ""
    fails: bool = False
    trace: bool = False
    complete: bool = False
    foreign: int = 0
    pending: tuple["Line", ...] = ()

    @property
    def whole(self) -> str:
        return self.head + self.lines[0] if self.head else self.lines[0]


class Line(NamedTuple):
    text: str
    label: str
    prefix: str
    row: LogRow
    position: int
    head: str = ""


def start_of(event: Event) -> str:
    return event.lines[0][:40].translate(ZEROS)


def repeats(event: Event, text: str) -> bool:
    """Whether a line is a trace's first line once more: the same failure again."""
    return len(event.lines) > 1 and start_of(event) == text[:40].translate(ZEROS)


def stated(text: str) -> LogLevel:
    """Return the stated level; a line that states none may be an exception's."""
    stated = stated_level(text)
    return LogLevel.ERROR if stated is None else stated


def is_rest_of_postgres(text: str) -> bool:
    return POSTGRES.search(text, 0, POSTGRES_WITHIN) is not None


def opens(text: str) -> bool:
    """Whether a line has a form that one of a trace has."""
    return OPENS.match(text) is not None or is_rest_of_postgres(text)


def is_head(text: str) -> bool:
    """Whether a line is certainly the first of an event."""
    return bool(
        opens(text)
        or text[0].isdigit()
        or text[0] in "[{"
        or stated_level(text) is not None
        or access_line(text)
    )


def continues_trace(event: Event, line: str) -> bool:
    """Whether a line that is not indented belongs to the open trace."""
    last = event.lines[-1]
    if repeats(event, line) and not _is_chain(last):
        return False
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
    return bool(starts_here and EXCEPTION.match(line) and not any(map(BEGUN.match, event.lines)))


def extends(event: Event, line: str, build: bool) -> bool:
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
    if is_rest_of_postgres(line):
        return POSTGRES_ERROR.match(head) is not None
    if NEEDS_HEAD.match(line) or RUBY_FRAME.match(line):
        # A line that calls itself ordinary does not announce a trace.
        stated = stated_level(event.whole) or LogLevel.ORDINARY
        return stated >= LogLevel.WARNING or level_of_line(event.whole) >= LogLevel.ERROR
    if STARTS.match(line):
        return False
    if EXCEPTION.match(line) and stated_level(line) is None:
        return (
            len(event.lines) == 1
            and level_of_line(event.whole) >= LogLevel.WARNING
            and not EXCEPTION.match(head)
        )
    return bool(CONTINUES.match(line)) and level_of_line(event.whole) >= LogLevel.ERROR


def append(event: Event, line: str) -> None:
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
