"""Reads a commit's manifests and code: fetched bare, nothing laid out, nothing run."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from railmend.coding.git import TrustedRepository, failure
from railmend.source.files import language_of, ships
from railmend.source.manifests import is_manifest

COMMIT = re.compile(r"[0-9a-f]{40,64}")  # only a whole one can be asked of a server
MAX_FILES = 3000
MAX_FILE_BYTES = 256 * 1024
MAX_BYTES = 16 * 1024 * 1024
# Below the activity's own limit, so that the folder is always cleaned up by whoever made it.
FETCH_SECONDS = 40
READ_SECONDS = 20
# Larger blobs stay on the server where it knows filters; others ignore the wish.
FILTER = f"--filter=blob:limit={MAX_FILE_BYTES // 1024}k"


@dataclass(frozen=True)
class SourceFiles:
    """Paths from the service's root directory, manifests first. `cut`: files that the limits left out."""

    commit: str
    files: tuple[tuple[str, str], ...] = field(repr=False)
    cut: int = 0


@dataclass(frozen=True)
class _Entry:
    path: str
    blob: str
    size: int = 0


class CommitReader(TrustedRepository):
    """`root` is a folder of its own, which the caller removes. Blocking."""

    def read(self, branch: str | None, commit: str | None, root_directory: str) -> SourceFiles:
        """The commit, else the branch's head, else the default branch's.

        Raises `GitError` where it cannot be fetched.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self._call("init", "--quiet", "--bare", str(self.git_dir), bare=False)
        known = commit if commit and COMMIT.fullmatch(commit) else None
        wanted = known or (f"refs/heads/{branch}" if branch else "HEAD")
        self._call(
            *("fetch", "--quiet", "--no-tags", "--depth=1", FILTER, self._url, wanted),
            token=True,
            seconds=FETCH_SECONDS,
        )
        head = self._call("rev-parse", "FETCH_HEAD^{commit}").decode().strip()
        listed = list(self._entries(head, root_directory))
        chosen = _chosen(self._present(head, listed))
        return SourceFiles(commit=head, files=tuple(self._texts(chosen)), cut=len(listed) - len(chosen))

    def _entries(self, commit: str, root_directory: str) -> Iterator[_Entry]:
        """Regular files worth reading; links and submodules are none."""
        folder = root_directory.strip("/")
        tree = f"{commit}:{folder}" if folder and folder != "." else commit
        for row in self._call("ls-tree", "-r", "-z", tree).decode(errors="surrogateescape").split("\0"):
            meta, _, path = row.partition("\t")
            mode, blob = meta.partition(" ")[0], meta.rpartition(" ")[2]
            if mode.startswith("100") and ships(path) and (is_manifest(path) or language_of(path)):
                yield _Entry(path, blob)

    def _present(self, commit: str, entries: Sequence[_Entry]) -> list[_Entry]:
        """With sizes. What the filter left on the server is skipped: asking for it would fetch it."""
        listed = self._call("rev-list", "--objects", "--no-object-names", "--missing=print", commit)
        here = {line for line in listed.decode().split() if not line.startswith("?")}
        found = [entry for entry in entries if entry.blob in here]
        sizes = self._call("cat-file", "--batch-check=%(objectsize)", stdin=_lines(found)).decode().split()
        return [_Entry(entry.path, entry.blob, int(size)) for entry, size in zip(found, sizes, strict=True)]

    def _texts(self, entries: Sequence[_Entry]) -> Iterator[tuple[str, str]]:
        if not entries:
            return
        stream = self._call("cat-file", "--batch", stdin=_lines(entries))
        position = 0
        for entry in entries:
            position = stream.index(b"\n", position) + 1
            blob = stream[position : position + entry.size]
            position += entry.size + 1
            if b"\0" not in blob[:8000]:  # as git tells binary files
                yield entry.path, blob.decode(errors="replace")

    def _call(
        self,
        *arguments: str,
        bare: bool = True,
        token: bool = False,
        stdin: bytes = b"",
        seconds: float = READ_SECONDS,
    ) -> bytes:
        done = self._run(*arguments, trusted=bare, token=token, stdin=stdin, seconds=seconds)
        if done.returncode:
            raise failure(arguments[0], done.stderr.decode(errors="replace"))
        return done.stdout


def _chosen(entries: Sequence[_Entry]) -> list[_Entry]:
    """Manifests first, then what lies nearest to the root, within all three limits."""
    ordered = sorted(entries, key=lambda one: (not is_manifest(one.path), _depth(one.path), one.path))
    chosen: list[_Entry] = []
    total = 0
    for entry in ordered:
        fits = entry.size <= MAX_FILE_BYTES and total + entry.size <= MAX_BYTES
        if fits and len(chosen) < MAX_FILES:
            chosen.append(entry)
            total += entry.size
    return chosen


def _depth(path: str) -> int:
    return len(PurePosixPath(path).parts)


def _lines(entries: Sequence[_Entry]) -> bytes:
    return "".join(f"{entry.blob}\n" for entry in entries).encode()
