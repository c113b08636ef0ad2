"""Several environments and tokens in one worker, and workers that share an account."""

import time

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from activities.railway import RailwayActivities
from hosting.clients import check_railway
from railmend.contracts.scan import PAGE, ScanRequest, ScreenRequest
from railmend.railway.errors import NotWatched, RateLimited
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railmend.settings import ConfigurationError
from railyard.api.behaviour import Behaviour, FieldFault, Gatekeeper, WholeFault
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from tests import samples
from tests.kept import memory_store

URL = "http://railway/graphql/v2"


def watched(environment_id: str = ENVIRONMENT, token: str = TOKEN) -> WatchedEnvironment:
    return WatchedEnvironment(
        name=f"of-{environment_id}", project_id=PROJECT, environment_id=environment_id, token=SecretStr(token)
    )


def pool(
    *environments: WatchedEnvironment, size: tuple[int, int, int] = (5, 3, 0), **shape: bool
) -> tuple[RailwayPool, Gatekeeper]:
    gatekeeper = Gatekeeper()
    app = build_synthetic(Synthetic(*size, **shape), gatekeeper)
    limits = RateLimits(per_second=10_000)
    return RailwayPool(URL, lambda: environments, limits, httpx.ASGITransport(app=app)), gatekeeper


async def test_environments_of_one_token_share_a_client_and_so_its_limiter() -> None:
    bearer = (watched(ENVIRONMENT, "account"), watched("second", "account"), watched("third", "other"))
    railway, _ = pool(*bearer)
    first, second, third = [await railway.client_for(environment.environment_id) for environment in bearer]
    assert first is second
    assert third is not first


async def test_an_environment_nobody_told_of_is_refused_with_the_next_step() -> None:
    railway, _ = pool(watched())
    with pytest.raises(NotWatched, match=r"elsewhere is not watched here .* add it to railmend.toml"):
        await railway.client_for("elsewhere")


async def test_a_project_token_of_another_environment_is_refused_at_start() -> None:
    railway, _ = pool(watched("staging"))
    with pytest.raises(ConfigurationError, match=f"project token of environment {ENVIRONMENT}"):
        await check_railway(railway)


async def test_a_project_that_is_wrong_is_told_and_stops_no_other() -> None:
    nobody = watched("third").model_copy(update={"token": None, "no_token": "THIRD_TOKEN is not set."})
    railway, _ = pool(watched("staging"), watched(), nobody)
    with capture_logs() as logs:
        await check_railway(railway)
    assert {line["project"]: line["log_level"] for line in logs} == {
        "of-staging": "error",
        "of-third": "error",
    }
    assert "THIRD_TOKEN is not set." in str(logs)
    assert await railway.client_for(ENVIRONMENT)


async def test_a_hundred_projects_are_tried_side_by_side() -> None:
    latency, projects = 0.2, 100
    railway, gatekeeper = pool(*(watched(f"e{number}", f"t{number}") for number in range(projects)))
    gatekeeper.behaviour = Behaviour(latency_seconds=latency)
    began = time.monotonic()
    checked = await railway.check()
    assert time.monotonic() - began < latency * projects / 4
    assert list(checked.values()) == [None] * projects


async def test_a_start_waits_no_longer_than_it_must_for_a_railway_that_hangs() -> None:
    railway, gatekeeper = pool(watched())
    gatekeeper.behaviour = Behaviour(wholes=[WholeFault(kind="hang", seconds=60)])
    (error,) = (await railway.check(seconds=0.1)).values()
    assert error is not None
    assert error.retryable


async def test_an_environment_that_is_added_later_is_watched_from_then_on() -> None:
    environments: list[WatchedEnvironment] = []
    app = build_synthetic(Synthetic(5, 3, 0), Gatekeeper())
    railway = RailwayPool(URL, lambda: environments, transport=httpx.ASGITransport(app=app))
    with pytest.raises(NotWatched):
        await railway.client_for(ENVIRONMENT)
    environments.append(watched())
    assert await railway.client_for(ENVIRONMENT)


