"""A worker without rights, for test_sandbox_remote.py: STATE AGENTS USER. It repairs once, then waits."""

import asyncio
import os
import sys
from pathlib import Path

from railmend.coding.sandbox.interface import Sandbox
from tests.integration.coding_stage import KEY, CodingRoom
from tests.integration.sandboxes import a_place, shell_in, the_sandbox
from tests.integration.scripted_model import ScriptedModel

TEST = """\
import unittest, app

class Value(unittest.TestCase):
    def test(self):
        self.assertEqual(app.VALUE, 1)
"""
FILES = {"app.py": "VALUE = 1\n", "tests/__init__.py": "", "tests/test_app.py": TEST}
MEND = "umask 077; echo VALUE = 2 > app.py; mkdir d; echo x > d/f; id -u > ../home/uid"


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def repair(state: Path, agents: Path, sandbox: Sandbox) -> None:
    step = {"tool": "bash", "args": {"command": MEND, "description": "mend"}}
    with ScriptedModel([step, {"text": "Done."}]).serve() as model:
        room = CodingRoom(state, FILES, model_url=model.url, sandbox=sandbox)
        (before,) = (await room.before()).runs
        session = await room.session()
        changed = await room.changed()
        (after,) = (await room.after()).runs
    paths = room.environment.paths(KEY)
    say(before.passed, session.state.value, changed, after.passed)
    say((paths.home / "uid").read_text().strip())
    room.environment.trim(KEY)
    say([each.name for each in (paths.shared or state).iterdir()], list(paths.root.iterdir()))
    paths.remove()
    say(list(paths.root.parent.iterdir()), list(agents.glob("repairs/*")))


async def main(state: Path, agents: Path) -> None:
    sandbox = the_sandbox("remote", agents)
    await repair(state, agents, sandbox)
    paths = a_place(state, sandbox)
    await shell_in(paths, sandbox, "echo begun > begun; setsid sleep 86393 & sleep 86393")


if __name__ == "__main__":
    user = int(sys.argv[3])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
