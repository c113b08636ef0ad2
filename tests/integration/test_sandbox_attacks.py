"""A hostile agent that follows public reports wins nothing in any sandbox; nor does what it left behind."""

import asyncio
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hosting.sandbox.common import INIT
from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.interface import Sandbox
from railmend.coding.session import opencode
from railmend.contracts.repair import WorkspaceChange
from tests.integration import attacks
from tests.integration.coding_stage import KEY, CodingRoom
from tests.integration.sandboxes import KINDS, a_place, a_sandbox, open_folder, shell_in

pytestmark = pytest.mark.integration


@dataclass
class Outcome:
    won: dict[str, list[str]]
    change: WorkspaceChange
    tree: Path
    outside: dict[str, str]


@pytest.fixture(params=KINDS, scope="module")
def outcome(request: pytest.FixtureRequest) -> Iterator[Outcome]:
    with a_sandbox(request.param) as (sandbox, state), open_folder() as folder:
        yield asyncio.run(attacked(sandbox, state, folder))


async def attacked(sandbox: Sandbox, state: Path, folder: Path) -> Outcome:
    """Attack, review what was left, and prepare the next start."""
    outside = folder / "outside"
    outside.mkdir(mode=0o700)
    (outside / "secret").write_text("the worker's")
    (outside / "secret").chmod(0o400)
    room = CodingRoom(folder, {"app.py": "VALUE = 1\n"}, sandbox=sandbox)
    await room._asked()
    paths, other = room.environment.paths(KEY), a_place(state, sandbox, "another")
    asked = {
        "secret": str(outside / "secret"),
        "outside": str(outside),
        "marker": str(outside / "ran"),
        "programs": [str(INIT), "/bin/sh", "/usr/bin/env"],
        "others": [str(outside / "secret"), str(other.tree / "app.py"), "/etc/passwd"],
        "sockets": str(paths.sockets),
        "folders": [str(paths.tree), str(paths.home), str(paths.sockets)],
        "processes": [os.getpid(), os.getppid()],
    }
    sandbox.hand_over(paths)
    script, argument = Path(attacks.__file__).read_text(), shlex.quote(json.dumps(asked))
    command = f"cat > {paths.home}/a.py <<'END'\n{script}\nEND\npython3 {paths.home}/a.py {argument}"
    result = await shell_in(paths, sandbox, command)
    assert result.code == 0, result
    change = await room.change()
    opencode.provision(paths.home)
    left = {each.name: each.read_text() for each in outside.iterdir()}
    return Outcome(json.loads(result.output), change, paths.tree, left)


@pytest.mark.parametrize("attack", [each.__name__ for each in attacks.ATTACKS])
def test_an_attack_of_a_public_report_wins_nothing(outcome: Outcome, attack: str) -> None:
    assert outcome.won[attack] == []


def test_what_it_left_runs_nowhere_and_is_refused(outcome: Outcome) -> None:
    assert outcome.outside == {"secret": "the worker's"}
    assert foreign_files.exists(outcome.tree, "app.py")
    paths = [each.path for each in outcome.change.files]
    assert ":(exclude)*" in paths, "a name is no pattern"
    assert {path.partition("/")[0] for path in paths if "hooks" in path} == {".g\u200cit", "vendor"}
    for name in (".gitattributes", ".gitmodules", "it/hooks/post-checkout", "module"):
        assert [each for each in outcome.change.refused if name in each], name
