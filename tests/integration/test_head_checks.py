"""Railmend's own check on the head of a pull request: a check run of an app, else a commit status."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.github import GitHubActivities
from railmend.contracts.proof import Proof, ProofRow, ProofVerdict
from railmend.contracts.review import AnswersRequest, ReviewQuestion, ReviewView
from railmend.publishing.github import GitHubClient, GitHubError
from railmend.publishing.proof import HeadCheck, head_check, running
from railyard.forge import Forge
from railyard.forge.store import git
from tests import samples
from tests.integration.test_forge import REPOSITORY, TOKEN, address, forge, github, open_one, pushed
from tests.integration.test_forge_reviews import ADA, CI, People, people
from tests.integration.test_forge_strict import WRITES, AppToken, limited, said, show

__all__ = ["address", "forge", "github", "limited", "people"]
URL = "http://forge/acme/shop/pull/1"
PASSED = ProofRow(what="a test", base="fails", change="passes", verdict=ProofVerdict.PASSED, shows_fault=True)
FAILED = ProofRow(what="it starts", base="starts", change="does not", verdict=ProofVerdict.FAILED)
PROVEN = Proof(rows=(PASSED,))


class Review:
    """The activities that look at a pull request and answer, as the workflow calls them."""

    def __init__(self, github: GitHubClient) -> None:
        self._activities, self._environment = GitHubActivities(github, MagicMock()), ActivityEnvironment()

    async def poll(self) -> ReviewView:
        question = ReviewQuestion(repository=REPOSITORY, number=1, base_branch="main")
        return await self._environment.run(self._activities.poll_pull_request, question)

    async def reply(self, view: ReviewView, commit: str | None = None, proof: Proof | None = None) -> None:
        request = AnswersRequest(
            repository=REPOSITORY, number=1, notes=view.notes, head=view.head, commit=commit, proof=proof
        )
        await self._environment.run(self._activities.reply_to_notes, request)


def test_each_outcome_has_a_check_and_what_is_not_proven_never_passes() -> None:
    doubts = ("The guard refused a file.",)
    shown = [
        head_check(PROVEN),
        head_check(Proof(rows=(PASSED, FAILED))),
        head_check(Proof()),
        head_check(PROVEN, doubts),
        head_check(None, doubts),
        head_check(Proof(rows=(FAILED,)), doubts),
        running(samples.NOW),
    ]
    assert all(check is not None and len(check.said) <= 140 for check in shown)
    states = [(check.conclusion, check.state, check.said.partition(":")[0]) for check in shown if check]
    assert states == [
        ("success", "success", "Proven"),
        ("failure", "failure", "Not proven"),
        ("action_required", "error", "Not proven"),
        *[("action_required", "pending", "Needs approval")] * 2,
        ("failure", "failure", "Not proven"),
        ("", "pending", "Proof running"),
    ]
    assert head_check(None) is None
    assert shown[3] is not None
    assert "The guard refused a file." in shown[3].details


async def test_while_a_review_is_answered_the_head_says_so_and_then_what_it_said_before(
    limited: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    sha = pushed(limited, tmp_path / "repair", author=limited.author(REPOSITORY))
    open_one(limited)
    show(limited, sha, PROVEN, URL)
    review = Review(limited)
    people(ADA, "POST", "/issues/1/comments", body="Why not an LRU?")
    view = await review.poll()
    await review.poll()
    rows = said(forge)
    assert [row["said"].partition(":")[0] for row in rows] == ["Proven", "Proof running"], "once"
    assert rows[-1]["state"] in ("pending", "in_progress")
    await review.reply(view)
    await review.reply(view)
    newest = said(forge)[-1]
    assert (newest["state"], newest["said"]) == ("success", rows[0]["said"])
    assert newest["target_url"]
    kinds = {row["kind"] for row in said(forge)}
    assert len(kinds) == 1, "one kind of check, by what the token is"


async def test_a_new_commit_says_what_its_own_proof_came_to_and_the_old_one_no_longer_runs(
    limited: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    author = limited.author(REPOSITORY)
    old = pushed(limited, tmp_path / "repair", author=author)
    open_one(limited)
    people(ADA, "POST", "/issues/1/comments", body="Use 3.")
    view = await Review(limited).poll()
    new = _on_top(forge, tmp_path, old)
    await Review(limited).reply(view, new, Proof(rows=(FAILED,)))
    last = {row["sha"]: row for row in said(forge)}
    assert last[old]["said"] == "No proof was made of this commit."
    assert last[old]["state"] in ("neutral", "pending")
    assert (last[new]["state"], last[new]["said"]) == ("failure", "Not proven: a proof failed.")


async def test_a_repair_that_ends_without_an_answer_settles_the_head_it_looked_at(
    limited: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    """Even where a person has pushed since: the branch has another head then."""
    old = pushed(limited, tmp_path / "repair", author=limited.author(REPOSITORY))
    open_one(limited)
    people(ADA, "POST", "/issues/1/comments", body="Use 3.")
    view = await Review(limited).poll()
    _on_top(forge, tmp_path, old)
    await Review(limited).reply(view.model_copy(update={"notes": ()}))
    assert {row["sha"] for row in said(forge)} == {old}
    assert said(forge)[-1]["said"] == "No proof was made of this commit."


def _on_top(forge: Forge, folder: Path, parent: str) -> str:
    bare = forge.git_dir(REPOSITORY)
    who = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    sha = git(bare, "commit-tree", f"{parent}^{{tree}}", "-p", parent, "-m", "More", env=who)
    git(bare, "update-ref", "refs/heads/railmend/abc", sha)
    return sha


def test_an_app_without_the_permission_sets_a_status_and_the_doctor_knows(
    forge: Forge, github: GitHubClient, address: str, tmp_path: Path
) -> None:
    app = GitHubClient(f"{address}/api/v3", AppToken(), pace=False)
    forge.limit(TOKEN, "app", **WRITES, checks="write", statuses="write")
    assert app.may_create_check_runs(REPOSITORY) is True
    forge.limit(TOKEN, "app", **WRITES, checks="read", statuses="write")
    assert app.may_create_check_runs(REPOSITORY) is False
    show(app, pushed(app, tmp_path / "repair"), PROVEN, URL)
    assert [row["kind"] for row in said(forge)] == ["status"]
    forge.limit(TOKEN, "app", **WRITES, statuses="write")
    sha = said(forge)[0]["sha"]
    checks = app.head_checks(REPOSITORY)
    checks.show(sha, running(datetime.now(UTC)), URL)
    checks.settle(sha)
    assert [row["said"].partition(":")[0] for row in said(forge)][1:] == ["Proof running", "Proven"]
    forge.limit(TOKEN, "fine-grained", **WRITES)
    assert github.may_create_check_runs(REPOSITORY) is None


def test_what_others_named_alike_is_neither_edited_nor_taken_for_our_own(
    forge: Forge, people: People, address: str, tmp_path: Path
) -> None:
    forge.limit(TOKEN, "app", **WRITES, checks="write", statuses="write")
    app = GitHubClient(f"{address}/api/v3", AppToken(), pace=False)
    sha = pushed(app, tmp_path / "repair")
    people(
        CI, "POST", "/check-runs", name="railmend/proof", head_sha=sha, status="in_progress", details_url=URL
    )
    people(ADA, "POST", f"/statuses/{sha}", context="railmend/proof", state="success", description=None)
    checks = app.head_checks(REPOSITORY)
    checks.settle(sha)
    show(app, sha, Proof(rows=(FAILED,)), URL)
    assert [row["state"] for row in said(forge)] == ["in_progress", "failure", "success"]


@pytest.mark.parametrize(
    ("token", "path", "body", "status", "message"),
    [
        (ADA, "/check-runs", {}, 403, "You must authenticate via a GitHub App."),
        (TOKEN, "/check-runs", {}, 403, "Resource not accessible by personal access token"),
        (CI, "/check-runs", {"head_sha": "0" * 40}, 422, "No commit found"),
        (CI, "/check-runs", {"status": "completed"}, 422, "conclusion"),
        (CI, "/check-runs", {"conclusion": "proven"}, 422, "not a member"),
        (CI, "/check-runs", {"output": {"title": "t"}}, 422, "weren't supplied"),
        (CI, "/check-runs", {"details_url": "javascript:0"}, 422, "http(s) scheme"),
        (ADA, "/statuses/{sha}", {"state": "proven"}, 422, "not included in the list"),
        (ADA, "/statuses/{sha}", {"state": "error", "description": "x" * 141}, 422, "140 characters"),
        (ADA, "/statuses/" + "0" * 40, {"state": "error"}, 422, "No commit found"),
    ],
)
def test_the_stand_in_refuses_what_github_refuses(
    forge: Forge,
    people: People,
    token: str,
    path: str,
    body: Any,
    status: int,
    message: str,
) -> None:
    forge.limit(TOKEN, "fine-grained", **WRITES, statuses="write")
    sha = forge.branch(REPOSITORY, "main")
    if path == "/check-runs":
        body = {"name": "tests", "head_sha": sha, **body}
    with pytest.raises(httpx.HTTPStatusError) as refused:
        people(token, "POST", path.format(sha=sha), **body)
    assert refused.value.response.status_code == status
    assert message in refused.value.response.text


def test_only_its_own_app_edits_a_check_run(forge: Forge, people: People) -> None:
    """As https://github.com/int128/argocd-commenter/pull/631 met it."""
    forge.limit(TOKEN, "app", **WRITES, checks="write")
    made = people(CI, "POST", "/check-runs", name="tests", head_sha=forge.branch(REPOSITORY, "main"))
    with pytest.raises(httpx.HTTPStatusError) as refused:
        people(TOKEN, "PATCH", f"/check-runs/{made['id']}", conclusion="success")
    assert refused.value.response.status_code == 403
    assert "only be modified by the GitHub App that created it" in refused.value.response.text


def test_a_lost_answer_leaves_one_check(
    limited: GitHubClient, forge: Forge, address: str, tmp_path: Path
) -> None:
    sha = pushed(limited, tmp_path / "repair", author=limited.author(REPOSITORY))
    fault = {"method": "POST", "path": "/check-runs$|/statuses/", "times": 1, "status": 502, "after": True}
    httpx.put(f"{address}/_forge/faults", json=[fault])
    check = HeadCheck("success", "success", "Proven: it is.")
    with pytest.raises(GitHubError) as lost:
        limited.head_checks(REPOSITORY).show(sha, check, URL)
    assert lost.value.retryable
    limited.head_checks(REPOSITORY).show(sha, check, URL)
    assert [row["state"] for row in said(forge)] == ["success"]
