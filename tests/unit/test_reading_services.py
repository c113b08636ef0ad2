"""What a scan says of deployments, samples and kinds of services, as Railway tells them."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from railmend.contracts.scan import (
    FindingKind,
    Severity,
    Window,
)
from railmend.railway.parse import serving
from railyard.api.behaviour import Behaviour, FieldFault
from tests import samples
from tests.unit.railway_yard import END, Yard, deployment, hourly, incident, instance, names, run, states_of

# -- deployments


@pytest.mark.parametrize("newest", ["SKIPPED", "BUILDING", "NEEDS_APPROVAL"])
async def test_a_newest_deployment_that_decides_nothing_hides_no_failure(newest: str) -> None:
    failed = deployment("FAILED", 40, serviceId="service-0000")
    instances = {
        "service-0000": instance(
            latestDeployment=deployment(newest, 5), activeDeployments=[deployment("SUCCESS", 600)]
        )
    }
    told = await Yard(5, 3, instances=instances, failed=[failed]).scan()
    (finding,) = told.findings
    assert (finding.service_name, finding.kind) == ("service-0000", FindingKind.DEPLOYMENT_FAILED)
    assert finding.onset == END - timedelta(minutes=40)
    assert newest in finding.sentence


async def test_a_failure_that_a_later_deployment_put_right_is_no_trouble() -> None:
    failed = deployment("FAILED", 900, serviceId="service-0000")
    instances = {
        "service-0000": instance(
            latestDeployment=deployment("SKIPPED", 5), activeDeployments=[deployment("SUCCESS", 600)]
        )
    }
    told = await Yard(5, 3, instances=instances, failed=[failed]).scan()
    assert told.affected == set()


async def test_a_crashed_deployment_behind_a_skipped_one_is_seen() -> None:
    crashed = deployment("CRASHED", 30)
    instances = {
        "service-0004": instance(latestDeployment=deployment("SKIPPED", 5), activeDeployments=[crashed])
    }
    told = await Yard(5, 3, instances=instances).scan()
    assert told.kinds("service-0004") == {FindingKind.CRASH_LOOP}


def test_of_a_rollout_the_newest_deployment_that_is_up_counts_as_serving() -> None:
    rollout = [deployment("SUCCESS", 60), deployment("SUCCESS", 50), deployment("DEPLOYING", 1)]
    assert serving({"activeDeployments": rollout}) == rollout[1]
    assert serving({"activeDeployments": rollout[2:]}) == rollout[2]
    assert serving({"activeDeployments": []}) is None


async def test_a_process_that_railway_restarts_is_a_crash_loop_and_one_that_serves_is_not() -> None:
    instances = {
        "service-0004": states_of("RESTARTING"),
        "service-0003": states_of("RUNNING", "CRASHED"),
        "service-0000": states_of("CRASHED"),  # it serves all requests: the state is outdated
        "service-0001": states_of("RUNNING"),
    }
    told = await Yard(5, 3, instances=instances).scan()
    assert told.affected == {"service-0003", "service-0004"}
    assert told.kinds("service-0004") == {FindingKind.CRASH_LOOP}
    assert "1 of 2 processes" in next(f.sentence for f in told.findings if f.service_name == "service-0003")


@pytest.mark.parametrize("services", [5, 60])
@pytest.mark.parametrize("state", ["CRASHED", "EXITED"])
async def test_one_healthy_replica_of_several_regions_hides_no_dead_one(services: int, state: str) -> None:
    regions = {"us-west2": {"numReplicas": 2}, "europe-west4-drams3a": {"numReplicas": 1}}
    active = states_of("RUNNING", "RUNNING", state)["activeDeployments"][0]
    active["meta"] = {"serviceManifest": {"deploy": {"multiRegionConfig": regions}}}
    told = await Yard(
        services, 3, instances={"service-0001": instance(latestDeployment=active, activeDeployments=[active])}
    ).scan()
    (finding,) = told.findings
    assert (finding.service_name, finding.kind) == ("service-0001", FindingKind.CRASH_LOOP)
    assert "1 of 3 processes" in finding.sentence


@pytest.mark.parametrize("services", [5, 60])
@pytest.mark.parametrize(
    ("status", "hours", "state"),
    [
        ("DEPLOYING", 4, "affected"),  # its health check never succeeds
        ("BUILDING", 4, "affected"),
        ("DEPLOYING", 0.2, "unknown"),
        ("NEEDS_APPROVAL", 50, "unknown"),
        ("REMOVED", 50, "unknown"),
    ],
)
async def test_a_service_of_which_nothing_serves_is_never_well(
    services: int, status: str, hours: float, state: str
) -> None:
    newest = deployment(status, hours * 60)
    yard = Yard(
        services,
        3,
        instances={"service-0004": instance(latestDeployment=newest, activeDeployments=[])},
        dead={"service-0004": END - timedelta(days=9)},
    )
    told = await yard.scan()
    assert told.states()["service-0004"] == state
    assert state == "affected" or "its" in told.unknown["service-0004"]


@pytest.mark.parametrize(("hours", "affected"), [(0.5, set()), (4, {"service-0001"})])
async def test_a_deployment_that_comes_up_for_ever_is_seen_although_an_older_one_serves(
    hours: float, affected: set[str]
) -> None:
    instances = {
        "service-0001": instance(
            latestDeployment=deployment("BUILDING", hours * 60),
            activeDeployments=[deployment("SUCCESS", 3000)],
        )
    }
    told = await Yard(5, 3, instances=instances).scan()
    assert told.affected == affected
    assert all(finding.severity is Severity.WARNING for finding in told.findings)


async def test_a_service_with_a_tcp_proxy_is_said_to_be_asked_on_tcp_and_costs_no_request() -> None:
    yard = await Yard(20, 10, tcp={"service-0012", "service-0019"}).connected()
    assert await yard.requests() <= 3
    told = await yard.scan()
    assert told.healthy == names(range(20))
    (sentence,) = told.screening.unseen
    assert sentence.startswith("TCP traffic: Railway measures none of it, so errors and latency of")
    assert "service-0012" in sentence


async def test_requests_within_the_private_network_are_said_to_be_unseen() -> None:
    told = await Yard(5, 3, instances={"service-0004": instance(healthcheckPath="/health")}).scan()
    (sentence,) = told.screening.unseen
    assert sentence.startswith("Requests within the private network: Railway measures none of it")
    assert "service-0004" in sentence


async def test_a_volume_of_no_service_is_no_services() -> None:
    yard = Yard(5, 3, volumes=[{"id": "orphan", "serviceId": None, "currentSizeMB": 4990, "sizeMB": 5000}])
    told = await yard.scan()
    assert told.healthy == names(range(5))


# -- samples


@pytest.mark.parametrize("services", [5, 60])
@pytest.mark.parametrize("hours", [0.4, 2.4, 8, 20])
async def test_a_dead_process_stays_an_outage(services: int, hours: float) -> None:
    gone = END - timedelta(hours=hours)
    told = await Yard(services, 3, dead={"service-0004": gone}).scan()
    assert told.kinds("service-0004") == {FindingKind.OUTAGE}
    onset = next(finding.onset for finding in told.findings)
    assert abs(onset - gone) <= timedelta(minutes=31)


@pytest.mark.parametrize("services", [5, 60])
async def test_a_service_without_any_sample_is_unknown(services: int) -> None:
    told = await Yard(services, 3, dead={"service-0004": END - timedelta(days=9)}).scan()
    assert set(told.unknown) == {"service-0004"}
    assert "no sample" in told.unknown["service-0004"]


@pytest.mark.parametrize(("services", "web"), [(5, 3), (60, 5)])
@pytest.mark.parametrize("minutes", [4, 9, 11, 12, 14, 17, 40])
@pytest.mark.parametrize("seconds", [0, 263])
async def test_samples_that_are_late_are_no_outage(
    services: int, web: int, minutes: int, seconds: int
) -> None:
    """At a coarse step the newest sample may be of a part of its step. `seconds`: the window's phase."""
    end = END + timedelta(seconds=seconds)
    window = Window(start=samples.WINDOW.start + timedelta(seconds=seconds), end=end, step_seconds=60)
    told = await Yard(services, web, newest=end - timedelta(minutes=minutes)).scan(window)
    assert told.affected == set()
    if services == 5:
        assert told.unknown == {}
        assert "samples are late" in " ".join(told.screening.unseen)


