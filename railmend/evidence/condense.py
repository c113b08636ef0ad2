"""Thousands of log rows become the few events that matter; what is left out is counted and said.

Rows are joined into events, events grouped by template, groups ranked by what they say, by whether they are
new, and by closeness to the onset. Memory is bounded by the number of groups, not of rows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from railmend.evidence.events import Event, Joiner, LogRow, first_start
from railmend.evidence.frames import Folded, fold
from railmend.evidence.log_level import LogLevel, access_line, by_status, gravity
from railmend.evidence.ranking import Span, rank
from railmend.evidence.report import render
from railmend.evidence.routes import route
from railmend.evidence.templates import Tree, mask

MAX_GROUPS = 2000
MAX_SHAPES = 10_000
MAX_VARIANTS = 3
NO_DIGITS = str.maketrans("", "", "0123456789")
# Numbers that tell two lines of one shape apart: a status, an exit code, a compiler's error number.
# Each alternative begins with a set of characters, for which the search is quick.
TELLING = re.compile(
    r"[eEcCs](?:xit\w{0,8}|ode|tatus|rrno)\D{0,12}\d{1,3}\b|[A-Z]{1,4}\d{3,5}\b|[\s\"'=:][1-5]\d\d(?![\d.:/])"
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
EXCEPTION_LINE = re.compile(r"^[\s|+]*(?:Caused by: )?[\w.$:]*(?:Error|Exception)\b|^panic: |panicked at")


@dataclass
class EventGroup:
    """Events of one template. `before`: how many came before the onset; `latest`: the last one's first line;
    `variants`: other heads than the example's.
    """

    template: list[str]
    gravity: LogLevel
    example: Folded
    attributes: Mapping[str, str]
    first: datetime
    last: datetime
    last_position: int
    latest: str
    count: int = 0
    before: int = 0
    access: bool = False
    variants: dict[str, str] = field(default_factory=dict)

    def absorb(self, other: "EventGroup") -> None:
        """Take over another group's events; the example stays."""
        self.count += other.count
        self.before += other.before
        self.first = min(self.first, other.first)
        if other.last > self.last:
            self.last, self.latest = other.last, other.latest
        self.last_position = max(self.last_position, other.last_position)


@dataclass(frozen=True)
class Condensed:
    """`text` fits the budget. `rows` were read, `groups` found, `left_out` of them not shown."""

    text: str
    rows: int
    groups: int
    left_out: int
    start: datetime | None = None
    end: datetime | None = None


