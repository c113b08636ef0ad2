"""The layer through which the worker touches what foreign code could write."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.foreign_files import ForeignFileError
from railmend.coding.sandbox.resource_usage import disk_use
from railmend.coding.session import opencode


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the worker's with a closed file in it, which nothing may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("the worker's")
    (folder / "secret").chmod(0o400)
    return folder


@pytest.fixture
def home(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "file").symlink_to(outside / "secret")
    (folder / "folder").symlink_to(outside)
    (folder / "new").symlink_to(outside / "made")
    return folder


def untouched(outside: Path) -> bool:
    secret = outside / "secret"
    return (
        [each.name for each in outside.iterdir()] == ["secret"]
        and secret.read_text() == "the worker's"
        and stat.S_IMODE(secret.stat().st_mode) == 0o400
    )


def test_a_link_is_replaced_and_not_written_through(home: Path, outside: Path) -> None:
    for path in ("file", "new", "folder/secret", "folder/made/deep"):
        foreign_files.write(home, path, (b"ours",))
        assert foreign_files.read(home, path, 10) == b"ours"
    assert untouched(outside)


def test_a_link_is_not_read_and_not_listed_through(home: Path) -> None:
    for path in ("file", "folder/secret"):
        with pytest.raises(OSError, match=r"symbolic links|directory"):
            foreign_files.read(home, path, 100)
    assert foreign_files.names(home, "folder") == []
    assert not foreign_files.exists(home, "folder/secret")
    assert foreign_files.names(home / "folder") == []
    assert {entry.path for entry in foreign_files.walk(home)} == {"file", "folder", "new"}


def test_what_is_no_plain_name_is_refused(home: Path) -> None:
    for path in ("../outside/secret", "/etc/passwd", "a/../../outside/secret", ".", ""):
        with pytest.raises(ForeignFileError):
            foreign_files.read(home, path, 100)
        with pytest.raises(ForeignFileError):
            foreign_files.write(home, path, (b"x",))


def test_removing_and_giving_away_stay_inside(home: Path, outside: Path) -> None:
    (home / "cache").mkdir()
    (home / "cache" / "link").symlink_to(outside / "secret")
    (home / "cache" / "up").symlink_to(outside)
    (home / "cache").chmod(0)
    foreign_files.change_owner(home, os.getuid())
    foreign_files.remove(home, "cache")
    foreign_files.remove(home, "folder")
    foreign_files.remove_tree(home)
    assert not home.exists()
    assert untouched(outside)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_only_the_links_themselves_change_hands(home: Path, outside: Path) -> None:
    foreign_files.change_owner(home, 61200)
    assert (home / "file").lstat().st_uid == 61200
    assert (outside / "secret").stat().st_uid == outside.stat().st_uid == 0


def test_size_comes_before_content_and_a_pipe_does_not_hold_anybody_up(home: Path) -> None:
    with (home / "sparse").open("wb") as file:
        file.truncate(2**40)
    os.mkfifo(home / "pipe")
    with pytest.raises(ForeignFileError, match="more than 1000"):
        foreign_files.read(home, "sparse", 1000)
    with pytest.raises(ForeignFileError, match="no regular file"):
        foreign_files.read(home, "pipe", 1000)
    assert disk_use([home])[0] < 1024 * 1024


def test_a_maze_of_folders_without_rights_is_removed(tmp_path: Path) -> None:
    maze = tmp_path / "maze"
    maze.mkdir()
    script = "i=0; while [ $i -lt 300 ]; do mkdir d e && touch f && cd d; i=$((i+1)); done"
    subprocess.run(["sh", "-c", script], cwd=maze, check=True)
    for parent, _, _ in list(os.walk(maze, topdown=False)):
        os.chmod(parent, 0)
    foreign_files.remove_tree(maze)
    assert not maze.exists()


def test_a_home_is_provided_anew_with_nothing_but_its_sessions(home: Path, outside: Path) -> None:
    config = home / "config" / "opencode"
    (config / "plugins").mkdir(parents=True)
    (config / "plugins" / "evil.js").write_text("throw 1")
    (config / "opencode.json").write_text('{"plugin": ["x"]}')
    (config / "package.json").symlink_to(outside / "secret")
    (config / "node_modules").symlink_to(outside)
    data = home / "data" / "opencode"
    (data / "bin").mkdir(parents=True)
    (data / "opencode.db").write_text("sessions")
    (data / "auth.json").write_text("{}")
    (home / "cache" / "opencode" / "bin").mkdir(parents=True)
    (home / ".bashrc").write_text("true")
    opencode.provision(home)
    left = sorted(entry.path for entry in foreign_files.walk(home) if not entry.is_folder)
    assert left == [
        "config/opencode/models.json",
        "config/opencode/package-lock.json",
        "config/opencode/package.json",
        "data/opencode/opencode.db",
    ]
    assert not (config / "package.json").is_symlink()
    assert list((config / "node_modules").iterdir()) == []
    assert untouched(outside)


def test_rights_are_given_back_to_no_target_of_a_link(
    home: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is for a worker that is not root: what it may not open gets its owner's rights back."""
    (outside / "secret").chmod(0)
    opened = os.open

    def refused(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "file" and not flags & os.O_PATH:
            raise PermissionError(path)
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError):
        foreign_files.read(home, "file", 100)
    assert stat.S_IMODE((outside / "secret").stat().st_mode) == 0
