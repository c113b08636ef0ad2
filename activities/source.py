"""The files of a commit, fetched once for all that an investigation wants to know of them."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from railmend.contracts.scan import Service
from railmend.providers.repository import CommitReader, SourceFiles
from railmend.publishing.github import GitHubClient

# An investigation asks again within minutes; a branch without a commit may have moved after that.
KEPT_SECONDS = 600
# Commits that are held, of at most 16 MB of text each.
MAX_KEPT = 4


class SourceReader:
    """Reads commits of services; who asks for one that is being read, or was a moment ago, gets the same.

    `folder`: where commits are fetched to for a moment; None: where the system keeps temporary files.
    """

    def __init__(
        self, github: GitHubClient, folder: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._github = github
        self._folder = folder
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, asyncio.Task[SourceFiles]]] = {}

    async def read(self, service: Service, commit: str | None = None) -> SourceFiles:
        """Return the files of a commit, of the one that serves by default; nothing of them stays on disk.

        Raise `GitError` or `GitHubError`: a failure is not kept.
        """
        wanted = commit or service.commit
        key = (service.repository or "", service.branch or "", wanted or "", service.root_directory)
        now = self._clock()
        self._kept = {each: kept for each, kept in self._kept.items() if _holds(kept, now)}
        if key not in self._kept:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = now, asyncio.create_task(asyncio.to_thread(self._fetch, service, wanted))
        return await asyncio.shield(self._kept[key][1])

    def _fetch(self, service: Service, commit: str | None) -> SourceFiles:
        full_name = service.repository or ""
        url, token = self._github.clone_url(full_name), self._github.git_token(full_name)
        place = Path(tempfile.mkdtemp(prefix="railmend-code-", dir=self._folder))
        try:
            return CommitReader(place, url, token).read(service.branch, commit, service.root_directory)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _holds(kept: tuple[float, asyncio.Task[SourceFiles]], now: float) -> bool:
    since, task = kept
    failed = task.done() and (task.cancelled() or task.exception() is not None)
    return now - since < KEPT_SECONDS and not failed
