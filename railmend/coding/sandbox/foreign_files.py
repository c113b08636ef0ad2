"""The only way to the files that foreign code could write: descriptor by descriptor, and no link is followed.

An agent, a prepare step or a check may leave anything in a repair's tree and homes: links to the worker's
files, devices, pipes that never answer, sparse files of a terabyte, folders without permissions or nested by
the thousand. Each path component is opened from the one before it (openat(2)) with O_NOFOLLOW, only regular
files are read, and their size is looked at first. Standard library alone, for the remote daemon. Blocking.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Deeper folders are not looked into: an agent's end is one, see `railmend/coding/sandbox/quota.py`.
MAX_DEPTH = 64
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe does not block, and a terminal does not become the worker's.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 256 * 1024
# For what is copied piece by piece, and never in memory as a whole.
ANY_SIZE = 2**62


class ForeignFileError(OSError):
    """What lies there is not what it should be: a link, a device, too large, too deep."""


@dataclass(frozen=True)
class ForeignEntry:
    """One thing in a folder. `path`: below the walk's root. `folder`: descriptor, while it is yielded."""

    path: str
    name: str
    folder: int
    status: os.stat_result
    depth: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.status.st_mode)

    def target(self) -> bytes:
        return os.readlink(os.fsencode(self.name), dir_fd=self.folder)

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield a regular file's content. Raise `ForeignFileError` for more than `limit` bytes."""
        yield from _chunks(self.folder, self.name, limit)


@contextmanager
def opened(root: Path, *parts: str) -> Iterator[int]:
    """Yield a descriptor of the folder `parts` below `root`, which itself is no link either."""
    descriptor = os.open(root, FOLDER)
    try:
        for part in parts:
            below = _open(_plain(part), FOLDER, descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _plain(part: str) -> str:
    if not part or part in (".", "..") or "/" in part:
        raise ForeignFileError(f"{part!r} is no name of a file")
    return part


def _split(path: str) -> tuple[list[str], str]:
    *folders, name = map(_plain, path.split("/"))
    return folders, name


def _open(name: str, flags: int, folder: int) -> int:
    """Open what lies in `folder`; its owner gets the rights back that an agent took away."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError:
        handle = os.open(name, HANDLE, dir_fd=folder)
        try:
            _allow_owner(handle, stat.S_IRWXU if flags & os.O_DIRECTORY else stat.S_IRUSR)
        finally:
            os.close(handle)
        return os.open(name, flags, dir_fd=folder)


def _allow_owner(handle: int, rights: int) -> None:
    """Add `rights` to what the descriptor stands for, unless that is a link: those have none."""
    mode = os.fstat(handle).st_mode
    if not stat.S_ISLNK(mode) and mode & rights != rights:
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(mode) | rights)


def _chunks(folder: int, name: str, limit: int) -> Iterator[bytes]:
    descriptor = _open(name, READ, folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ForeignFileError(f"{name} is no regular file")
        if status.st_size > limit:
            raise ForeignFileError(f"{name} has {status.st_size} bytes, more than {limit}")
        left = status.st_size
        while left > 0 and (data := os.read(descriptor, min(CHUNK, left))):
            left -= len(data)
            yield data
    finally:
        os.close(descriptor)


def exists(root: Path, path: str) -> bool:
    """Return whether something lies there, whatever it is."""
    folders, name = _split(path)
    try:
        with opened(root, *folders) as folder:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read(root: Path, path: str, limit: int) -> bytes:
    """Return a regular file's content. Raise `ForeignFileError`, `OSError` or for a link ELOOP."""
    folders, name = _split(path)
    with opened(root, *folders) as folder:
        return b"".join(_chunks(folder, name, limit))


def copy(source: Path, target: Path, path: str, limit: int) -> None:
    """Copy a regular file or a link from below `source` to the same place below `target`."""
    folders, name = _split(path)
    with opened(source, *folders) as folder:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            link(target, path, os.readlink(os.fsencode(name), dir_fd=folder))
        else:
            write(
                target, path, _chunks(folder, name, limit), 0o700 if status.st_mode & stat.S_IXUSR else 0o600
            )


def make_folder(root: Path, path: str) -> None:
    """Make a folder and those above it, below `root`. What stands in the way is removed."""
    descriptor = os.open(root, FOLDER)
    try:
        for part in path.split("/"):
            below = _made(descriptor, _plain(part))
            os.close(descriptor)
            descriptor = below
    finally:
        os.close(descriptor)


def _made(folder: int, name: str) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
    try:
        return os.open(name, FOLDER, dir_fd=folder)
    except OSError:  # a link, or no folder
        os.unlink(name, dir_fd=folder)
        os.mkdir(name, 0o700, dir_fd=folder)
        return os.open(name, FOLDER, dir_fd=folder)


def write(root: Path, path: str, content: Iterable[bytes], mode: int = 0o600) -> None:
    """Write a new file in the place of whatever lies there; folders above it are made."""
    with _new_place(root, path) as (folder, name):
        descriptor = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder
        )
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.writelines(content)


