"""What the coding activities share: where a repair's folder lies, its repository, the sandbox around it."""

import os
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.git import TrustedRepository
from railmend.coding.quota import Quota, remove_tree
from railmend.coding.sandbox import RepairPaths, Sandbox, SandboxError
from railmend.publishing.github import GitHubClient

# Opens the way to the package registries for one repair.
Egress = Callable[[RepairPaths], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class CodingEnvironment:
    """`state_dir` holds one folder per repair."""

    github: GitHubClient
    state_dir: Path
    sandbox: Sandbox
    quota: Quota

    def paths(self, key: str) -> RepairPaths:
        return self.sandbox.paths(self.state_dir / key)

    def repository(self, key: str, full_name: str) -> TrustedRepository:
        """Blocking: GitHub is asked for the address. `SandboxError`: the agent still has the work tree."""
        paths = self.paths(key)
        if paths.tree.is_dir() and not os.access(paths.tree, os.R_OK | os.W_OK | os.X_OK):
            raise SandboxError(f"{paths.tree} was not given back yet: is its launcher up?", retryable=True)
        url, token = self.github.clone_url(full_name), self.github.git_token(full_name)
        return TrustedRepository(paths.root, url, token, paths.tree)

    def rest(self, key: str) -> None:
        """Between two turns only the session is kept: no code, no checks' leftovers, no sockets. Blocking."""
        paths = self.paths(key)
        for folder in filter(Path.is_dir, {paths.root, paths.home.parent}):
            for child in folder.iterdir():
                if child != paths.home:
                    remove_tree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        remove_tree(paths.home / ".cache")

    def keys(self) -> Collection[str]:
        """Of the repairs that have left a folder here."""
        shared = self.paths("any").home.parent.parent
        folders = filter(Path.is_dir, {self.state_dir, shared})
        return {each.name for folder in folders for each in folder.iterdir() if each.is_dir()}
