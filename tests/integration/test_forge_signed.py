"""Where signed commits are required: GitHub makes an app's; with a token that is told before any session."""

from pathlib import Path

import httpx
import pytest

from railmend.coding.git.commands import GitError
from railmend.coding.git.repository import BranchMoved, TrustedRepository
from railmend.coding.git.revert import RevertingRepository
from railmend.contracts.review import SeenNotes
from railmend.publishing.github import GitHubClient, GitHubError, NewPullRequest, PullRequestThread
from railyard.forge import Forge
from tests import samples
from tests.integration.test_forge import BRANCH, REPOSITORY, TOKEN, address, forge, github
from tests.integration.test_forge_reviews import ADA, People, people
from tests.integration.test_forge_strict import WRITES, AppToken
from tests.unit.test_workspace import run

__all__ = ["address", "forge", "github", "people"]
BINARY = b"\x89PNG\x00\xff"


@pytest.fixture
def app(forge: Forge, address: str) -> GitHubClient:
    forge.limit(TOKEN, "app", **WRITES, checks="read", statuses="write")
    return GitHubClient(f"{address}/api/v3", AppToken(), pace=False)


class Repair:
    """A repair's repository, whose edits are published as commits of an app."""

    def __init__(self, app: GitHubClient, folder: Path) -> None:
        self._app = app
        self._repository = TrustedRepository(
            folder, app.clone_url(REPOSITORY), TOKEN, signer=app.signer(REPOSITORY)
        )
        self.base = self._repository.prepare("main", None)
        self.tree = self._repository.tree

    def snapshot(self) -> str:
        return self._repository.snapshot(self.base)

    def publish(self, message: str = "Set value") -> str:
        author = self._app.author(REPOSITORY)
        return self._repository.publish(BRANCH, self.snapshot(), self.base, message, author, samples.NOW)


def test_an_apps_commit_is_signed_is_the_reviewed_tree_and_can_be_merged(
    app: GitHubClient, forge: Forge, people: People, tmp_path: Path
) -> None:
    """Modes, bytes that are no text, and deletions arrive as they were reviewed."""
    forge.add_rule(REPOSITORY, "*", "required_signatures")
    app.check_publishable(REPOSITORY, BRANCH, "main")
    repair = Repair(app, tmp_path / "repair")
    (repair.tree / "app.py").unlink()
    (repair.tree / "run.sh").write_text("#!/bin/sh\r\n")
    (repair.tree / "run.sh").chmod(0o755)
    (repair.tree / "logo.png").write_bytes(BINARY)
    (repair.tree / "nul.txt").write_bytes(b"a\x00b")
    name, mail = app.author(REPOSITORY)
    sha = repair.publish(f"Set value\n\nSigned-off-by: {name} <{mail}>")
    git_dir = forge.git_dir(REPOSITORY)
    assert run(git_dir, "rev-parse", f"{BRANCH}^{{tree}}") == repair.snapshot()
    assert run(git_dir, "log", "-1", "--format=%an <%ae>", sha) == f"{name} <{mail}>", "as it is signed off"
    assert name == "railmend[bot]"
    commit = people(TOKEN, "GET", f"/commits/{sha}")["commit"]
    assert commit["verification"]["verified"]
    assert repair.publish("Set value") == sha, "an attempt whose answer was lost"
    new = NewPullRequest(branch=BRANCH, base="main", title="t", body="b")
    pull = app.open_pull_request(REPOSITORY, new)
    assert pull.head == sha
    people(ADA, "PUT", "/pulls/1/merge", merge_method="merge")
    merge = PullRequestThread(app, REPOSITORY, 1).view("main", SeenNotes()).merge
    assert merge is not None
    repository = RevertingRepository(
        tmp_path / "revert", app.clone_url(REPOSITORY), TOKEN, signer=app.signer(REPOSITORY)
    )
    reverted = repository.revert(
        base_branch="main",
        merged=merge.sha,
        head=merge.head,
        pull="refs/pull/1/head",
        branch="railmend/abc-revert",
        message="Revert",
        author=app.author(REPOSITORY),
        when=samples.NOW,
    )
    assert forge.signed(REPOSITORY, reverted)
    assert run(git_dir, "rev-parse", f"{reverted}^{{tree}}") == run(git_dir, "rev-parse", "main~1^{tree}")


