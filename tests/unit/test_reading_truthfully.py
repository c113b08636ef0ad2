"""What a scan says of a project whose Railway pages, drifts, lags, refuses or tells half the truth."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from activities.railway import RailwayActivities
from railmend.assessment.rules import assess
from railmend.contracts.scan import (
    Assessment,
    CandidatesRequest,
    FindingKind,
    ScanRequest,
    Screening,
    ScreenRequest,
    Severity,
    Window,
)
from railmend.railway import errors
from railmend.railway.limits import RateLimits
from railmend.railway.model import Slice
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railyard.api.behaviour import Behaviour, FieldFault, Gatekeeper, WholeFault
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, More, Synthetic, build_synthetic
from tests import samples
from tests.kept import memory_store

END = samples.WINDOW.end
LIMITS = RateLimits(per_second=10_000)
SCAN = ScanRequest(project_id=PROJECT, environment_id=ENVIRONMENT)


class Told:
    """What a scan tells: findings by service, and each service's state."""

    def __init__(self, screening: Screening, assessment: Assessment | None) -> None:
        self.screening = screening
        self.findings = assessment.findings if assessment else screening.findings
        groups = (*screening.unknown, *(assessment.unknown if assessment else ()))
        self.unknown = {name: group.reason for group in groups for name in group.services}
        self.affected = {finding.service_name for finding in self.findings}
        examined = {service.name for service in screening.candidates} - self.affected - set(self.unknown)
        self.healthy = {*screening.healthy, *examined}
        self.asleep = set(screening.asleep)
        self.blamed = assessment.blamed if assessment else screening.blamed

    def kinds(self, name: str) -> set[FindingKind]:
        return {finding.kind for finding in self.findings if finding.service_name == name}

    def states(self) -> dict[str, str]:
        told = {"affected": self.affected, "healthy": self.healthy, "asleep": self.asleep}
        return {name: state for state, names in told.items() for name in names} | dict.fromkeys(
            self.unknown, "unknown"
        )


class Yard:
    """A synthetic project, and scans of it as the worker makes them."""

    def __init__(
        self, services: int, web: int, troubled: int = 0, limits: RateLimits = LIMITS, **more: Any
    ) -> None:
        self.more = More(**more)
        self.gatekeeper = Gatekeeper()
        self.project = Synthetic(services, web, troubled, more=self.more)
        environment = WatchedEnvironment(
            name="acme",
            project_id=PROJECT,
            environment_id=ENVIRONMENT,
            token=SecretStr(TOKEN),
            token_kind="project",
        )
        self.transport = httpx.ASGITransport(app=build_synthetic(self.project, self.gatekeeper))
        self.pool = RailwayPool(
            "http://railway/graphql/v2", lambda: (environment,), limits, self.transport, pause_seconds=0
        )

    async def scan(self, window: Window = samples.WINDOW) -> Told:
        activities = RailwayActivities(self.pool, memory_store())
        screening = await activities.screen(ScreenRequest(scan=SCAN, window=window))
        pages = [await activities.read_candidates(reference) for reference in screening.more]
        services = [*screening.candidates, *(service for page in pages for service in page.services)]
        findings = [*screening.findings, *(finding for page in pages for finding in page.findings)]
        screening = screening.model_copy(update={"candidates": tuple(services), "findings": tuple(findings)})
        if screening.decided or not services:
            return Told(screening, None)
        request = CandidatesRequest(
            environment_id=ENVIRONMENT,
            services=screening.candidates,
            window=screening.window or window,
            platform=screening.platform,
        )
        return Told(screening, await activities.assess_candidates(request))

    async def requests(self) -> int:
        before = self.gatekeeper.stats.requests
        await self.scan()
        return self.gatekeeper.stats.requests - before

    async def connected(self) -> "Yard":
        """Find out the token's kind, which costs a request of its own."""
        await self.pool.client_for(ENVIRONMENT)
        return self


def instance(**fields: Any) -> dict[str, Any]:
    return fields


def deployment(status: str, minutes_ago: float = 60, **fields: Any) -> dict[str, Any]:
    at = (END - timedelta(minutes=minutes_ago)).isoformat()
    return {
        "id": f"deployment-{status.lower()}-{minutes_ago}",
        "status": status,
        "createdAt": at,
        "updatedAt": at,
        "statusUpdatedAt": at,
        "meta": {},
        "instances": [],
        **fields,
    }


def names(numbers: Iterable[int]) -> set[str]:
    return {f"service-{number:04d}" for number in numbers}


# -- pages


@pytest.mark.parametrize(("services", "web", "most"), [(5, 3, 2), (20, 10, 3), (50, 25, 5), (200, 100, 13)])
@pytest.mark.parametrize("variables", [0, 1600])
async def test_a_scan_takes_as_many_requests_whatever_the_number_of_variables(
    services: int, web: int, most: int, variables: int
) -> None:
    yard = await Yard(services, web, variables=variables).connected()
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
    assert all("it looks troubled" in reason for reason in told.unknown.values())


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


async def test_try_again_in_some_seconds_is_kept_to() -> None:
    error = errors.classify("You are being rate limited, try again in 1234.5 seconds")
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after == 1234.5


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


def states_of(*states: str) -> dict[str, Any]:
    active = deployment("SUCCESS", 30, instances=[{"id": str(n), "status": s} for n, s in enumerate(states)])
    return instance(latestDeployment=active, activeDeployments=[active])


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
    assert sentence.startswith("What is asked on TCP: Railway measures none of it, so errors and latency of")
    assert "service-0012" in sentence


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


@pytest.mark.parametrize(("services", "web"), [(5, 3), (60, 30)])
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


def run(status: str, minutes_ago: float, lasted: float | None = 1) -> dict[str, Any]:
    started = END - timedelta(minutes=minutes_ago)
    ended = None if lasted is None else (started + timedelta(minutes=lasted)).isoformat()
    return {
        "id": f"run-{minutes_ago}",
        "status": status,
        "createdAt": started.isoformat(),
        "completedAt": ended,
        "updatedAt": started.isoformat(),
        "deploymentId": "d",
    }


def hourly(first: float = 20, status: str = "EXITED") -> list[dict[str, Any]]:
    return [run(status, first + 60 * number) for number in range(5)]


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


def incident(message: str, minutes_ago: float, status: str = "IDENTIFIED") -> dict[str, Any]:
    at = (END - timedelta(minutes=minutes_ago)).isoformat()
    return {"id": "i", "message": message, "status": status, "url": "https://s", "createdAt": at}


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
    whole = asyncio.run(troubled_yard(services).scan())
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
