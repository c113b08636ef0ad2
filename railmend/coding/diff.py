"""The files of a change, with all that the guard reads of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from railmend.contracts.repair import FileChange

# The first new line of a hunk, in its header `@@ -1,2 +3,4 @@`.
FIRST_NEW_LINE = re.compile(r"\+(\d+)")
# How git writes bytes of a path in C style (quote.c): an octal number, or a letter.
ESCAPED = re.compile(rb"\\([0-7]{3}|.)")
LETTERS = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))


class DiffError(Exception):
    """Git printed something that is not understood: nothing may be concluded from it."""


@dataclass(frozen=True)
class ChangedLines:
    """`added`: new lines with their number in the new file; `removed`: lines that are gone."""

    added: tuple[tuple[int, str], ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangedFile:
    """`mode`: the new git mode. `before`, `after`: its text, None where there is none to read.

    `added`, `removed`: as in `ChangedLines`. Binary: -1 additions and deletions. `unread`: why its lines were
    not read, for the end of a sentence; None: they were, or there are none.
    """

    path: str
    status: str  # added, modified, deleted
    additions: int
    deletions: int
    mode: str = "100644"
    before: str | None = None
    after: str | None = None
    added: tuple[tuple[int, str], ...] = ()
    removed: tuple[str, ...] = ()
    unread: str | None = None

    def change(self) -> FileChange:
        return FileChange(
            path=self.path, status=self.status, additions=self.additions, deletions=self.deletions
        )


def parse_diff(output: bytes) -> dict[str, ChangedLines]:
    """Return the lines of each file of `git diff -U0 --no-renames`, by path.

    A change of type (a file becomes a link) has two sections, which are one file's. Raise `DiffError`.
    """
    lines: dict[str, ChangedLines] = {}
    for section in (b"\n" + output).split(b"\ndiff --git ")[1:]:
        header, _, body = section.partition(b"\n")
        path = _path(header)
        before, now = lines.get(path, ChangedLines()), _changed_lines(_text(body))
        lines[path] = ChangedLines(before.added + now.added, before.removed + now.removed)
    return lines


def _path(header: bytes) -> str:
    """Return the path of `a/PATH b/PATH`: without renames both are the same, quoted or not."""
    if header.startswith(b'"'):
        middle = len(header) // 2
        first, last = header[1 : middle - 1], header[middle + 2 : -1]
        first = ESCAPED.sub(_unquoted, first)
        last = ESCAPED.sub(_unquoted, last)
    else:
        middle = len(header) // 2
        first, last = header[:middle], header[middle + 1 :]
    if first[:2] != b"a/" or last[:2] != b"b/" or first[2:] != last[2:]:
        raise DiffError(f"git's header of a file is not understood: {header[:200]!r}")
    return first[2:].decode(errors="surrogateescape")


def _unquoted(match: re.Match[bytes]) -> bytes:
    what = match[1]
    return bytes([int(what, 8) if len(what) == 3 else LETTERS[what[0]]])


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _changed_lines(section: str) -> ChangedLines:
    added: list[tuple[int, str]] = []
    removed: list[str] = []
    for header, body in _hunks(section):
        number = int(FIRST_NEW_LINE.search(header)[1])  # type: ignore[index]  # git's own format
        for line in body.split("\n"):
            if line.startswith("+"):
                added.append((number, line[1:]))
                number += 1
            elif line.startswith("-"):
                removed.append(line[1:])
    return ChangedLines(tuple(added), tuple(removed))


def _hunks(section: str) -> Iterator[tuple[str, str]]:
    for hunk in ("\n" + section).split("\n@@ ")[1:]:
        header, _, body = hunk.partition("\n")
        yield header, body
