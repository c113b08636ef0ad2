"""What GitHub refuses, by kind of token, plan and repository, and what becomes of a repair then."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import MagicMock

import httpx
import pytest
from github import Auth
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.github import GitHubActivities
from railmend.contracts.proof import Proof, ProofRow, ProofVerdict
from railmend.contracts.review import AnswersRequest, CommentRequest, NoteKind, NoteReply, SeenNotes
from railmend.diagnosis.prompt import review_prompt
from railmend.evidence.safe_text import MarkdownText
from railmend.publishing.github import GitHubClient, GitHubError, NewPullRequest, PullRequestThread
from railmend.publishing.proof import head_check
from railyard.forge import Forge
from tests.integration.test_forge import BRANCH, REPOSITORY, TOKEN, address, forge, github, open_one, pushed
from tests.integration.test_forge_reviews import ADA, CI, People, look, people
from tests.unit.test_workspace import run
from tools.github_reference import CALLS, REPO

__all__ = ["address", "forge", "github", "people"]
WRITES = dict.fromkeys(("contents", "issues", "pull_requests"), "write")


class AppToken:
    """An installation's token, which may not ask for its own account."""

    is_app, app_slug = True, "railmend"

    def auth(self, repository: str) -> Auth.Auth:
        return Auth.Token(TOKEN)


@pytest.fixture(params=["fine-grained", "free plan", "app", "app, signed commits"])
def limited(request: pytest.FixtureRequest, forge: Forge, github: GitHubClient, address: str) -> GitHubClient:
    """A client whose token has just what docs/github.md asks for."""
    if request.param == "free plan":
        forge.repo(REPOSITORY)["plan"] = "free"
    if "app" not in request.param:
        forge.limit(TOKEN, "fine-grained", **WRITES, actions="read", statuses="write")
        return github
    if "signed" in request.param:
        forge.add_rule(REPOSITORY, "*", "required_signatures")
    forge.limit(TOKEN, "app", **WRITES, checks="write", statuses="write")
    return GitHubClient(f"{address}/api/v3", AppToken(), pace=False)


def check(people: People, name: str, sha: str, conclusion: str | None = "failure", minutes: int = 0) -> None:
    ended = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    more = {"completed_at": ended} if minutes else {}
    people(CI, "POST", "/check-runs", name=name, head_sha=sha, conclusion=conclusion, **more)


def show(github: GitHubClient, sha: str, proof: Proof, url: str) -> None:
    check = head_check(proof)
    assert check is not None
    github.head_checks(REPOSITORY).show(sha, check, url)


def said(forge: Forge) -> list[dict[str, str]]:
    """What GitHub shows of Railmend's own check, oldest first, in the words of either kind."""
    repo = forge.repo(REPOSITORY)
    rows = [
        {
            "kind": "check run",
            "sha": row["head_sha"],
            "state": row["conclusion"] or row["status"],
            "target_url": row["details_url"],
            "said": row["output"]["title"],
        }
        for row in repo["checks"].values()
        if row["name"] == "railmend/proof"
    ]
    statuses = [row for row in repo.get("statuses", ()) if row["context"] == "railmend/proof"]
    return rows + [{**row, "kind": "status", "said": row["description"]} for row in statuses]


