"""How many requests a scan makes, and what it still sees when some of them fail."""

import math
from datetime import timedelta
from typing import Any

import httpx
import pytest
from graphql import FieldNode, print_ast
from pydantic import SecretStr

from railmend.assessment.rules import assess
from railmend.assessment.screening import is_candidate
from railmend.contracts.scan import FindingKind, Service, Window
from railmend.railway import errors
from railmend.railway.client import RailwayClient
from railmend.railway.compose import Query, breadth, compose, root_field
from railmend.railway.limits import RateLimits
from railmend.railway.plan import coarse
from railmend.railway.survey import Survey
from railyard.api.behaviour import Behaviour, FieldFault, Gatekeeper, WholeFault
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from tests import samples

WINDOW = samples.WINDOW
HTTP_FIELDS = ("httpMetricsGroupedByStatus", "httpDurationMetrics")


class World:
    """A synthetic project and a client for it."""

    def __init__(self, services: int, web: int, troubled: int = 0, **shape: Any) -> None:
        self.gatekeeper = Gatekeeper()
        app = build_synthetic(Synthetic(services, web, troubled, **shape), self.gatekeeper)
        self.client = RailwayClient(
            "http://railway/graphql/v2",
            SecretStr(TOKEN),
            transport=httpx.ASGITransport(app=app),
            timeout=1,
            limits=RateLimits(per_second=10_000),
            pause_seconds=0,
        )

    async def survey(self, window: Window = WINDOW) -> Survey:
        return await self.client.surveyor.survey(PROJECT, ENVIRONMENT, window)

    async def count(self, window: Window = WINDOW) -> int:
        before = self.client.requests
        await self.survey(window)
        return self.client.requests - before

    def misbehave(self, *fields: FieldFault, whole: WholeFault | None = None) -> None:
        self.gatekeeper.behaviour = Behaviour(fields=list(fields), wholes=[whole] if whole else [])


@pytest.mark.parametrize(
    ("services", "web", "cold", "warm"), [(5, 3, 2, 1), (20, 10, 2, 2), (50, 25, 4, 3), (200, 100, 11, 11)]
)
async def test_a_scan_takes_a_handful_of_requests(services: int, web: int, cold: int, warm: int) -> None:
    world = World(services, web)
    assert (await world.count(), await world.count()) == (cold, warm)


async def test_a_volume_that_fills_is_seen_long_before_it_is_full_and_costs_no_request() -> None:
    filling = "service-0000"
    volume = {"id": "volume", "serviceId": filling, "currentSizeMB": 30_000, "sizeMB": 50_000}
    used = {(filling, "disk"): lambda ts: 30 - 2 * (WINDOW.end.timestamp() - ts) / 3600}
    world = World(50, 25, volumes=[volume], curves=used)
    before, survey = world.client.requests, await world.survey()
    assert world.client.requests - before == 4, "as without a volume"
    service, coarse_look = survey.services[0], survey.slices[0]
    assert (service.volume_fill, is_candidate(coarse_look, service)) == (0.6, True)
    assert not is_candidate(survey.slices[30], survey.services[30])
    ((detailed,), unseen) = await world.client.surveyor.fetch_detailed(ENVIRONMENT, [service], WINDOW)
    assert (len(detailed.slice.disk_gb), detailed.slice.disk_limit_gb, unseen) == (180, [50.0], [])
    (finding,) = assess(detailed.slice, service, environment_id=ENVIRONMENT, history=detailed.history)
    assert (finding.kind, finding.rule) == (FindingKind.DISK_FILLING, "disk_filling.time_to_full")
    assert "full in 10 h at 2 GB an hour" in finding.sentence


async def test_a_volume_that_takes_years_to_fill_is_only_told_to_be_nearly_full() -> None:
    filling = "service-0000"
    volume = {"id": "volume", "serviceId": filling, "currentSizeMB": 48_500, "sizeMB": 50_000}
    used = {(filling, "disk"): lambda ts: 48.5 - 0.0001 * (WINDOW.end.timestamp() - ts) / 3600}
    world = World(50, 25, volumes=[volume], curves=used)
    service = (await world.survey()).services[0]
    ((detailed,), _) = await world.client.surveyor.fetch_detailed(ENVIRONMENT, [service], WINDOW)
    (finding,) = assess(detailed.slice, service, environment_id=ENVIRONMENT, history=detailed.history)
    assert finding.sentence == f"The volume of {service.name} is 97% full."


