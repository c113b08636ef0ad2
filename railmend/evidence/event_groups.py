"""Groups of like log events, and how a single event enters one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from railmend.evidence.event_lines import Event
from railmend.evidence.frames import Folded
from railmend.evidence.log_level import LogLevel, level_of_line, level_of_status

MAX_VARIANTS = 3
EXCEPTION_LINE = re.compile(r"^[\s|+]*(?:Caused by: )?[\w.$:]*(?:Error|Exception)\b|^panic: |panicked at")
# What differs from line to line and says nothing: ids, words with a digit in them; a compiler's code does.
IDENTITY = re.compile(
    r"(?:(?<![^\W_])(?i:[pjtu]?id)|[a-z]Id)\b[\"']?[=: ][\"']?[\w-]+"
    r"|(?<!\w)(?![A-Z]{1,4}\d{3,5}\b)[\w-]*\d[\w-]*"
)


@dataclass(slots=True)
class EventGroup:
    """Events of one template, with the first of them as its example.

    `before`: how many came before the onset; `latest`: the last event's first line; `access`: lines of an
    access log; `variants`: headlines by their words, the example's first.
    """

    template: list[str]
    level: LogLevel
    example: Folded
    attributes: Mapping[str, str]
    first: datetime
    last: datetime
    last_position: int
    latest: str
    on_stderr: bool
    access: bool
    variants: dict[str, str]
    count: int = 0
    before: int = 0

    def add(self, event: Event, onset: datetime | None) -> None:
        """Count one event."""
        self.count += 1
        self.last_position = max(self.last_position, event.position)
        if event.at < self.first:
            self.first = event.at
        if event.at >= self.last:
            self.last, self.latest = event.at, event.lines[0]
        if onset is not None and event.at < onset:
            self.before += 1

    def vary(self, line: str) -> None:
        """Keep a headline whose words are new."""
        if len(self.variants) < MAX_VARIANTS:
            self.variants.setdefault(IDENTITY.sub("#", line), line)

    def absorb(self, other: "EventGroup") -> None:
        """Take over another group's events; the example stays."""
        self.variants = dict([*self.variants.items(), *other.variants.items()][:MAX_VARIANTS])
        self.count += other.count
        self.before += other.before
        self.first = min(self.first, other.first)
        if other.last > self.last:
            self.last, self.latest = other.last, other.latest
        self.last_position = max(self.last_position, other.last_position)


def headline(lines: list[str]) -> str:
    """Return the line that says what happened: the last exception's of several lines, else the first."""
    if len(lines) == 1:
        return lines[0].strip()
    exceptions = [line for line in lines if EXCEPTION_LINE.match(line)]
    return (exceptions[-1] if exceptions else lines[0]).strip()


def level_of_event(event: Event, access: re.Match[str] | None, folded: Folded) -> LogLevel:
    """Return an event's level: by the status of an access line, else by the words of its lines."""
    if access and not folded.frames:
        return max(level_of_status(int(access["status"])), event.logged_level)
    level = max(level_of_line(event.whole), event.logged_level)
    if len(event.lines) > 1:
        highest = max(level_of_line(line) for line in folded.lines[:40])
        level = max(level, min(highest, LogLevel.ERROR) if level <= LogLevel.NOTICE else highest)
    return level
