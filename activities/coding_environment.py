"""What the coding activities share: the repairs' folders and repositories, and the sandbox."""

import os
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.foreign_files import remove_tree
from railmend.coding.git import TrustedRepository
from railmend.coding.quota import Quota
from railmend.coding.sandbox import RepairPaths, Sandbox, SandboxError
from railmend.publishing.github import GitHubClient

# Opens the way to the package registries while the context lasts.
Egress = Callable[[RepairPaths], AbstractAsyncContextManager[None]]


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
        return TrustedRepository(paths.root, url, token, paths.tree)

    def trim(self, key: str) -> None:
        """Remove code, leftovers of checks and sockets; the session is kept for the next turn. Blocking."""
        paths = self.paths(key)
        for folder in filter(Path.is_dir, {paths.root, paths.home.parent}):
            for child in folder.iterdir():
                if child != paths.home:
                    remove_tree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        remove_tree(paths.home / ".cache")

    def keys(self) -> Collection[str]:
        """Return the keys of the repairs that have a folder here. Blocking."""
        shared = self.paths("any").home.parent.parent
        folders = filter(Path.is_dir, {self.state_dir, shared})
        return {child.name for folder in folders for child in folder.iterdir() if child.is_dir()}
