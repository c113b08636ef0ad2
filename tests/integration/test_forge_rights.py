"""What a token may not do, or a repository does not take, is told before any session; nothing is written."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from railmend.contracts.notification import outcome_notification
from railmend.notifying import delivery
from railmend.publishing.github import GitHubClient, GitHubError
from railyard.forge import Forge
from tests import samples
from tests.integration.test_forge import BRANCH, REPOSITORY, TOKEN, address, forge, github, open_one, pushed
from tests.integration.test_forge_reviews import ADA, People, look, people
from tests.integration.test_forge_strict import WRITES

__all__ = ["address", "forge", "github", "people"]
Ask = Callable[[GitHubClient], None]


def publish(github: GitHubClient) -> None:
    github.check_publishable(REPOSITORY, BRANCH, "main")


def issues(github: GitHubClient) -> None:
    github.check_issues(REPOSITORY)


@pytest.mark.parametrize("kind", ["fine-grained", "app"])
@pytest.mark.parametrize(
    ("lacks", "ask", "said"),
    [
        ("contents", publish, "may not push to it: give it Contents"),
        ("pull_requests", publish, "may open no pull request: give it Pull requests"),
        ("issues", issues, "may open no issue: give it Issues"),
    ],
)
def test_each_write_permission_is_tried_and_nothing_is_written(
    github: GitHubClient, forge: Forge, kind: str, lacks: str, ask: Ask, said: str
) -> None:
    account = {"account": "read"}  # the stand-in's installations would not tell it
    forge.limit(TOKEN, kind, **WRITES | account)
    publish(github)
    issues(github)
    forge.limit(TOKEN, kind, **WRITES | account | {lacks: "read"})
    with pytest.raises(GitHubError, match=said) as told:
        ask(github)
    assert not told.value.retryable
    assert forge.repo(REPOSITORY)["issues"] == {}
    assert forge.branch(REPOSITORY, BRANCH) is None


@pytest.mark.parametrize(("statuses", "may"), [("write", True), ("read", False)])
def test_the_status_of_a_proof_is_tried_and_none_is_set(
    github: GitHubClient, forge: Forge, statuses: str, may: bool
) -> None:
    forge.limit(TOKEN, "fine-grained", **WRITES | {"account": "read", "statuses": statuses})
    assert github.may_set_status(REPOSITORY) is may
    assert not forge.repo(REPOSITORY).get("statuses")


def test_a_limit_is_no_missing_permission(github: GitHubClient, address: str) -> None:
    fault = {"method": "POST", "path": "/pulls$", "times": 1, "status": 403, "headers": {"Retry-After": "3"}}
    httpx.put(f"{address}/_forge/faults", json=[fault])
    with pytest.raises(GitHubError) as limited:
        publish(github)
    assert (limited.value.retryable, limited.value.retry_after) == (True, 3)


def test_disabled_issues_are_told_where_a_plan_or_an_incident_is_to_be_shown(
    github: GitHubClient, forge: Forge
) -> None:
    forge.repo(REPOSITORY)["has_issues"] = False
    publish(github)
    with pytest.raises(GitHubError, match=r"disabled in acme/shop: enable them \(Settings"):
        issues(github)
    notification = outcome_notification(samples.repair(), "failed", "no", "repair/x", "run")
    with pytest.raises(GitHubError, match="Issues are disabled") as told:
        delivery.post_issue(github, REPOSITORY, notification, "")
    assert not told.value.retryable


def test_a_repository_that_moved_is_told_with_its_new_name(
    github: GitHubClient, forge: Forge, people: People
) -> None:
    """Its pull requests of before are followed on under the old name; a new one begins under the new."""
    forge.repo(REPOSITORY)["roles"] = {"ada": "admin"}
    people(ADA, "PATCH", "", name="store")
    with pytest.raises(GitHubError, match="it is acme/store now; choose that one as the source") as told:
        publish(github)
    assert not told.value.retryable
    github.check_publishable("acme/store", BRANCH, "main")


def test_what_graphql_refuses_ends_no_look(
    github: GitHubClient, people: People, address: str, tmp_path: Path
) -> None:
    """GitHub answers so with the status 200; resolved threads are then answered, too."""
    sha = pushed(github, tmp_path / "repair")
    open_one(github)
    people(ADA, "POST", "/pulls/1/comments", body="Why 2?", path="app.py", commit_id=sha, line=1)
    message = "Resource not accessible by personal access token"
    fault = {"method": "POST", "path": "/graphql$", "times": 1, "status": 403, "message": message}
    httpx.put(f"{address}/_forge/faults", json=[fault])
    assert [note.text for note in look(github).notes] == ["Why 2?"]
