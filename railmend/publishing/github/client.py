"""Repositories and pull requests. Its own retries are off (they repeat POSTs): Temporal owns them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Literal

import requests
from github import Github, GithubException
from github.Issue import Issue
from github.PullRequest import PullRequest as GithubPull
from github.Repository import Repository
from pydantic import BaseModel, SecretStr

from railmend.contracts.repair import PullRequest
from railmend.evidence.change import CommitComparison
from railmend.publishing.compare import comparison, own_change
from railmend.publishing.github.auth import Credentials, TokenCredentials
from railmend.publishing.github.errors import GitHubError, classified, from_status

TIMEOUT_SECONDS = 15
# Open pull requests that a new one is compared with, newest first.
MAX_COMPARED = 50


class PullRequestMatch(BaseModel):
    pull_request: PullRequest
    state: Literal["open", "closed", "merged"]
    labelled: bool


class GitHubClient:
    """`pace=False` drops PyGithub's pauses between calls, for a server on this machine."""

    def __init__(self, api_url: str, credentials: SecretStr | Credentials, *, pace: bool = True) -> None:
        self._url = api_url.rstrip("/")
        self._credentials = (
            TokenCredentials(credentials) if isinstance(credentials, SecretStr) else credentials
        )
        self._pace = pace
        self._known: dict[str, Github] = {}

    def repository(self, full_name: str) -> Repository:
        with classified(f"Repository {full_name}"):
            return self._github(full_name).get_repo(full_name)

    def may_push(self, full_name: str) -> bool | None:
        """Whether the token's owner may push; None where GitHub does not say. A fine-grained token may allow
        less than its owner may: only a push would tell.
        """
        permissions = self.repository(full_name).permissions
        return permissions.push if permissions else None

    def git_token(self, full_name: str) -> str:
        """What git may use for this repository: for an app, an hour's token that reaches nothing else."""
        return self._credentials.auth(full_name).token

    def _github(self, full_name: str) -> Github:
        if full_name not in self._known:
            self._known[full_name] = Github(
                base_url=self._url,
                auth=self._credentials.auth(full_name),
                timeout=TIMEOUT_SECONDS,
                retry=None,
                per_page=100,
                seconds_between_requests=0.25 if self._pace else 0,
                seconds_between_writes=1.0 if self._pace else 0,
            )
        return self._known[full_name]

    @property
    def left(self) -> int | None:
        """Requests left in GitHub's window, as its last answers said; None: it was not asked yet."""
        known = [github.requester.rate_limiting[0] for github in self._known.values()]
        return min((left for left in known if left >= 0), default=None)

    @contextmanager
    def issues(self, full_name: str) -> Iterator["Issues"]:
        """The issues of a repository; what goes wrong with them is raised as `GitHubError`."""
        repository = self.repository(full_name)
        with classified(f"Issues of {full_name}"):
            yield Issues(repository)

    def default_branch(self, repository: str) -> str:
        return self.repository(repository).default_branch

    def clone_url(self, repository: str) -> str:
        return self.repository(repository).clone_url

    def missing_files(
        self, repository: str, reference: str, root_directory: str, paths: list[str]
    ) -> list[str]:
        """Those of `paths` that the tree of `reference` has neither at its root nor in `root_directory`."""
        repo = self.repository(repository)
        with classified(f"Files of {repository}"):
            tree = repo.get_git_tree(reference, recursive=True)
            known = {entry.path for entry in tree.tree}
        below = f"{root_directory.strip('/')}/" if root_directory.strip("/") else ""
        return [path for path in paths if not {_plain(path), below + _plain(path)} & known]

    def compare(self, repository: str, base: str, head: str) -> CommitComparison:
        """Commits, files and hunks from one commit to another."""
        repo = self.repository(repository)
        with classified(f"Comparison of {base[:12]} with {head[:12]} in {repository}"):
            return comparison(repo, base, head)

    def own_change(self, repository: str, sha: str) -> CommitComparison:
        """What one commit changed."""
        repo = self.repository(repository)
        with classified(f"Commit {sha[:12]} in {repository}"):
            return own_change(repo, sha)

    def find_pull_request(self, repository: str, branch: str, base: str) -> PullRequestMatch | None:
        """The newest pull request of this branch, in any state."""
        repo = self.repository(repository)
        with classified(f"Pull requests of {repository}"):
            # Without `owner:` GitHub ignores the filter.
            for pull in repo.get_pulls(state="all", head=f"{repo.owner.login}:{branch}", base=base):
                return _found(pull)
        return None

    def open_pull_request(
        self,
        repository: str,
        *,
        branch: str,
        base: str,
        title: str,
        body: str,
        draft: bool,
        labels: Sequence[str] = (),
        reviewers: Sequence[str] = (),
    ) -> PullRequest:
        """Looks before it writes; one that a person closed or merged is left alone and returned. One that is
        open without a label may be what an earlier try left half made: it gets labels and reviewers.

        `reviewers`: logins, or `org/team`. One that cannot be asked is no reason to fail.
        """
        known = self.find_pull_request(repository, branch, base)
        if known is not None:
            if known.state == "open" and not known.labelled:
                self._dress(repository, known.pull_request.number, labels, reviewers)
            return known.pull_request
        repo = self.repository(repository)
        try:
            pull = repo.create_pull(base=base, head=branch, title=title, body=body, draft=draft)
        except GithubException as error:
            again = self.find_pull_request(repository, branch, base) if error.status == 422 else None
            if again is None:
                raise from_status(f"Pull request for {branch}", error) from error
            return again.pull_request
        except requests.RequestException as error:
            raise GitHubError("GitHub did not answer the new pull request.", retryable=True) from error
        self._dress(repository, pull.number, labels, reviewers)
        return PullRequest(number=pull.number, url=pull.html_url, head=pull.head.sha, draft=draft)

    def _dress(self, repository: str, number: int, labels: Sequence[str], reviewers: Sequence[str]) -> None:
        """The label comes last: where it is, the reviewers were asked."""
        repo = self.repository(repository)
        with classified(f"Pull request {number}"):
            pull = repo.get_pull(number)
        _ask_for_review(pull, reviewers)
        with classified(f"Labels of pull request {number}"):
            if labels:
                pull.add_to_labels(*labels)

    def open_pull_requests(self, repository: str, base: str) -> Iterator[GithubPull]:
        """Newest first, at most `MAX_COMPARED`."""
        repo = self.repository(repository)
        with classified(f"Pull requests of {repository}"):
            for number, pull in enumerate(repo.get_pulls(state="open", base=base)):
                if number >= MAX_COMPARED:
                    return
                yield pull

    def carries(self, repository: str, commit: str, ancestor: str) -> bool:
        """Whether `commit` is `ancestor` or came after it."""
        if commit == ancestor:
            return True
        repo = self.repository(repository)
        with classified(f"Comparison of commits in {repository}"):
            return repo.compare(ancestor, commit).status in ("ahead", "identical")


