"""What the coding activities share: where a repair's folder lies, its repository, the fence around it."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from railmend.coding.fence import Fence, Place
from railmend.coding.git import TrustedRepository
from railmend.coding.quota import Quota
from railmend.publishing.github import GitHubClient

# Opens the way to the package registries for one repair.
Egress = Callable[[Place], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Workbench:
    """`state_dir` holds one folder per repair."""

    github: GitHubClient
    github_token: str
    state_dir: Path
    fence: Fence
    quota: Quota

    def place(self, key: str) -> Place:
        return Place(self.state_dir / key)

    def repository(self, key: str, full_name: str) -> TrustedRepository:
        """Blocking: GitHub is asked for the address."""
        return TrustedRepository(self.place(key).root, self.github.clone_url(full_name), self.github_token)

    def keys(self) -> Collection[str]:
        """Of the repairs that have left a folder here."""
        if not self.state_dir.is_dir():
            return ()
        return tuple(folder.name for folder in self.state_dir.iterdir() if folder.is_dir())
