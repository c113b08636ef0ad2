"""Two builds of the workers, one after the other: what waits goes on, there and back. Real server."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.ledger import LedgerActivities
from hosting import clients
from hosting.dev_server import binary
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import ClaimBatch
from railmend.contracts.measurement import DeploymentView, DeployState
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import Approval, PullRequest, RepairOutcome, RepairResult
from railmend.settings import Settings
from tests import samples
from tests.integration.test_hosting import make_current, settings_for, working
from tests.workflows.review_stage import MERGE, MERGED, OPEN, UP, ReviewStage
from tests.workflows.stand_ins import World
from tests.workflows.test_after_pull_request import RepairStage, held_by, until
from workflows.repair.repository_repair import RepositoryRepair
from workflows.repair.state import Phase, PublishedFix, RepairState
from workflows.shared.search_attributes import REGISTRY

pytestmark = pytest.mark.integration
Repairs = dict[Phase, WorkflowHandle[RepositoryRepair, RepairResult]]
WAITING = DeploymentView(state=DeployState.WAITING)
# Longer than one build needs to make way for the other.
MEASURED_AFTER = 25


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary()), search_attributes=REGISTRY
    ) as started:
        yield started


def published(phase: Phase) -> RepairState:
    """A repair in a phase after its pull request was opened."""
    pull_request = PullRequest(number=1, url="http://forge/acme/checkout/pull/1", head="a" * 40)
    merged = phase is not Phase.REVIEW
    return RepairState(
        request=samples.repair(),
        phase=phase,
        result=RepairResult(outcome=RepairOutcome.PULL_REQUEST, reason="", pull_request=pull_request),
        fix=PublishedFix(
            pull_request=pull_request,
            head="a" * 40,
            opened_at=datetime.now(UTC),
            merge=MERGE if merged else None,
            merged_seen_at=datetime.now(UTC) if merged else None,
            live_since=datetime.now(UTC) if phase is Phase.MEASUREMENT else None,
        ),
    )


async def wait_in_every_phase(client: Client, world: World) -> Repairs:
    """Start one repair for each phase in which repairs wait."""
    world.after_pull_request.views = [OPEN]
    world.after_pull_request.deployments = [WAITING]
    world.after_pull_request.opened.clear()
    seen = world.after_pull_request.seen
    seen.clear()

    async def start(phase: Phase, after: int = 1) -> WorkflowHandle[RepositoryRepair, RepairResult]:
        policy = Policy(follow_up=FollowUp(poll_seconds=1, outcome_seconds=(after,)))
        stage = RepairStage(client, world)
        if phase is Phase.APPROVAL:
            return await stage.start(policy, autonomy=Autonomy.PLAN)
        return await stage.start(policy, published(phase))

    repairs = {
        Phase.APPROVAL: await start(Phase.APPROVAL),
        Phase.REVIEW: await start(Phase.REVIEW),
        Phase.DEPLOYMENT: await start(Phase.DEPLOYMENT),
        Phase.MEASUREMENT: await start(Phase.MEASUREMENT, MEASURED_AFTER),
    }
    await until(lambda: min(seen["poll_pull_request"], seen["find_deployment"]) > 0)
    return repairs


async def all_end_well(world: World, repairs: Repairs, build: str) -> None:
    """Let what they wait for happen: each ends with a fix that holds, and `build` ended it."""
    for handle in repairs.values():
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await repairs[Phase.APPROVAL].execute_update(RepositoryRepair.approve, Approval(by="ada"))
    world.after_pull_request.views = [MERGED]
    world.after_pull_request.deployments = [UP]
    for phase, handle in repairs.items():
        assert (await handle.result()).outcome is RepairOutcome.HELD, phase
        assert await build_of(handle) == build


async def build_of(handle: WorkflowHandle[Any, Any]) -> str:
    info = (await handle.describe()).raw_description.workflow_execution_info.versioning_info
    return str(info.deployment_version.build_id)


async def test_repairs_waiting_in_every_phase_go_on_under_the_other_build_and_back(
    server: WorkflowEnvironment,
) -> None:
    deployment = f"railmend-{uuid.uuid4().hex[:6]}"
    old, new = (
        settings_for(server, railmend_build_id=build, railmend_deployment=deployment)
        for build in ("old", "new")
    )
    client = await clients.temporal(old)
    world = World(queue=f"railmend-{deployment}", services=(), findings=(), after_pull_request=ReviewStage())

    async def takes_over(before: Settings, after: Settings) -> None:
        """Begin under one build; end under the other, which is made current while the first one goes."""
        async with working(client, after, world):
            async with working(client, before, world):
                await make_current(before, deployment, before.railmend_build_id or "")
                repairs = await wait_in_every_phase(client, world)
                await make_current(after, deployment, after.railmend_build_id or "")
            await ledger_answers(client, world, repairs)
            await all_end_well(world, repairs, after.railmend_build_id or "")

    await takes_over(old, new)
    await takes_over(new, old)


async def ledger_answers(client: Client, world: World, repairs: Repairs) -> None:
    """The ledger that the gone build opened holds its claim against another."""
    workflow_id = repairs[Phase.REVIEW].id
    project = workflow_id.split("/")[1]
    state = await repairs[Phase.REVIEW].query(RepositoryRepair.state)
    claim = held_by("repair/other", state.request)
    batch = ClaimBatch(project_id=project, claims=(claim,))
    (answer,) = (await LedgerActivities(client, world.queue).claim(batch)).answers
    assert (answer.state, answer.holder) == ("held", workflow_id)
