"""A synthetic Railway project of any size, and scans of it as the worker makes them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from activities.railway import RailwayActivities
from railmend.contracts.scan import (
    Assessment,
    CandidatesRequest,
    FindingKind,
    ScanRequest,
    Screening,
    ScreenRequest,
    Window,
)
from railmend.railway.limits import RateLimits
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railyard.api.behaviour import Gatekeeper
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic, build_synthetic
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
        self.gatekeeper = Gatekeeper()
        self.project = Synthetic(services, web, troubled, **more)
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


def states_of(*states: str) -> dict[str, Any]:
    active = deployment("SUCCESS", 30, instances=[{"id": str(n), "status": s} for n, s in enumerate(states)])
    return instance(latestDeployment=active, activeDeployments=[active])


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


def incident(message: str, minutes_ago: float, status: str = "IDENTIFIED") -> dict[str, Any]:
    at = (END - timedelta(minutes=minutes_ago)).isoformat()
    return {"id": "i", "message": message, "status": status, "url": "https://s", "createdAt": at}
