"""Reads an evidence packet, as any model would have to: from its text."""

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
    found: list[Item] = []
    for line in text.splitlines():
        match = ITEM.match(line)
        if match:
            found.append(Item(match[1], match[2], match[3], ""))
        elif found:
            last = found[-1]
            found[-1] = Item(last.id, last.kind, last.source, f"{last.text}{line}\n")
    return found


def symptoms(found: list[Item]) -> list[Item]:
    """The findings of a kind that the rehearsal knows; one fault may show in several."""
    known = ("memory_leak", "error_rate", "latency")
    return [item for item in found if item.kind == "finding" and item.source in known]


def missing_key(text: str) -> MissingKey | None:
    """From the first stack trace that ends in a KeyError."""
    match = MISSING_KEY.search(text)
    frames = FRAME.findall(text[: match.start()]) if match else []
    if match is None or not frames:
        return None
    path, function = frames[-1]
    return MissingKey(path.rsplit("/", 1)[-1], function, match[1])
