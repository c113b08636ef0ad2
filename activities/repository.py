"""What changed in the code between the last good and the suspected deployment."""

import asyncio
from collections.abc import Callable, Sequence

from temporalio import activity

from activities.by_reference import by_reference
from activities.heartbeat import working
from railmend.artifacts import ArtifactStore
from railmend.contracts.incident import Fact, Facts, IncidentRequest
from railmend.evidence.change import describe
from railmend.evidence.deployments import suspects
from railmend.evidence.incident_facts import onset, redaction_key
from railmend.evidence.redact import Redactor
from railmend.publishing.github import GitHubClient
from railmend.railway.pool import RailwayPool


class RepositoryActivities:
    """GitHub's client blocks, so it is called in threads. `secrets`: values that the worker holds."""

    def __init__(
        self,
        github: GitHubClient,
        railway: RailwayPool,
        artifacts: ArtifactStore,
        secrets: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._github = github
        self.artifacts = artifacts
        self._railway = railway
        self._secrets = secrets

    @activity.defn
    @by_reference
    async def change_facts(self, request: IncidentRequest) -> Facts:
        """Return commits, files and the hunks that may matter."""
        service = request.service
        if service.repository is None:
            return Facts(items=(), unseen=("The service has no repository, so no change can be compared.",))
        async with working():
            context = (await self._railway.client_for(request.environment_id)).context
            history = await context.history(request.project_id, request.environment_id, service.service_id)
        pair = suspects(history, onset(request))
        if pair is None or pair.bad.record.commit is None:
            return Facts(items=(), unseen=("The suspected deployment names no commit.",))
        good = pair.good.record.commit if pair.good else None
        source, text = await self._change(request, good, pair.bad.record.commit)
        return Facts(items=(Fact(kind="change", source=source, text=text),))

    async def _change(self, request: IncidentRequest, good: str | None, bad: str) -> tuple[str, str]:
        """Source and text. Without an earlier deployment that served: what the suspected commit changed."""
        repository = request.service.repository or ""
        if good == bad:
            return repository, f"The suspected deployment runs the commit of the last good one ({bad[:12]})."
        async with working():
            if good is None:
                change = await asyncio.to_thread(self._github.own_change, repository, bad)
                source = (
                    f"{repository}, the suspected commit alone: no earlier deployment is known to be good"
                )
            else:
                change = await asyncio.to_thread(self._github.compare, repository, good, bad)
                source = f"{repository}, last good deployment to the suspected one"
        redactor = Redactor(self._secrets(), redaction_key(request))
        return source, describe(redactor.model(change), request.service.root_directory)
