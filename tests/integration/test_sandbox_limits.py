"""What a sandbox takes away from any command: space, memory, processes, time, and a life after the worker."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.sandbox.choice import (
    NoSandbox,
    RefusingSandbox,
    UserSandbox,
    build_sandbox,
    choose_sandbox,
    probe,
)
from hosting.sandbox.common import Toolbox
from railmend.coding.sandbox.interface import (
    SERVER_SOCKET,
    RepairPaths,
    SandboxCommand,
    SandboxError,
    listening,
    short_path,
)
from railmend.coding.sandbox.quota import Quota
from tests.integration.sandboxes import a_place, name_of, open_folder, running, shell, the_sandbox, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


async def test_a_full_disk_ends_the_command_with_a_reason(tmp_path: Path) -> None:
    command = "while :; do head -c 4000000 /dev/zero >> fill; sleep 0.05; done"
    done, _ = await shell(tmp_path, command, quota=Quota(disk_mib=16))
    assert (done.code, done.reason) == (None, "disk: more than 16 MiB")


async def test_one_huge_file_and_the_temporary_folders_have_a_ceiling(tmp_path: Path) -> None:
    command = (
        "head -c 3000000 /dev/zero > big; stat -c %s big; for d in /tmp /var/tmp /dev/shm; do "
        "head -c 3000000 /dev/zero > $d/big || echo FULL; done"
    )
    done, _ = await shell(tmp_path, command, sandbox=the_sandbox(file_size=1_000_000, temporary=500_000))
    assert "1000000" in done.output
    assert done.output.count("FULL") == 3


async def test_much_memory_ends_the_command_with_a_reason(tmp_path: Path) -> None:
    command = "python3 -c \"import time; x = b'x' * 400_000_000; time.sleep(20)\""
    done, _ = await shell(tmp_path, command, quota=Quota(memory_mib=256))
    assert done.reason == "memory: more than 256 MiB"


async def test_a_fork_bomb_ends_at_the_ceiling(tmp_path: Path) -> None:
    command = "i=0; while [ $i -lt 120 ]; do sleep 20 & i=$((i+1)); done; echo SURVIVED"
    done, _ = await shell(tmp_path, command, sandbox=the_sandbox(processes=60), seconds=15)
    assert "SURVIVED" not in done.output


async def test_a_command_that_never_ends_is_ended_with_all_it_started(tmp_path: Path) -> None:
    command = "setsid sleep 86398 & trap '' TERM; sleep 86398"
    done, _ = await shell(tmp_path, command, seconds=1)
    assert done.reason == "time: longer than 1 s"
    assert running("sleep 86398") == []


async def test_nothing_runs_after_a_command_that_ended_by_itself(tmp_path: Path) -> None:
    command = "for i in $(seq 200); do setsid sleep 86390 & done"
    done, _ = await shell(tmp_path, command)
    assert done.code == 0
    assert running("sleep 86390") == []


async def test_killing_everything_it_can_see_is_its_own_end(tmp_path: Path) -> None:
    done, _ = await shell(tmp_path, "kill -9 -1; echo STILL")
    assert done.reason is None
    assert running("pytest")


async def test_the_tree_it_works_in_belongs_to_it_and_keeps_what_it_wrote(tmp_path: Path) -> None:
    done, paths = await shell(tmp_path, "id -u; echo 'value = 2' > app.py; pwd; echo y > $HOME/y")
    uid = done.output.splitlines()[0]
    assert uid != "0"
    assert done.output.splitlines()[1] == str(paths.tree)
    assert (paths.tree / "app.py").read_text() == "value = 2\n"


KILLED_WORKER = """
import asyncio, sys
from pathlib import Path
from hosting.sandbox.choice import build_sandbox
from hosting.sandbox.common import Toolbox
from railmend.coding.sandbox.interface import RepairPaths, SandboxCommand
sandbox = build_sandbox("bwrap", Toolbox({}), unsafe=False)
paths = RepairPaths(Path(sys.argv[1]) / "k")
paths.tree.mkdir(parents=True)
paths.create()
sandbox.hand_over(paths)
command = ("sh", "-c", "setsid sleep 86397 & sleep 86397")
launch = SandboxCommand(paths, command, {"PATH": "/usr/bin:/bin"}, paths.tree)
with open(paths.run / "log", "wb") as log:
    sandbox.start(launch, log.fileno())
print("started", flush=True)
sys.stdin.read()
"""


async def test_with_a_killed_worker_the_agent_ends(tmp_path: Path) -> None:
    worker = subprocess.Popen(  # noqa: ASYNC220 - it is read to its first line at once
        [sys.executable, "-c", KILLED_WORKER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"started\n"
    await until(lambda: any(name_of(pid) == "sleep" for pid in running("sleep 86397")))
    worker.kill()
    worker.wait()
    worker.stdout.close()
    await until(lambda: running("sleep 86397") == [])


@pytest.fixture
def walkable() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


if os.geteuid() == 0:  # nobody else can become another user

    async def test_the_sandbox_user_keeps_files_apart_and_ends_orphans(walkable: Path) -> None:
        secret = walkable / "secret"
        secret.write_text("secret-on-disk")
        secret.chmod(0o600)
        command = (
            f"cat {secret}; cat /proc/{os.getpid()}/environ; echo x > {walkable}/x && echo WROTE; id -u; "
            "setsid sleep 86396 &"
        )
        done, _ = await shell(walkable, command, sandbox=UserSandbox(Toolbox({})))
        assert "secret" not in done.output.replace(str(secret), "")
        assert "WROTE" not in done.output
        assert done.output.splitlines()[-1] != "0"
        assert running("sleep 86396") == []

    async def test_a_port_that_somebody_else_took_is_told_nothing(walkable: Path) -> None:
        sandbox = UserSandbox(Toolbox({}))
        paths = a_place(walkable, sandbox)
        with socket.create_server(("127.0.0.1", 0)) as taken, (paths.run / "log").open("wb") as log:
            with listening(paths.sockets, SERVER_SOCKET) as inward:
                serve = int(taken.getsockname()[1])
                launch = SandboxCommand(paths, ("sleep", "20"), {}, paths.tree, listen=inward, serve=serve)
                process = sandbox.start(launch, log.fileno())
            with short_path(paths.sockets, SERVER_SOCKET) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"the password")
            assert await reader.read() == b""
            connection, _ = taken.accept()
            assert connection.recv(99) == b""
            connection.close()
            writer.close()
        sandbox.end(paths, process.pid)


def test_without_a_sandbox_repairs_are_refused_unless_one_says_so(tmp_path: Path) -> None:
    box = Toolbox({}, python=Path("/nowhere"))
    chosen = choose_sandbox("bwrap", box, tmp_path, unsafe=False)
    assert isinstance(chosen, RefusingSandbox)
    with pytest.raises(SandboxError, match="The sandbox `bwrap` does not work here"):
        chosen.hand_over(RepairPaths(tmp_path))
    assert isinstance(choose_sandbox("bwrap", box, tmp_path, unsafe=True), NoSandbox)
    with pytest.raises(SandboxError, match="RAILMEND_UNSAFE_AGENT=1"):
        build_sandbox("none", Toolbox({}), unsafe=False)


def test_the_default_works_here(tmp_path: Path) -> None:
    probe(the_sandbox(), tmp_path)
    assert list(tmp_path.iterdir()) == []
