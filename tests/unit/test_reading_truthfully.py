"""What a scan says of a project whose Railway pages, drifts, lags, refuses or tells half the truth."""

import asyncio
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railmend.assessment.rules import assess
from railmend.contracts.scan import (
    Window,
)
from railmend.railway import errors
from railmend.railway.listing import Listing
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults
from railyard.api.behaviour import Behaviour, FieldFault, WholeFault
from railyard.api.synthetic import ENVIRONMENT, PROJECT
from tests import samples
from tests.unit.railway_yard import END, LIMITS, Told, Yard, deployment, hourly, instance, names, states_of

# -- pages


@pytest.mark.parametrize(
    ("services", "web", "suspects", "most"),
    [(5, 3, 0, 2), (20, 10, 0, 3), (50, 25, 0, 5), (50, 25, 9, 8), (200, 100, 0, 13)],
)
@pytest.mark.parametrize("variables", [0, 1600])
async def test_a_scan_takes_as_many_requests_whatever_the_number_of_variables(
    services: int, web: int, suspects: int, most: int, variables: int
) -> None:
    """Cold and warm; and one more for every four suspects."""
    yard = await Yard(services, web, suspects, variables=variables).connected()
    assert max(await yard.requests(), await yard.requests()) <= most


async def test_a_railway_that_gives_small_pages_only_makes_a_scan_no_longer() -> None:
    small = LIMITS.model_copy(update={"small_page": 500})
    yard = await Yard(200, 100, limits=small, variables=1600).connected()
    assert max(await yard.requests(), await yard.requests()) <= 13


async def test_no_service_counts_twice_however_long_the_list_of_variables_is() -> None:
    pages = LIMITS.model_copy(update={"page": 7, "small_page": 11})
    told = await Yard(25, 10, troubled=2, limits=pages, variables=60).scan()
    assert told.affected == names(range(2))
    assert len(told.findings) == 2
    assert len(told.healthy) == 23


def test_a_list_that_says_for_ever_that_there_is_more_ends_when_nothing_new_comes() -> None:
    listing = Listing("triggers", "deploymentTriggers", "The branches of services", {"after": None})
    page = {
        "edges": [{"node": {"id": "a"}}, {"node": {"id": "b"}}],
        "pageInfo": {"hasNextPage": True, "endCursor": "b"},
    }
    for more in (True, False):
        results = QueryResults()
        results.answer(listing.query, {"deploymentTriggers": page})
        listing.take(results)
        assert (listing.more, list(listing.nodes)) == (more, ["a", "b"])


# -- the phase of the window, and what is cut


@pytest.mark.parametrize("seconds", [0, 37, 100, 181, 299, 359])
async def test_a_calm_project_has_no_suspect_at_any_phase_of_the_window(seconds: int) -> None:
    window = Window(
        start=samples.WINDOW.start + timedelta(seconds=seconds),
        end=END + timedelta(seconds=seconds),
        step_seconds=60,
    )
    told = await Yard(50, 25).scan(window)
    assert told.screening.candidates == ()
    assert len(told.healthy) == 50


async def test_the_worst_are_examined_first_and_the_others_are_unknown() -> None:
    dead = {"service-0199": deployment("CRASHED")}
    instances = {name: instance(latestDeployment=row, activeDeployments=[row]) for name, row in dead.items()}
    told = await Yard(200, 100, troubled=80, instances=instances).scan()
    assert "service-0199" in told.affected
    assert len(told.affected) == 60
    assert len(told.unknown) == 21
    assert all("it may be in trouble" in reason for reason in told.unknown.values())


def test_newest_samples_that_are_missing_raise_nothing() -> None:
    steps = 30
    source = Slice(
        service_id="s",
        start=END - timedelta(hours=3),
        step_seconds=360,
        memory_gb=[0.3] * steps,
        http={"2xx": [600.0] * (steps - 1) + [None]},
    )
    assert assess(source, samples.service(), environment_id="e") == []


