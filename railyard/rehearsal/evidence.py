"""Parse an evidence packet from its text, as any model has to."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ITEM = re.compile(r"^\[(E\d+)\] \((\w+)\) (.*)$")
FRAME = re.compile(r'File "([^"]+)", line \d+, in (\w+)')
MISSING_KEY = re.compile(r"KeyError: '(\w+)'")
# How often an event was logged; the file of an excerpt or a diff; a function that begins or, in a hunk's
# head, goes on.
TIMES = re.compile(r"^(\d+)x ")
FILE = re.compile(r"^--- (\S+)")
FUNCTION = re.compile(r"^(?:@@.*@@|[+ ])? *(?:async )?def (\w+)\(|^@@")


@dataclass(frozen=True)
class Item:
    id: str
    kind: str
    source: str
    text: str


@dataclass(frozen=True)
class Place:
    """A file's name, and a function in it; empty: not shown."""

    file: str = ""
    function: str = ""


@dataclass(frozen=True)
class MissingKey:
    """A lookup that failed: where, the key, and the IDs of the items that say so."""

    place: Place
    key: str
    evidence: tuple[str, ...]


def items(text: str) -> list[Item]:
    """Return the packet's items in order."""
    parsed: list[Item] = []
    for line in text.splitlines():
        match = ITEM.match(line)
        if match:
            parsed.append(Item(match[1], match[2], match[3], ""))
        elif parsed:
            last = parsed[-1]
            parsed[-1] = Item(last.id, last.kind, last.source, f"{last.text}{line}\n")
    return parsed


def symptoms(packet_items: list[Item]) -> list[Item]:
    """Return the findings of kinds that the rehearsal handles; one fault may show in several."""
    handled = ("memory_leak", "error_rate", "latency", "outage")
    return [item for item in packet_items if item.kind == "finding" and item.source in handled]


def missing_key(packet_items: Sequence[Item]) -> MissingKey | None:
    """Return the lookup that failed with a KeyError, however the packet holds its trace.

    The log names the key. A trace may be split over several events, mixed with another one, or cut: where the
    key is looked up is taken from code that a trace leads to, then from the trace, then from other code.
    """
    logs = [item for item in packet_items if item.kind == "deploy_log"]
    others = [item for item in packet_items if item.kind in ("code", "change")]
    traced = {_place(frame) for log in logs for frame in FRAME.finditer(log.text)}
    for log in logs:
        for error in MISSING_KEY.finditer(log.text):
            key = error[1]
            code, trace = _lookups(others, key), _lookups(logs, key)
            last = [(_place(frame), log.id) for frame in FRAME.finditer(log.text[: error.start()])][-1:]
            led_to = [found for found in code if found[0] in traced]
            for place, item_id in (*led_to, *trace, *code, *last):
                return MissingKey(place, key, tuple(dict.fromkeys((log.id, item_id))))
    return None


def _lookups(packet_items: Sequence[Item], key: str) -> list[tuple[Place, str]]:
    """Return where a key is looked up, and the item that shows it; what was logged most often first."""
    found: Counter[tuple[Place, str]] = Counter()
    lookup = re.compile(rf"""\[["']{key}["']\](?! *=[^=])""")
    for item in packet_items:
        place, times = Place(), 1
        for line in item.text.splitlines():
            if frame := FRAME.search(line):
                place = _place(frame)
            elif match := FILE.match(line):
                place = Place(match[1].rsplit("/", 1)[-1])
            elif match := FUNCTION.match(line):
                place = Place(place.file, match[1] or "")
            elif match := TIMES.match(line):
                place, times = Place(), int(match[1])
            elif place.file and not line.startswith("-") and lookup.search(line):
                found[place, item.id] += times
    return [each for each, _ in found.most_common()]


def _place(frame: re.Match[str]) -> Place:
    return Place(frame[1].rsplit("/", 1)[-1], frame[2])
