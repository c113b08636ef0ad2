"""A model that fails, through the whole scan: each fault ends in a state with a readable reason, and soon."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from activities.planning import PlanningActivities
from railmend.contracts.investigation import Turn, TurnRequest
from railmend.contracts.scan import ServiceRow
from tests import kept, samples
from tests.integration.serving import serving
from tests.unit.test_diagnosis import GOOD, KEY, Model
from tests.workflows.stand_ins import World
from tests.workflows.story import Stage, row_of, stage
from workflows.shared import policies

ATTEMPTS = policies.MODEL["retry_policy"].maximum_attempts


class GitHub:
    """Every repository holds app.py."""

    def missing_files(self, _: str, __: str, ___: str, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path != "app.py"]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """The product's own planning activity asks a stand-in model; the sceptic is not asked."""
    one = Model()
    with serving(Starlette(routes=[Route("/chat/completions", one.complete, methods=["POST"])])) as url:
        one.url = url
        settings = one.settings()
        artifacts = kept.memory_store()
        planning = PlanningActivities(settings, settings, GitHub(), artifacts)  # type: ignore[arg-type]
        agrees = World.take_turn

        @activity.defn
        async def take_turn(self, request: TurnRequest) -> Turn:  # type: ignore[no-untyped-def]
            return await (agrees(self, request) if request.doubted else planning.take_turn(request))

        monkeypatch.setattr(World, "take_turn", take_turn)
        monkeypatch.setattr(kept, "memory_store", lambda: artifacts)
        yield one


def busy(seconds: int) -> Any:
    def answer(_: dict[str, Any]) -> Response:
        error = {"message": "slow down", "type": "rate_limit", "code": "rate_limit"}
        return JSONResponse({"error": error}, 429, {"Retry-After": str(seconds)})

    return answer


async def scanned(on: Stage, model: Model, *answers: Any) -> ServiceRow:
    model.answers = list(answers)
    row: ServiceRow = row_of(await on.scan(), "checkout")
    return row


async def test_a_refused_key_is_told_at_once_and_starts_nothing(
    temporal: WorkflowEnvironment, model: Model
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        row = await scanned(on, model, 401)
        assert (row.verdict, row.action, row.repair_workflow_id) == ("unclear", "failed", None)
        assert "refused the key: check MODEL_API_KEY" in row.detail
        assert KEY not in row.detail
        assert len(model.asked) == 1
        assert on.world.calls["prepare_workspace"] == 0


async def test_a_model_that_is_busy_for_a_minute_is_waited_for(
    temporal: WorkflowEnvironment, model: Model
) -> None:
    """Three times 20 seconds, as the provider asks; the server skips them."""
    async with stage(temporal, samples.service("checkout")) as on:
        row = await scanned(on, model, busy(20), busy(20), busy(20), GOOD)
        assert row.verdict == "code"
        assert len(model.asked) == 4
        result = await on.repair(row.repair_workflow_id or "")
        assert result.pull_request is not None


@pytest.mark.parametrize(
    ("answer", "said"), [(busy(1), "answered 429"), (503, "answered 503")], ids=["busy", "unavailable"]
)
async def test_a_model_that_stays_away_is_given_up(
    temporal: WorkflowEnvironment, model: Model, answer: Any, said: str
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        row = await scanned(on, model, answer)
        assert (row.verdict, row.action, row.repair_workflow_id) == ("unclear", "failed", None)
        assert said in row.detail
        assert KEY not in row.detail
        assert len(model.asked) == ATTEMPTS
        assert on.world.calls["prepare_workspace"] == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("I cannot help with that.", "no JSON object"),
        (GOOD | {"suspected_files": ["invented.py"]}, "has no file 'invented.py'"),
        (GOOD | {"causes": [{"text": "x", "evidence": ["E99"], "against": []}]}, "E99 does not exist"),
    ],
    ids=["prose", "missing file", "unknown evidence"],
)
async def test_answers_that_do_not_hold_end_unclear_and_start_nothing(
    temporal: WorkflowEnvironment, model: Model, answer: Any, said: str
) -> None:
    async with stage(temporal, samples.service("checkout")) as on:
        row = await scanned(on, model, answer)
        assert (row.verdict, row.repair_workflow_id) == ("unclear", None)
        assert said in row.detail
        assert len(model.asked) == 3
        assert on.world.calls["prepare_workspace"] == 0