def test_each_kind_of_token_goes_the_whole_way_with_what_the_docs_ask_for(
    limited: GitHubClient, forge: Forge, people: People, tmp_path: Path
) -> None:
    limited.check_publishable(REPOSITORY, BRANCH, "main")
    sha = pushed(limited, tmp_path / "repair", author=limited.author(REPOSITORY))
    pull = open_one(limited, draft=True)
    assert pull.draft is (forge.repo(REPOSITORY).get("plan") != "free")
    forge.repo(REPOSITORY)["issues"]["1"]["draft"] = False  # a person marks it as ready
    check(people, "tests", sha)
    failed = ProofRow(what="it starts", base="starts", change="does not", verdict=ProofVerdict.FAILED)
    show(limited, sha, Proof(rows=(failed,)), pull.url)
    show(limited, sha, Proof(rows=(failed,)), pull.url)
    app = forge.grants[TOKEN][0] == "app"
    shown = said(forge)
    assert [(row["sha"], row["state"]) for row in shown] == [(sha, "failure")], (
        "once, however often it is tried"
    )
    assert (shown[0]["target_url"], shown[0]["kind"]) == (pull.url, "check run" if app else "status")
    people(ADA, "POST", f"/statuses/{sha}", context="deploy", state="error", description="no quota left")
    people(ADA, "POST", "/issues/1/comments", body="Use an LRU.")
    people(ADA, "POST", "/pulls/1/comments", body="Why 2?", path="app.py", commit_id=sha, line=1)
    view = look(limited)
    assert [note.kind for note in view.notes[:2]] == [NoteKind.COMMENT, NoteKind.LINE]
    assert [note.author for note in view.notes[2:]] == ["tests", "deploy"], "its own is no check"
    assert "no quota left" in view.notes[3].text
    assert bool(view.unseen) is not app
    assert limited.unseen_checks(REPOSITORY, "main") == view.unseen
    thread = PullRequestThread(limited, REPOSITORY, pull.number)
    for note in view.notes:
        thread.answer(NoteReply(note=note, text="Done."))
    thread.comment("outcome", MarkdownText.of("It held."), ["railmend: held"])
    assert look(limited, view.later).notes == ()
    assert thread.earlier().head == sha
    people(ADA, "PUT", "/pulls/1/merge", merge_method="squash")
    assert look(limited).merge is not None
    known = {(call.method, call.path) for call in CALLS}
    unknown = {f"{method} {path.removeprefix(REPO)}" for method, path in forge.calls - known}
    assert unknown == {"POST /pulls/{n}/comments", "PUT /pulls/{n}/merge"}, "those are of people"


