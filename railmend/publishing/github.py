"""GitHub by PyGithub. Blocking: callers run it in threads. Its own retries are off (they repeat POSTs)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import requests
from github import Auth, Github, GithubException, RateLimitExceededException
from github.PullRequest import PullRequest as GithubPull
from github.Repository import Repository
from pydantic import BaseModel, SecretStr

from railmend.contracts.repair import PullRequest
from railmend.publishing.compare import Comparison, comparison, own_change

TIMEOUT_SECONDS = 15
SECONDARY_LIMIT_SECONDS = 60.0  # what GitHub asks for where it sends no Retry-After


class GitHubError(Exception):
    """The message says what to do, and never holds the token."""

    def __init__(self, message: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class Found(BaseModel):
    pull_request: PullRequest
    state: Literal["open", "closed", "merged"]


@contextmanager
def _classified(what: str) -> Iterator[None]:
    try:
        yield
    except requests.RequestException as error:
        raise GitHubError(
            f"{what}: GitHub did not answer ({type(error).__name__}).", retryable=True
        ) from error
    except GithubException as error:
        raise _from_status(what, error) from error


def _from_status(what: str, error: GithubException) -> GitHubError:
    headers = error.headers or {}
    after = headers.get("retry-after")
    limited = isinstance(error, RateLimitExceededException) or error.status == 429 or after is not None
    if limited:
        seconds = float(after) if after and after.isdigit() else SECONDARY_LIMIT_SECONDS
        return GitHubError(f"{what}: GitHub's rate limit.", retryable=True, retry_after=seconds)
    message = (error.data or {}).get("message", "") if isinstance(error.data, dict) else ""
    mend = {
        401: "Check GITHUB_TOKEN.",
        403: "The token needs write access to contents and pull requests of this repository.",
        404: "Check that the repository exists and that GITHUB_TOKEN reaches it.",
    }.get(error.status, "")
    return GitHubError(
        f"{what}: GitHub answered {error.status} {message}. {mend}".strip(), retryable=error.status >= 500
    )


class GitHubClient:
    """`pace=False` drops PyGithub's pauses between calls, for a server on this machine."""

    def __init__(self, api_url: str, token: SecretStr, *, pace: bool = True) -> None:
        self._github = Github(
            base_url=api_url.rstrip("/"),
            auth=Auth.Token(token.get_secret_value()),
            timeout=TIMEOUT_SECONDS,
            retry=None,
            per_page=100,
            seconds_between_requests=0.25 if pace else 0,
            seconds_between_writes=1.0 if pace else 0,
        )

    def _repository(self, full_name: str) -> Repository:
        with _classified(f"Repository {full_name}"):
            return self._github.get_repo(full_name)

    def default_branch(self, repository: str) -> str:
        return self._repository(repository).default_branch

    def may_push(self, repository: str) -> bool | None:
        """Whether the token's owner may push; None where GitHub does not say. A fine-grained token may allow
        less than its owner may: only a push would tell.
        """
        permissions = self._repository(repository).permissions
        return permissions.push if permissions else None

    def clone_url(self, repository: str) -> str:
        return self._repository(repository).clone_url

    def missing_files(
        self, repository: str, reference: str, root_directory: str, paths: list[str]
    ) -> list[str]:
        """Those of `paths` that the tree of `reference` has neither at its root nor in `root_directory`."""
        repo = self._repository(repository)
        with _classified(f"Files of {repository}"):
            tree = repo.get_git_tree(reference, recursive=True)
            known = {entry.path for entry in tree.tree}
        below = f"{root_directory.strip('/')}/" if root_directory.strip("/") else ""
        return [path for path in paths if not {_plain(path), below + _plain(path)} & known]

    def compare(self, repository: str, base: str, head: str) -> Comparison:
        """Commits, files and hunks from one commit to another."""
        repo = self._repository(repository)
        with _classified(f"Comparison of {base[:12]} with {head[:12]} in {repository}"):
            return comparison(repo, base, head)

    def own_change(self, repository: str, sha: str) -> Comparison:
        """What one commit changed."""
        repo = self._repository(repository)
        with _classified(f"Commit {sha[:12]} in {repository}"):
            return own_change(repo, sha)

    def find_pull_request(self, repository: str, branch: str, base: str) -> Found | None:
        """The newest pull request of this branch, in any state."""
        repo = self._repository(repository)
        with _classified(f"Pull requests of {repository}"):
            # Without `owner:` GitHub ignores the filter.
            for pull in repo.get_pulls(state="all", head=f"{repo.owner.login}:{branch}", base=base):
                return _found(pull)
        return None

    def open_pull_request(
        self, repository: str, *, branch: str, base: str, title: str, body: str, draft: bool, label: str
    ) -> PullRequest:
        """Looks before it writes; one that a person closed or merged is left alone and returned."""
        known = self.find_pull_request(repository, branch, base)
        if known is not None:
            return known.pull_request
        repo = self._repository(repository)
        try:
            pull = repo.create_pull(base=base, head=branch, title=title, body=body, draft=draft)
        except GithubException as error:
            again = self.find_pull_request(repository, branch, base) if error.status == 422 else None
            if again is None:
                raise _from_status(f"Pull request for {branch}", error) from error
            return again.pull_request
        except requests.RequestException as error:
            raise GitHubError("GitHub did not answer the new pull request.", retryable=True) from error
        with _classified(f"Label of pull request {pull.number}"):
            pull.add_to_labels(label)
        return PullRequest(number=pull.number, url=pull.html_url, head=pull.head.sha, draft=draft)


def _plain(path: str) -> str:
    return path.removeprefix("./").strip("/")


def _found(pull: GithubPull) -> Found:
    state: Literal["open", "closed", "merged"] = (
        "merged" if pull.merged_at else "open" if pull.state == "open" else "closed"
    )
    return Found(
        pull_request=PullRequest(
            number=pull.number, url=pull.html_url, head=pull.head.sha, draft=pull.draft, existed=True
        ),
        state=state,
    )
