"""Join rows into events: a stack trace arrives line by line, and other lines may stand between them.

A stream is what has one severity, so that standard output and standard error do not interrupt each other. In
a stream a frame belongs to the nearest first line before it that can have one, of the same process or thread
where lines name it. Works on pages and holds a few events of each stream at a time.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from railmend.evidence import attributes
from railmend.evidence.escaping import ANSI
from railmend.evidence.event_lines import (
    BEFORE_FRAMES,
    EXCEPTION,
    EXCERPT,
    FAILS,
    FRAME,
    GROUP,
    INDENTED_HEAD,
    MAX_LINES,
    NEEDS_HEAD,
    NO_ATTRIBUTES,
    RUBY_START,
    STARTS,
    Event,
    Line,
    LogRow,
    append,
    continues_trace,
    extends,
    is_head,
    opens,
    start_of,
    stated,
)
from railmend.evidence.heads import Heads, without_times
from railmend.evidence.layout import SAMPLE, Layout, learn
from railmend.evidence.log_level import LogLevel

MAX_WIDTH = 4000
# So many lines of other events may stand inside a trace.
MAX_FOREIGN = 8
# Of Railway's severities only these come from a logger: `error` may mean only standard error.
LOGGED_LEVELS = {"warn": LogLevel.WARNING, "warning": LogLevel.WARNING, "fatal": LogLevel.FATAL}
# BuildKit puts the number of its step and the seconds before every line.
BUILDKIT = re.compile(r"#\d+ (?:\d+\.\d+ )?")
# Rails puts the id of its request before every line of a trace.
REQUEST_TAG = re.compile(
    r"(?P<logger>[A-Z], \[[^\]]{1,60}\] {1,2}[A-Z]{1,8} -- [^:]{0,40}: )?"
    r"(?P<label>\[[0-9a-f]{8}-[0-9a-f-]{27}\]) ?"
)
MAX_HEAD = 300
# A failure that had no frames so often has none.
BARE, MAX_BARE = 3, 500
MAX_PENDING = 12


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
        if line[:1] not in ("", " ", "\t") and not opens(line):
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
        self.heads = Heads()
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
                event = self._begin(Line(structured.lines[0], label, prefix, row, position))
                event.lines, event.attributes = structured.lines, structured.rest
                event.logged_level, event.fails = structured.level, False
                return
        begun = None
        for line in text.split("\n") if "\n" in text else (text,):
            begun = self._read_line(line.rstrip(), row, position, begun)

    def _read_line(self, written: str, row: LogRow, position: int, begun: Event | None) -> Event | None:
        """Read a line as it was written. `begun`: the event that an earlier line of its row has begun."""
        label, prefix, text = self.layout.split(written) if self.layout.layers else ("", "", written)
        if (text[:1] == "[" or text[1:3] == ", ") and (tag := REQUEST_TAG.match(text)):
            label, text = tag["label"], text if tag["logger"] else text[tag.end() :]
        elif self.build and text[:1] == "#":
            text = BUILDKIT.sub("", text, count=1)
        if not text.strip():
            return begun
        if len(text) > MAX_WIDTH:
            text = f"{text[: MAX_WIDTH // 2]} … {text[-MAX_WIDTH // 2 :]}"
        self.label = label = label or self.label
        line = Line(text, label, prefix, row, position)
        if length := self.heads.length(text):
            line = line._replace(text=text[length:], head=text[:length])
            if not line.text.strip():
                return begun
        if self.open and self.open[-1].pending and not self._settle_pending(line):
            return None
        event = begun or self._target(line)
        if event is not None:
            append(event, line.text)
            return event
        return None if self._waits(line) else self._begin(line)

    def _target(self, line: Line) -> Event | None:
        """Return the open event that a line continues; None: it begins one."""
        text = line.text
        indented = text[0] in " \t"
        if not self.open or not (indented or self.build or text[0] == "#" or self._traces() or opens(text)):
            return None
        if indented and INDENTED_HEAD.match(text):
            return None
        events = [event for event in reversed(self.open) if _belongs(line, event)]
        if not events:
            return None
        newest = events[0]
        if FRAME.match(text):
            return self._taker(events, text)
        if GROUP.match(text):
            return newest if extends(newest, text.lstrip(" +"), self.build) else None
        if indented or EXCERPT.match(text):
            torn = next((event for event in events if event.lines[-1].lstrip().startswith('File "')), newest)
            return newest if newest.trace or newest.lines[1:] else torn
        return self._continued(events, text)

    def _continued(self, events: Sequence[Event], text: str) -> Event | None:
        """Return the event that a line continues which is neither indented nor a frame."""
        newest = events[0]
        if newest.trace:
            joins = continues_trace(newest, text)
        else:
            announced = EXCEPTION.match(text) or NEEDS_HEAD.match(text)
            joins = not (announced and self._is_bare(newest)) and extends(newest, text, self.build)
        if joins:
            return newest
        if newest.fails and not self._is_bare(newest):
            return None
        torn = (event for event in events[1:] if event.trace and not event.complete)
        return next((event for event in torn if continues_trace(event, text)), None)

    def _is_bare(self, event: Event) -> bool:
        """Whether a failure of one line has had no frames whenever it came."""
        return len(event.lines) == 1 and self.bare[start_of(event)] >= BARE

    def _traces(self) -> bool:
        return any(event.trace for event in self.open)

    def _taker(self, events: Sequence[Event], text: str) -> Event | None:
        """Return the event that a frame belongs to: the nearest that fails, unless that one never has any."""
        takers = [event for event in events if event.trace or event.fails]
        if not takers:
            return events[0] if text[0] in " \t" else None
        if takers[0].complete and text.startswith('  File "'):
            return None
        torn = next((event for event in takers[1:] if event.trace and not event.complete), None)
        return torn if torn and self._is_bare(takers[0]) else takers[0]

    def _settle_pending(self, line: Line) -> bool:
        """Join the lines that were kept, or begin events with them; False: this line is kept as well."""
        newest = self.open[-1]
        if FRAME.match(line.text) or line.text.startswith("** ("):
            newest.lines += [pending.text for pending in newest.pending]
            newest.pending = ()
        elif self._waits(line):
            return False
        else:
            self._release(newest)
        return True

    def _waits(self, line: Line) -> bool:
        """Keep a line of a message that has several, if it is one: only frames below it will tell."""
        newest = self.open[-1] if self.open else None
        if newest is None or not _belongs(line, newest) or len(newest.pending) >= MAX_PENDING:
            return False
        if not newest.fails or newest.trace:
            return False
        if not EXCEPTION.match(newest.lines[-1]) and not BEFORE_FRAMES.match(line.text):
            return False
        if is_head(line.text):
            return False
        newest.pending += (line,)
        return True

    def _release(self, event: Event) -> None:
        """Make events of the lines that were kept: no frame came."""
        pending, event.pending = event.pending, ()
        for line in pending:
            self._begin(line)

    def _begin(self, line: Line) -> Event:
        if self.open and self.open[-1].pending:
            self._release(self.open[-1])
        text, prefix = line.text, line.prefix
        trace = bool(
            STARTS.match(text)
            or (text[0] in " \t#C" and (FRAME.match(text) or GROUP.match(text)))
            or RUBY_START.match(text)
        )
        # Whatever is thrown is the same, whichever thread wrote it.
        head = line.head if STARTS.match(text) or EXCEPTION.match(text) else ""
        whole = line.head + text
        if head:
            prefix += head
        else:
            text = whole.lstrip() if INDENTED_HEAD.match(whole) else whole
        event = Event(
            line.row.timestamp,
            line.position,
            [text],
            NO_ATTRIBUTES,
            logged_level=self.logged_level,
            on_stderr=self.severity == "error",
            label=line.label,
            prefix=prefix,
            head=head,
            trace=trace,
        )
        event.fails = trace or (
            stated(whole) >= LogLevel.WARNING and FAILS.search(whole[:MAX_HEAD].lower()) is not None
        )
        still_open = []
        for older in self.open:
            if self._stays(older, event, line):
                still_open.append(older)
            else:
                self._finish(older)
        self.open = [*still_open, event]
        return event

    def _stays(self, older: Event, newer: Event, line: Line) -> bool:
        older.foreign += 1
        if older.foreign > MAX_FOREIGN or older.complete:
            return False
        return older.trace or (older.fails and not newer.fails) or not _belongs(line, older)

    def _finish(self, event: Event) -> None:
        if event.fails and not event.trace:
            if len(self.bare) > MAX_BARE:
                self.bare.clear()
            self.bare[start_of(event)] += 1
        self.done.append(event)


def _belongs(line: Line, event: Event) -> bool:
    """Whether a line has the event's label, and the head of its first line if it has one itself."""
    if event.label != line.label:
        return False
    return not line.head or without_times(event.whole[:MAX_HEAD]).startswith(without_times(line.head))
