"""What the coding activities share: the repairs' folders and repositories, and the sandbox."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.git.repository import TrustedRepository
from railmend.coding.sandbox import foreign_files
from railmend.coding.sandbox.interface import RepairPaths, Sandbox, SandboxError
from railmend.coding.sandbox.quota import Quota
from railmend.coding.session.opencode import keep_sessions
from railmend.coding.session.server import stop_leftover
from railmend.publishing.github import GitHubClient

# Opens the way to the package registries while the context lasts.
Egress = Callable[[RepairPaths], AbstractAsyncContextManager[None]]
# Ends the name of the folder of a repair's clean checkout; no key has a dot.
CHECKOUT = ".checkout"


@dataclass(frozen=True)
class CodingEnvironment:
    """Folders, repositories and sandbox of the repairs. `state_dir` holds one folder per repair."""

    github: GitHubClient
    state_dir: Path
    sandbox: Sandbox
    quota: Quota

    def paths(self, key: str) -> RepairPaths:
        return self.sandbox.paths(self.state_dir / key)

    def repository(self, key: str, full_name: str) -> TrustedRepository:
        """Return the repository of the repair `key`. Blocking: GitHub is asked for its address.

        Raise `SandboxError` while the work tree still belongs to the agent.
        """
        paths = self.paths(key)
        if paths.tree.is_dir() and not os.access(paths.tree, os.R_OK | os.W_OK | os.X_OK):
            raise SandboxError(
                f"{paths.tree} was not handed back yet: does the sandbox daemon run?", retryable=True
            )
        url, token = self.github.clone_url(full_name), self.github.git_token(full_name)
        return TrustedRepository(paths.root, url, token, paths.tree, self.github.signer(full_name))

    def settle(self, key: str) -> None:
        """End whatever runs of the repair, so that what it wrote can be read. Blocking."""
        stop_leftover(self.paths(key), self.sandbox)

    @asynccontextmanager
    async def clean_checkout(
        self, key: str, repository: TrustedRepository, tree: str
    ) -> AsyncIterator[RepairPaths]:
        """Yield folders with the files of `tree` and empty homes, where nothing has run and no agent looks.

        They have a user of their own in the sandbox, and are removed afterwards.
        """
        name = key + CHECKOUT
        paths = self.paths(name)
        await asyncio.to_thread(self._discard, name)
        try:
            await asyncio.to_thread(paths.create)
            await asyncio.to_thread(repository.export, tree, paths.tree)
            await asyncio.to_thread(self.sandbox.hand_over, paths)
            yield paths
        finally:
            await asyncio.to_thread(self._discard, name)

    def trim(self, key: str) -> None:
        """Remove code, leftovers of checks and sockets; the session is kept for the next turn. Blocking."""
        self.settle(key)
        self._discard(key + CHECKOUT)
        paths = self.paths(key)
        for folder in {paths.root, paths.outer}:
            for name in foreign_files.names(folder):
                if folder / name != paths.home:
                    foreign_files.remove(folder, name)
        keep_sessions(paths.home)

    def remove(self, key: str) -> None:
        """Remove all folders of the repair. Blocking."""
        self._discard(key + CHECKOUT)
        self._discard(key)

    def keys(self) -> Collection[str]:
        """Return the keys of the repairs that have a folder here. Blocking."""
        return {folder.name.removesuffix(CHECKOUT) for folder in self._all_folders()}

    def changed_at(self, key: str) -> float:
        """Return when something of the repair began or ended here, in seconds of the epoch. Blocking."""
        own = (each for each in self._all_folders() if each.name.removesuffix(CHECKOUT) == key)
        return max((each.stat(follow_symlinks=False).st_mtime for each in own), default=0.0)

    def _all_folders(self) -> list[Path]:
        parents = {self.state_dir, self.paths("any").outer.parent}
        found = (parent / name for parent in parents for name in foreign_files.names(parent))
        return [folder for folder in found if folder.is_dir()]

    def _discard(self, name: str) -> None:
        paths = self.paths(name)
        if paths.root.is_dir():
            self.settle(name)
        paths.remove()