def test_a_token_without_any_of_the_check_permissions_still_sees_the_review_and_the_merge(
    github: GitHubClient,
    forge: Forge,
    people: People,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    forge.limit(TOKEN, "fine-grained", **WRITES)
    pushed(github, tmp_path / "repair")
    open_one(github)
    people(ADA, "POST", "/issues/1/comments", body="Use an LRU.")
    view = look(github)
    assert [note.text for note in view.notes] == ["Use an LRU."]
    assert ["Actions (read)" in view.unseen[0], "Commit statuses (read)" in view.unseen[1]] == [True, True]
    assert caplog.messages == [], "it is polled for: what is not seen is said on the pull request"
    show(github, view.head, Proof(), "http://forge/acme/shop/pull/1")
    assert "railmend/proof" in caplog.messages[0], "logged, and no error"


def test_a_refusal_names_the_permission_that_the_call_needs(github: GitHubClient, forge: Forge) -> None:
    forge.limit(TOKEN, "fine-grained", contents="write")
    with pytest.raises(GitHubError, match="pull_requests=read") as refused:
        github.find_pull_request(REPOSITORY, BRANCH, "main")
    assert refused.value.refused


def test_late_failures_are_heard_and_no_waiting_check_hides_them(
    github: GitHubClient, people: People, tmp_path: Path
) -> None:
    sha = pushed(github, tmp_path / "repair")
    open_one(github)
    check(people, "lint", sha, "success")
    seen = look(github).later
    check(people, "tests", sha)
    view = look(github, seen)
    assert [note.author for note in view.notes] == ["tests"], "after all that was there had ended"
    check(people, "never", sha, None)
    check(people, "types", sha)
    assert look(github, view.later).notes == (), "others may end soon"
    check(people, "slow", sha, minutes=11)
    assert [note.author for note in look(github, view.later).notes] == ["slow"]


async def test_no_refused_answer_ends_a_repair(
    github: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    """A reply to a reply goes to its thread, one to a deleted comment beside it, to a locked thread none."""
    sha = pushed(github, tmp_path / "repair")
    open_one(github)
    people(ADA, "POST", "/pulls/1/comments", body="Why 2?", path="app.py", commit_id=sha, line=1)
    first = look(github)
    people(ADA, "POST", f"/pulls/1/comments/{first.notes[0].id}/replies", body="And why not 3?")
    notes = look(github, first.later).notes
    assert (notes[0].path, notes[0].line, notes[0].thread) == ("app.py", 1, first.notes[0].id)
    activities, environment = GitHubActivities(github, MagicMock()), ActivityEnvironment()
    request = AnswersRequest(repository=REPOSITORY, number=1, notes=notes, commit=sha)
    await environment.run(activities.reply_to_notes, request)
    lines = people(TOKEN, "GET", "/pulls/1/comments")
    assert [row.get("in_reply_to_id") for row in lines] == [None, *[first.notes[0].id] * 2]  # type: ignore[attr-defined]
    gone = notes[0].model_copy(update={"id": 999_999, "text": "It is gone."})
    await environment.run(activities.reply_to_notes, request.model_copy(update={"notes": (gone,)}))
    (said,) = people(TOKEN, "GET", "/issues/1/comments")
    assert "It is gone." in said["body"]  # type: ignore[index]
    forge.repo(REPOSITORY)["issues"]["1"]["locked"] = True
    late = gone.model_copy(update={"id": 1})
    await environment.run(activities.reply_to_notes, request.model_copy(update={"notes": (late,)}))
    comment = CommentRequest(repository=REPOSITORY, number=1, name="outcome", text="It held.")
    assert activities._comment(comment) == ""


def test_a_comment_of_a_former_account_is_followed_by_one_of_our_own(
    github: GitHubClient, people: People, address: str, tmp_path: Path
) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    PullRequestThread(github, REPOSITORY, 1).comment("outcome", MarkdownText.of("So far."))
    former = int(people(TOKEN, "GET", "/pulls/1")["user"]["id"])
    now = GitHubClient(f"{address}/api/v3", SecretStr(ADA), former_ids=(former,), pace=False)
    PullRequestThread(now, REPOSITORY, 1).comment("outcome", MarkdownText.of("It held."))
    assert len(people(TOKEN, "GET", "/issues/1/comments")) == 2


def test_where_drafts_are_refused_it_opens_ready_with_label_and_reason_on_top(
    github: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    forge.repo(REPOSITORY)["plan"] = "free"
    pushed(github, tmp_path / "repair")
    new = NewPullRequest(
        branch=BRANCH,
        base="main",
        title="t",
        body=MarkdownText.of("> doubts"),
        draft=True,
        labels=("railmend",),
    )
    pull = github.open_pull_request(REPOSITORY, new)
    row = people(TOKEN, "GET", "/pulls/1")
    assert (pull.draft, row["draft"]) == (False, False)
    assert [label["name"] for label in row["labels"]] == ["railmend", "railmend: draft"]
    assert row["body"].startswith("> **Meant as a draft**")
    assert row["body"].endswith("> doubts")


def test_one_reviewer_who_cannot_be_asked_hides_no_other(
    github: GitHubClient, people: People, tmp_path: Path
) -> None:
    pushed(github, tmp_path / "repair")
    names = ("nobody", "ada", "acme/core")
    github.open_pull_request(
        REPOSITORY, NewPullRequest(branch=BRANCH, base="main", title="t", body="b", reviewers=names)
    )
    assert [user["login"] for user in people(TOKEN, "GET", "/pulls/1")["requested_reviewers"]] == ["ada"]


def test_outdated_lines_edits_and_resolved_threads_are_noticed(
    github: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    sha = pushed(github, tmp_path / "repair")
    open_one(github)
    body = "```suggestion\nvalue = 7\n```"
    place = {"path": "app.py", "commit_id": sha, "line": 1}
    people(ADA, "POST", "/pulls/1/comments", body=body, **place)
    resolved = people(ADA, "POST", "/pulls/1/comments", body="Never mind.", **place)["id"]
    forge.repo(REPOSITORY)["review_comments"][str(resolved)]["resolved"] = True
    comment = people(ADA, "POST", "/issues/1/comments", body="Use an LRU.")["id"]
    pushed(github, tmp_path / "again", text="value = 5\n")
    view = look(github)
    said, line = view.notes
    assert (said.text, line.text) == ("Use an LRU.", body)
    assert (line.line, line.outdated, "+value = 2" in line.hunk) == (1, True, True)
    prompt = review_prompt(view.notes)
    assert "line 1 of an older commit" in prompt
    assert "+value = 2" in prompt
    people(ADA, "PATCH", f"/issues/comments/{comment}", body="Use an LRU of 100.")
    (edited,) = look(github, view.later).notes
    assert edited.text == "Use an LRU of 100."
    PullRequestThread(github, REPOSITORY, 1).answer(NoteReply(note=edited, text="Done."))
    assert PullRequestThread(github, REPOSITORY, 1).earlier().seen.names == (edited.name,)
    before_edits_were_noticed = SeenNotes(names=tuple(note.unedited_name for note in view.notes))
    assert look(github, before_edits_were_noticed).notes == ()


def test_commits_carry_the_address_of_the_account_and_a_persons_own_are_not_ours(
    github: GitHubClient, people: People, forge: Forge, tmp_path: Path
) -> None:
    name, mail = github.author(REPOSITORY)
    assert (name, mail.partition("+")[2]) == ("Railmend", "railmend[bot]@users.noreply.127.0.0.1")
    sha = pushed(github, tmp_path / "repair", author=(name, mail))
    open_one(github)
    work = tmp_path / "ada"
    run(tmp_path, "clone", "-q", "-b", BRANCH, str(forge.git_dir(REPOSITORY)), str(work))
    run(work, "commit", "-q", "--allow-empty", "--author", f"Ada <{mail}>", "-m", "Of a person")
    run(work, "push", "-q", "origin", BRANCH)
    number = people(TOKEN, "GET", "/pulls/1")["user"]["id"]
    assert mail.partition("+")[0] == str(number)
    assert PullRequestThread(github, REPOSITORY, 1).earlier().head == sha


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("creation", {}, "nobody create the branch"),
        ("required_signatures", {}, "signed commits are required on the branch railmend/abc"),
        ("branch_name_pattern", {"operator": "starts_with", "pattern": "feature/"}, "'railmend/abc'"),
        (
            "commit_author_email_pattern",
            {"operator": "regex", "pattern": r"@acme\.com$"},
            "of authors",
        ),
    ],
)
def test_rules_that_forbid_our_branch_are_told_before_any_session(
    github: GitHubClient, forge: Forge, address: str, kind: str, parameters: dict[str, str], said: str
) -> None:
    forge.add_rule(REPOSITORY, "railmend/*", kind, **parameters)
    with pytest.raises(GitHubError, match=said) as told:
        github.check_publishable(REPOSITORY, BRANCH, "main")
    assert not told.value.retryable
    hidden = {"method": "GET", "path": "/rulesets/7$", "times": 1, "status": 404}
    httpx.put(f"{address}/_forge/faults", json=[hidden])
    github.check_publishable(REPOSITORY, BRANCH, "main")  # of an organization: the push will tell
    forge.repo(REPOSITORY)["bypass"] = "always"
    github.check_publishable(REPOSITORY, BRANCH, "main")


def test_what_takes_no_push_is_told_before_any_session(
    github: GitHubClient, forge: Forge, address: str
) -> None:
    reader = GitHubClient(f"{address}/api/v3", SecretStr("reader"), pace=False)
    with pytest.raises(GitHubError, match="may not push"):
        reader.check_publishable(REPOSITORY, BRANCH, "main")
    with pytest.raises(GitHubError, match="no branch gone any more"):
        github.check_publishable(REPOSITORY, BRANCH, "gone")
    forge.repo(REPOSITORY)["has_pull_requests"] = False
    with pytest.raises(GitHubError, match="pull requests are disabled"):
        github.check_publishable(REPOSITORY, BRANCH, "main")
    forge.repo(REPOSITORY)["archived"] = True
    with pytest.raises(GitHubError, match="archived"):
        github.check_publishable(REPOSITORY, BRANCH, "main")


def test_a_truncated_tree_makes_no_file_missing(github: GitHubClient, forge: Forge, tmp_path: Path) -> None:
    work = tmp_path / "seed"
    (work / "zebra.py").write_text("x = 1\n")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "second")
    run(work, "push", "-q", str(forge.git_dir(REPOSITORY)), "main")
    forge.repo(REPOSITORY)["tree_limit"] = 1
    assert github.missing_files(REPOSITORY, "main", "", ["app.py", "zebra.py", "none.py"]) == ["none.py"]


def test_a_pull_request_that_is_not_listed_yet_is_found_later_and_not_opened_twice(
    github: GitHubClient, forge: Forge, tmp_path: Path
) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    forge.repo(REPOSITORY)["unlisted"] = 2
    with pytest.raises(GitHubError) as early:
        open_one(github)
    assert (early.value.retryable, early.value.retry_after) == (True, 10.0)
    assert open_one(github).number == 1
    assert len(forge.repo(REPOSITORY)["issues"]) == 1


def test_a_422_shows_what_its_errors_say(github: GitHubClient) -> None:
    new = NewPullRequest(branch="main", base="main", title="t", body="b")
    with pytest.raises(GitHubError, match="No commits between main and main") as told:
        github.open_pull_request(REPOSITORY, new)
    assert not told.value.retryable


@pytest.mark.parametrize("headers", [{"Retry-After": "7"}, {}])
def test_a_secondary_limit_is_waited_for_and_is_no_refusal(
    github: GitHubClient, address: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    fault = {"method": "GET", "path": "/check-runs$", "times": 1, "status": 403, "message": message}
    httpx.put(f"{address}/_forge/faults", json=[fault | {"headers": headers}])
    with pytest.raises(GitHubError) as limited:
        look(github)
    assert (limited.value.retryable, limited.value.retry_after) == (True, 7 if headers else 60)
