"""The product's git and GitHub clients against the forge."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from railmend.coding.git.commands import GitError
from railmend.coding.git.repository import TrustedRepository
from railmend.contracts.repair import PullRequest
from railmend.publishing.github import GitHubClient, GitHubError, NewPullRequest
from railyard.forge import Forge, build
from tests import samples
from tests.integration.serving import serving
from tests.unit.test_workspace import BOT, run

TOKEN = "ghp_" + "f" * 36
REPOSITORY = "acme/shop"
BRANCH = "railmend/abc"
LABELS = ("railmend",)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    made = Forge(tmp_path / "forge", {TOKEN: "railmend[bot]", "reader": "eve(read)"})
    bare = made.add_repo(REPOSITORY)
    work = tmp_path / "seed"
    work.mkdir()
    (work / "app.py").write_text("value = 1\n")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    run(work, "push", "-q", str(bare), "main")
    return made


@pytest.fixture
def address(forge: Forge) -> Iterator[str]:
    with serving(build(forge)) as url:
        yield url


@pytest.fixture
def github(address: str) -> GitHubClient:
    return GitHubClient(f"{address}/api/v3", SecretStr(TOKEN), pace=False)


def pushed(
    github: GitHubClient,
    folder: Path,
    text: str = "value = 2\n",
    token: str = TOKEN,
    author: tuple[str, str] = BOT,
) -> str:
    signer = github.signer(REPOSITORY)
    repository = TrustedRepository(folder, github.clone_url(REPOSITORY), token, signer=signer)
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text(text)
    if signer is not None:
        return repository.publish(BRANCH, repository.snapshot(base), base, "Set value", author, samples.NOW)
    sha = repository.commit(repository.snapshot(base), base, "Set value", author, samples.NOW)
    assert sha is not None
    repository.push(BRANCH, sha, repository.remote_head(BRANCH))
    return sha


def open_one(github: GitHubClient, body: str = "Because.", draft: bool = False) -> PullRequest:
    return github.open_pull_request(
        REPOSITORY,
        NewPullRequest(
            branch=BRANCH,
            base="main",
            title="Set value",
            body=body,
            draft=draft,
            labels=("railmend",),
        ),
    )


def test_from_push_to_a_page_that_shows_the_diff(
    github: GitHubClient, forge: Forge, address: str, tmp_path: Path
) -> None:
    sha = pushed(github, tmp_path / "repair")
    pull = open_one(github, "It was *wrong*.<!-- hidden -->")
    assert (pull.number, pull.head, pull.existed) == (1, sha, False)
    assert pull.url == f"{address}/{REPOSITORY}/pull/1"
    page = httpx.get(pull.url).text
    assert "value = 2" in page
    assert "<em>wrong</em>" in page
    assert "railmend" in page
    assert "hidden" not in page
    assert "+value = 2" in httpx.get(pull.url + ".diff").text


def test_a_second_try_finds_the_first_pull_request(github: GitHubClient, tmp_path: Path) -> None:
    pushed(github, tmp_path / "repair")
    assert (open_one(github).number, open_one(github).existed) == (1, True)


def test_an_answer_lost_on_the_way_makes_no_second_pull_request(
    github: GitHubClient, address: str, tmp_path: Path
) -> None:
    pushed(github, tmp_path / "repair")
    fault = {"method": "POST", "path": "/pulls$", "times": 1, "after": True, "status": 502}
    httpx.put(f"{address}/_forge/faults", json=[fault])
    with pytest.raises(GitHubError) as caught:
        open_one(github)
    assert caught.value.retryable
    again = open_one(github)
    assert (again.number, again.existed) == (1, True)


def test_a_try_that_ended_before_the_labels_is_completed(
    github: GitHubClient, forge: Forge, address: str, tmp_path: Path
) -> None:
    pushed(github, tmp_path / "repair")
    fault = {"method": "POST", "path": "/labels$", "times": 1, "status": 502}
    httpx.put(f"{address}/_forge/faults", json=[fault])
    with pytest.raises(GitHubError):
        open_one(github)
    open_one(github)
    (pull,) = forge.repo(REPOSITORY)["issues"].values()
    assert pull["labels"] == ["railmend"]


def test_a_closed_pull_request_is_left_alone(github: GitHubClient, address: str, tmp_path: Path) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    one = f"{address}/api/v3/repos/{REPOSITORY}/pulls/1"
    httpx.patch(one, json={"state": "closed"}, headers=headers).raise_for_status()
    assert open_one(github).existed
    found = github.find_pull_request(REPOSITORY, BRANCH, "main")
    assert found is not None
    assert found.state == "closed"


def test_merging_moves_the_branch(github: GitHubClient, forge: Forge, address: str, tmp_path: Path) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    one = f"{address}/api/v3/repos/{REPOSITORY}/pulls/1/merge"
    merged = httpx.put(one, json={"merge_method": "squash"}, headers={"Authorization": f"Bearer {TOKEN}"})
    assert merged.json()["sha"] == forge.branch(REPOSITORY, "main")
    assert run(forge.git_dir(REPOSITORY), "show", "main:app.py") == "value = 2"


@pytest.mark.parametrize("token", ["", "ghp_wrong", "reader"])
def test_a_push_needs_the_right_token(github: GitHubClient, tmp_path: Path, token: str) -> None:
    with pytest.raises(GitError):
        pushed(github, tmp_path / "repair", token=token)


@pytest.mark.parametrize(
    ("repository", "token", "said"),
    [
        ("acme/none", TOKEN, "Check that it exists"),
        (REPOSITORY, "ghp_wrong", "Check GITHUB_TOKEN"),
    ],
)
def test_errors_say_what_to_do(address: str, repository: str, token: str, said: str) -> None:
    client = GitHubClient(f"{address}/api/v3", SecretStr(token), pace=False)
    with pytest.raises(GitHubError, match=said) as caught:
        client.clone_url(repository)
    assert not caught.value.retryable
    assert token not in str(caught.value)


def test_rate_limits_are_waited_for(github: GitHubClient, address: str) -> None:
    fault = {"path": f"/repos/{REPOSITORY}$", "times": 1, "status": 429, "headers": {"Retry-After": "7"}}
    httpx.put(f"{address}/_forge/faults", json=[fault])
    with pytest.raises(GitHubError) as caught:
        github.clone_url(REPOSITORY)
    assert (caught.value.retryable, caught.value.retry_after) == (True, 7)


def test_pages_cannot_be_pressed(github: GitHubClient, tmp_path: Path) -> None:
    pushed(github, tmp_path / "repair")
    url = open_one(github).url
    assert "<button" not in httpx.get(url).text
    assert httpx.post(url, data={"act": "merge"}).status_code == 405


def test_state_survives_a_restart(github: GitHubClient, forge: Forge, tmp_path: Path) -> None:
    pushed(github, tmp_path / "repair")
    open_one(github)
    again = Forge(forge.root, {TOKEN: "railmend[bot]"})
    with serving(build(again)) as url:
        client = GitHubClient(f"{url}/api/v3", SecretStr(TOKEN), pace=False)
        assert client.find_pull_request(REPOSITORY, BRANCH, "main") is not None


@pytest.mark.parametrize("reference", ["main", "HEAD"])
def test_files_the_repository_does_not_have_are_told(
    github: GitHubClient, forge: Forge, tmp_path: Path, reference: str
) -> None:
    work = tmp_path / "seed"
    (work / "api").mkdir()
    (work / "api" / "views.py").write_text("x = 1\n")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "second")
    run(work, "push", "-q", str(forge.git_dir(REPOSITORY)), "main")
    if reference == "HEAD":
        reference = run(work, "rev-parse", "HEAD")
    asked = ["app.py", "./app.py", "views.py", "api/views.py", "made_up.py"]
    assert github.missing_files(REPOSITORY, reference, "/api", asked) == ["made_up.py"]
    assert github.missing_files(REPOSITORY, reference, "", asked) == ["views.py", "made_up.py"]


def test_commits_are_listed_by_path_newest_first(github: GitHubClient, tmp_path: Path) -> None:
    sha = pushed(github, tmp_path / "work")

    def listed(reference: str, path: str = "", most: int = 20) -> list[str]:
        return [each.sha for each in github.commits(REPOSITORY, reference, path=path, since=None, most=most)]

    both = listed(BRANCH, "app.py")
    assert (both[0], len(both)) == (sha, 2)
    assert listed("main", "app.py") == both[1:]
    assert listed(BRANCH, most=1) == [sha]
    assert listed(BRANCH, "nothing.py") == []
