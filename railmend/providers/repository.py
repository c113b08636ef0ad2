"""Read a commit's manifests and code from a bare fetch: no work tree, and nothing is run."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import relpath

from railmend.coding.git.commands import failure
from railmend.coding.git.repository import TrustedRepository
from railmend.source.files import THIRD_PARTY, language_of, ships
from railmend.source.manifests import is_manifest, runtime_packages

PACKAGE = "package.json"
COMMIT = re.compile(r"[0-9a-f]{40,64}")  # a server accepts only whole ones
MAX_FILES = 3000
MAX_FILE_BYTES = 256 * 1024
BINARY = re.compile(
    r"\.(?:png|jpe?g|gif|webp|ico|svgz|pdf|woff2?|ttf|otf|eot|zip|gz|mp[34]|webm|wasm|jar)$", re.I
)
MAX_BYTES, MAX_OTHER_BYTES = 16 * 1024 * 1024, 4 * 1024 * 1024
# Below the activity's timeout, so that its folder is always removed.
FETCH_SECONDS = 40
READ_SECONDS = 20
# Larger blobs stay on servers that support filters; other servers ignore this.
FILTER = f"--filter=blob:limit={MAX_FILE_BYTES // 1024}k"


def is_source(path: str) -> bool:
    """Return whether a file is a manifest or code of the running service."""
    return ships(path) and (is_manifest(path) or language_of(path) is not None)


@dataclass(frozen=True)
class SourceFiles:
    """Paths and texts, manifests first; paths start at the service's root directory, those of
    packages of the same repository with `..`.

    `left_out`: the number of files beyond the limits. `others`: texts that are not of the running service,
    such as tests, or that no reader of code knows, such as templates.
    """

    commit: str
    files: tuple[tuple[str, str], ...] = field(repr=False)
    left_out: int = 0
    others: tuple[tuple[str, str], ...] = field(default=(), repr=False)


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
        folder = root_directory.strip("/")
        listed = list(self._entries(head, folder))
        present = self._present(head, listed)
        if folder not in ("", "."):
            shared = self._workspace(
                head, folder, dict(self._texts([e for e in present if e.path == PACKAGE]))
            )
            listed, present = [*listed, *shared], [*present, *shared]
        chosen = _chosen(present)
        others = _chosen(self._present(head, list(self._entries(head, folder, _beside))), MAX_OTHER_BYTES)
        return SourceFiles(
            commit=head,
            files=tuple(self._texts(chosen)),
            left_out=len(listed) - len(chosen),
            others=tuple(self._texts(others)),
        )

    def _entries(
        self, commit: str, folder: str, wanted: Callable[[str], bool] = is_source
    ) -> Iterator[_Entry]:
        """Regular files that are wanted: manifests and code. Symbolic links and submodules are neither."""
        tree = f"{commit}:{folder}" if folder and folder != "." else commit
        for row in self._call("ls-tree", "-r", "-z", tree).decode(errors="surrogateescape").split("\0"):
            meta, _, path = row.partition("\t")
            mode, blob = meta.partition(" ")[0], meta.rpartition(" ")[2]
            if mode.startswith("100") and wanted(path):
                yield _Entry(path, blob)

    def _workspace(self, commit: str, folder: str, own: Mapping[str, str]) -> list[_Entry]:
        """Return the files of npm packages of the same repository that the service asks for, and so on."""
        if PACKAGE not in own:
            return []
        every = self._present(commit, list(self._entries(commit, "")))
        manifests = [entry for entry in every if PurePosixPath(entry.path).name == PACKAGE]
        packages = {
            name: (path, text) for path, text in self._texts(manifests) if (name := _package_name(text))
        }
        wanted, folders = [own[PACKAGE]], set[str]()
        while wanted:
            for _, name in runtime_packages(PACKAGE, wanted.pop()):
                path, text = packages.get(name, ("", ""))
                package = str(PurePosixPath(path).parent)
                if path and package not in folders and package != folder:
                    folders.add(package)
                    wanted.append(text)
        inside = tuple(f"{each}/" for each in folders)
        return [
            _Entry(relpath(entry.path, folder), entry.blob, entry.size)
            for entry in every
            if entry.path.startswith(inside)
        ]

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


def _package_name(text: str) -> str:
    try:
        name = json.loads(text).get("name")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _beside(path: str) -> bool:
    """Return whether a file is worth a look though it is no source: not what others wrote, or tools keep."""
    if is_source(path) or BINARY.search(path):
        return False
    parts = PurePosixPath(path).parts
    return THIRD_PARTY.isdisjoint(parts) and not any(part.startswith(".") for part in parts)


def _chosen(entries: Sequence[_Entry], most_bytes: int = MAX_BYTES) -> list[_Entry]:
    """Manifests first, then files nearest to the root, data last, within all three limits."""

    def order(entry: _Entry) -> tuple[bool, bool, int, str]:
        pure = PurePosixPath(entry.path)
        manifest = is_manifest(entry.path)
        return not manifest, not manifest and pure.suffix == ".json", len(pure.parts), entry.path

    ordered = sorted(entries, key=order)
    chosen: list[_Entry] = []
    total = 0
    for entry in ordered:
        fits = entry.size <= MAX_FILE_BYTES and total + entry.size <= most_bytes
        if fits and len(chosen) < MAX_FILES:
            chosen.append(entry)
            total += entry.size
    return chosen


def _lines(entries: Sequence[_Entry]) -> bytes:
    return "".join(f"{entry.blob}\n" for entry in entries).encode()
