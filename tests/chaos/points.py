"""The points at which something is killed: how each is recognised, and whose death matters there."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from tests.chaos.agent import asks
from tests.chaos.gates import Gate, RequestGate, SandboxGate

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
    """`gate` holds the repair there; without one the repair lies still by itself.

    `effect`: the point is after what the gate lets through, and before Temporal knows of it: Temporal is
    stopped (SIGSTOP), the gate opened, and the victim killed when the effect is seen. `in_review`: the gate
    is set when the pull request is open and has a comment. `lobby`: a gate before it that can wait for
    minutes, where the gate itself holds a request that is given up after seconds.

    `always`: who dies there in every run of the tests, and not in `make chaos` alone. What dies while
    something runs changes nothing outside: `test_every_phase` has such deaths in each phase. Here it dies
    when something was done that Temporal does not know of, where worker and server leave the same behind,
    and in what only a real session has.
    """

    name: str
    gate: "Callable[[Repair], Gate] | None"
    victims: tuple[Victim, ...] = SERVERS
    effect: "Callable[[Repair], bool] | None" = None
    lobby: "Callable[[Repair], Gate] | None" = None
    in_review: bool = False
    files: tuple[tuple[str, str], ...] = ()
    slow_tool: bool = False
    person_pushes: bool = False
    always: tuple[Victim, ...] = ()

    def is_long(self, victim: Victim) -> bool:
        return victim not in self.always

    @property
    def reviewed(self) -> bool:
        """Whether the repair gets a comment that it has to answer."""
        return self.in_review or self.gate is None


def _forge(method: str, ending: str, repair: "Repair", body: bytes = b"") -> Gate:
    """`body`: what the request must hold; one without a title only asks whether it would be allowed."""

    def matches(asked: str, target: str, sent: bytes) -> bool:
        return asked == method and f"/{repair.repository}" in target and ending in target and body in sent

    return repair.stage.hold_forge(RequestGate(matches))


def _model(step: str, repair: "Repair") -> Gate:
    return repair.stage.hold_model(RequestGate(lambda _, __, body: asks(repair.key, step, body)))


def _sandbox(repair: "Repair") -> Gate:
    return SandboxGate(repair.paths.root)


fetch_begins = partial(_forge, "GET", "git-upload-pack")
fetch = partial(_forge, "POST", "git-upload-pack")
push_begins = partial(_forge, "GET", "git-receive-pack")
push = partial(_forge, "POST", "git-receive-pack")
create = partial(_forge, "POST", "/pulls?", body=b'"title"')
label = partial(_forge, "POST", "/labels?")
comment = partial(_forge, "POST", "/comments?")

TEST = """import os, pathlib, time, unittest
import app

class Waits(unittest.TestCase):
    def test_app(self):
        home = pathlib.Path(os.environ["HOME"])
        if app.x != 1:
            (home / "held").touch()
            while not (home / "go").exists():
                time.sleep(0.1)
"""

POINTS = (
    Point("before the clone", fetch_begins),
    Point(
        "after the clone, not recorded",
        fetch,
        effect=lambda r: (r.paths.root / "base").exists(),
        always=(Victim.WORKER,),
    ),
    Point("server started, before the prompt", _sandbox, ALL, lobby=fetch, files=(("hold-server", ""),)),
    Point(
        "a tool call runs",
        _sandbox,
        ALL,
        slow_tool=True,
        always=(Victim.WORKER, Victim.DRAINED, Victim.OPENCODE),
    ),
    Point("a model call is pending", partial(_model, "edit/0"), ALL),
    Point(
        "session done, not recorded",
        partial(_model, "word/0"),
        effect=lambda r: not r.server_runs(),
        always=(Victim.TEMPORAL,),
    ),
    Point("reviewed by the guard, in the checks", _sandbox, files=(("tests/test_app.py", TEST),)),
    Point("after the commit, before the push", push_begins),
    Point(
        "after the push, not recorded",
        push,
        effect=lambda r: r.head() is not None,
        always=(Victim.WORKER,),
    ),
    Point("before the pull request", create, lobby=push),
    Point("after the pull request, before its labels", label, lobby=push),
    Point(
        "after the pull request, not recorded",
        label,
        lobby=push,
        effect=lambda r: r.labelled(),
        always=(Victim.TEMPORAL,),
    ),
    Point("waiting for review", None, always=(Victim.DRAINED,)),
    Point(
        "in mid-review",
        partial(_model, "edit/1"),
        ALL,
        in_review=True,
        always=(Victim.WORKER, Victim.OPENCODE),
    ),
    Point(
        "after the follow-up's push, not recorded",
        push,
        in_review=True,
        effect=lambda r: len(r.commits()) == 2,
        always=(Victim.WORKER,),
    ),
    Point(
        "a person pushes before the follow-up",
        push,
        in_review=True,
        person_pushes=True,
        always=(Victim.WORKER,),
    ),
    Point("before the answer", comment, lobby=push, in_review=True),
    Point(
        "after the answer, not recorded",
        comment,
        lobby=push,
        in_review=True,
        effect=lambda r: r.answers() == 1,
        always=(Victim.TEMPORAL,),
    ),
)
