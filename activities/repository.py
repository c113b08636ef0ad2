"""The code that serves, and what changed in it between the last good and the suspected deployment."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.by_reference import by_reference
from activities.errors import Classified
from activities.heartbeat import working
from activities.source import SourceReader
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.incident import CodeRequest, EvidenceSource, Fact, Facts, StoredFacts
from railmend.contracts.scan import Service
from railmend.evidence.change import CommitComparison
from railmend.evidence.code_facts import code_facts
from railmend.evidence.deployments import SuspectedDeployments, suspects
from railmend.evidence.incident_facts import onset, redaction_key
from railmend.evidence.packet import room_for_code
from railmend.evidence.redact import Redactor
from railmend.publishing.github import GitHubClient
from railmend.railway.pool import RailwayPool
from railmend.source.files import language_of

TRACES = (EvidenceSource.DEPLOY_LOGS, EvidenceSource.BUILD_LOGS)


@dataclass
class RepositoryActivities:
    """GitHub's client blocks, so it is called in threads. `secrets`: values that the worker holds."""

    github: GitHubClient
    railway: RailwayPool
    artifacts: ArtifactStore
    secrets: Callable[[], Sequence[str]] = tuple
    code: SourceReader | None = None

    def __post_init__(self) -> None:
        self._code = self.code or SourceReader(self.github)

    @activity.defn
    @by_reference
    async def change_facts(self, request: CodeRequest) -> Facts:
        """Return the code that the other sources name, then commits, files and the hunks that may matter."""
        service = request.service
        if service.repository is None:
            return Facts(
                items=(), unseen=("The service has no repository, so neither code nor changes are seen.",)
            )
        async with working():
            context = (await self.railway.client_for(request.environment_id)).context
            history = await context.history(request.project_id, request.environment_id, service.service_id)
        pair = suspects(history, onset(request))
        found = {stored.source: await self._facts(stored) for stored in request.facts}
        async with working():
            source, comparison, note = await self._change(service.repository, pair)
            files, unseen = await self._files(service, pair)
            redactor = Redactor(self.secrets(), redaction_key(request))
            if comparison is not None:
                comparison = await asyncio.to_thread(redactor.model, comparison)
            items, change = await asyncio.to_thread(
                code_facts,
                request,
                files,
                comparison,
                logs=[item.text for name in TRACES for item in found.get(name, ())],
                requests=[item.text for item in found.get(EvidenceSource.HTTP_LOGS, ())],
                redact=redactor,
                room=room_for_code(item for facts in found.values() for item in facts),
            )
        if text := change or note:
            items = (*items, Fact(kind="change", source=source, text=text))
        if pair is None or pair.bad.record.commit is None:
            unseen = (*unseen, "The suspected deployment names no commit, so no change can be compared.")
        return Facts(items=items, unseen=unseen)

    async def _facts(self, stored: StoredFacts) -> tuple[Fact, ...]:
        """Return what a source found; nothing where it is gone, which the packet says."""
        if stored.facts is None:
            return ()
        try:
            return (await self.artifacts.get_model(stored.facts, Facts)).items
        except ArtifactGone:
            return ()

    async def _files(
        self, service: Service, pair: SuspectedDeployments | None
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the files of the commit at fault if it never served, else of the one that serves."""
        commit = pair.bad.record.commit if pair and pair.failed else None
        try:
            source = await self._code.read(service, commit)
        except Exception as error:
            if not isinstance(error, Classified):
                raise
            return {}, (f"The service's code could not be read: {error}",)
        templates = {path: text for path, text in source.others if language_of(path) is None}
        return {**templates, **dict(source.files)}, ()

    async def _change(
        self, repository: str, pair: SuspectedDeployments | None
    ) -> tuple[str, CommitComparison | None, str]:
        """Return source, comparison, and what to say without one.

        Without an earlier deployment that served, it is what the suspected commit changed.
        """
        bad = pair.bad.record.commit if pair else None
        good = pair.good.record.commit if pair and pair.good else None
        if bad is None:
            return repository, None, ""
        if good == bad:
            return (
                repository,
                None,
                f"The suspected deployment runs the commit of the last good one ({bad[:12]}).",
            )
        if good is None:
            own = await asyncio.to_thread(self.github.own_change, repository, bad)
            return (
                f"{repository}, the suspected commit alone: no earlier deployment is known to be good",
                own,
                "",
            )
        change = await asyncio.to_thread(self.github.compare, repository, good, bad)
        return f"{repository}, last good deployment to the suspected one", change, ""
