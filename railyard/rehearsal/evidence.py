"""Parse an evidence packet from its text, as any model has to."""

import re
from dataclasses import dataclass

ITEM = re.compile(r"^\[(E\d+)\] \((\w+)\) (.*)$")
FRAME = re.compile(r'File "([^"]+)", line \d+, in (\w+)')
MISSING_KEY = re.compile(r"KeyError: '(\w+)'")


@dataclass(frozen=True)
class Item:
    id: str
    kind: str
    source: str
    text: str


@dataclass(frozen=True)
class MissingKey:
    """A lookup that failed: the file and function of the last frame, and the key."""

    file: str
    function: str
    key: str


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
    handled = ("memory_leak", "error_rate", "latency")
    return [item for item in packet_items if item.kind == "finding" and item.source in handled]


def missing_key(text: str) -> MissingKey | None:
    """Return the failed lookup of the first stack trace that ends in a KeyError."""
    match = MISSING_KEY.search(text)
    frames = FRAME.findall(text[: match.start()]) if match else []
    if match is None or not frames:
        return None
    path, function = frames[-1]
    return MissingKey(path.rsplit("/", 1)[-1], function, match[1])