async def test_late_samples_hide_no_process_that_died_before() -> None:
    newest = END - timedelta(minutes=12)
    told = await Yard(5, 3, newest=newest, dead={"service-0004": newest - timedelta(minutes=30)}).scan()
    assert told.affected == {"service-0004"}


@pytest.mark.parametrize("services", [20, 60])
async def test_a_clock_that_is_ahead_is_put_right_by_railways_own(services: int) -> None:
    now = datetime.now(samples.NOW.tzinfo)
    yard = Yard(services, 10, newest=now)
    ahead = now + timedelta(minutes=15)
    window = Window(start=ahead - timedelta(hours=3), end=ahead, step_seconds=60)
    told = await yard.scan(window)
    assert told.affected == set()
    assert len(told.healthy) == services
    assert "15 min ahead" in " ".join(told.screening.unseen) or "16 min" in " ".join(told.screening.unseen)


# -- kinds of services


@pytest.mark.parametrize(
    ("runs", "rule"),
    [
        (hourly(), None),
        ([run("CRASHED", 20), *hourly(80)], "failed"),
        (hourly(status="CRASHED"), "failed"),
        ([run("RUNNING", 200, None), *hourly(260)], "endless"),
        ([run("RUNNING", 5, None), run("RUNNING", 65, None), *hourly(125)], "endless"),
        ([run("RUNNING", 5, None), *hourly(65)], None),
        (hourly(200), "overdue"),
    ],
    ids=["well", "failed", "fails", "never ends", "overlap", "runs", "overdue"],
)
async def test_a_cron_is_judged_by_its_runs(runs: list[dict[str, Any]], rule: str | None) -> None:
    instances = {"service-0004": instance(cronSchedule="0 * * * *")}
    told = await Yard(
        5, 3, instances=instances, runs={"service-0004": runs}, dead={"service-0004": END - timedelta(days=9)}
    ).scan()
    assert [finding.rule for finding in told.findings] == ([f"cron_failed.{rule}"] if rule else [])
    assert ("service-0004" in told.healthy) == (rule is None)
    if len(told.findings) == 1 and len(runs) == 5 and rule == "failed":
        assert told.findings[0].severity is Severity.CRITICAL