def _ask_for_review(pull: GithubPull, reviewers: Sequence[str]) -> None:
    people = [name for name in reviewers if "/" not in name]
    teams = [name.partition("/")[2] for name in reviewers if "/" in name]
    if not reviewers:
        return
    try:
        with classified(f"Reviewers of pull request {pull.number}"):
            pull.create_review_request(reviewers=people, team_reviewers=teams)
    except GitHubError as error:
        # 422: one of them is no collaborator. The pull request is there, and people see it.
        if error.status != 422:
            raise


class Issues:
    """Of one repository; see `GitHubClient.issues`."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def find(self, label: str, mark: str, most: int) -> Issue | None:
        """The newest of the `most` newest with this label whose text holds `mark`, in any state."""
        newest = self._repository.get_issues(state="all", labels=[label], sort="created", direction="desc")
        return next((issue for issue in islice(newest, most) if mark in (issue.body or "")), None)

    def create(self, title: str, body: str, label: str) -> Issue:
        return self._repository.create_issue(title=title, body=body, labels=[label])


def _plain(path: str) -> str:
    return path.removeprefix("./").strip("/")


def _found(pull: GithubPull) -> PullRequestMatch:
    state: Literal["open", "closed", "merged"] = (
        "merged" if pull.merged_at else "open" if pull.state == "open" else "closed"
    )
    return PullRequestMatch(
        pull_request=PullRequest(
            number=pull.number, url=pull.html_url, head=pull.head.sha, draft=pull.draft, existed=True
        ),
        state=state,
        labelled=bool(pull.labels),
    )
