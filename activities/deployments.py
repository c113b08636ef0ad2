"""Sources about the service's deployments: history, drift of settings, state, and its series as charts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from temporalio import activity

from activities.by_reference import by_reference
from activities.heartbeat import working
from railmend.artifacts import ArtifactStore
from railmend.contracts.incident import REMOVED_UNSEEN, EvidenceSource, Fact, Facts, IncidentRequest
from railmend.evidence.charts import charts, past
from railmend.evidence.deployments import drift_text, history_text, state_text, suspects
from railmend.evidence.incident_facts import onset, redaction_key
from railmend.evidence.redact import Redactor
from railmend.railway.context import Deployed
from railmend.railway.errors import RailwayError
from railmend.railway.pool import RailwayPool

Result = TypeVar("Result")
NOTHING_DEPLOYED = "No deployment of this service is known."


@dataclass
class DeploymentActivities:
    """`secrets`: values that the worker holds; they never pass."""

    railway: RailwayPool
    artifacts: ArtifactStore
    secrets: Callable[[], Sequence[str]] = tuple

    @activity.defn
    @by_reference
    async def chart_facts(self, request: IncidentRequest) -> Facts:
        """CPU, memory, requests by status and latency over the window and over the day before."""
        async with working():
            client = await self.railway.client_for(request.environment_id)
            pairs, unseen = await client.surveyor.fetch_detailed(
                request.environment_id, [request.service], request.window
            )
        items = []
        for pair in pairs:
            for text, source in (
                (charts(pair.slice, onset(request)), "series of the window"),
                (past(pair.history), "series of the day before"),
            ):
                if text:
                    items.append(Fact(kind="chart", source=source, text=text))
        unread = None if items else EvidenceSource.SERIES
        return Facts(items=tuple(items), unseen=tuple(unseen), unread=unread)

    @activity.defn
    @by_reference
    async def deployment_facts(self, request: IncidentRequest) -> Facts:
        history = await self._history(request)
        if not history:
            return Facts(items=(), unseen=(NOTHING_DEPLOYED,))
        redactor = self._redactor(request)
        history = [redactor.model(deployed) for deployed in history]
        text = history_text(history, suspects(history, onset(request)))
        return Facts(items=(self._fact(request, "deployment", "railway deployments, newest first", text),))

    @activity.defn
    @by_reference
    async def drift_facts(self, request: IncidentRequest) -> Facts:
        """Compare settings and names of variables: the last good deployment with the suspected one."""
        pair = suspects(await self._history(request), onset(request))
        if pair is None:
            return Facts(items=(), unseen=(NOTHING_DEPLOYED,))
        ids = (request.project_id, request.environment_id, request.service.service_id)
        unseen = [REMOVED_UNSEEN]
        async with working():
            context = (await self.railway.client_for(request.environment_id)).context
            variables = await _or_none(context.variables(*ids), "Variable names", unseen)
            changes = await _or_none(context.changes(*ids), "The activity feed", unseen)
        redactor = self._redactor(request)
        pair = replace(pair, bad=redactor.model(pair.bad), good=pair.good and redactor.model(pair.good))
        names = [redactor.model(variable) for variable in variables or ()]
        text = drift_text(pair, names, [redactor.model(change) for change in changes or ()], onset(request))
        source = "settings, last good deployment against the suspected one"
        return Facts(items=(self._fact(request, "drift", source, text),), unseen=tuple(unseen))

    @activity.defn
    @by_reference
    async def state_facts(self, request: IncidentRequest) -> Facts:
        """Restarts, crashes and failed steps: of what serves, and of the newest where that is another."""
        service = request.service
        ids = list(dict.fromkeys(filter(None, (service.latest_deployment_id, service.active_deployment_id))))
        items = []
        for deployment_id in ids:
            async with working():
                context = (await self.railway.client_for(request.environment_id)).context
                state = await context.state(deployment_id)
                steps = await context.steps(deployment_id)
            serves = deployment_id == service.active_deployment_id
            source = "deployment that serves" if serves else "newest deployment"
            items.append(self._fact(request, "state", source, state_text(state, steps)))
        return Facts(items=tuple(items), unseen=() if items else (NOTHING_DEPLOYED,))

    async def _history(self, request: IncidentRequest) -> list[Deployed]:
        async with working():
            context = (await self.railway.client_for(request.environment_id)).context
            return await context.history(
                request.project_id, request.environment_id, request.service.service_id
            )

    def _redactor(self, request: IncidentRequest) -> Redactor:
        return Redactor(self.secrets(), redaction_key(request))

    def _fact(self, request: IncidentRequest, kind: str, source: str, text: str) -> Fact:
        return Fact(kind=kind, source=source, text=self._redactor(request)(text))


async def _or_none(query: Awaitable[Result], what: str, unseen: list[str]) -> Result | None:
    """Return the result; None and a sentence in `unseen` where the token may not read it."""
    try:
        return await query
    except RailwayError as error:
        if error.retryable:
            raise
        unseen.append(f"{what}: {error}")
        return None
