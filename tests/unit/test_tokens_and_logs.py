"""Which kind of token it is, and logs page by page."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from railmend.railway.client import LOG_PAGE, RailwayClient
from railmend.railway.errors import ProjectTokenInvalid
from railmend.railway.limits import RateLimits
from railmend.railway.parse import iso
from railmend.railway.pool import TokenReach, detect_token
from railyard.api.behaviour import Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from tests import samples

URL = "http://railway/graphql/v2"


def transport() -> httpx.ASGITransport:
    return httpx.ASGITransport(app=build_synthetic(Synthetic(1, 1), Gatekeeper()))


async def test_a_project_token_is_recognised_and_tells_what_it_reaches() -> None:
    reach = await detect_token(URL, SecretStr(TOKEN), transport=transport())
    assert reach == TokenReach(kind="project", project_id=PROJECT, environment_id=ENVIRONMENT)


async def test_another_token_is_taken_for_a_bearer_unless_told_otherwise() -> None:
    assert (await detect_token(URL, SecretStr("other"), transport=transport())).kind == "bearer"
    assert (await detect_token(URL, SecretStr(TOKEN), "bearer", transport())).kind == "bearer"
    with pytest.raises(ProjectTokenInvalid, match="RAILWAY_TOKEN"):
        await detect_token(URL, SecretStr("other"), "project", transport())


class LogServer:
    """Rows one second apart, several with the same time stamp at each page's border."""

    def __init__(self, count: int) -> None:
        start = samples.WINDOW.start
        self.rows = [
            {"timestamp": iso(start + timedelta(seconds=n // 3)), "message": f"line {n}", "severity": "info"}
            for n in range(count)
        ]
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        variables = json.loads(request.content)["variables"]
        # Bounds are inclusive, and one row more than asked is answered, as by the real one.
        rows = [row for row in self.rows if row["timestamp"] <= variables["end"]]
        return httpx.Response(200, json={"data": {"deploymentLogs": rows[-variables["limit"] - 1 :]}})


def client(handler: Callable[[httpx.Request], httpx.Response]) -> RailwayClient:
    limits = RateLimits(per_second=10_000)
    return RailwayClient(URL, SecretStr("t"), transport=httpx.MockTransport(handler), limits=limits)


async def test_a_stream_of_pages_holds_each_row_once() -> None:
    server = LogServer(3 * LOG_PAGE + 17)
    seen: list[Any] = []
    window = samples.WINDOW
    async for page in client(server).stream_deploy_logs("d", window.start, window.end):
        assert len(page) <= LOG_PAGE
        seen = [*page, *seen]
    assert [row.message for row in seen] == [row["message"] for row in server.rows]
    assert server.requests <= 5


async def test_a_stream_stops_at_its_bound() -> None:
    server = LogServer(10 * LOG_PAGE)
    window = samples.WINDOW
    pages = [
        page async for page in client(server).stream_deploy_logs("d", window.start, window.end, most=2500)
    ]
    assert 2500 <= sum(len(page) for page in pages) < 2500 + LOG_PAGE


async def test_a_page_of_equal_time_stamps_ends_the_stream_instead_of_looping() -> None:
    server = LogServer(2 * LOG_PAGE)
    for row in server.rows:
        row["timestamp"] = iso(samples.WINDOW.start)
    window = samples.WINDOW
    pages = [page async for page in client(server).stream_deploy_logs("d", window.start, window.end)]
    assert len(pages) == 1
