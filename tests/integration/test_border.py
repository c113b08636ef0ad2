"""What prepare steps and agents leave behind does not reach the worker: each attack that once did."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from railmend.coding.sandbox import foreign_files
from railmend.coding.session import opencode
from railmend.coding.settings import CheckSettings
from tests.integration.coding_stage import KEY, CodingRoom
from tests.integration.sandboxes import KINDS, a_sandbox, open_folder

pytestmark = pytest.mark.integration

PLUGIN = "export const evil = async () => { require('fs').writeFileSync('/tmp/ran', 'x'); return {} }"


@dataclass
class Attacked:
    room: CodingRoom
    secret: Path

    async def prepared(self) -> None:
        await self.room.before()

    def provision(self) -> Path:
        """Provide the session's home as the server does before each start."""
        paths = self.room.environment.paths(KEY)
        self.room.environment.settle(KEY)
        opencode.provision(paths.home)
        return paths.home


@pytest.fixture(params=KINDS)
async def attacked(request: pytest.FixtureRequest) -> AsyncIterator[Attacked]:
    """A prepare step that does its worst to every home it can name, and a closed file of the worker's."""
    with a_sandbox(request.param) as (sandbox, _), open_folder() as folder:
        secret = folder / "secret"
        secret.write_text("the worker's")
        secret.chmod(0o400)
        session = sandbox.paths(folder / "repairs" / KEY).home
        attack = f"""
            for home in "$HOME" {session}; do
                mkdir -p "$home/config/opencode/plugins" "$home/.cache/x"
                ln -s {secret} "$home/config/opencode/package.json"
                ln -s {folder}/made "$home/config/opencode/package-lock.json"
                ln -s {secret} "$home/.cache/x/link"; ln -s {folder} "$home/.cache/x/up"
                printf '%s' "{PLUGIN}" > "$home/config/opencode/plugins/evil.js"
                chmod 0 "$home/.cache/x"
            done 2>/dev/null
            ln -s {folder} out; true
        """
        settings = CheckSettings(prepare=(attack,), checks=("true",))
        files = {"app.py": "VALUE = 1\n"}
        yield Attacked(CodingRoom(folder, files, settings=settings, sandbox=sandbox), secret)


async def test_a_prepare_step_has_no_way_to_a_file_of_the_worker(attacked: Attacked) -> None:
    await attacked.prepared()
    home = await asyncio.to_thread(attacked.provision)
    await asyncio.to_thread(attacked.room.environment.trim, KEY)
    assert attacked.secret.read_text() == "the worker's"
    assert stat.S_IMODE(attacked.secret.stat().st_mode) == 0o400
    assert attacked.secret.stat().st_uid == os.geteuid()
    assert not (attacked.secret.parent / "made").exists()
    assert set(foreign_files.names(home.parent)) - {"sockets"} == {"home"}


async def test_no_plugin_of_a_prepare_step_is_there_when_the_server_starts(attacked: Attacked) -> None:
    await attacked.prepared()
    paths = attacked.room.environment.paths(KEY)
    assert not foreign_files.exists(paths.home, "config/opencode/plugins"), "the session's home is another"
    assert foreign_files.exists(paths.installed, "config/opencode/plugins"), "the attack did run"
    home = await asyncio.to_thread(attacked.provision)
    assert sorted(foreign_files.names(home, *opencode.CONFIG.split("/"))) == [
        *("models.json", "node_modules", "package-lock.json", "package.json"),
    ]


async def test_what_a_prepare_step_left_in_the_tree_is_taken_back(attacked: Attacked) -> None:
    await attacked.prepared()
    assert await attacked.room.changed() == []
    assert not foreign_files.exists(attacked.room.tree, "out")
