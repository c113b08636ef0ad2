"""The sandbox `remote` beside its container: whose the folders are, what is left when one of them dies."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from hosting.gateway.model_gateway import ModelGateway
from hosting.sandbox.choice import choose_sandbox
from hosting.sandbox.common import Toolbox
from hosting.sandbox.remote import RemoteSandbox
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import Sandbox, SandboxError
from railmend.coding.sandbox.quota import Quota
from railmend.coding.session.server import OpenCodeServer
from tests.integration import agents_container
from tests.integration.sandboxes import a_place, open_folder, running, shell, shell_in, the_sandbox, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
WORKER = 10001
REMOTE_WORKER = "tests.integration.remote_worker"
ENDPOINT = ModelEndpoint(base_url="http://127.0.0.1:9/v1", model_id="scripted", api_key=SecretStr("k"))


class Both:
    """A container that can be killed and started again, and the worker's side of it."""

    def __init__(self, folder: Path) -> None:
        self.agents = folder / "agents"
        self.state = folder / "state"
        for each in (self.agents, self.state):
            each.mkdir()
        self.container = agents_container.start(self.agents)
        self.sandbox: Sandbox = the_sandbox("remote", self.agents)

    def kill(self) -> None:
        agents_container.stop(self.container)

    def restart(self) -> None:
        self.container = agents_container.start(self.agents)


if os.geteuid() == 0:  # as a container engine

    @pytest_asyncio.fixture(scope="module", loop_scope="session")
    async def both() -> AsyncIterator[Both]:
        with open_folder() as folder:
            made = Both(folder)
            yield made
            made.kill()

    @pytest.fixture
    def state(both: Both, request: pytest.FixtureRequest) -> Iterator[Path]:
        folder = both.state / request.node.name
        folder.mkdir()
        yield folder
        for root in folder.iterdir():
            both.sandbox.paths(root).remove()

    async def test_disk_memory_and_processes_are_bounded(both: Both, state: Path) -> None:
        fill = "while :; do head -c 4000000 /dev/zero >> fill; sleep 0.05; done"
        done, paths = await shell(state, fill, sandbox=both.sandbox, quota=Quota(disk_mib=16))
        assert (done.code, done.reason) == (None, "disk: more than 16 MiB")
        grow = "setsid python3 -c \"import time; x = b'x' * 400_000_000; time.sleep(20)\""
        done = await shell_in(paths, both.sandbox, grow, quota=Quota(memory_mib=256))
        assert done.reason == "memory: more than 256 MiB"
        bomb = "i=0; while [ $i -lt 120 ]; do sleep 20 & i=$((i+1)); done; echo SURVIVED"
        few = the_sandbox("remote", both.agents, processes=60)
        assert "SURVIVED" not in (await shell_in(paths, few, bomb, seconds=15)).output

    async def test_nothing_of_a_command_is_left_and_the_tree_is_the_workers(both: Both, state: Path) -> None:
        command = (
            "setsid sleep 86395 & echo x > $HOME/.x; mkdir -m 0 closed; echo y > /tmp/y; "
            "echo z > app.py; chmod 4755 app.py; ln -s /etc/passwd link; exit 3"
        )
        done, paths = await shell(state, command, sandbox=both.sandbox)
        assert (done.code, done.reason) == (3, None)
        assert running("sleep 86395") == []
        names = {each.name: each.lstat() for each in paths.tree.iterdir()}
        assert {each.st_uid for each in names.values()} == {0}
        assert not names["app.py"].st_mode & 0o4000
        done = await shell_in(paths, both.sandbox, "ls /tmp")
        assert "y" not in done.output.splitlines()
        paths.remove()
        assert paths.shared is not None
        assert not paths.shared.exists()

    async def test_with_a_killed_container_the_command_is_lost_not_failed(both: Both, state: Path) -> None:
        paths = a_place(state, both.sandbox)

        async def lost() -> None:
            await shell_in(paths, both.sandbox, "echo begun > begun; sleep 86394")

        command = asyncio.create_task(lost())
        begun = paths.tree / "begun"
        await until(lambda: begun.exists() and begun.read_text() != "")
        both.kill()
        both.restart()
        with pytest.raises(SandboxError, match="The sandbox was lost") as raised:
            await command
        assert raised.value.retryable
        assert running("sleep 86394") == []
        assert (paths.tree / "begun").read_text() == "begun\n"
        assert (paths.tree / "begun").stat().st_uid == 0
        assert (await shell_in(paths, both.sandbox, "cat begun")).output == "begun\n"

    async def test_a_session_is_found_again_after_the_container_was_killed(both: Both, state: Path) -> None:
        paths = a_place(state, both.sandbox)

        def server() -> OpenCodeServer:
            return OpenCodeServer(paths, both.sandbox, ModelGateway(ENDPOINT, SessionLimits()), ENDPOINT)

        where = {"directory": str(paths.tree)}
        first = server()
        await first.start_or_adopt()
        async with first.connect() as client:
            made = (await client.post("/session", params=where, json={"title": "Repair"})).json()
        both.kill()
        both.restart()
        second = server()
        await second.start_or_adopt()
        async with second.connect() as client:
            known = (await client.get("/session", params=where)).json()
        await second.stop()
        assert made["id"] in [each["id"] for each in known]
        assert running(str(paths.shared)) == []

    async def test_the_container_is_healthy_while_its_daemon_answers(both: Both, tmp_path: Path) -> None:
        check = [sys.executable, "-m", "hosting.sandbox.remote_daemon", "--check", "--shared"]
        for shared, code in ((both.agents, 0), (tmp_path, 1)):
            done = await asyncio.to_thread(subprocess.run, [*check, shared], cwd=ROOT, check=False)
            assert done.returncode == code

    async def test_an_unreachable_daemon_is_named_and_waited_for(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RemoteSandbox, "patience", 0)
        chosen = choose_sandbox("remote", Toolbox({}), tmp_path, unsafe=False, shared=tmp_path)
        assert isinstance(chosen, RemoteSandbox), "it may yet come"
        with pytest.raises(
            SandboxError, match=r"python -m hosting\.sandbox\.remote_daemon.*docs/operations\.md"
        ) as raised:
            chosen.tools_path()
        assert raised.value.retryable

    async def test_a_worker_without_rights_repairs_and_takes_the_agent_with_it() -> None:
        with open_folder() as folder, open_folder() as state:
            os.chown(state, WORKER, WORKER)
            with agents_container.agents_container(folder, WORKER):
                worker = subprocess.Popen(  # noqa: ASYNC220 - it is read to its last line at once
                    agents_container.worker_command(
                        (state, folder), "-m", REMOTE_WORKER, state, folder, WORKER
                    ),
                    stdout=subprocess.PIPE,
                    text=True,
                )
                assert worker.stdout is not None
                said = (line for line in worker.stdout if "[warning" not in line)  # its log is there, too
                assert next(said) == "True done ['app.py', 'd/f'] False\n"
                assert int(next(said)) not in (0, WORKER)
                assert next(said) == "['home'] []\n"
                assert next(said) == "[] []\n"
                await until(lambda: list(folder.glob("repairs/*/tree/begun")) != [])
                worker.kill()
                worker.wait()
                worker.stdout.close()
                await until(lambda: running("sleep 86393") == [])
                (paths,) = folder.glob("repairs/*")
                await until(lambda: (paths / "tree").stat().st_uid == WORKER)
