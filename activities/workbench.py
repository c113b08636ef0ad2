"""What the coding activities share: where a repair's folder lies, its repository, the fence around it."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.fence import Fence, Place
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
        return Place(self.state_dir / key)

    def repository(self, key: str, full_name: str) -> TrustedRepository:
        """Blocking: GitHub is asked for the address."""
        url, token = self.github.clone_url(full_name), self.github.git_token(full_name)
        return TrustedRepository(self.place(key).root, url, token)

    def remove(self, key: str) -> None:
        """All that the repair has here; GitHub is not needed for it. Blocking."""
        remove_tree(self.place(key).root)

    def rest(self, key: str) -> None:
        """Between two turns only the session is kept: no code, no checks' leftovers, no sockets. Blocking."""
        place = self.place(key)
        if not place.root.is_dir():
            return
        for child in place.root.iterdir():
            if child != place.home:
                remove_tree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        remove_tree(place.home / ".cache")

    def keys(self) -> Collection[str]:
        """Of the repairs that have left a folder here."""
        if not self.state_dir.is_dir():
            return ()
        return tuple(folder.name for folder in self.state_dir.iterdir() if folder.is_dir())
