"""What Railmend costs a month: one model, of what tests count and `bench.scale` measures. Pure.

Temporal's actions are those of its server's own metric. Prices are list prices; what a month is: 30 days.
"""

import math
from dataclasses import dataclass, replace
from datetime import timedelta

MONTH = timedelta(days=30)
# Billable actions, held by tests/workflows/test_counted.py. A scan: its schedule's, its start and its look;
# where troubles are known, also its attributes, and a claim with the ledger's update.
IDLE_SCAN, KNOWN_SCAN = 3, 6
# From the claim to the verdict, with a model's answer; from there to the measurement, without what is waited.
INVESTIGATION, REPAIR = 36, 50
# A session beats every 20 seconds, here for 20 minutes; a pull request waits for three days.
SESSION, REVIEW = 65, 1_000
# Requests to Railway: of a scan by its services (a share, rounded up), and of one investigation at most.
REQUESTS_A_SERVICE, REQUESTS_AN_INVESTIGATION = 0.056, 17
# Temporal Cloud's list price of actions in USD a million, up to so many millions a month
# (docs.temporal.io/cloud/pricing, Business; beyond the last one it is negotiated).
TIERS = ((5, 50.0), (10, 45.0), (20, 40.0), (50, 35.0), (100, 30.0), (math.inf, 25.0))


@dataclass(frozen=True)
class Load:
    """What is watched and what happens, a month. `known`: the share of scans that find a trouble still there.

    `services`: of one project. `diagnoses`, `sessions`, `usd`: of all projects together.
    """

    projects: int
    services: int
    every: timedelta
    known: float = 0.0
    diagnoses: float = 0
    sessions: float = 0
    usd: float = 0.0


@dataclass(frozen=True)
class Bill:
    """A month's. `requests`: to Railway in an hour, on average. `idle`: the actions of quiet scans."""

    scans: int
    actions: int
    idle: int
    actions_usd: float
    requests: float
    models_usd: float


def bill(load: Load) -> Bill:
    scans = load.projects * (MONTH / load.every)
    idle = scans * IDLE_SCAN
    work = scans * load.known * (KNOWN_SCAN - IDLE_SCAN)
    work += load.diagnoses * INVESTIGATION + load.sessions * (REPAIR + SESSION + REVIEW)
    requests = scans * requests_of_scan(load.services) + load.diagnoses * REQUESTS_AN_INVESTIGATION
    return Bill(
        scans=round(scans),
        actions=round(idle + work),
        idle=round(idle),
        actions_usd=price((idle + work) / 1e6),
        requests=requests / (MONTH / timedelta(hours=1)),
        models_usd=load.usd,
    )


def example(projects: int, *, incidents: bool) -> Load:
    """Return the load of docs/costs.md: 20 services a project, scanned every ten minutes.

    With incidents: a fault a week that needs a model, every other one repaired, and something that is known
    to be wrong for a third of the time.
    """
    load = Load(projects=projects, services=20, every=timedelta(minutes=10))
    if not incidents:
        return load
    return replace(load, known=1 / 3, diagnoses=4 * projects, sessions=2 * projects, usd=5.0 * projects)


def requests_of_scan(services: int) -> int:
    return max(math.ceil(services * REQUESTS_A_SERVICE), 1)


def price(millions: float) -> float:
    """Return the list price in USD of so many million actions in a month."""
    usd = before = 0.0
    for most, each in TIERS:
        usd += max(min(millions, most) - before, 0) * each
        before = most
    return usd
