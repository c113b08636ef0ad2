"""Two orchestration workers with tokens of one account, under load."""

import asyncio
from contextlib import suppress

import httpx
from pydantic import SecretStr

from railmend.railway.errors import RateLimited
from railmend.railway.limits import RateLimits
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railyard.api.behaviour import Behaviour, Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
from tests import samples

QUOTA, PER_SECOND = 40, 10


async def test_two_workers_that_share_an_account_stay_below_its_rate_and_its_budget_together() -> None:
    gatekeeper = Gatekeeper(Behaviour(quota=QUOTA, per_second=PER_SECOND))
    app = build_synthetic(Synthetic(20, 10, 5), gatekeeper)
    environment = WatchedEnvironment(
        name="shop", project_id=PROJECT, environment_id=ENVIRONMENT, token=SecretStr(TOKEN)
    )
    limits = RateLimits(sharers=2)

    async def work() -> int:
        pool = RailwayPool(
            "http://railway.invalid/graphql/v2", lambda: [environment], limits, httpx.ASGITransport(app)
        )
        client = await pool.client_for(ENVIRONMENT)

        async def scans() -> None:
            with suppress(RateLimited):
                while True:
                    survey = await client.surveyor.survey(PROJECT, ENVIRONMENT, samples.WINDOW)
                    assert len(survey.services) == 20

        await asyncio.gather(*(scans() for _ in range(5)))
        return client.requests

    shares = await asyncio.gather(work(), work())
    assert gatekeeper.stats.refused == 0
    assert sum(shares) <= QUOTA
    assert min(shares) > 10, "each of them worked"