# -- what could not be read


async def test_what_could_not_be_read_is_unknown_and_not_well() -> None:
    yard = Yard(5, 3)
    faults = ("metrics", "httpMetricsGroupedByStatus", "httpDurationMetrics")
    yard.gatekeeper.behaviour = Behaviour(
        fields=[FieldFault(field=field, message="Not Authorized") for field in faults]
    )
    told = await yard.scan()
    assert told.healthy == set()
    assert len(told.unknown) == 5


async def test_all_http_series_refused_costs_a_few_requests() -> None:
    yard = await Yard(50, 25).connected()
    yard.gatekeeper.behaviour = Behaviour(
        fields=[
            FieldFault(field=field, message="Not Authorized")
            for field in ("httpMetricsGroupedByStatus", "httpDurationMetrics")
        ]
    )
    assert await yard.requests() <= 8
    told = await yard.scan()
    assert set(told.unknown) == names(range(25))
    assert told.healthy == names(range(25, 50))


async def test_an_invalid_document_is_not_sent_again_whatever_its_message_says() -> None:
    yard = await Yard(50, 25).connected()
    yard.gatekeeper.behaviour = Behaviour(missing=["HttpDurationMetricsSample.p90"])
    assert await yard.requests() <= 6
    assert await yard.requests() <= 4


@pytest.mark.parametrize(
    "missing",
    [
        ["ServiceInstance.region"],
        ["ServiceInstance.healthcheckPath", "ServiceInstance.rootDirectory"],
        ["Deployment.statusUpdatedAt"],
        ["Incident.createdAt"],
        ["ServiceInstance.sleepApplication"],
    ],
)
async def test_an_optional_field_that_is_gone_costs_nothing_but_itself(missing: list[str]) -> None:
    yard = Yard(50, 25, troubled=3)
    yard.gatekeeper.behaviour = Behaviour(missing=missing)
    told = await yard.scan()
    assert told.affected == names(range(3))
    assert len(told.healthy) == 47
    assert missing[0].partition(".")[2] in " ".join(told.screening.unseen)


async def test_a_field_that_decides_makes_services_unknown_and_is_asked_for_again_after_an_hour() -> None:
    yard = Yard(50, 25, troubled=3)
    yard.gatekeeper.behaviour = Behaviour(missing=["ServiceInstance.domains"])
    told = await yard.scan()
    assert told.healthy == set()
    assert "domain" in told.unknown["service-0030"]
    yard.gatekeeper.behaviour = Behaviour()
    client = await yard.pool.client_for(ENVIRONMENT)
    client.surveyor._reader.drift._clock = lambda: 10**9
    again = await yard.scan()
    assert (len(again.healthy), again.affected) == (47, names(range(3)))


async def test_variables_volumes_and_branches_that_cannot_be_read_leave_a_report() -> None:
    for field in ("variables", "volumeInstances", "deploymentTriggers"):
        yard = Yard(20, 10, troubled=1)
        yard.gatekeeper.behaviour = Behaviour(missing=[f"Environment.{field}"])
        told = await yard.scan()
        assert told.affected == names(range(1)), field
        assert len(told.healthy) == 19
        assert len(told.screening.unseen) == 1


# -- a Railway that refuses


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour(expires_after=4), "Not Authorized"),
        (Behaviour(quota=4), "used up"),
        (Behaviour(wholes=[]), "HTTP 503"),
    ],
    ids=["token expires", "budget spent", "down"],
)
async def test_a_scan_that_is_cut_off_reports_what_it_saw_and_names_the_rest(
    behaviour: Behaviour, reason: str
) -> None:
    yard = await Yard(200, 100).connected()
    await yard.scan()
    yard.gatekeeper.stats.requests = 0
    client = await yard.pool.client_for(ENVIRONMENT)
    client.surveyor._known.clear()
    client.limiter._sent.clear()
    if reason == "HTTP 503":
        behaviour = Behaviour(wholes=[WholeFault(kind="503", times=10_000, skip=2)])
    yard.gatekeeper.behaviour = behaviour
    if reason == "used up":
        client.limiter.update_policy('"default";q=4;w=3600')
    before = yard.gatekeeper.stats.requests
    told = await yard.scan()
    assert len(told.states()) == 200
    assert told.unknown
    assert any(reason in text for text in told.unknown.values())
    assert set(told.unknown) <= names(range(100))
    assert len(told.unknown) > 50
    assert yard.gatekeeper.stats.requests - before < 20