class Condenser:
    """Takes rows oldest first by `read`, or pages from the newest back by `read_older`; not both.

    `onset`: when the trouble began, where it was measured (else it is estimated). `build`: a build's log,
    whose end matters most. `hints`: words that make an ordinary line worth showing, such as "heap" where
    memory grows.
    """

    def __init__(
        self, *, onset: datetime | None = None, build: bool = False, hints: tuple[str, ...] = ()
    ) -> None:
        self.span = Span(onset=onset, build=build, hints=hints)
        self._joiner = Joiner(build=build)
        self._held: list[LogRow] = []
        self.forgotten = 0
        self._tree = Tree()
        self._groups: dict[tuple[int, str], EventGroup] = {}
        self._shapes: dict[str, tuple[int, str]] = {}
        self._masked: dict[str, tuple[int, str]] = {}

    def read(self, rows: Iterable[LogRow]) -> None:
        for event in self._joiner.feed(rows):
            self._add(event)

    def read_older(self, page: Sequence[LogRow]) -> None:
        """A page, oldest first, whose rows lie before all that were read.

        Its first rows may go on with an event of the page before it, so they are held until that is read.
        """
        rows = [*page, *self._held]
        start = first_start(rows)
        self._held = rows[:start]
        self.read(rows[start:])
        for event in self._joiner.rest():
            self._add(event)

    def result(self, budget_tokens: int) -> Condensed:
        """The end: what was read within the budget."""
        self.read(self._held)
        self._held = []
        for event in self._joiner.rest():
            self._add(event)
        rows = self._joiner.rows
        groups = rank(self._whole(), self.span, rows)
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
        self.span.see(event.at)
        key = self._key(event)
        group = self._groups.get(key)
        if group is None:  # forgotten since its shape was learned
            group = self._groups[key] = _group(event, [])
        group.count += 1
        group.last_position = max(group.last_position, event.position)
        if event.at < group.first:
            group.first = event.at
        if event.at >= group.last:
            group.last, group.latest = event.at, event.lines[0]
        if self.span.onset is not None and event.at < self.span.onset:
            group.before += 1

    def _whole(self) -> list[EventGroup]:
        """Events that lost their trace to others' lines are counted with those of their kind that have it."""
        with_trace: dict[int, EventGroup] = {}
        for (number, own), group in self._groups.items():
            known = with_trace.get(number)
            if own and (known is None or group.count > known.count):
                with_trace[number] = group
        whole = []
        for (number, own), group in self._groups.items():
            if own or number not in with_trace:
                whole.append(group)
            else:
                with_trace[number].absorb(group)
        return whole

    def _key(self, event: Event) -> tuple[int, str]:
        """Which group; two caches spare most lines the tree: by shape, and by the masked line."""
        line = event.lines[0]
        shape = line.translate(NO_DIGITS)
        if len(event.lines) > 1:
            shape = f"{shape}{hash(''.join(event.lines[1:]).translate(NO_DIGITS))}"
        key = self._shapes.get(shape)
        if key is not None:
            return key
        told = TELLING.findall(line)
        if told:  # lines of one shape whose numbers tell are known by these too
            shape = f"{shape}{told}"
        known = self._shapes.get(shape)
        if known is not None:
            return known
        key = self._learn(event, told)
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        self._shapes[shape] = key
        return key

    def _learn(self, event: Event, told: list[str]) -> tuple[int, str]:
        head = event.lines[0]
        access = access_line(head) if any(method in head for method in METHODS) else None
        if access:
            before, after = head[: access.start("path")], head[access.end("path") :]
            head = f"{before}{route(access['path'])}{after}"
        masked = mask(head)
        if len(event.lines) > 1:
            return self._place(event, masked, access)
        short = f"{masked}{access['status'] if access else told}"
        key = self._masked.get(short)
        if key is None:
            key = self._place(event, masked, access)
            if len(self._masked) >= MAX_SHAPES:
                self._masked.clear()
            self._masked[short] = key
        return key

    def _place(self, event: Event, masked: str, access: re.Match[str] | None) -> tuple[int, str]:
        folded = fold(event.lines)
        grave = _gravity(event, access, folded)
        kind = f"{int(grave)}{access['method'] + access['status'] if access else ''}"
        if folded.frames:  # the same exception after another header is the same trouble
            masked = mask(_head(event.lines))
        under = mask(event.lines[1])[:80] if len(event.lines) > 1 and not folded.frames else ""
        template = self._tree.place(masked, f"{kind}{under}", strict=grave >= LogLevel.WARNING)
        key = (template.number, folded.own or "")
        group = self._groups.get(key)
        if group is None:
            self._make_room()
            group = self._groups[key] = _group(event, template.tokens, folded, grave)
            group.access = access is not None
        elif (
            grave >= LogLevel.WARNING and masked not in group.variants and len(group.variants) < MAX_VARIANTS
        ):
            group.variants[masked] = _head(event.lines)
        if group.count == 0:
            group.variants = {masked: _head(event.lines)}
        return key

    def _make_room(self) -> None:
        """At the bound the ordinary and rare are forgotten first, and counted."""
        if len(self._groups) < MAX_GROUPS:
            return
        order = sorted(self._groups, key=lambda k: (self._groups[k].gravity, self._groups[k].count))
        for key in order[: MAX_GROUPS // 4]:
            del self._groups[key]
        self.forgotten += MAX_GROUPS // 4
        self._shapes.clear()
        self._masked.clear()
        self._tree = self._tree.only(frozenset(number for number, _ in self._groups))


def _group(
    event: Event, tokens: list[str], folded: Folded | None = None, grave: LogLevel | None = None
) -> EventGroup:
    folded = folded or fold(event.lines)
    return EventGroup(
        template=tokens,
        gravity=_gravity(event, None, folded) if grave is None else grave,
        example=folded,
        attributes=event.attributes,
        first=event.at,
        last=event.at,
        last_position=event.position,
        latest=event.lines[0],
    )


def _head(lines: list[str]) -> str:
    """The line that says what happened: the exception's, or the first."""
    said = [line.strip() for line in lines if EXCEPTION_LINE.match(line)]
    return said[-1] if said and len(lines) > 1 else lines[0].strip()


def _gravity(event: Event, access: re.Match[str] | None, folded: Folded) -> LogLevel:
    if access and not folded.frames:
        return max(by_status(int(access["status"])), event.marked)
    grave = max(gravity(event.lines[0]), event.marked)
    if len(event.lines) > 1:
        words = max(gravity(line) for line in folded.lines[:40])
        grave = max(grave, min(words, LogLevel.ERROR) if grave <= LogLevel.NOTICE else words)
    return LogLevel(grave)


def condense_logs(
    rows: Iterable[LogRow],
    *,
    budget_tokens: int = 1200,
    onset: datetime | None = None,
    build: bool = False,
    hints: tuple[str, ...] = (),
) -> Condensed:
    """Groups of like events, the telling ones first, one verbatim example each with its trace folded."""
    condenser = Condenser(onset=onset, build=build, hints=hints)
    condenser.read(rows)
    return condenser.result(budget_tokens)
