"""Actions on a service that really runs: done once, however often they are tried."""

from datetime import timedelta
from pathlib import Path

import pytest

from activities.actions import ActionActivities
from railmend.contracts.action import ActionKind, ActionOrder, ActionState, RollbackQuestion
from railmend.railway.actions import ActionRefused
from railmend.railway.errors import NotFound
from railyard.platform.model import utc_now
from tests.integration.test_railyard import APP, SERVICE, Yard, until, yard
from tests.unit.test_evidence_sources import Only


async def second_version(on: Yard) -> tuple[str, str]:
    """Deploys a second commit; the ids of the first and the second deployment."""
    on.push(APP.replace("VERSION", "two"))
    await until(lambda: len(on.runner.deployments) == 2 and on.runner.deployments[0].status == "REMOVED")
    first, second = on.runner.deployments
    return first.id, second.id


async def test_a_rollback_brings_the_old_version_back_once(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        first, _ = await second_version(on)
        approved = utc_now()
        actions = on.client().actions
        done = await actions.rollback(first, approved)
        again = await actions.rollback(first, approved)
        assert done is not None
        assert again is not None
        assert done.id == again.id
        await until(lambda: on.runner.serving.id == done.id)
        assert (await on.get("/")).text == "one"
        assert len(on.runner.deployments) == 3


async def test_a_restart_is_not_repeated_for_one_approval(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        (deployment,) = on.runner.deployments
        actions = on.client().actions
        approved = utc_now()
        assert await actions.restart(deployment.id, approved) is True
        await until(lambda: deployment.instance_status == "RUNNING")
        assert await actions.restart(deployment.id, approved) is False
        assert deployment.restarts == 1
        assert await actions.restart(deployment.id, utc_now() + timedelta(seconds=1)) is True


async def test_the_deployment_that_is_up_is_offered_for_a_restart_and_restarted(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        _, second = await second_version(on)
        activities = ActionActivities(Only(on.client()))
        question = RollbackQuestion(
            project_id="p",
            environment_id="e",
            service_id=SERVICE,
            service_name="shop",
            deployment_id=None,
            reason="checkout needs it",
        )
        offered = (await activities.find_restart(question)).request
        assert offered is not None
        assert (offered.kind, offered.deployment_id) == (ActionKind.RESTART, second)
        done = await activities.perform(ActionOrder(request=offered, approved_at=utc_now()))
        assert done.state is ActionState.DONE
        await until(lambda: on.runner.deployments[-1].restarts == 1)


async def test_what_cannot_be_done_is_refused_with_the_next_step(tmp_path: Path) -> None:
    async with yard(tmp_path) as on:
        (deployment,) = on.runner.deployments
        actions = on.client().actions
        with pytest.raises(ActionRefused, match="Redeploy the commit instead"):
            await actions.rollback(deployment.id, utc_now())
        with pytest.raises(NotFound):
            await actions.rollback("nothing", utc_now())
        assert len(on.runner.deployments) == 1


@pytest.mark.parametrize("staged", [1, 3])
async def test_nothing_is_done_while_a_person_changes_the_environment(tmp_path: Path, staged: int) -> None:
    async with yard(tmp_path) as on:
        first, second = await second_version(on)
        on.platform.staged_changes = staged
        actions = on.client().actions
        for act, deployment in ((actions.rollback, first), (actions.restart, second)):
            with pytest.raises(ActionRefused, match=f"{staged} change.* staged .* Deploy or discard them"):
                await act(deployment, utc_now())
        assert [deployment.restarts for deployment in on.runner.deployments] == [0, 0]
