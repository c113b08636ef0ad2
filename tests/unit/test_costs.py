"""The model of what a month costs, against what is counted and what others publish."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from bench.railway import window
from railmend import costs
from railmend.railway.client import RailwayClient
from railyard.api.behaviour import Behaviour, Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic

PAGE = Path(__file__).parents[2] / "docs/costs.md"


@pytest.mark.parametrize("services", [5, 20, 50])
async def test_a_scan_asks_railway_as_often_as_the_model_says(services: int) -> None:
    app = build_synthetic(Synthetic(services, services // 2, 0), Gatekeeper(Behaviour(quota=1_000_000)))
    transport = httpx.ASGITransport(app)
    client = RailwayClient("http://railway/graphql/v2", SecretStr(TOKEN), transport=transport)
    await client.surveyor.survey(PROJECT, ENVIRONMENT, window())
    first = client.requests
    await client.surveyor.survey(PROJECT, ENVIRONMENT, window())
    said = costs.requests_of_scan(services)
    assert client.requests - first <= said <= 2 * (client.requests - first)


@pytest.mark.parametrize(("millions", "usd"), [(1, 50), (11.25, 525), (0, 0)])
def test_actions_cost_what_temporals_own_example_says(millions: float, usd: float) -> None:
    assert costs.price(millions) == usd


def test_incidents_cost_more_than_quiet_and_both_grow_with_the_projects() -> None:
    quiet = [costs.bill(costs.example(number, incidents=False)) for number in (1, 10, 100)]
    busy = [costs.bill(costs.example(number, incidents=True)) for number in (1, 10, 100)]
    assert all(b.actions > q.actions and b.requests > q.requests for b, q in zip(busy, quiet, strict=True))
    assert [each.actions for each in quiet] == sorted(each.actions for each in quiet)
    assert quiet[0].actions == costs.IDLE_SCAN * timedelta(days=30) / timedelta(minutes=10)


@pytest.mark.parametrize("projects", [1, 10, 100, 1000])
def test_the_page_shows_what_the_model_says(projects: int) -> None:
    quiet, busy = (costs.bill(costs.example(projects, incidents=each)) for each in (False, True))
    row = (
        f"| {projects:,} | {quiet.actions:,} | {quiet.actions_usd:,.0f} | {busy.actions:,} "
        f"| {busy.actions_usd:,.0f} | {quiet.requests:,.0f} | {busy.requests:,.0f} |"
    )
    assert row in PAGE.read_text()
