"""One file of a change, with all that the guard looks at."""

from dataclasses import dataclass

from railmend.contracts.repair import FileChange


@dataclass(frozen=True)
class ChangedFile:
    """`mode`: the new git mode. `before`, `after`: its text, None where there is none to look at.

    `added`: new lines with their number; `removed`: lines that are gone. Binary: -1 lines.
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