def link(root: Path, path: str, target: bytes) -> None:
    """Make a symbolic link in the place of whatever lies there."""
    with _new_place(root, path) as (folder, name):
        os.symlink(target, os.fsencode(name), dir_fd=folder)


@contextmanager
def _new_place(root: Path, path: str) -> Iterator[tuple[int, str]]:
    folders, name = _split(path)
    if folders:
        make_folder(root, "/".join(folders))
    with opened(root, *folders) as folder:
        _remove(folder, name)
        yield folder, name


def names(root: Path, *parts: str) -> list[str]:
    """Return the names in a folder; [] where there is none, or something else."""
    try:
        with opened(root, *parts) as folder:
            return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno == errno.ELOOP:
            return []
        raise


def remove(root: Path, path: str) -> None:
    """Remove what lies at `path` below `root`, if anything does; a folder with all in it."""
    folders, name = _split(path)
    try:
        with opened(root, *folders) as folder:
            _remove(folder, name)
    except (FileNotFoundError, NotADirectoryError):
        return


def remove_tree(folder: Path) -> None:
    """Remove a whole folder, whatever its modes and depth."""
    remove(folder.parent, folder.name)


def _remove(folder: int, name: str) -> None:
    """Remove without recursion: folders below are first moved up into the topmost one."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    top = _writable_folder(folder, name)
    try:
        pending = _emptied(top, top)
        while pending:
            below = pending.pop()
            descriptor = _writable_folder(top, below)
            try:
                pending += _emptied(descriptor, top)
            finally:
                os.close(descriptor)
            os.rmdir(below, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=folder)


def _emptied(folder: int, top: int) -> list[str]:
    """Remove all but folders from `folder`, and move those to `top`; return their new names."""
    moved = []
    for name in os.listdir(folder):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            continue
        new = f"{secrets.token_hex(12)}.removed"
        os.close(_writable_folder(folder, name))  # its `..` is written, too
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
        moved.append(new)
    return moved


def _writable_folder(folder: int, name: str) -> int:
    """Open a folder; its owner may have taken all rights away. Its mode is changed by descriptor."""
    handle = os.open(name, HANDLE | os.O_DIRECTORY, dir_fd=folder)
    try:
        _allow_owner(handle, stat.S_IRWXU)
        return os.open(".", FOLDER, dir_fd=handle)
    finally:
        os.close(handle)


def walk(root: Path, skip: frozenset[str] = frozenset()) -> Iterator[ForeignEntry]:
    """Yield everything below `root`, folders before what is in them, to `MAX_DEPTH`; not below a `skip` name.

    What cannot be opened, or vanishes, is left out. At most `MAX_DEPTH` descriptors are open.
    """
    with suppress(OSError):
        top = os.open(root, FOLDER)
        yield from _walk(top, "", 1, skip)


def _walk(folder: int, prefix: str, depth: int, skip: frozenset[str]) -> Iterator[ForeignEntry]:
    """Close `folder` at the end."""
    try:
        with suppress(OSError), os.scandir(folder) as entries:
            for listed in entries:
                try:
                    status = os.stat(listed.name, dir_fd=folder, follow_symlinks=False)
                except OSError:
                    continue
                entry = ForeignEntry(prefix + listed.name, listed.name, folder, status, depth)
                yield entry
                if not entry.is_folder or depth >= MAX_DEPTH or listed.name in skip:
                    continue
                with suppress(OSError):
                    below = _open(listed.name, FOLDER, folder)
                    yield from _walk(below, f"{entry.path}/", depth + 1, skip)
    finally:
        os.close(folder)


def change_owner(root: Path, uid: int) -> None:
    """Give a folder and all in it to the user; links themselves, never what they point to."""
    with opened(root) as top:
        os.fchown(top, uid, uid)
    for entry in walk(root):
        if entry.status.st_uid != uid or entry.status.st_gid != uid:
            os.chown(entry.name, uid, uid, dir_fd=entry.folder, follow_symlinks=False)


def keep_private(root: Path) -> None:
    """Let none but its owner into a folder that is no link."""
    with opened(root) as top:
        os.fchmod(top, 0o700)