async def test_a_cron_whose_runs_cannot_be_read_is_unknown() -> None:
    yard = Yard(5, 3, instances={"service-0004": instance(cronSchedule="0 * * * *")})
    yard.gatekeeper.behaviour = Behaviour(
        fields=[FieldFault(field="deploymentInstanceExecutions", message="Not Authorized")]
    )
    told = await yard.scan()
    assert "its runs could not be read" in told.unknown["service-0004"]


@pytest.mark.parametrize(
    "fields",
    [
        {"source": {"repo": None, "image": "ghcr.io/railwayapp/function-bun"}},
        {"source": {"repo": None, "image": "postgrest/postgrest:v12"}},
        {"source": {"repo": None, "image": "mongo-express"}},
        {"cronSchedule": "0 * * * *"},
    ],
)
async def test_whoever_has_a_domain_is_judged_by_its_requests(fields: dict[str, Any]) -> None:
    yard = Yard(5, 3, troubled=1, instances={"service-0000": fields}, runs={"service-0000": hourly()})
    assert FindingKind.ERROR_RATE in (await yard.scan()).kinds("service-0000")


# -- incidents of Railway's own


@pytest.mark.parametrize(
    ("told_by_railway", "blamed"),
    [
        (incident("Elevated errors of edge proxies in us-west", 300), True),
        (incident("Elevated errors of edge proxies in Singapore", 300), False),
        (incident("Elevated errors of edge proxies", 300, "RESOLVED"), False),
        (incident("Elevated errors of edge proxies", 5), False),
        (incident("Builds are delayed", 300), False),
        (incident("We are investigating an issue", 300), False),
    ],
    ids=["fits", "elsewhere", "over", "began later", "another part", "names nothing"],
)
async def test_an_incident_of_railways_own_explains_only_what_it_fits(
    told_by_railway: dict[str, Any], blamed: bool
) -> None:
    yard = Yard(
        5, 3, troubled=1, incident=told_by_railway, instances={"service-0000": {"region": "us-west2"}}
    )
    told = await yard.scan()
    assert ("service-0000" in told.blamed) == blamed
    assert told.screening.platform is not None