@pytest.mark.parametrize("count", [1, 3, 4, 10])
async def test_ten_detailed_services_share_three_requests(count: int) -> None:
    world = World(50, 25, troubled=count)
    survey = await world.survey()
    before = world.client.requests
    detailed, unseen = await world.client.surveyor.fetch_detailed(
        ENVIRONMENT, survey.services[:count], WINDOW
    )
    assert world.client.requests - before == math.ceil(0.3 * count)
    assert unseen == []
    metrics = detailed[0]
    assert (
        len(metrics.slice.http["5xx"]) == len(metrics.slice.latency["p95"]) == len(metrics.slice.cpu) == 180
    )
    assert sum(filter(None, metrics.slice.http["5xx"])) == pytest.approx(180 * 120 * 0.2)
    assert metrics.history.step_seconds == 1800
    week = 7 * 48
    assert len(metrics.history.memory_gb) == len(metrics.history.http["2xx"]) == week
    assert len(metrics.history.latency["p95"]) == week, "percentiles of the past, for suspects only"


async def test_a_small_project_is_read_finely_at_once_and_a_large_one_coarsely() -> None:
    small, large = await World(5, 3).survey(), await World(50, 25).survey()
    assert small.fine
    assert len(small.slices[0].latency["p95"]) == len(small.slices[0].memory_gb) == 180
    assert len(small.history) == len(small.services) == 5
    assert len(small.history[0].http["2xx"]) == len(small.history[4].memory_gb) == 48
    assert not large.fine
    assert large.history == []
    metrics = large.slices[0]
    assert len(metrics.memory_gb) == len(metrics.http["2xx"]) == 30
    assert metrics.latency["p95"] == [90] * 30
    assert sum(filter(None, metrics.http["2xx"])) == pytest.approx(180 * 120)


def depth(field: FieldNode) -> int:
    children = field.selection_set.selections if field.selection_set else ()
    return 1 + max((depth(child) for child in children if isinstance(child, FieldNode)), default=0)


async def test_documents_stay_within_the_limits() -> None:
    world = World(200, 100)
    await world.survey()
    await world.survey()
    assert world.gatekeeper.stats.most_aliases <= 20
    names = ["platform_status", "project", "environment", "resources", "statuses", "durations"]
    assert sum(breadth(name) for name in names[:4]) + 8 * (breadth(names[4]) + breadth(names[5])) <= 250
    assert max(depth(root_field(name)) for name in names) <= 10


def test_ids_travel_as_variables() -> None:
    queries = [
        Query("statuses", {"serviceId": name, "environmentId": "e", "start": "a", "end": "b"}, name)
        for name in ('x") { id } #', "y")
    ]
    composed, variables = compose(queries)
    document = print_ast(composed)
    assert 'x")' not in document
    assert set(variables.values()) == {'x") { id } #', "y", "e", "a", "b", None}
    assert document.count("$environmentId_") == 3, "equal values are sent once: one definition, two uses"


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("Problem processing request", True),
        ("Problem processing request", False),
        ("Deployment not found", True),
        ("Deployment not found", False),
        ("Not Authorized", True),  # without a field it concerns the token: see below
        ("Two Factor Authentication Required", True),
        ("Project not found", True),
        ("Something nobody has seen yet", False),
    ],
)
@pytest.mark.parametrize("field", HTTP_FIELDS)
async def test_one_bad_field_costs_one_value(message: str, named: bool, field: str) -> None:
    world = World(50, 25)
    world.misbehave(FieldFault(field=field, message=message, service_id="service-0007", named=named))
    survey = await world.survey()
    bad = survey.slices[7]
    assert (bad.http, bad.latency) != ({}, {})
    assert {} in (bad.http, bad.latency)
    assert [metrics.http != {} and metrics.latency != {} for metrics in survey.slices[:25]].count(False) == 1
    (reasons,) = survey.unread.values()
    assert list(survey.unread) == ["service-0007"]
    assert message in reasons[0]


@pytest.mark.parametrize("named", [True, False])
async def test_a_token_that_may_list_no_services_ends_the_scan_with_what_to_do(named: bool) -> None:
    world = World(50, 25)
    world.misbehave(FieldFault(field="environment", message="Not Authorized", named=named))
    with pytest.raises(errors.NotAuthorized, match="token"):
        await world.survey()


async def test_a_wrong_token_is_not_tried_again() -> None:
    world = World(50, 25)
    world.misbehave(FieldFault(field="metrics", message="Project Token not found", named=False))
    with pytest.raises(errors.ProjectTokenInvalid, match="token"):
        await world.survey()
    assert world.client.requests == 1


@pytest.mark.parametrize("kind", ["502", "truncated"])
async def test_a_broken_answer_is_asked_again(kind: str) -> None:
    world = World(50, 25)
    world.misbehave(whole=WholeFault(kind=kind))
    survey = await world.survey()
    assert survey.unseen == []
    assert len(survey.services) == 50


async def test_documents_that_keep_failing_are_taken_apart_until_all_is_seen() -> None:
    world = World(20, 10)
    await world.survey()
    world.misbehave(whole=WholeFault(kind="502", times=5))
    survey = await world.survey()
    assert survey.unseen == []
    assert all(metrics.http for metrics in survey.slices[:10])


