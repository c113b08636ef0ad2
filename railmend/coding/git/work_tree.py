"""What an agent's work tree holds, compared with the commit that it began from: only differences are read."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.foreign_files import ForeignEntry, ForeignFileError

# Larger files are not taken: no source file is, and the guard refuses a change that has one.
MAX_TAKEN_BYTES = 16 * 1024 * 1024
# What git reads itself, to know what is ignored and how lines end.
GIT_FILES = frozenset({".gitignore", ".gitattributes"})
MAX_GIT_FILE_BYTES = 1024 * 1024
GIT_FOLDER = ".git"
LINK = "120000"
REPOSITORY = ".railmend-repository"


@dataclass(frozen=True)
class BaseFile:
    """A file of a commit: git mode, object and bytes."""

    mode: str
    sha: str
    size: int


@dataclass
class WorkTree:
    """The folder `root` that an agent left. `files`: of its base, by path.

    `ignored`: paths that are not looked at, nor what lies below. `skip`: names of such folders, at any depth.
    After `lay_out` and `copy_changed`: `gone` and `taken` are the paths that git has to forget and to take,
    `repositories` folders that are repositories of their own, of which nothing is taken.
    """

    root: Path
    files: Mapping[str, BaseFile]
    ignored: frozenset[str]
    skip: frozenset[str]
    gone: Collection[str] = ()
    taken: list[str] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)
    _changed: dict[str, int] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    def lay_out(self, copy: Path) -> None:
        """Make the folder `copy`, with an empty file for each new one: git can say there what is ignored."""
        copy.mkdir(mode=0o700)
        seen, inner = set(), set()
        for entry in foreign_files.walk(self.root, self.skip | {GIT_FOLDER}):
            folder = entry.path.removesuffix(f"/{GIT_FOLDER}")
            if folder != entry.path and not self._is_ignored(folder):
                inner.add(folder)
            if entry.is_folder or self._is_ignored(entry.path) or not (entry.is_file or entry.is_link):
                continue
            seen.add(entry.path)
            base, size = self.files.get(entry.path), entry.status.st_size
            if entry.name in GIT_FILES and entry.is_file and size <= MAX_GIT_FILE_BYTES:
                foreign_files.copy(self.root, copy, entry.path, MAX_GIT_FILE_BYTES)
            elif base is None:
                foreign_files.write(copy, entry.path, ())
            if base is None:
                self._sizes[entry.path] = size
            elif not _same(entry, base):
                self._changed[entry.path] = size
        self.gone = [path for path in self.files if path not in seen]
        for folder in sorted(inner):
            self._set_apart(copy, folder)

    def _set_apart(self, copy: Path, folder: str) -> None:
        """Leave of a repository in the tree nothing but a mark that git can list, or ignore."""
        foreign_files.remove(copy, folder)
        for sizes in (self._changed, self._sizes):
            for path in [path for path in sizes if path.startswith(f"{folder}/")]:
                del sizes[path]
        foreign_files.write(copy, f"{folder}/{REPOSITORY}", ())

    def copy_changed(self, copy: Path, new: Iterable[str]) -> dict[str, int]:
        """Copy what differs from the base, and what is `new`. Return bytes by path of what is too large."""
        oversized = {}
        for path, size in (*self._changed.items(), *((path, self._sizes.get(path, 0)) for path in new)):
            folder = path.removesuffix(f"/{REPOSITORY}")
            if folder != path:
                self.repositories.append(folder)
                continue
            if size > MAX_TAKEN_BYTES:
                oversized[path] = size
                continue
            foreign_files.copy(self.root, copy, path, MAX_TAKEN_BYTES)
            self.taken.append(path)
        return oversized

    def _is_ignored(self, path: str) -> bool:
        parts = path.split("/")
        if GIT_FOLDER in parts or not self.skip.isdisjoint(parts[:-1]):
            return True
        return any("/".join(parts[:count]) in self.ignored for count in range(1, len(parts) + 1))


def _same(entry: ForeignEntry, base: BaseFile) -> bool:
    """Return whether the object is the base's. A large file of another size is not read at all."""
    if entry.is_link:
        return base.mode == LINK and _object(base.sha, (entry.target(),), None) == base.sha
    if base.mode != ("100755" if entry.status.st_mode & 0o100 else "100644"):
        return False
    size = entry.status.st_size
    if size > MAX_TAKEN_BYTES and size != base.size:
        return False
    try:
        return _object(base.sha, entry.chunks(size), size) == base.sha
    except ForeignFileError:
        return False


def _object(like: str, chunks: Iterable[bytes], size: int | None) -> str:
    """Return git's name for a blob, in the hash that `like` has."""
    if size is None:
        chunks = tuple(chunks)
        size = sum(map(len, chunks))
    digest = hashlib.new("sha256" if len(like) == 64 else "sha1", usedforsecurity=False)
    digest.update(f"blob {size}\0".encode())
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
