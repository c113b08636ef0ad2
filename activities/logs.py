"""Log sources: each redacts rows as they are read, condenses them, and hands on bounded text."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.by_reference import by_reference
from activities.heartbeat import working
from railmend.artifacts import ArtifactStore
from railmend.coding.proof.replay import SAFE_METHODS, sample
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import Fact, Facts, Incident, IncidentRequest
from railmend.contracts.proof import RequestSample, SampledRequest
from railmend.evidence.condense import Condensed, Condenser, condensed_fact
from railmend.evidence.http import SLOW_MS, HttpCondenser
from railmend.evidence.incident_facts import hints, onset, redaction_key
from railmend.evidence.redact import Redactor
from railmend.railway.model import HttpLogLine
from railmend.railway.pool import RailwayPool

# Rows read per source, a request for every thousand; more is cut, and then asked for by level or status.
MAX_ROWS = 6_000
MAX_HTTP_ROWS = 4_000
# For a sample, of each of failed, slow and all requests.
MAX_SAMPLED_ROWS = 1_000
MAX_AT_ONCE = 5_000  # the most that Railway answers in one request
# A log line may be written a moment after the last sample of the window.
AFTER = timedelta(minutes=5)
# How far back the newest build may lie: what every plan keeps.
BUILD_AGE = timedelta(days=7)
DEPLOY_TOKENS, ERROR_TOKENS, BUILD_TOKENS, HTTP_TOKENS = 1800, 900, 1200, 900
FAILED = ("FAILED", "CRASHED")


@dataclass
class LogActivities:
    """`secrets`: values that the worker holds; they never pass, whatever they look like.

    `sampled`: methods of the requests that a proof repeats.
    """

    railway: RailwayPool
    artifacts: ArtifactStore
    secrets: Callable[[], Sequence[str]] = tuple
    sampled: Callable[[], Collection[str]] = lambda: SAFE_METHODS

    def _redactor(self, incident: Incident) -> Redactor:
        return Redactor(self.secrets(), redaction_key(incident))

    @activity.defn
    @by_reference
    async def deploy_log_facts(self, request: IncidentRequest) -> Facts:
        """Return logs of the deployment that serves, and of the newest where that one failed."""
        service = request.service
        wanted = [service.active_deployment_id]
        if service.latest_status in FAILED:
            wanted.append(service.latest_deployment_id)
        ids = list(dict.fromkeys(filter(None, wanted)))
        if not ids:
            return Facts(items=(), unseen=("No deployment is active, so there are no deploy logs.",))
        items: list[Fact] = []
        unseen: list[str] = []
        for deployment_id in ids:
            serves = deployment_id == service.active_deployment_id
            facts = await self._deploy_log(request, deployment_id, serves=serves)
            items += facts.items
            unseen += facts.unseen
        return Facts(items=tuple(items), unseen=tuple(unseen))

    async def _deploy_log(self, request: IncidentRequest, deployment_id: str, *, serves: bool) -> Facts:
        which = "of the deployment that serves" if serves else "of the newest deployment, which failed"
        condenser, redactor = Condenser(onset=onset(request), hints=hints(request)), self._redactor(request)
        window = request.window
        async with working():
            client = await self.railway.client_for(request.environment_id)
            pages = client.stream_deploy_logs(deployment_id, window.start, window.end + AFTER, most=MAX_ROWS)
            async for rows in pages:
                condenser.read_older(await asyncio.to_thread(redactor.rows, rows))
        condensed = condenser.result(DEPLOY_TOKENS)
        if not condensed.rows:
            return Facts(items=(), unseen=(f"The deploy logs {which} are empty in the window.",))
        items = [self._fact(request, "deploy_log", f"deploy logs {which}, condensed", condensed)]
        if condensed.rows < MAX_ROWS:
            return Facts(items=tuple(items))
        if serves:
            items.append(await self._errors(request))
        return Facts(items=tuple(items), unseen=(_cut(f"deploy logs {which}", condensed.rows),))

    async def _errors(self, request: IncidentRequest) -> Fact:
        """Where a service says too much to read it all: what it wrote as errors over the whole window."""
        window = request.window
        condenser = Condenser(onset=onset(request))
        async with working():
            client = await self.railway.client_for(request.environment_id)
            rows = await client.environment_logs(
                request.environment_id,
                window.start,
                window.end,
                f"@service:{request.service.service_id} AND @level:error",
                MAX_AT_ONCE,
            )
        condenser.read(await asyncio.to_thread(self._redactor(request).rows, rows))
        source = "deploy logs of level error over the window, condensed"
        return self._fact(request, "deploy_log", source, condenser.result(ERROR_TOKENS))

    @activity.defn
    @by_reference
    async def build_log_facts(self, request: IncidentRequest) -> Facts:
        """Only of a newest deployment that failed: the build of what serves went well."""
        service = request.service
        if service.latest_deployment_id is None or service.latest_status not in FAILED:
            return Facts(items=())
        end = request.window.end + AFTER
        async with working():
            client = await self.railway.client_for(request.environment_id)
            rows = await client.build_logs(
                service.latest_deployment_id, end - BUILD_AGE, end, limit=MAX_AT_ONCE
            )
        if not rows:
            return Facts(items=(), unseen=("The build logs of the newest deployment are empty.",))
        condenser = Condenser(build=True)
        condenser.read(await asyncio.to_thread(self._redactor(request).rows, rows))
        condensed = condenser.result(BUILD_TOKENS)
        unseen = (_cut("build logs", len(rows)),) if len(rows) >= MAX_AT_ONCE else ()
        return Facts(
            items=(
                self._fact(request, "build_log", "build logs of the newest deployment, condensed", condensed),
            ),
            unseen=unseen,
        )

    @activity.defn
    @by_reference
    async def http_log_facts(self, request: IncidentRequest) -> Facts:
        """All requests for shares and traffic; errors and slow ones apart where all are too many to read."""
        deployment_id = request.service.active_deployment_id
        if deployment_id is None:
            return Facts(items=(), unseen=("No deployment is active, so there are no HTTP logs.",))
        async with working():
            everything = await self._http(request, deployment_id, "")
        if not everything.rows:
            return Facts(items=(), unseen=("No HTTP log in the window: private or without traffic.",))
        items = [self._fact(request, "http_log", "HTTP logs, condensed", everything)]
        if everything.rows < MAX_HTTP_ROWS:
            return Facts(items=tuple(items))
        slow = _slow_from(request)
        for filter_, source in (
            ("@httpStatus:>=500", "HTTP logs of failed requests, condensed"),
            (f"@totalDuration:>={slow:.0f}", f"HTTP logs of requests over {slow:.0f} ms, condensed"),
        ):
            async with working():
                condensed = await self._http(request, deployment_id, filter_)
            if condensed.rows:
                items.append(self._fact(request, "http_log", source, condensed))
        return Facts(items=tuple(items), unseen=(_cut("requests", everything.rows),))

    @activity.defn
    async def sample_requests(self, request: Incident) -> ArtifactReference:
        """Keep some requests that failed, were slow or healthy, without headers, bodies and ids."""
        deployment, slow = request.service.active_deployment_id, _slow_from(request)
        chosen: tuple[SampledRequest, ...] = ()
        async with working():
            if deployment is not None:
                client, window = await self.railway.client_for(request.environment_id), request.window
                redactor, rows = self._redactor(request), list[HttpLogLine]()
                for filter_ in ("@httpStatus:>=500", f"@totalDuration:>={slow:.0f}", ""):
                    pages = client.stream_http_logs(
                        deployment, window.start, window.end, filter_, most=MAX_SAMPLED_ROWS
                    )
                    async for page in pages:
                        rows += await asyncio.to_thread(redactor.rows, page)
                chosen = sample(rows, slow, self.sampled())
            unseen = "" if chosen else "There is no HTTP log of requests that may be repeated in the window."
            return await self.artifacts.put_model(RequestSample(requests=chosen, unseen=unseen))

    async def _http(self, request: IncidentRequest, deployment_id: str, filter_: str) -> Condensed:
        window = request.window
        condenser, redactor = HttpCondenser(onset=onset(request)), self._redactor(request)
        client = await self.railway.client_for(request.environment_id)
        pages: AsyncIterator[list[HttpLogLine]] = client.stream_http_logs(
            deployment_id, window.start, window.end, filter_, most=MAX_HTTP_ROWS
        )
        async for rows in pages:
            condenser.read(redactor.rows(rows))
        return condenser.result(HTTP_TOKENS)

    def _fact(self, request: IncidentRequest, kind: str, source: str, condensed: Condensed) -> Fact:
        return condensed_fact(kind, source, condensed, self._redactor(request))


def _cut(what: str, rows: int) -> str:
    return f"Of the {what} only the newest {rows} rows were read."


def _slow_from(request: Incident) -> float:
    """Return the threshold of a latency finding in milliseconds, else what is slow for anyone."""
    thresholds = [finding.threshold for finding in request.findings if finding.unit.startswith("ms")]
    return min([*thresholds, SLOW_MS])