async def test_a_breadth_limit_of_fifty_gives_the_same_report() -> None:
    yard = Yard(20, 10, troubled=2)
    whole = await yard.scan()
    narrow = Yard(20, 10, troubled=2)
    narrow.gatekeeper.behaviour = Behaviour(breadth=50)
    assert (await narrow.scan()).states() == whole.states()


async def test_cpu_and_memory_that_are_too_much_in_one_are_read_one_by_one() -> None:
    yard = Yard(200, 100, troubled=2)
    yard.gatekeeper.behaviour = Behaviour(points=4000)
    told = await yard.scan()
    assert told.affected == names(range(2))
    assert len(told.healthy) == 198


async def test_a_block_by_the_network_in_front_is_not_blamed_on_the_plan() -> None:
    yard = await Yard(5, 3).connected()
    yard.gatekeeper.behaviour = Behaviour(wholes=[WholeFault(kind="1015")])
    told = await yard.scan()
    assert "Cloudflare" in told.screening.unlisted
    assert "plan" not in told.screening.unlisted


@pytest.mark.parametrize("kind", ["502", "503", "429", "1015", "403", "truncated"])
@pytest.mark.parametrize("services", [0, 50])
async def test_a_scan_that_can_list_nothing_reports_what_was_known_before_as_unknown(
    kind: str, services: int
) -> None:
    """`services`: how many an earlier scan saw."""
    yard = await Yard(services, 0).connected()
    if services:
        await yard.scan()
    yard.gatekeeper.behaviour = Behaviour(wholes=[WholeFault(kind=kind, times=10_000)])
    before = yard.gatekeeper.stats.requests
    told = await yard.scan()
    assert set(told.unknown) == names(range(services))
    assert told.healthy == set()
    assert "The list of services could not be read. " in told.screening.unlisted
    assert yard.gatekeeper.stats.requests - before <= 10


async def test_a_token_that_is_taken_no_more_gives_a_report_with_the_next_step() -> None:
    yard = await Yard(20, 10).connected()
    await yard.scan()
    yard.gatekeeper.behaviour = Behaviour(expires_after=0)
    told = await yard.scan()
    assert told.states() == dict.fromkeys(names(range(20)), "unknown")
    assert "Check that the token reaches this project" in told.screening.unlisted


@pytest.mark.parametrize("named", [True, False])
async def test_try_again_in_some_seconds_is_kept_to(named: bool) -> None:
    yard = await Yard(20, 10).connected()
    await yard.scan()
    message = "You are being rate limited, try again in 1234.5 seconds"
    yard.gatekeeper.behaviour = Behaviour(fields=[FieldFault(field="metrics", message=message, named=named)])
    before = yard.gatekeeper.stats.requests
    told = [await yard.scan(), await yard.scan()]
    assert yard.gatekeeper.stats.requests == before + 1
    assert [set(each.unknown) for each in told] == [names(range(20))] * 2
    assert [each.states() for each in told] == [dict.fromkeys(names(range(20)), "unknown")] * 2
    with pytest.raises(errors.RateLimited) as limited:
        await (await yard.pool.client_for(ENVIRONMENT)).surveyor.survey(PROJECT, ENVIRONMENT, samples.WINDOW)
    assert 1200 < (limited.value.retry_after or 0) <= 1234.5


# -- properties


