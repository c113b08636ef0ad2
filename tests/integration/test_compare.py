"""What changed between two commits, asked of the forge as of GitHub; and the railyard's feed and steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from activities.repository import RepositoryActivities
from railmend.contracts.incident import CodeRequest
from railmend.contracts.scan import Service
from railmend.evidence.change import describe
from railmend.publishing.github import GitHubClient, GitHubError
from railmend.railway.context import Deployed
from railmend.railway.model import DeploymentRecord
from railyard.forge import Forge, build
from tests import samples
from tests.integration.serving import serving
from tests.kept import facts_of, memory_store
from tests.unit.test_workspace import run

TOKEN = "ghp_" + "f" * 36
REPOSITORY = "acme/shop"


@pytest.fixture
def commits(tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """The address of a forge, and two commits of its repository; a mail address stands in the second."""
    made = Forge(tmp_path / "forge", {TOKEN: "railmend[bot]"})
    bare = made.add_repo(REPOSITORY)
    work = tmp_path / "seed"
    work.mkdir()
    run(work, "init", "-q", "-b", "main")
    shas = []
    for number, text in enumerate(("value = 1\n", "value = 2\nowner = 'jane@example.com'\n")):
        (work / "app.py").write_text(text)
        (work / "package-lock.json").write_text(f"{number}\n")
        run(work, "add", "-A")
        run(work, "commit", "-qm", f"Set value {number}")
        shas.append(run(work, "rev-parse", "HEAD").strip())
    run(work, "push", "-q", str(bare), "main")
    with serving(build(made)) as url:
        yield url, shas[0], shas[1]


def github(url: str) -> GitHubClient:
    return GitHubClient(f"{url}/api/v3", SecretStr(TOKEN), pace=False)


def asked(service: Service) -> CodeRequest:
    """The commit that serves is not in the forge: what is on the branch is read."""
    return CodeRequest(**dict(samples.incident(service=service.model_copy(update={"commit": None}))))


class History:
    """Stands in for the pool, its client and the client's context: two deployments, newest first."""

    def __init__(self, base: str, head: str) -> None:
        self.shas: tuple[str, ...] = (head, base)
        self.context = self

    async def client_for(self, _: str) -> "History":
        return self

    async def history(self, *_: str) -> list[Deployed]:
        states = ("SUCCESS", "REMOVED")
        return [
            Deployed(
                record=DeploymentRecord(id=sha, status=status, created_at=samples.WINDOW.start, commit=sha),
                settings={},
            )
            for sha, status in zip(self.shas, states, strict=False)
        ]


def test_commits_files_and_hunks_are_compared(commits: tuple[str, str, str]) -> None:
    url, base, head = commits
    found = github(url).compare(REPOSITORY, base, head)
    assert [commit.message for commit in found.commits] == ["Set value 1"]
    assert {file.path for file in found.files} == {"app.py", "package-lock.json"}
    text = describe(found, "")
    assert "-value = 1\n+value = 2" in text
    assert "--- package-lock.json" not in text


async def test_the_activity_compares_the_suspect_with_the_last_good_one(
    commits: tuple[str, str, str],
) -> None:
    url, base, head = commits
    artifacts = memory_store()
    activities = RepositoryActivities(github(url), History(base, head), artifacts)  # type: ignore[arg-type]
    service = samples.service(repository=REPOSITORY)
    facts = await facts_of(artifacts, await activities.change_facts(asked(service)))
    code, change = facts.items
    assert "--- app.py lines 1-2\nvalue = 2" in code.text
    assert "+value = 2" in change.text
    assert "jane@example.com" not in facts.model_dump_json()
    same = RepositoryActivities(github(url), History(head, head), artifacts)  # type: ignore[arg-type]
    again = await facts_of(artifacts, await same.change_facts(asked(service)))
    assert "runs the commit of the last good one" in again.items[-1].text


async def test_without_an_earlier_deployment_the_commit_speaks_for_itself(
    commits: tuple[str, str, str],
) -> None:
    url, base, head = commits
    history = History(base, head)
    history.shas = (head,)
    artifacts = memory_store()
    activities = RepositoryActivities(github(url), history, artifacts)  # type: ignore[arg-type]
    service = samples.service(repository=REPOSITORY)
    facts = await facts_of(artifacts, await activities.change_facts(asked(service)))
    assert "no earlier deployment is known to be good" in facts.items[-1].source
    assert "+value = 2" in facts.items[-1].text


def test_an_unknown_commit_is_an_error_that_names_it(commits: tuple[str, str, str]) -> None:
    url, base, _ = commits
    with pytest.raises(GitHubError, match="Comparison of") as caught:
        github(url).compare(REPOSITORY, base, "0" * 40)
    assert not caught.value.retryable
