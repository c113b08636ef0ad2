"""A log summariser: thousands of rows become the few events that matter, and what is left out is counted.

Rows are joined into events, events are grouped by template, and groups are ranked by what they say, by
whether they are new, and by closeness to the onset. Memory is bounded by the number of groups, not of rows.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from railmend.contracts.incident import Fact
from railmend.evidence.event_groups import EventGroup, headline, level_of_event
from railmend.evidence.event_lines import Event, LogRow
from railmend.evidence.events import Joiner, first_start
from railmend.evidence.frames import fold
from railmend.evidence.log_level import LogLevel, access_line
from railmend.evidence.ranking import Span, rank
from railmend.evidence.report import render
from railmend.evidence.templates import DIGIT, Tree, mask, route

MAX_GROUPS = 2000
MAX_SHAPES = 10_000
NO_DIGITS = str.maketrans("", "", "0123456789")
# Numbers that distinguish two lines of one shape: a status, an exit code, a compiler's error number.
# Each alternative begins with a set of characters, which makes the search fast.
DISTINGUISHING = re.compile(
    r"[eEcCs](?:xit\w{0,8}|ode|tatus|rrno)\D{0,12}\d{1,3}\b|[A-Z]{1,4}\d{3,5}\b|[\s\"'=:][1-5]\d\d(?![\d.:/])"
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

# A template's number, and the innermost frame of the application ("" without a trace).
GroupKey = tuple[int, str]


@dataclass(frozen=True)
class Condensed:
    """A summary within its budget. `left_out`: how many of the `groups` are not in the text."""

    text: str
    rows: int
    groups: int
    left_out: int
    start: datetime | None = None
    end: datetime | None = None


def condensed_fact(kind: str, source: str, condensed: Condensed, redact: Callable[[str], str]) -> Fact:
    start, end = condensed.start, condensed.end
    return Fact(kind=kind, source=source, text=redact(condensed.text), start=start, end=end)


class Condenser:
    """Summarises a log: rows oldest first by `read`, or pages from the newest back by `read_older`; not both.

    `onset`: when the incident began, where it was measured (else it is estimated). `build`: a build's log,
    whose end matters most. `hints`: words that make an ordinary line worth showing, such as "heap" where
    memory grows.
    """

    def __init__(
        self, *, onset: datetime | None = None, build: bool = False, hints: tuple[str, ...] = ()
    ) -> None:
        self.span = Span(onset=onset, build=build, hints=hints)
        self._joiner = Joiner(build=build)
        self._pending: list[LogRow] = []
        self.forgotten = 0
        self._tree = Tree()
        self._groups: dict[GroupKey, EventGroup] = {}
        self._shapes: dict[str, GroupKey] = {}
        self._masked: dict[str, GroupKey] = {}

    def read(self, rows: Iterable[LogRow]) -> None:
        """Take rows, oldest first."""
        for event in self._joiner.feed(rows):
            self._add(event)

    def read_older(self, page: Sequence[LogRow]) -> None:
        """Take a page, oldest first, whose rows all precede those that were read.

        Its first rows may continue an event of the page before it, so they wait until that page is read.
        """
        rows = [*page, *self._pending]
        start = first_start(rows)
        self._pending = rows[:start]
        self.read(rows[start:])
        for event in self._joiner.rest():
            self._add(event)

    def result(self, budget_tokens: int) -> Condensed:
        """Finish reading and return the summary."""
        self.read(self._pending)
        self._pending = []
        for event in self._joiner.rest():
            self._add(event)
        rows = self._joiner.rows
        self.span.stderr_share = self._joiner.stderr_rows / max(rows, 1)
        groups = rank(self._merged(), self.span, rows)
        text, left_out = render(groups, self.span, rows=rows, forgotten=self.forgotten, budget=budget_tokens)
        return Condensed(
            text,
            rows,
            len(groups) + self.forgotten,
            left_out + self.forgotten,
            self.span.start,
            self.span.end,
        )

    def _add(self, event: Event) -> None:
        self.span.extend_to(event.at)
        self._groups[self._key(event)].add(event, self.span.onset)

    def _merged(self) -> list[EventGroup]:
        """All groups, those that lost their trace to interleaved lines merged into the one that has it."""
        with_trace: dict[int, EventGroup] = {}
        for (number, frame), group in self._groups.items():
            largest = with_trace.get(number)
            if frame and (largest is None or group.count > largest.count):
                with_trace[number] = group
        merged = []
        for (number, frame), group in self._groups.items():
            # Where most have none, the few traces were written by others beside them.
            if frame or number not in with_trace or group.count > with_trace[number].count:
                merged.append(group)
            else:
                with_trace[number].absorb(group)
        return merged

    def _key(self, event: Event) -> GroupKey:
        """Return the event's group. Two caches spare most lines the tree: by shape and by masked line."""
        line = event.lines[0]
        digits = DIGIT.search(line) is not None
        shape = line.translate(NO_DIGITS) if digits else line
        if len(event.lines) > 1:
            shape = f"{shape}{hash(''.join(event.lines[1:]).translate(NO_DIGITS))}"
        if event.head:
            shape = f"{event.head.translate(NO_DIGITS)}{shape}"
        key = self._shapes.get(shape)
        if key is not None:
            return key
        numbers = DISTINGUISHING.findall(line) if digits else []
        if numbers:
            shape = f"{shape}{numbers}"
            key = self._shapes.get(shape)
        if key is None:
            key = self._key_of_masked(event, numbers) if digits else self._place(event, line, None)
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()
            self._shapes[shape] = key
        return key

    def _key_of_masked(self, event: Event, numbers: list[str]) -> GroupKey:
        line = event.lines[0]
        access = access_line(line) if "/" in line and any(method in line for method in METHODS) else None
        if access:
            before, after = line[: access.start("path")], line[access.end("path") :]
            line = f"{before}{route(access['path'])}{after}"
        masked = mask(line)
        if len(event.lines) > 1 or event.head:
            return self._place(event, masked, access)
        short = f"{masked}{access['status'] if access else numbers}"
        key = self._masked.get(short)
        if key is None:
            key = self._place(event, masked, access)
            if len(self._masked) >= MAX_SHAPES:
                self._masked.clear()
            self._masked[short] = key
        return key

    def _place(self, event: Event, masked: str, access: re.Match[str] | None) -> GroupKey:
        """Find the event's template in the tree, and make a group for it where there is none."""
        folded = fold(event.lines)
        level = level_of_event(event, access, folded)
        if event.prefix:
            folded = folded._replace(lines=(event.prefix + folded.lines[0], *folded.lines[1:]))
        kind = f"{int(level)}{access['method'] + access['status'] if access else ''}"
        if folded.frames:  # the same exception below another first line is the same problem
            masked = mask(headline(event.lines))
        second = mask(event.lines[1])[:80] if len(event.lines) > 1 and not folded.frames else ""
        template = self._tree.place(masked, f"{kind}{second}", strict=level >= LogLevel.WARNING)
        key = (template.number, folded.own or "")
        group = self._groups.get(key)
        if group is None:
            self._make_room()
            group = self._groups[key] = EventGroup(
                template.tokens,
                level,
                folded,
                event.attributes,
                first=event.at,
                last=event.at,
                last_position=event.position,
                latest=event.lines[0],
                on_stderr=event.on_stderr,
                access=access is not None,
                variants={},
            )
        if level >= LogLevel.WARNING:
            group.vary(headline(event.lines))
        return key

    def _make_room(self) -> None:
        """At the bound, forget (and count) the groups of the lowest level and count first."""
        if len(self._groups) < MAX_GROUPS:
            return
        groups = self._groups
        # As one number, which compares faster than a pair.
        worth = {key: (group.level << 40) + group.count for key, group in groups.items()}
        for key in sorted(groups, key=worth.__getitem__)[: MAX_GROUPS // 4]:
            del groups[key]
        self.forgotten += MAX_GROUPS // 4
        self._shapes.clear()
        self._masked.clear()
        self._tree = self._tree.only(frozenset(number for number, _ in self._groups))


def condense_logs(
    rows: Iterable[LogRow],
    *,
    budget_tokens: int = 1200,
    onset: datetime | None = None,
    build: bool = False,
    hints: tuple[str, ...] = (),
) -> Condensed:
    """Return groups of like events, the most informative first, with one verbatim example each."""
    condenser = Condenser(onset=onset, build=build, hints=hints)
    condenser.read(rows)
    return condenser.result(budget_tokens)
