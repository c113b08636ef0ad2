"""What the coding activities share: where a repair's folder lies, its repository, the fence around it."""

import os
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.fence import Fence, FenceError, Place
from railmend.coding.git import TrustedRepository
from railmend.coding.quota import Quota, remove_tree
from railmend.publishing.github import GitHubClient

# Opens the way to the package registries for one repair.
Egress = Callable[[Place], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Workbench:
    """`state_dir` holds one folder per repair."""

    github: GitHubClient
    state_dir: Path
    fence: Fence
    quota: Quota

    def place(self, key: str) -> Place:
        return self.fence.place(self.state_dir / key)

    def repository(self, key: str, full_name: str) -> TrustedRepository:
        """Blocking: GitHub is asked for the address. `FenceError`: the agent still has the work tree."""
        place = self.place(key)
        if place.tree.is_dir() and not os.access(place.tree, os.R_OK | os.W_OK | os.X_OK):
            raise FenceError(f"{place.tree} was not given back yet: is its launcher up?", retryable=True)
        url, token = self.github.clone_url(full_name), self.github.git_token(full_name)
        return TrustedRepository(place.root, url, token, place.tree)

    def rest(self, key: str) -> None:
        """Between two turns only the session is kept: no code, no checks' leftovers, no sockets. Blocking."""
        place = self.place(key)
        for folder in filter(Path.is_dir, {place.root, place.home.parent}):
            for child in folder.iterdir():
                if child != place.home:
                    remove_tree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        remove_tree(place.home / ".cache")

    def keys(self) -> Collection[str]:
        """Of the repairs that have left a folder here."""
        shared = self.place("any").home.parent.parent
        folders = filter(Path.is_dir, {self.state_dir, shared})
        return {each.name for folder in folders for each in folder.iterdir() if each.is_dir()}
