"""Hostile processes that fill what a quota does not see at first sight, in each kind of sandbox."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from glob import iglob
from pathlib import Path

import pytest

from railmend.coding.sandbox import quota
from railmend.coding.sandbox.interface import CommandResult, RepairPaths, Sandbox
from railmend.coding.sandbox.quota import Quota
from tests.integration.sandboxes import KINDS, a_place, a_sandbox, shell_in

pytestmark = pytest.mark.integration

HOG = Path(__file__).with_name("hog.py").read_text()
DISK, MEMORY = "disk: more than 32 MiB", "memory: more than 256 MiB"
ENDED = {
    "unlinked": DISK,
    "log": DISK,
    "memfd": MEMORY,
    "grown": MEMORY,
    "orphan": MEMORY,
    "leaderless": MEMORY,
    "descriptors": "memory: more than 32768 open files",
}


@dataclass(frozen=True)
class Pen:
    kind: str
    sandbox: Sandbox
    paths: RepairPaths

    async def run(self, hog: str) -> CommandResult:
        (self.paths.tree / "hog.py").write_text(HOG)
        self.sandbox.hand_over(self.paths)
        command = f"exec python3 hog.py {hog}"
        limits = Quota(disk_mib=32, memory_mib=256)
        return await shell_in(self.paths, self.sandbox, command, seconds=20, quota=limits)


@pytest.fixture(scope="module", params=KINDS)
def pen(request: pytest.FixtureRequest) -> Iterator[Pen]:
    with a_sandbox(request.param) as (sandbox, folder):
        yield Pen(request.param, sandbox, a_place(folder, sandbox))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(quota, "AT_LEAST_EVERY_SECONDS", 0.2)


@pytest.mark.parametrize("hog", ENDED)
async def test_what_a_process_holds_out_of_sight_is_its_end(pen: Pen, hog: str) -> None:
    """Also after it left its parent, named itself in bytes that are no text, and forbade to be looked at."""
    done = await pen.run(hog)
    assert (done.code, done.reason) == (None, ENDED[hog])
    assert "FILLED" not in done.output


async def test_a_folder_that_lies_in_memory_or_is_shared_counts_too(pen: Pen) -> None:
    assert (await pen.run("temporary")).reason == (MEMORY if pen.kind == "bwrap" else DISK)


@pytest.mark.skipif(os.geteuid() != 0, reason="proc(5) shows it to root alone")
async def test_shared_memory_that_nobody_has_mapped_counts_too(pen: Pen) -> None:
    assert (await pen.run("hidden")).reason == MEMORY


async def test_a_process_without_its_first_thread_ends_with_the_command(pen: Pen) -> None:
    """It is a zombie by its state, and has no command line any more."""
    name = f"hog-{os.getpid()}"
    command = f"python3 hog.py survivor {name} & until grep -qsx {name} /proc/[0-9]*/task/*/comm; do :; done"
    (pen.paths.tree / "hog.py").write_text(HOG)
    pen.sandbox.hand_over(pen.paths)
    assert (await shell_in(pen.paths, pen.sandbox, command)).code == 0
    assert f"{name}\n" not in names_of_threads()


def names_of_threads() -> Iterator[str]:
    for file in iglob("/proc/[0-9]*/task/*/comm"):  # as Path.glob does not, it passes over what has ended
        with suppress(OSError):
            yield Path(file).read_text()


async def test_all_threads_of_a_process_share_its_descriptors(pen: Pen) -> None:
    assert (await pen.run("own_descriptors")).output == "-1 -1 -1 0\n"


async def test_system_v_segments_are_small_and_gone_with_their_user(pen: Pen) -> None:
    """PostgreSQL needs one of 56 bytes; nobody needs queues and semaphores."""
    word, size, user, *others = (await pen.run("system_v")).output.split()
    assert (word, int(size), others) == ("SEGMENTS", 512 * 65536, ["-1", "-1"])
    count = f"awk '$8 == {user}' /proc/sysvipc/shm | wc -l"
    assert (await shell_in(pen.paths, pen.sandbox, count)).output == "0\n"


async def test_nothing_is_left_in_folders_that_all_share(pen: Pen) -> None:
    name = (await pen.run("temporary")).output.split()[0]
    assert "hog-" in name
    done = await shell_in(pen.paths, pen.sandbox, f"ls {name}")
    assert "No such file" in done.output
    assert not Path(name).exists()


async def test_little_memory_of_the_machine_is_the_end_too(pen: Pen) -> None:
    """Whatever holds it; here the machine always has too little."""
    done = await shell_in(pen.paths, pen.sandbox, "sleep 20", quota=Quota(available_mib=10**9))
    assert done.reason == "memory: less than 1000000000 MiB are available on this machine"
