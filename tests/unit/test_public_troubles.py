"""Troubles and calm days that people told in public, each as a service of one mixed project."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from railmend.contracts.scan import FindingKind as Kind
from tests.unit.railway_yard import END, Yard, deployment, incident, instance, run, states_of

Curve = Callable[[float], float | None]
# How many services have a domain; the others do not.
WEB = 20


def ago(ts: float) -> float:
    return (END.timestamp() - ts) / 60


def since(minutes: float, then: float | None, before: float | None = 0.0) -> Curve:
    """Return a curve that changes at a time, in minutes before the window's end."""
    return lambda ts: then if ago(ts) <= minutes else before


def saw(top: float, minutes: float, until: float = 0) -> Curve:
    """Return memory that grows up to a limit, is killed and begins anew; nothing after `until`."""
    return lambda ts: None if ago(ts) <= until else 0.2 + (top - 0.2) * (-ago(ts) % minutes) / minutes


def deployed(newest: dict[str, Any], *active: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return instance(latestDeployment=newest, activeDeployments=list(active), **fields)


def stopped(minutes: float, **fields: Any) -> dict[str, Any]:
    crashed = deployment("CRASHED", minutes, instances=[{"id": "i", "status": "CRASHED"}])
    return deployed(crashed, crashed, **fields)


def cron(schedule: str, newest: dict[str, Any], active: dict[str, Any]) -> dict[str, Any]:
    return deployed(newest, active, cronSchedule=schedule)


SERVING = deployment("SUCCESS", 3000)
REDIS = {"source": {"repo": None, "image": "ghcr.io/railwayapp-templates/redis:8"}}
POSTGRES = {"source": {"repo": None, "image": "ghcr.io/railwayapp-templates/postgres-ssl:17"}}


class Told:
    """One report: what Railway's API shows of it, and what a scan has to find, None for nothing."""

    def __init__(self, finds: Kind | None, web: bool = False, state: str = "healthy", **shows: Any) -> None:
        self.finds, self.web, self.state = finds, web, state if finds is None else "affected"
        self.instance: dict[str, Any] = shows.pop("instance", {})
        self.runs: list[dict[str, Any]] | None = shows.pop("runs", None)
        self.failed: list[dict[str, Any]] = shows.pop("failed", [])
        self.volume: tuple[int, int] | None = shows.pop("volume", None)
        self.dead: float | None = shows.pop("dead", None)
        self.curves: dict[str, Curve] = shows


REPORTS = {
    # A planned restart ends with code 0, ON_FAILURE leaves it down: 502 for hours.
    "mobius-os/mobius 1195": Told(
        Kind.OUTAGE,
        web=True,
        instance=states_of("EXITED"),
        dead=240,
        failing=since(240, 1.0),
    ),
    # It runs for 30 s, crashes and is restarted, while the deployment is called active.
    "monitoristic.com, crash loop": Told(
        Kind.CRASH_LOOP, web=True, instance=states_of("RESTARTING"), failing=since(120, 0.6)
    ),
    # A migration locks a table; the process runs, each request waits.
    "monitoristic.com, locked table": Told(Kind.LATENCY, web=True, latency=since(20, 30_000, 200)),
    "CopilotKit/CopilotKit 3950": Told(
        Kind.CRASH_LOOP, web=True, instance=stopped(50), dead=50, failing=since(50, 1.0)
    ),
    # Refused before a container begins, each time, and nothing was up before.
    "Steward-Fi/steward 147": Told(
        Kind.DEPLOYMENT_FAILED, instance=deployed(deployment("FAILED", 30)), dead=100_000
    ),
    # The health check never succeeds; the version before goes on serving.
    "verygoodplugins/mcp-automem 96": Told(
        Kind.DEPLOYMENT_FAILED, web=True, instance=deployed(deployment("FAILED", 25), SERVING)
    ),
    # Stopped right after the health check passed, and the next deployment failed.
    "IgorGanapolsky/ThumbGate 2260": Told(
        Kind.OUTAGE,
        web=True,
        instance=deployed(
            deployment("FAILED", 8),
            deployment("CRASHED", 15, instances=[{"id": "i", "status": "CRASHED"}]),
        ),
        failing=since(15, 1.0),
    ),
    # The private network is gone: each request that needs the database fails.
    "boardsesh/boardsesh 4850": Told(Kind.OUTAGE, web=True, failing=since(26, 1.0)),
    # The bot runs, the edge does not reach it, and few ask.
    "status.bobthebot.net 827751": Told(
        Kind.OUTAGE, web=True, failing=since(27, 1.0), requests=lambda _: 2.0
    ),
    # Out of memory five times, then it is not restarted any more.
    "OpenBeta/open-tacos 1354": Told(Kind.CRASH_LOOP, instance=stopped(30), memory=saw(8.0, 20, 30)),
    "colophon-group/jobseek 6117": Told(
        Kind.DISK_FILLING,
        instance={**states_of("RESTARTING"), **POSTGRES},
        volume=(39_993, 40_000),
        disk=lambda _: 39.993,
    ),
    "atlas.devarno.cloud, volume at 97 %": Told(Kind.DISK_FILLING, volume=(4850, 5000), disk=lambda _: 4.85),
    # The scheduler takes each tick and starts nothing: one run in five days.
    "koala73/worldmonitor 6691": Told(
        Kind.CRON_FAILED,
        instance=cron("0 3 * * *", SERVING, SERVING),
        runs=[run("EXITED", 5 * 1440 + 300 + 1440 * day, 6) for day in range(4)],
    ),
    # The fix was skipped, the image before it crashes every five minutes for nine hours.
    "koala73/worldmonitor 6141": Told(
        Kind.CRON_FAILED,
        instance=cron("*/5 * * * *", deployment("SKIPPED", 540), SERVING),
        runs=[run("CRASHED", 2 + 5 * tick, 0.2) for tick in range(10)],
    ),
    # As before, and each run's end becomes the deployment's own state.
    "koala73/worldmonitor 6483": Told(
        Kind.CRON_FAILED,
        instance=cron("0 * * * *", deployment("SKIPPED", 40), deployment("CRASHED", 20)),
        runs=[run("CRASHED", 20 + 60 * tick, 1) for tick in range(10)],
    ),
    # It leaves a connection open, never ends, and is not started again.
    "railwayapp/docs 330": Told(
        Kind.CRON_FAILED,
        instance=cron("0 * * * *", SERVING, SERVING),
        runs=[run("RUNNING", 305, None), *(run("EXITED", 365 + 60 * tick) for tick in range(5))],
    ),
    # The cache is called active, and nothing of it answers.
    "medusajs/medusa 10494": Told(Kind.OUTAGE, instance=deployed(SERVING, SERVING, **REDIS), dead=170),
    # The queue stands still: it has been initializing for hours.
    "blog.railway.com, 20 November 2025": Told(
        Kind.DEPLOYMENT_FAILED, web=True, instance=deployed(deployment("INITIALIZING", 200), SERVING)
    ),
    # Calm: it sleeps, and the first request after a while is answered with 404.
    "wisechef, it only sleeps": Told(
        None,
        web=True,
        state="asleep",
        instance=deployed(deployment("SLEEPING", 400), deployment("SLEEPING", 400), sleepApplication=True),
        requests=lambda ts: 0.1 if ago(ts) % 60 < 2 else 0.0,
        refused=lambda _: 0.5,
        dead=400,
    ),
    "koala73/worldmonitor 6142": Told(
        None, web=True, instance=deployed(deployment("SKIPPED", 1140), SERVING)
    ),
    "RoboFinSystems/robosystems 968": Told(
        None, web=True, instance=deployed(deployment("DEPLOYING", 10), SERVING)
    ),
    # Two versions overlap, and some requests are lost at the change.
    "ThumbGate 2260, overlap": Told(
        None,
        web=True,
        instance=deployed(deployment("SUCCESS", 30), deployment("SUCCESS", 30), SERVING),
        memory=lambda ts: 0.6 if 30 < ago(ts) <= 32 else 0.3,
        failing=lambda ts: 0.05 if 30 < ago(ts) <= 31 else 0.0,
    ),
    # One tick is left out while it is being built.
    "railwayapp/docs 316": Told(
        None,
        instance=cron("0 * * * *", deployment("SUCCESS", 70), deployment("SUCCESS", 70)),
        runs=[run("EXITED", 20), *(run("EXITED", 140 + 60 * tick) for tick in range(5))],
    ),
    "worldmonitor 6691, a day that ran": Told(
        None,
        instance=cron("0 3 * * *", SERVING, SERVING),
        runs=[run("EXITED", 840 + 1440 * day, 5.8) for day in range(5)],
    ),
    "docs.railway.com, a new volume": Told(None, volume=(150, 5000), disk=lambda _: 0.15),
    "docs.railway.com, memory falls at a deployment": Told(
        None,
        instance=deployed(deployment("SUCCESS", 40), deployment("SUCCESS", 40)),
        memory=since(40, 0.3, 1.2),
    ),
    "worldmonitor 6141, a run that was removed": Told(
        None,
        instance=cron("*/5 * * * *", SERVING, SERVING),
        runs=[run("REMOVED" if tick == 3 else "EXITED", 3 + 5 * tick, 0.5) for tick in range(10)],
    ),
    "blog.railway.com, builds wait and what runs goes on": Told(
        None, web=True, instance=deployed(deployment("QUEUED", 30), SERVING)
    ),
}


def mixed(services: int) -> tuple[Yard, dict[str, str]]:
    """Return a project in which each report is one service, and the services' ids by report."""
    free = {True: iter(range(WEB)), False: iter(range(WEB, services))}
    ids = {name: f"service-{next(free[report.web]):04d}" for name, report in REPORTS.items()}
    by_id = {ids[name]: report for name, report in REPORTS.items()}
    volumes = [
        {
            "id": f"volume-{key}",
            "serviceId": key,
            "currentSizeMB": report.volume[0],
            "sizeMB": report.volume[1],
        }
        for key, report in by_id.items()
        if report.volume
    ]
    runs = {key: report.runs for key, report in by_id.items() if report.runs is not None}
    dead = {key: report.dead for key, report in by_id.items() if report.dead is not None}
    dead |= dict.fromkeys(runs, 100_000.0)
    return Yard(
        services,
        WEB,
        instances={key: report.instance for key, report in by_id.items()},
        failed=[{**row, "serviceId": key} for key, report in by_id.items() for row in report.failed],
        runs=runs,
        dead={key: END - timedelta(minutes=minutes) for key, minutes in dead.items()},
        volumes=volumes,
        curves={(key, name): curve for key, report in by_id.items() for name, curve in report.curves.items()},
        incident=incident("Deploys and configuration changes are delayed", 60),
    ), ids


@pytest.mark.parametrize("services", [45, 90])
async def test_what_people_told_in_public_is_found_and_calm_days_raise_nothing(services: int) -> None:
    yard, ids = mixed(services)
    told = await yard.scan()
    states = told.states()
    wrong = {
        name: (states[ids[name]], told.kinds(ids[name]), told.unknown.get(ids[name]))
        for name, report in REPORTS.items()
        if states[ids[name]] != report.state
        or (report.finds is not None and report.finds not in told.kinds(ids[name]))
    }
    assert wrong == {}
    assert set(states) - set(ids.values()) <= told.healthy
