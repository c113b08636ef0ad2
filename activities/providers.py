"""Upstream providers: which the service uses, and whether one of them is down."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio import activity

from activities.by_reference import by_reference
from activities.errors import Classified
from activities.heartbeat import working
from activities.source import SourceReader
from railmend.artifacts import ArtifactStore
from railmend.contracts.incident import Facts, IncidentRequest
from railmend.contracts.providers import ProviderFacts
from railmend.providers.detection import RunTime, detect
from railmend.providers.facts import as_facts, collected
from railmend.providers.matching import match
from railmend.providers.registry import load
from railmend.providers.repository import SourceFiles
from railmend.providers.status.reader import StatusReader
from railmend.railway.client import RailwayClient
from railmend.railway.network import NetworkReader, NetworkSeen
from railmend.railway.pool import RailwayPool

MAX_LOG_ROWS = 2000
LATE = timedelta(minutes=5)
# The surest are looked up first; nobody reads the status of more.
MAX_PAGES = 25
# From this attempt on, a part that failed is said to be unseen instead of asked for again.
LAST_TRY = 2
Result = TypeVar("Result")

# The reader of network logs that shares a client's token and limits.
NetworkOf = Callable[[RailwayClient], NetworkReader]


@dataclass
class ProviderActivities:
    """Which providers a service uses, in its code and at run time, and which of them is down."""

    railway: RailwayPool
    network_of: NetworkOf
    code: SourceReader
    status: StatusReader
    artifacts: ArtifactStore

    @activity.defn
    @by_reference
    async def provider_facts(self, request: IncidentRequest) -> Facts:
        """Items of kind `provider_incident` come first, and belong before all other evidence."""
        async with working():
            return as_facts(await self._collect(request))

    async def _collect(self, request: IncidentRequest) -> ProviderFacts:
        unseen: list[str] = []
        source, lines, network = await asyncio.gather(
            self._part("The service's code", self._source(request), unseen),
            self._part("The deploy logs, for failing calls", self._log_lines(request), unseen),
            self._part("DNS queries and network flows", self._peers(request), unseen),
        )
        seen = network or NetworkSeen()
        if source is None and not request.service.repository:
            unseen.append("The service has no repository, so its code was not searched for providers.")
        if source is not None and source.left_out:
            unseen.append(
                f"{source.left_out} files of the code, too large or too many, were not searched for "
                "providers."
            )
        runtime = RunTime(
            log_lines=lines or (),
            resolved=seen.resolved,
            unresolved=seen.unresolved,
            connected=seen.connected,
            dropped=seen.dropped,
        )
        used = await asyncio.to_thread(
            detect, source.files if source else (), runtime=runtime, variables=seen.variables
        )
        by_id = load().by_id()
        asked = [by_id[provider.provider] for provider in used[:MAX_PAGES]]
        view = await self.status.incidents(asked, request.window)
        return collected(used, match(used, view.incidents, asked), [*unseen, *seen.unseen, *view.unseen])

    async def _part(self, what: str, work: Awaitable[Result], unseen: list[str]) -> Result | None:
        """Return one part; None where it failed for good, or again. A transient error is raised once."""
        try:
            return await work
        except Exception as error:
            if not isinstance(error, Classified):
                raise
            if error.retryable and activity.info().attempt < LAST_TRY:
                raise
            unseen.append(f"{what} could not be read: {error}")
            return None

    async def _source(self, request: IncidentRequest) -> SourceFiles | None:
        return await self.code.read(request.service) if request.service.repository else None

    async def _log_lines(self, request: IncidentRequest) -> list[str]:
        deployment = request.service.active_deployment_id
        if deployment is None:
            return []
        window = request.window
        client = await self.railway.client_for(request.environment_id)
        rows = await client.deploy_logs(deployment, window.start, window.end + LATE, limit=MAX_LOG_ROWS)
        return [row.message for row in rows]

    async def _peers(self, request: IncidentRequest) -> NetworkSeen:
        window = request.window
        client = await self.railway.client_for(request.environment_id)
        return await self.network_of(client).seen(
            request.project_id, request.environment_id, request.service.service_id, window.start, window.end
        )