async def test_a_railway_that_does_not_answer_does_not_keep_the_worker_from_starting() -> None:
    railway, gatekeeper = pool(watched())
    gatekeeper.behaviour = Behaviour(wholes=[WholeFault(kind="502", times=1)])
    await check_railway(railway)
    assert (await railway.client_for(ENVIRONMENT)).requests == 0, "found out at the next use"


async def test_workers_that_share_an_account_keep_to_their_part_of_its_budget() -> None:
    limiters = [RateLimiter(RateLimits(sharers=4, per_second=10_000, reserve=0.2)) for _ in range(4)]
    sent = 0
    for limiter in limiters:
        limiter.update_policy('"default";q=100;w=3600')
        while limiter.left:
            try:
                async with limiter.slot():
                    sent += 1
            except RateLimited:
                break
    assert sent == 80
    async with limiters[0].slot(urgent=True):
        assert limiters[0].left == 4, "an approved action may use the reserve"


async def test_the_environment_of_a_pull_request_is_left_alone_unless_wanted() -> None:
    railway, _ = pool(watched(), ephemeral=True)
    scan = ScanRequest(project_id=PROJECT, environment_id=ENVIRONMENT)
    activities = RailwayActivities(railway, memory_store())
    left = await activities.screen(ScreenRequest(scan=scan, window=samples.WINDOW))
    assert (left.healthy, left.candidates, left.findings) == ((), (), ())
    assert "environment of a pull request" in left.unseen[0]
    wanted = ScreenRequest(scan=scan, window=samples.WINDOW, pull_request_environment=True)
    looked = await activities.screen(wanted)
    assert len(looked.healthy) == 5


@pytest.mark.parametrize(
    ("services", "web", "troubled", "shape", "well", "asleep", "unknown"),
    [
        (0, 0, 0, {}, 0, 0, 0),
        (1, 1, 0, {"undeployed": True}, 0, 0, 1),
        (500, 100, 80, {}, 420, 0, 20),
        (20, 10, 0, {"asleep": True}, 0, 20, 0),
    ],
    ids=["empty", "never deployed", "five hundred", "all asleep"],
)
async def test_projects_of_every_shape_are_screened_within_a_payload(
    services: int, web: int, troubled: int, shape: dict[str, bool], well: int, asleep: int, unknown: int
) -> None:
    railway, _ = pool(watched(), size=(services, web, troubled), **shape)
    scan = ScanRequest(project_id=PROJECT, environment_id=ENVIRONMENT)
    activities = RailwayActivities(railway, memory_store())
    screening = await activities.screen(ScreenRequest(scan=scan, window=samples.WINDOW))
    assert (len(screening.healthy), len(screening.asleep)) == (well, asleep)
    assert len(screening.candidates) == min(troubled, PAGE)
    pages = [await activities.read_candidates(reference) for reference in screening.more]
    assert sum(len(page.services) for page in pages) == max(min(troubled, 60) - PAGE, 0)
    assert sum(len(group.services) for group in screening.unknown) == unknown
    assert len(screening.model_dump_json()) < 64 * 1024


async def test_what_is_refused_for_many_services_is_one_reason_and_calls_none_of_them_well() -> None:
    railway, gatekeeper = pool(watched(), size=(200, 100, 0))
    await railway.client_for(ENVIRONMENT)
    gatekeeper.behaviour = Behaviour(
        fields=[FieldFault(field="httpDurationMetrics", message="Deployment not found")]
    )
    scan = ScanRequest(project_id=PROJECT, environment_id=ENVIRONMENT)
    activities = RailwayActivities(railway, memory_store())
    screening = await activities.screen(ScreenRequest(scan=scan, window=samples.WINDOW))
    (group,) = screening.unknown
    assert (len(group.services), len(screening.healthy)) == (100, 100)
    assert "latency could not be read" in group.reason
