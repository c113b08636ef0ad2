"""What changed in the code between the last good and the suspected deployment."""

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.errors import translated
from railmend.contracts.incident import Fact, Facts, IncidentRequest
from railmend.evidence.change import describe
from railmend.evidence.deployments import suspects
from railmend.evidence.redact import Redactor
from railmend.evidence.surroundings import onset, seal
from railmend.publishing.github import GitHubClient
from railmend.railway.context import Context


class RepositoryActivities:
    """GitHub's client blocks, so it is called in threads. `secrets`: values that the worker holds."""

    def __init__(self, github: GitHubClient, context: Context, secrets: Sequence[str] = ()) -> None:
        self._github = github
        self._context = context
        self._secrets = secrets

    @activity.defn
    async def change_facts(self, request: IncidentRequest) -> Facts:
        """Commits, files and the hunks that may matter."""
        service = request.service
        if service.repository is None:
            return Facts(items=(), unseen=("The service has no repository, so no change can be compared.",))
        with translated():
            history = await self._context.history(
                request.project_id, request.environment_id, service.service_id
            )
        found = suspects(history, onset(request))
        if found is None or found.bad.record.commit is None:
            return Facts(items=(), unseen=("The suspected deployment names no commit.",))
        if found.good is None or found.good.record.commit is None:
            return Facts(items=(), unseen=("No earlier deployment served, so no change can be compared.",))
        base, head = found.good.record.commit, found.bad.record.commit
        if base == head:
            text = f"The suspected deployment runs the same commit as the last good one ({head[:12]})."
        else:
            with translated():
                compared = await asyncio.to_thread(self._github.compare, service.repository, base, head)
            text = describe(compared, service.root_directory)
        redactor = Redactor(self._secrets, seal(request))
        source = f"{service.repository}, {base[:12]} to {head[:12]}"
        return Facts(items=(Fact(kind="change", source=source, text=redactor(text)),))
