"""The files of a change, with all that the guard reads of them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from railmend.contracts.repair import FileChange

# The first new line of a hunk, in its header `@@ -1,2 +3,4 @@`.
FIRST_NEW_LINE = re.compile(r"\+(\d+)")
# How git writes bytes of a path in C style (quote.c): an octal number, or a letter.
ESCAPED = re.compile(rb"\\([0-7]{3}|.)")
# A file was moved if so much of it is in another one, which is compared with so many.
MOVED_SHARE, MAX_MOVES = 0.6, 20
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
            path=readable(self.path),
            status=self.status,
            additions=self.additions,
            deletions=self.deletions,
        )


def readable(path: str) -> str:
    """Return a path with what is no text in it escaped: git's names are bytes."""
    return path.encode(errors="backslashreplace").decode()


def joined_moves(files: Sequence[ChangedFile]) -> list[ChangedFile]:
    """Return the files with each one that was moved as a change of its old text, under its new path."""
    added = [file for file in files if file.status == "added" and file.after is not None][:MAX_MOVES]
    joined = list(files)
    for old in [file for file in files if file.status == "deleted" and file.before][:MAX_MOVES]:
        new = next((file for file in added if _is_moved(old, file)), None)
        if new is not None:
            added.remove(new)
            joined.remove(old)
            joined[joined.index(new)] = _between(old, new)
    return joined


def _is_moved(old: ChangedFile, new: ChangedFile) -> bool:
    lines, others = Counter(old.removed), Counter(line for _, line in new.added)
    shared = sum((lines & others).values())
    same_name = PurePosixPath(old.path).name == PurePosixPath(new.path).name
    return shared >= (MOVED_SHARE / 2 if same_name else MOVED_SHARE) * max(len(old.removed), 1)


def _between(old: ChangedFile, new: ChangedFile) -> ChangedFile:
    """Return the change from an old to a new file, of lines alone: what changed places is no change."""
    left, others = Counter(old.removed), Counter(text for _, text in new.added)
    removed = tuple((left - others).elements())
    added = []
    for number, text in new.added:
        if left[text] <= 0:
            added.append((number, text))
        left[text] -= 1
    return replace(
        new,
        status="modified",
        before=old.before,
        additions=len(added),
        deletions=len(removed),
        added=tuple(added),
        removed=removed,
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
