"""No other user of the machine reads what Railmend keeps there."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.preflight import keep_private
from railmend.coding.sandbox.interface import RepairPaths
from railmend.settings import Settings


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def state(folder: Path, sandbox: str) -> Path:
    """A state folder as an earlier version left it, after the worker's start."""
    (folder / "repairs").mkdir(parents=True)
    for name in ("temporal.db", "temporal.log"):
        (folder / name).write_text("x")
    keep_private(Settings.model_validate({"railmend_state_dir": folder, "railmend_sandbox": sandbox}))
    (folder / "new").write_text("x")
    return folder


def test_the_state_of_an_earlier_version_is_closed_and_new_files_are_closed_too(tmp_path: Path) -> None:
    folder = state(tmp_path / "state", "bwrap")
    assert (mode(folder), mode(folder / "repairs")) == (0o700, 0o700)
    assert {mode(folder / name) for name in ("temporal.db", "temporal.log", "new")} == {0o600}


def test_a_user_of_a_repair_walks_through_and_reads_nothing(tmp_path: Path) -> None:
    folder = state(tmp_path / "state", "user")
    assert (mode(folder), mode(folder / "repairs")) == (0o711, 0o711)
    assert mode(folder / "temporal.db") == 0o600


def test_the_folders_of_a_repair_are_closed(tmp_path: Path) -> None:
    paths = RepairPaths(tmp_path / "repairs" / "key")
    paths.create()
    assert {mode(each) for each in (paths.root.parent, paths.root, paths.home, paths.run)} == {0o700}
