"""A coding session of an evaluation: the real OpenCode, the guard, and the hidden test on its change."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from evals.case import read_all
from evals.play import Played
from evals.score import score, summarised
from evals.session import Agent, Coded, code
from hosting.clients import toolbox
from hosting.gateway.model_gateway import ModelGateway
from hosting.sandbox.choice import build_sandbox
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.interface import RepairPaths
from railmend.coding.sandbox.quota import Quota
from railmend.coding.session.server import OpenCodeServer
from railmend.coding.settings import GuardSettings
from railmend.contracts.incident import EvidencePacket, Verdict
from railmend.settings import Settings
from tests import samples
from tests.integration.scripted_model import ScriptedModel, Step

pytestmark = pytest.mark.integration

CASE = next(case for case in read_all() if case.name == "catalog-08")


RIGHT = "s/product.offer.cents/product.offer?.cents ?? product.cents/"


def sed(change: str) -> Step:
    return {"tool": "bash", "args": {"command": f"sed -i '{change}' search.js", "description": "Edit"}}


async def coded(folder: Path, steps: list[Step], verdict: Verdict = Verdict.CODE) -> Coded | None:
    diagnosis = samples.diagnosis(verdict).model_copy(update={"suspected_files": ("search.js",)})
    played = Played(case=CASE.name, diagnosis=diagnosis, packet=EvidencePacket(service_name="s", items=()))
    sandbox, limits = build_sandbox("bwrap", toolbox(Settings()), unsafe=False), SessionLimits(seconds=90)
    with ScriptedModel(steps).serve() as model:
        endpoint = ModelEndpoint(base_url=model.url, model_id="scripted", api_key=SecretStr("k"))

        def server_for(paths: RepairPaths) -> OpenCodeServer:
            return OpenCodeServer(paths, sandbox, ModelGateway(endpoint, limits), endpoint)

        agent = Agent(folder, sandbox, Quota(), server_for, limits, GuardSettings())
        result = await code(CASE, played, agent)
    assert not list(folder.iterdir()), "nothing is left of a session"
    return result


async def test_a_change_that_mends_the_fault_passes_and_one_that_does_not_fails(tmp_path: Path) -> None:
    right = await coded(tmp_path, [sed(RIGHT), {"text": "Mended."}])
    assert right is not None
    assert (right.hidden, right.lines, right.failure, right.model_calls) == (True, 2, "", 2)
    wrong = await coded(
        tmp_path, [sed("s/product.offer.cents/product.offer.cents ?? 0/"), {"text": "Mended."}]
    )
    assert wrong is not None
    assert (wrong.hidden, wrong.lines) == (False, 2)


async def test_no_change_and_no_session_pass_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = await coded(tmp_path, [{"text": "NO CHANGE: it is right as it is."}])
    assert idle is not None
    assert (idle.hidden, idle.failure) == (False, "nothing may be published")
    unasked = await coded(tmp_path, [], Verdict.UNCLEAR)
    assert unasked == Coded(failure="no change was asked for")
    monkeypatch.setattr("evals.session.command", lambda _: None)
    steps = [sed(RIGHT), {"text": "Mended."}]
    unknown = await coded(tmp_path, steps)
    assert unknown is not None
    assert (unknown.hidden, unknown.lines) == (None, 2)


def test_what_cannot_be_run_here_is_no_pass_and_no_failure() -> None:
    played = Played(case=CASE.name, diagnosis=samples.diagnosis(Verdict.CODE))
    scored = score(CASE, played)
    assert summarised([scored]).hidden.text == "–"
    assert summarised([scored.coded(Coded(hidden=None, lines=2))]).hidden.share is None
    assert (
        summarised([scored.coded(Coded(failure="x")), scored.coded(Coded(hidden=True, lines=4))]).hidden.share
        == 0.5
    )
    assert summarised([scored.coded(Coded(hidden=True, lines=4, usd=0.5))]).usd == scored.usd + 0.5