@settings(max_examples=12, deadline=None)
@given(
    page=st.integers(3, 60),
    small_page=st.integers(3, 60),
    backwards=st.booleans(),
    breadth=st.sampled_from([None, 50, 120]),
    seconds=st.integers(0, 59),
)
def test_pages_order_breadth_and_the_windows_phase_change_no_report(
    page: int, small_page: int, backwards: bool, breadth: int | None, seconds: int
) -> None:
    limits = LIMITS.model_copy(update={"page": page, "small_page": small_page})
    dead = {"service-0029": END - timedelta(minutes=100)}
    yard = Yard(30, 10, troubled=3, limits=limits, backwards=backwards, dead=dead)
    yard.gatekeeper.behaviour = Behaviour(breadth=breadth)
    shifted = Window(
        start=samples.WINDOW.start + timedelta(seconds=seconds),
        end=END + timedelta(seconds=seconds),
        step_seconds=60,
    )
    told = asyncio.run(yard.scan(shifted))
    wanted = dict.fromkeys(names(range(30)), "healthy") | dict.fromkeys(
        {*names(range(3)), "service-0029"}, "affected"
    )
    assert told.states() == wanted


FIELDS = (
    *("metrics", "httpMetricsGroupedByStatus", "httpDurationMetrics", "deployments", "platformStatus"),
    *("project", "deploymentInstanceExecutions"),
)
DRIFT = (
    *("Environment.variables", "Environment.volumeInstances", "Environment.deploymentTriggers"),
    *("ServiceInstance.domains", "ServiceInstance.latestDeployment", "ServiceInstance.activeDeployments"),
    *("ServiceInstance.cronSchedule", "ServiceInstance.source", "Deployment.instances"),
    *("Deployment.createdAt", "Deployment.statusUpdatedAt", "Deployment.meta"),
)


def troubled_yard(services: int) -> Yard:
    """A failure behind a skipped deployment, a crash loop, an ended replica, and others of each kind."""
    instances = {
        "service-0001": instance(
            latestDeployment=deployment("SKIPPED", 5), activeDeployments=[deployment("SUCCESS", 600)]
        ),
        "service-0002": states_of("RUNNING", "EXITED"),
        "service-0005": states_of("RESTARTING"),
        "service-0006": instance(cronSchedule="0 * * * *"),
        "service-0009": instance(latestDeployment=deployment("DEPLOYING", 240), activeDeployments=[]),
    }
    return Yard(
        services,
        4,
        troubled=1,
        instances=instances,
        failed=[deployment("FAILED", 40, serviceId="service-0001")],
        runs={"service-0006": hourly(status="CRASHED")},
        dead={
            "service-0007": END - timedelta(minutes=100),
            "service-0008": END - timedelta(days=9),
            "service-0006": END - timedelta(days=9),
        },
    )


@cache
def seen_whole(services: int) -> Told:
    return asyncio.run(troubled_yard(services).scan())


@settings(max_examples=25, deadline=None)
@given(
    services=st.sampled_from([10, 60]),
    refused=st.sets(st.sampled_from(FIELDS)),
    gone=st.sets(st.sampled_from(DRIFT), max_size=3),
    named=st.booleans(),
    service=st.sampled_from([None, "service-0000"]),
)
def test_what_is_refused_turns_no_trouble_into_health(
    services: int, refused: set[str], gone: set[str], named: bool, service: str | None
) -> None:
    whole = seen_whole(services)
    assert whole.affected == names([0, 1, 2, 5, 6, 7, 9])
    assert set(whole.unknown) == names([8])
    yard = troubled_yard(services)
    yard.gatekeeper.behaviour = Behaviour(
        fields=[
            FieldFault(field=field, message="Not Authorized", named=named, service_id=service)
            for field in sorted(refused)
        ],
        missing=sorted(gone),
    )
    told = asyncio.run(yard.scan())
    assert whole.affected | set(whole.unknown) <= told.affected | set(told.unknown), told.states()
    assert len(told.states()) == services
