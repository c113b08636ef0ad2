"""Read a commit's manifests and code from a bare fetch: no work tree, and nothing is run."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from railmend.coding.git import TrustedRepository, failure
from railmend.source.files import language_of, ships
from railmend.source.manifests import is_manifest

COMMIT = re.compile(r"[0-9a-f]{40,64}")  # a server accepts only whole ones
MAX_FILES = 3000
MAX_FILE_BYTES = 256 * 1024
MAX_BYTES = 16 * 1024 * 1024
# Below the activity's timeout, so that its folder is always removed.
FETCH_SECONDS = 40
READ_SECONDS = 20
# Larger blobs stay on servers that support filters; other servers ignore this.
FILTER = f"--filter=blob:limit={MAX_FILE_BYTES // 1024}k"


@dataclass(frozen=True)
class SourceFiles:
    """Paths and texts, manifests first; paths start at the service's root directory.

    `left_out`: the number of files beyond the limits.
    """

    commit: str
    files: tuple[tuple[str, str], ...] = field(repr=False)
    left_out: int = 0


@dataclass(frozen=True)
class _Entry:
    path: str
    blob: str
    size: int = 0


class CommitReader(TrustedRepository):
    """Reads one commit into its own folder `root`, which the caller removes. Blocking."""

    def read(self, branch: str | None, commit: str | None, root_directory: str) -> SourceFiles:
        """Return the files of the commit, else of the branch's head, else of the default branch's.

        Raise `GitError` if it cannot be fetched.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self._call("init", "--quiet", "--bare", str(self.git_dir), bare=False)
        whole_commit = commit if commit and COMMIT.fullmatch(commit) else None
        ref = whole_commit or (f"refs/heads/{branch}" if branch else "HEAD")
        self._call(
            *("fetch", "--quiet", "--no-tags", "--depth=1", FILTER, self._url, ref),
            token=True,
            seconds=FETCH_SECONDS,
        )
        head = self._call("rev-parse", "FETCH_HEAD^{commit}").decode().strip()
        listed = list(self._entries(head, root_directory))
        chosen = _chosen(self._present(head, listed))
        return SourceFiles(commit=head, files=tuple(self._texts(chosen)), left_out=len(listed) - len(chosen))

    def _entries(self, commit: str, root_directory: str) -> Iterator[_Entry]:
        """Regular files that are manifests or code; symbolic links and submodules are neither."""
        folder = root_directory.strip("/")
        tree = f"{commit}:{folder}" if folder and folder != "." else commit
        for row in self._call("ls-tree", "-r", "-z", tree).decode(errors="surrogateescape").split("\0"):
            meta, _, path = row.partition("\t")
            mode, blob = meta.partition(" ")[0], meta.rpartition(" ")[2]
            if mode.startswith("100") and ships(path) and (is_manifest(path) or language_of(path)):
                yield _Entry(path, blob)

    def _present(self, commit: str, entries: Sequence[_Entry]) -> list[_Entry]:
        """Return entries with sizes, not those the filter left on the server: reading one would fetch it."""
        listed = self._call("rev-list", "--objects", "--no-object-names", "--missing=print", commit)
        fetched = {line for line in listed.decode().split() if not line.startswith("?")}
        present = [entry for entry in entries if entry.blob in fetched]
        sizes = self._call("cat-file", "--batch-check=%(objectsize)", stdin=_lines(present)).decode().split()
        return [_Entry(entry.path, entry.blob, int(size)) for entry, size in zip(present, sizes, strict=True)]

    def _texts(self, entries: Sequence[_Entry]) -> Iterator[tuple[str, str]]:
        if not entries:
            return
        stream = self._call("cat-file", "--batch", stdin=_lines(entries))
        position = 0
        for entry in entries:
            position = stream.index(b"\n", position) + 1
            blob = stream[position : position + entry.size]
            position += entry.size + 1
            if b"\0" not in blob[:8000]:  # as git recognises binary files
                yield entry.path, blob.decode(errors="replace")

    def _call(
        self,
        *arguments: str,
        bare: bool = True,
        token: bool = False,
        stdin: bytes = b"",
        seconds: float = READ_SECONDS,
    ) -> bytes:
        completed = self._run(*arguments, trusted=bare, token=token, stdin=stdin, seconds=seconds)
        if completed.returncode:
            raise failure(arguments[0], completed.stderr.decode(errors="replace"))
        return completed.stdout


def _chosen(entries: Sequence[_Entry]) -> list[_Entry]:
    """Manifests first, then files nearest to the root, within all three limits."""
    ordered = sorted(
        entries,
        key=lambda entry: (not is_manifest(entry.path), len(PurePosixPath(entry.path).parts), entry.path),
    )
    chosen: list[_Entry] = []
    total = 0
    for entry in ordered:
        fits = entry.size <= MAX_FILE_BYTES and total + entry.size <= MAX_BYTES
        if fits and len(chosen) < MAX_FILES:
            chosen.append(entry)
            total += entry.size
    return chosen


def _lines(entries: Sequence[_Entry]) -> bytes:
    return "".join(f"{entry.blob}\n" for entry in entries).encode()
