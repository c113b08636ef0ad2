"""Users of repairs: one repair's alone, whichever worker of the machine it belongs to."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from hosting.sandbox import common, uids
from hosting.sandbox.uids import FIRST_UID, LAST_UID
from railmend.coding.sandbox.interface import RepairPaths, SandboxError

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives users to repairs"),
]


@pytest.fixture
def three_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> range:
    """A machine with three users for repairs, of which the claims are the test's own."""
    monkeypatch.setattr(common, "CLAIMS", tmp_path / "claims")
    monkeypatch.setattr(common, "LAST_UID", FIRST_UID + 2)
    monkeypatch.setattr(common, "active_uids", set)
    return range(FIRST_UID, FIRST_UID + 3)


def repair(worker: Path) -> RepairPaths:
    paths = RepairPaths(worker / "repairs" / "key")
    paths.create()
    return paths


def test_repairs_of_two_workers_never_share_a_user(tmp_path: Path, three_users: range) -> None:
    """They would kill each other's agents: processes are counted and killed by user."""
    repairs = [repair(tmp_path / name) for name in ("one", "two", "three")]
    users = [common.uid_for(paths) for paths in repairs]
    assert sorted(users) == list(three_users)
    assert [common.uid_for(paths) for paths in repairs] == users, "as long as their folders exist"


def test_a_user_is_free_again_when_its_repair_is_gone_and_none_of_its_processes_runs(
    tmp_path: Path, three_users: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    repairs = [repair(tmp_path / name) for name in ("one", "two", "three")]
    users = [common.uid_for(paths) for paths in repairs]
    repairs[1].remove()
    monkeypatch.setattr(common, "active_uids", lambda: {users[1]})
    with pytest.raises(SandboxError, match="All 3 users"):
        common.uid_for(repair(tmp_path / "four"))
    monkeypatch.setattr(common, "active_uids", set)
    assert common.uid_for(repair(tmp_path / "five")) == users[1]


def test_after_a_restart_of_the_machine_a_repair_keeps_its_user_and_no_other_gets_it(
    tmp_path: Path, three_users: range
) -> None:
    repairs = [repair(tmp_path / name) for name in ("one", "two", "three")]
    users = [common.uid_for(paths) for paths in repairs]
    shutil.rmtree(common.CLAIMS)  # /run lies in memory
    assert [common.uid_for(paths) for paths in repairs] == users
    with pytest.raises(SandboxError, match="All 3 users"):
        common.uid_for(repair(tmp_path / "four"))


def test_ending_one_user_does_not_keep_another_from_being_cleaned_up(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What ends them runs as one user for all, and kills all that it may."""
    script = "import time; print('begun', flush=True); time.sleep(1); print('removed', flush=True)"
    removing = threading.Thread(target=uids._as_user, args=(LAST_UID, script))
    removing.start()
    said = ""
    while "begun" not in said:
        said += capfd.readouterr().out
        time.sleep(0.02)
    uids._as_user(LAST_UID - 1, uids.REAP)
    removing.join()
    assert "removed" in capfd.readouterr().out
