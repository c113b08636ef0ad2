"""Two builds of the workers, whose repairs differ: what waits goes on, there and back. Real server."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.ledger import LedgerActivities
from hosting import clients
from hosting.dev_server import binary
from hosting.workers import WORKFLOWS
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import ClaimBatch
from railmend.contracts.measurement import DeploymentView, DeployState
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import (
    Approval,
    PullRequest,
    RepairOutcome,
    RepairResult,
)
from railmend.contracts.status import Phase
from railmend.settings import Settings
from tests import samples
from tests.integration.next_build import NextRepair
from tests.integration.test_hosting import make_current, settings_for, working
from tests.patience import PATIENCE
from tests.workflows.review_stage import MERGE, MERGED, OPEN, UP, ReviewStage
from tests.workflows.stand_ins import World
from tests.workflows.test_after_pull_request import RepairStage, held_by, until
from workflows.repair.repository_repair import RepositoryRepair
from workflows.repair.state import PublishedFix, RepairState
from workflows.shared.search_attributes import REGISTRY

pytestmark = pytest.mark.integration
Repairs = dict[Phase, WorkflowHandle[RepositoryRepair, RepairResult]]
WAITING = DeploymentView(state=DeployState.WAITING)


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

    world.after_pull_request.may_measure = asyncio.Event()
    policy = Policy(follow_up=FollowUp(poll_seconds=1, outcome_seconds=(1,)))

    async def start(phase: Phase) -> WorkflowHandle[RepositoryRepair, RepairResult]:
        stage = RepairStage(client, world)
        if phase is Phase.APPROVAL:
            return await stage.start(policy, autonomy=Autonomy.PLAN)
        return await stage.start(policy, published(phase))

    repairs = {
        Phase.APPROVAL: await start(Phase.APPROVAL),
        Phase.REVIEW: await start(Phase.REVIEW),
        Phase.DEPLOYMENT: await start(Phase.DEPLOYMENT),
        Phase.MEASUREMENT: await start(Phase.MEASUREMENT),
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
    assert world.after_pull_request.may_measure is not None
    world.after_pull_request.may_measure.set()
    for phase, handle in repairs.items():
        assert (await handle.result()).outcome is RepairOutcome.HELD, phase
        assert await build_of(handle) == build


async def build_of(handle: WorkflowHandle[Any, Any]) -> str:
    info = (await handle.describe()).raw_description.workflow_execution_info.versioning_info
    return str(info.deployment_version.build_id)


@dataclass(frozen=True)
class Build:
    settings: Settings
    workflows: tuple[type, ...]

    @property
    def id(self) -> str:
        return self.settings.railmend_build_id or ""

    async def becomes_current(self) -> None:
        await make_current(self.settings, self.settings.railmend_deployment, self.id)


@pytest.fixture
def builds(server: WorkflowEnvironment) -> tuple[Build, Build]:
    """Of one deployment: the workflows as they are, and as the next release may change them."""
    deployment = f"railmend-{uuid.uuid4().hex[:6]}"
    old, new = (
        settings_for(
            server, railmend_build_id=build, railmend_deployment=deployment, railmend_grace_seconds=1
        )
        for build in ("old", "new")
    )
    changed = tuple(NextRepair if workflow is RepositoryRepair else workflow for workflow in WORKFLOWS)
    return Build(old, WORKFLOWS), Build(new, changed)


@asynccontextmanager
async def begun_and_handed_over(
    client: Client, world: World, before: Build, after: Build
) -> AsyncIterator[Repairs]:
    """Begin under one build; the other, which is made current while the first one goes, serves the rest."""
    async with working(client, after.settings, world, after.workflows):
        async with working(client, before.settings, world, before.workflows):
            await before.becomes_current()
            repairs = await wait_in_every_phase(client, world)
            await after.becomes_current()
        yield repairs


async def test_repairs_waiting_in_every_phase_go_on_under_the_next_build_and_under_the_old_one_again(
    builds: tuple[Build, Build],
) -> None:
    old, new = builds
    client = await clients.temporal(old.settings)
    queue = f"railmend-{old.settings.railmend_deployment}"
    world = World(queue=queue, services=(), findings=(), after_pull_request=ReviewStage())
    async with begun_and_handed_over(client, world, old, new) as repairs:
        await ledger_answers(client, world, repairs)
        await all_end_well(world, repairs, new.id)
    async with begun_and_handed_over(client, world, old, new) as repairs:
        await moved_to(repairs, new)
        async with working(client, old.settings, world, old.workflows):
            await old.becomes_current()
            await ledger_answers(client, world, repairs)
            await all_end_well(world, repairs, old.id)


async def test_repairs_that_the_next_build_began_wait_for_it_under_the_old_one(
    builds: tuple[Build, Build],
) -> None:
    old, new = builds
    client = await clients.temporal(old.settings)
    queue = f"railmend-{old.settings.railmend_deployment}"
    world = World(queue=queue, services=(), findings=(), after_pull_request=ReviewStage())
    async with begun_and_handed_over(client, world, new, old) as repairs:
        for phase in (Phase.REVIEW, Phase.DEPLOYMENT):  # they look again within a second
            await fails_its_task(repairs[phase])
        async with working(client, new.settings, world, new.workflows):
            await new.becomes_current()
            await all_end_well(world, repairs, new.id)


async def moved_to(repairs: Repairs, build: Build) -> None:
    """Wait until those that do something again and again did it under this build."""
    async with asyncio.timeout(PATIENCE):
        for phase in (Phase.REVIEW, Phase.DEPLOYMENT):
            while await build_of(repairs[phase]) != build.id:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.1)


async def fails_its_task(repair: WorkflowHandle[Any, Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            described = await repair.describe()
            assert described.status is WorkflowExecutionStatus.RUNNING
            if described.raw_description.pending_workflow_task.attempt > 1:
                return
            await asyncio.sleep(0.1)


async def ledger_answers(client: Client, world: World, repairs: Repairs) -> None:
    """The ledger that the gone build opened holds its claim against another."""
    workflow_id = repairs[Phase.REVIEW].id
    project = workflow_id.split("/")[1]
    state = await repairs[Phase.REVIEW].query(RepositoryRepair.state)
    claim = held_by("repair/other", state.request)
    batch = ClaimBatch(project_id=project, claims=(claim,))
    (answer,) = (await LedgerActivities(client, world.queue).claim(batch)).answers
    assert (answer.state, answer.holder) == ("held", workflow_id)