async def test_an_api_that_is_down_is_given_up_after_a_bounded_number_of_requests() -> None:
    world = World(200, 100)
    world.misbehave(whole=WholeFault(kind="502", times=100_000))
    with pytest.raises(errors.Unavailable) as caught:
        await world.survey()
    assert caught.value.retryable
    assert world.client.requests < 15


class Slow(httpx.AsyncBaseTransport):
    """Requests that hold a text time out, `times` times."""

    def __init__(self, inner: httpx.AsyncBaseTransport, text: str, times: int) -> None:
        self._inner, self._text, self._times = inner, text, times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._text in (await request.aread()).decode() and self._times > 0:
            self._times -= 1
            raise httpx.ReadTimeout("too slow", request=request)
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize(("times", "lost"), [(1, 0), (2, 20)])
async def test_a_time_out_is_tried_once_more_and_then_named(times: int, lost: int) -> None:
    world = World(50, 25)
    await world.client._transport._gql.connect()
    inner = world.client._transport._gql.client._transport
    world.client._transport._gql.client._transport = Slow(inner, "service-0012", times)
    survey = await world.survey()
    reasons = [reason for each in survey.unread.values() for reason in each]
    assert len(reasons) == lost
    assert all("did not answer (ReadTimeout" in reason for reason in reasons)
    assert sum(metrics.http != {} for metrics in survey.slices[:25]) == 25 - lost / 2


@pytest.mark.parametrize(("kind", "after"), [("429", 3), ("1015", 60)])
async def test_a_rate_limit_stops_the_scan_and_every_later_request(kind: str, after: int) -> None:
    world = World(50, 25)
    world.misbehave(whole=WholeFault(kind=kind, retry_after=3))
    with pytest.raises(errors.RateLimited) as caught:
        await world.survey()
    assert caught.value.retry_after == after
    sent = world.gatekeeper.stats.requests
    with pytest.raises(errors.RateLimited) as again:
        await world.survey()
    assert 0 < (again.value.retry_after or 0) <= after
    assert world.gatekeeper.stats.requests == sent


async def test_the_plans_budget_is_learnt_and_a_reserve_kept() -> None:
    world = World(5, 3)
    world.gatekeeper.behaviour = Behaviour(quota=10)
    for _ in range(8):
        await world.survey()
    assert world.client.limiter.left == 1
    with pytest.raises(errors.RateLimited, match="10 requests in 3600 s"):
        await world.survey()
    assert world.gatekeeper.stats.requests == 9
    assert world.gatekeeper.stats.refused == 0


async def test_a_query_the_api_no_longer_knows_is_dropped_for_all_and_asked_no_more() -> None:
    world = World(50, 25)
    message = 'Cannot query field "httpDurationMetrics" on type "Query".'
    world.misbehave(FieldFault(field="httpDurationMetrics", message=message, named=False))
    survey = await world.survey()
    assert all(metrics.http for metrics in survey.slices[:25])
    assert len(survey.unread) == 25
    assert all("update Railmend" in reason for reasons in survey.unread.values() for reason in reasons)
    before = world.client.requests
    await world.survey()
    assert world.client.requests - before <= 3


async def test_pages_are_followed_to_the_end() -> None:
    world = World(50, 25)
    world.client.surveyor._limits = RateLimits(page=20, per_second=10_000)
    survey = await world.survey()
    assert len(survey.services) == 50
    assert survey.services[30].depends_on == ("service-0000",)
    assert survey.services[30].branch == "main"


@pytest.mark.parametrize(
    ("services", "web", "shape"),
    [
        (0, 0, {}),
        (1, 1, {"undeployed": True}),
        (500, 100, {}),
        (20, 10, {"asleep": True}),
    ],
    ids=["empty", "never deployed", "five hundred", "all asleep"],
)
async def test_projects_of_every_shape(services: int, web: int, shape: dict[str, bool]) -> None:
    survey = await World(services, web, **shape).survey()
    assert len(survey.services) == len(survey.slices) == services
    assert survey.unseen == []
    assert all(service.asleep for service in survey.services) == (bool(shape.get("asleep")) or services == 0)
    if shape.get("undeployed"):
        assert survey.services[0].active_deployment_id is None


@pytest.mark.parametrize(
    ("length", "step", "expected"), [(180 * 60, 60, 360), (55, 1, 2), (3600, 60, 120), (600, 60, 60)]
)
def test_the_coarse_step_gives_about_thirty_points(length: int, step: int, expected: int) -> None:
    window = Window(start=WINDOW.end - timedelta(seconds=length), end=WINDOW.end, step_seconds=step)
    assert coarse(window).step_seconds == expected


async def test_a_service_gone_since_the_last_scan_is_no_trouble() -> None:
    world = World(50, 25)
    survey = await world.survey()
    assert isinstance(survey.services[0], Service)
    smaller = build_synthetic(Synthetic(10, 5), world.gatekeeper)
    world.client._transport._gql.client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=smaller), headers={"Project-Access-Token": TOKEN}
    )
    again = await world.survey()
    assert len(again.slices) == 10
