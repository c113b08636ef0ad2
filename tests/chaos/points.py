"""The points at which something is killed: how each is recognised, and whose death matters there."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from tests.chaos.agent import ANSWER, asks
from tests.chaos.gates import Gate, RequestGate, SandboxGate, StateGate, waits

if TYPE_CHECKING:
    from tests.chaos.repair import Repair


class Victim(StrEnum):
    WORKER = "worker"  # by SIGKILL
    DRAINED = "drained"  # the worker too, by SIGTERM
    TEMPORAL = "temporal"
    OPENCODE = "opencode"


ALL = tuple(Victim)
SERVERS = (Victim.WORKER, Victim.DRAINED, Victim.TEMPORAL)


@dataclass(frozen=True)
class Point:
    """`gate` holds the repair there, until the victim has died and was restarted.

    `effect`: the point is after what the gate lets through, and before Temporal knows of it: Temporal is
    stopped (SIGSTOP), the gate opened, and the victim killed when the effect is seen. `in_review`: a person
    comments before it. `files`: of a repository whose repair is held there.
    """

    name: str
    gate: "Callable[[Repair], Gate]"
    victims: tuple[Victim, ...] = SERVERS
    effect: "Callable[[Repair], bool] | None" = None
    in_review: bool = False
    files: tuple[tuple[str, str], ...] = ()
    person_pushes: bool = False


def _forge(method: str, ending: str, repair: "Repair", body: bytes = b"") -> Gate:
    """`body`: what the request must hold; one without a title only asks whether it would be allowed."""

    def matches(asked: str, target: str, sent: bytes) -> bool:
        return asked == method and f"/{repair.repository}" in target and ending in target and body in sent

    return repair.stage.hold_forge(RequestGate(matches))


def _model(step: str, repair: "Repair") -> Gate:
    return repair.stage.hold_model(RequestGate(lambda _, __, body: asks(repair.key, step, body)))


def _sandbox(name: str, repair: "Repair") -> Gate:
    return SandboxGate(repair.paths.root, name)


fetch_begins = partial(_forge, "GET", "git-upload-pack")
fetch = partial(_forge, "POST", "git-upload-pack")
push_begins = partial(_forge, "GET", "git-receive-pack")
push = partial(_forge, "POST", "git-receive-pack")
create = partial(_forge, "POST", "/pulls?", body=b'"title"')
label = partial(_forge, "POST", "/labels?")
answer = partial(_forge, "POST", "/comments?", body=ANSWER.encode())

TEST = f"""import subprocess, unittest
import app

class Waits(unittest.TestCase):
    def test_app(self):
        if app.x != 1:
            subprocess.run(["sh", "-c", {waits("test")!r}], check=True)
"""

# As a repair passes them.
POINTS = (
    Point("before the clone", fetch_begins),
    Point("after the clone, not recorded", fetch, effect=lambda r: (r.paths.root / "base").exists()),
    Point(
        "server started, before the prompt", partial(_sandbox, "server"), ALL, files=(("hold-server", ""),)
    ),
    Point("a model call is pending", partial(_model, "edit/0"), ALL),
    Point("a tool call runs", partial(_sandbox, "tool"), ALL, files=(("hold-tool", ""),)),
    Point("session done, not recorded", partial(_model, "word/0"), effect=lambda r: not r.server_runs()),
    Point(
        "reviewed by the guard, in the checks",
        partial(_sandbox, "test"),
        files=(("tests/test_app.py", TEST),),
    ),
    Point("after the commit, before the push", push_begins),
    Point("after the push, not recorded", push, effect=lambda r: r.head() is not None),
    Point("before the pull request", create),
    Point("after the pull request, before its labels", label),
    Point("after the pull request, not recorded", label, effect=lambda r: r.labelled()),
    Point("waiting for review", lambda r: StateGate(r.waits_for_review)),
    Point("in mid-review", partial(_model, "edit/1"), ALL, in_review=True),
    Point("a person pushes before the follow-up", push, in_review=True, person_pushes=True),
    Point(
        "after the follow-up's push, not recorded",
        push,
        in_review=True,
        effect=lambda r: len(r.commits()) > 1 and r.commits()[-1] == "Railmend",
    ),
    Point("before the answer", answer, in_review=True),
    Point("after the answer, not recorded", answer, in_review=True, effect=lambda r: r.answers() == 1),
)
