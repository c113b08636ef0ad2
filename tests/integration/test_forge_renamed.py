"""A repository that is renamed while its pull request is open: the repair keeps the old name and goes on."""

from pathlib import Path

import httpx
import pytest

from railmend.contracts.review import NoteKind, NoteReply, PullState, SeenNotes
from railmend.publishing.github import GitHubClient, GitHubError, NewPullRequest, PullRequestThread
from railyard.forge import Forge
from tests.integration.test_forge import REPOSITORY, TOKEN, address, forge, github, open_one, pushed
from tests.integration.test_forge_reviews import ADA, People, look, people, revert
from tests.unit.test_workspace import run

__all__ = ["address", "forge", "github", "people"]
NEW = "acme/store"


@pytest.fixture
def renamed(github: GitHubClient, forge: Forge, people: People, tmp_path: Path) -> str:
    """The head of a pull request that was opened before."""
    sha = pushed(github, tmp_path / "repair")
    open_one(github)
    forge.repo(REPOSITORY)["roles"] = {"ada": "admin"}
    people(ADA, "PATCH", "", name=NEW.partition("/")[2])
    return sha


def test_old_names_lead_to_the_number_as_on_github(renamed: str, forge: Forge, address: str) -> None:
    number = forge.repo(NEW)["id"]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    old, by_number = f"{address}/api/v3/repos/{REPOSITORY}", f"{address}/api/v3/repositories/{number}"
    read = httpx.get(f"{old}/pulls/1", headers=headers)
    assert (read.status_code, read.headers["location"]) == (301, f"{by_number}/pulls/1")
    write = httpx.post(f"{old}/issues/1/comments", json={"body": "x"}, headers=headers)
    assert (write.status_code, write.headers["location"]) == (307, f"{by_number}/issues/1/comments")
    assert httpx.get(f"{by_number}/pulls/1", headers=headers).json()["head"]["sha"] == renamed
    assert httpx.get(by_number, headers=headers).json()["full_name"] == NEW


def test_review_and_answers_go_on_under_the_old_name(
    renamed: str, github: GitHubClient, people: People
) -> None:
    people.repository = NEW
    people(ADA, "POST", "/issues/1/comments", body="Use an LRU instead.")
    people(ADA, "POST", "/pulls/1/comments", body="Why 2?", path="app.py", commit_id=renamed, line=1)
    view = look(github)
    assert [note.kind for note in view.notes] == [NoteKind.COMMENT, NoteKind.LINE]
    thread = PullRequestThread(github, REPOSITORY, 1)
    for note in view.notes:
        thread.answer(NoteReply(note=note, text="Done."))
    thread.comment("outcome", "It held.", ["railmend: held"])
    assert thread.comment("outcome", "It held for good.")
    said = [row["body"] for row in people(TOKEN, "GET", "/issues/1/comments")]  # type: ignore[index]
    assert len(said) == 3
    assert said[-1].endswith("It held for good.")
    assert "railmend: held" in [row["name"] for row in people(TOKEN, "GET", "/issues/1/labels")]  # type: ignore[index]
    assert open_one(github).existed


def test_the_merge_is_found_and_reverted_under_the_old_name(
    renamed: str, github: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    people.repository = NEW
    git_dir = forge.git_dir(NEW)
    before = run(git_dir, "rev-parse", "main^{tree}")
    people(ADA, "PUT", "/pulls/1/merge", merge_method="squash")
    people(ADA, "DELETE", "/git/refs/heads/railmend/abc")
    view = PullRequestThread(github, REPOSITORY, 1).view("main", SeenNotes())
    assert view.state is PullState.MERGED, "a branch that is deleted after the merge changes nothing"
    assert view.merge is not None
    assert github.carries(REPOSITORY, view.merge.sha, view.merge.sha)
    sha = revert(github, tmp_path, view.merge.sha)
    assert run(git_dir, "rev-parse", "railmend/abc-revert^{tree}") == before
    pull = github.open_pull_request(
        REPOSITORY, NewPullRequest(branch="railmend/abc-revert", base="main", title="Revert", body="b")
    )
    assert (pull.number, pull.head) == (2, sha)
    assert pull.url.endswith(f"/{NEW}/pull/2")


def test_a_repository_that_takes_the_old_name_is_another_one(
    renamed: str, github: GitHubClient, forge: Forge
) -> None:
    forge.add_repo(REPOSITORY)
    with pytest.raises(GitHubError, match="404"):
        look(github)


def test_a_branch_deleted_before_the_merge_closes_the_pull_request(
    github: GitHubClient, people: People, tmp_path: Path
) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    people(ADA, "DELETE", "/git/refs/heads/railmend/abc")
    assert look(github).state is PullState.CLOSED
