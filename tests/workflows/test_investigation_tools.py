"""A diagnosis in turns, as its workflow runs it: each call an activity, each failure told to the model."""

from collections.abc import Sequence

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from railmend.contracts.investigation import (
    EvidenceCall,
    EvidenceResult,
    Tool,
    ToolRequest,
    Turn,
    TurnRequest,
)
from tests import samples
from tests.workflows.stand_ins import World
from tests.workflows.story import row_of, stage
from workflows.shared import policies

CALLS = (
    EvidenceCall(id="a", tool=Tool.READ_CODE, arguments={"path": "app.py", "first": 1, "last": 9}),
    EvidenceCall(id="b", tool=Tool.DEPLOYMENTS),
)


class Asking:
    """The first turns ask for `calls`, the next concludes. `broken`: tools that fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, turns: int, broken: Sequence[Tool] = ()) -> None:
        self.requests: list[TurnRequest] = []
        self.used: list[ToolRequest] = []
        asking, concludes = self, World.take_turn

        @activity.defn
        async def take_turn(self, request: TurnRequest) -> Turn:  # type: ignore[no-untyped-def]
            if request.doubted is not None:
                return await concludes(self, request)
            asking.requests.append(request)
            kept = await self.artifacts.put_model(samples.incident())
            if len(asking.requests) <= turns:
                return Turn(conversation=kept, incident=kept, calls=CALLS)
            packet = await self.artifacts.put_model(samples.packet("with results"))
            return Turn(conversation=kept, diagnosis=samples.diagnosis(), packet=packet)

        @activity.defn
        async def use_tool(self, request: ToolRequest) -> EvidenceResult:  # type: ignore[no-untyped-def]
            asking.used.append(request)
            if request.call.tool in broken:
                raise ApplicationError("Railway refuses it.", non_retryable=True)
            return EvidenceResult(call_id=request.call.id, facts=request.incident)

        monkeypatch.setattr(World, "take_turn", take_turn)
        monkeypatch.setattr(World, "use_tool", use_tool)


async def test_calls_are_made_as_activities_and_what_they_gave_is_handed_on(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(monkeypatch, 2, broken=[Tool.DEPLOYMENTS])
    async with stage(temporal, samples.service("checkout")) as on:
        row = row_of(await on.scan(), "checkout")
        assert row.verdict == "code"
        assert [request.call.tool for request in asking.used] == [Tool.READ_CODE, Tool.DEPLOYMENTS] * 2
        first, second, third = asking.requests
        assert (first.question is not None, first.results) == (True, ())
        read, refused = second.results
        assert (read.call_id, read.facts is not None) == ("a", True)
        assert (refused.call_id, refused.facts) == ("b", None)
        assert refused.unseen == "It could not be read: Railway refuses it."
        assert second.question is third.question is None, "what was said stands behind a reference"
        repair = await on.repair(row.repair_workflow_id or "")
        assert repair.pull_request is not None
        (published,) = on.world.published
        (incident,) = published.repair.incidents
        packet = await on.world.artifacts.get_model(incident.packet, type(samples.packet()))
        assert packet.service_name == "with results", "the pull request shows what the diagnosis cites"


async def test_a_model_that_only_looks_ends_unclear_and_starts_nothing(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(monkeypatch, 10_000)
    async with stage(temporal, samples.service("checkout")) as on:
        row = row_of(await on.scan(), "checkout")
        assert (row.verdict, row.repair_workflow_id) == ("unclear", None)
        assert "no conclusion" in row.detail
        assert len(asking.requests) == policies.MOST_TURNS
        assert on.world.calls["prepare_workspace"] == 0
