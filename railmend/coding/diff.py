"""The files of a change, with all that the guard reads of them."""

import re
from dataclasses import dataclass

from railmend.contracts.repair import FileChange

# The first new line of a hunk, in its header `@@ -1,2 +3,4 @@`.
FIRST_NEW_LINE = re.compile(r"\+(\d+)")


@dataclass(frozen=True)
class ChangedLines:
    """`added`: new lines with their number in the new file; `removed`: lines that are gone."""

    added: tuple[tuple[int, str], ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChangedFile:
    """`mode`: the new git mode. `before`, `after`: its text, None where there is none to read.

    `added`, `removed`: as in `ChangedLines`. Binary: -1 additions and deletions.
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

    def change(self) -> FileChange:
        return FileChange(
            path=self.path, status=self.status, additions=self.additions, deletions=self.deletions
        )


def parse_diff(text: str) -> list[ChangedLines]:
    """Return the lines of each file of `git diff -U0`, in the order of the diff."""
    sections = ("\n" + text).split("\ndiff --git ")[1:]
    return [_changed_lines(section) for section in sections]


def _changed_lines(section: str) -> ChangedLines:
    added: list[tuple[int, str]] = []
    removed: list[str] = []
    for hunk in section.split("\n@@ ")[1:]:
        header, _, body = hunk.partition("\n")
        number = int(FIRST_NEW_LINE.search(header)[1])  # type: ignore[index]  # git's own format
        for line in body.split("\n"):
            if line.startswith("+"):
                added.append((number, line[1:]))
                number += 1
            elif line.startswith("-"):
                removed.append(line[1:])
    return ChangedLines(tuple(added), tuple(removed))