def test_a_follow_up_of_an_app_is_signed_and_overwrites_nobodys_push(
    app: GitHubClient, forge: Forge, tmp_path: Path
) -> None:
    repair = Repair(app, tmp_path / "repair")
    (repair.tree / "app.py").write_text("value = 2\n")
    first = repair.publish()
    repair = Repair(app, tmp_path / "again")
    (repair.tree / "app.py").write_text("value = 3\n")
    with pytest.raises(BranchMoved, match=f"it is at {first}"):
        repair.publish()
    repository = TrustedRepository(
        tmp_path / "follow", app.clone_url(REPOSITORY), TOKEN, signer=app.signer(REPOSITORY)
    )
    base = repository.prepare(BRANCH, None)
    (repository.tree / "app.py").write_text("value = 4\n")
    arguments = (BRANCH, repository.snapshot(base), base, "Again", app.author(REPOSITORY), samples.NOW)
    second = repository.publish(*arguments)
    assert forge.signed(REPOSITORY, second)
    assert run(forge.git_dir(REPOSITORY), "rev-parse", f"{second}^") == first
    assert repository.publish(BRANCH, repository.snapshot(base), *arguments[2:]) == second
    app.open_pull_request(REPOSITORY, NewPullRequest(branch=BRANCH, base="main", title="t", body="b"))
    earlier = PullRequestThread(app, REPOSITORY, 1).earlier()
    assert (earlier.head, earlier.rounds) == (second, 1), "both are known as our own"


def test_a_branch_that_moves_between_look_and_write_is_looked_at_again(
    app: GitHubClient, forge: Forge, tmp_path: Path
) -> None:
    """The next attempt sees who moved it; a rule that forbids it is no reason to try again."""
    repair = Repair(app, tmp_path / "repair")
    signer = app.signer(REPOSITORY)
    assert signer is not None
    files = {"app.py": ("100644", b"value = 2\n")}
    (repair.tree / "app.py").write_text("value = 2\n")
    tree = repair.snapshot()
    run(forge.git_dir(REPOSITORY), "branch", BRANCH, "main")
    for expected in (None, "0" * 40):
        with pytest.raises(GitHubError, match="meanwhile") as moved:
            signer.commit(BRANCH, tree, repair.base, "m", files, expected)
        assert moved.value.retryable
    assert forge.branch(REPOSITORY, BRANCH) == repair.base
    with pytest.raises(GitHubError, match="of the reviewed tree"):
        signer.commit(BRANCH, tree, repair.base, "m", {"app.py": ("100755", b"value = 2\n")}, repair.base)
    forge.add_rule(REPOSITORY, "closed/*", "creation")
    with pytest.raises(GitHubError, match="rule violations") as refused:
        signer.commit("closed/x", tree, repair.base, "m", files, None)
    assert not refused.value.retryable


@pytest.mark.parametrize("how", ["ruleset", "protection"])
def test_without_an_app_unsigned_commits_are_told_of_before_any_session(
    github: GitHubClient, forge: Forge, people: People, tmp_path: Path, how: str
) -> None:
    """The base alone requires them: a push would pass, and its pull request could never be merged."""
    forge.limit(TOKEN, "fine-grained", **WRITES)
    github.check_publishable(REPOSITORY, BRANCH, "main")
    if how == "ruleset":
        forge.add_rule(REPOSITORY, "main", "required_signatures")
        forge.repo(REPOSITORY)["bypass"] = "always"  # who merges is not Railmend
    else:
        forge.protect(REPOSITORY, "main")
    with pytest.raises(GitHubError, match="branch main, and what git pushes is not signed; sign in as a G"):
        github.check_publishable(REPOSITORY, BRANCH, "main")
    repository = TrustedRepository(tmp_path / "repair", github.clone_url(REPOSITORY), TOKEN)
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("value = 2\n")
    author = github.author(REPOSITORY)
    repository.publish(BRANCH, repository.snapshot(base), base, "m", author, samples.NOW)
    github.open_pull_request(REPOSITORY, NewPullRequest(branch=BRANCH, base="main", title="t", body="b"))
    with pytest.raises(httpx.HTTPStatusError, match="405"):
        people(ADA, "PUT", "/pulls/1/merge", merge_method="squash")
    with pytest.raises(GitError, match="GH013"):
        repository.publish("main", repository.snapshot(base), base, "m", author, samples.NOW)
