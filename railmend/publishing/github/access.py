"""Who Railmend is to GitHub, and what it may do there. PyGithub's retries are off: they repeat POSTs."""

import base64
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from github import Github, GithubException
from github.InputGitTreeElement import InputGitTreeElement
from github.Repository import Repository
from pydantic import SecretStr

from railmend.publishing.github.accounts import Accounts
from railmend.publishing.github.auth import Credentials, TokenCredentials
from railmend.publishing.github.checks import read_checks
from railmend.publishing.github.errors import GitHubError, classified, from_status
from railmend.publishing.github.head_checks import HeadChecks
from railmend.publishing.github.issues import Issues
from railmend.publishing.github.obstacles import Publication, find_obstacle
from railmend.publishing.text import BOT, Author

# Any mode of a file does for one that is deleted.
FILE = "100644"
TIMEOUT_SECONDS = 15
ISSUES_OFF = "Issues are disabled in {}: enable them (Settings, General, Features), or use another channel."


class SignedCommits:
    """The commits of one repository. Modes and bytes are kept: the tree is the one that was reviewed."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def commit(
        self,
        branch: str,
        tree: str,
        parent: str,
        message: str,
        files: Mapping[str, tuple[str, bytes] | None],
        expected: str | None,
    ) -> str:
        """Commit `tree` on `parent` to a branch that is at `expected`, None: that does not exist yet.

        `files`: mode and content by path of what differs from `parent`; None: deleted. Raise `GitHubError`.
        """
        with classified(f"Commit on {branch}"):
            before = self._repository.get_git_commit(parent)
            entries = [self._entry(path, file) for path, file in files.items()]
            made = self._repository.create_git_tree(entries, before.tree)
            if made.sha != tree:
                raise GitHubError(f"GitHub made {made.sha} of the reviewed tree {tree}.", retryable=False)
            # With an author or a committer GitHub would not sign it.
            commit = self._repository.create_git_commit(message, made, [before]).sha
            self._move(branch, commit, expected)
        return commit

    def _entry(self, path: str, file: tuple[str, bytes] | None) -> InputGitTreeElement:
        if file is None:
            return InputGitTreeElement(path, FILE, "blob", sha=None)
        mode, content = file
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" not in text:
            return InputGitTreeElement(path, mode, "blob", content=text)
        blob = self._repository.create_git_blob(base64.b64encode(content).decode(), "base64")
        return InputGitTreeElement(path, mode, "blob", sha=blob.sha)

    def _move(self, branch: str, commit: str, expected: str | None) -> None:
        """Let the branch point to a commit; where it has moved meanwhile, the next attempt will see that."""
        if expected is None:
            try:
                self._repository.create_git_ref(f"refs/heads/{branch}", commit)
            except GithubException as error:
                if error.status != 422 or not self._exists(branch):
                    raise
                raise GitHubError(f"{branch} exists meanwhile.", retryable=True) from error
            return
        reference = self._repository.get_git_ref(f"heads/{branch}")
        if reference.object.sha != expected:
            raise GitHubError(f"{branch} has moved meanwhile.", retryable=True)
        reference.edit(commit)

    def _exists(self, branch: str) -> bool:
        try:
            self._repository.get_git_ref(f"heads/{branch}")
        except GithubException as error:
            if error.status == 404:
                return False
            raise
        return True


class GitHubAccess:
    """Sign-in, accounts and rights of all repositories.

    `former_ids`: of accounts that Railmend wrote with before. `pace=False` drops PyGithub's pauses between
    calls, for a local server.
    """

    def __init__(
        self,
        api_url: str,
        credentials: SecretStr | Credentials,
        *,
        former_ids: Collection[int] = (),
        pace: bool = True,
    ) -> None:
        self._url = api_url.rstrip("/")
        self._credentials = (
            TokenCredentials(credentials) if isinstance(credentials, SecretStr) else credentials
        )
        self._pace = pace
        self._clients: dict[str, Github] = {}
        self._former_ids = frozenset(former_ids)
        self._own: tuple[int, str] | None = None

    def accounts(self, repository: Repository) -> Accounts:
        """Return who is who in a repository; it raises `GitHubError` if GitHub does not tell our own id."""
        return Accounts(repository, lambda: self._former_ids | {self._account(repository.full_name)[0]})

    def _account(self, full_name: str) -> tuple[int, str]:
        """Return id and login of Railmend's own account, asked for once."""
        if self._own is None:
            with classified("The account of GITHUB_TOKEN, or of the app"):
                github, slug = self._github(full_name), self._credentials.app_slug
                # An installation's token may not ask for its own account.
                user = github.get_user(f"{slug}[bot]") if slug else github.get_user()
                self._own = user.id, user.login
        return self._own

    def author(self, full_name: str) -> Author:
        """Return the author of Railmend's commits, at the address by which GitHub knows its account.

        https://docs.github.com/account-and-profile/reference/email-addresses-reference#your-noreply-email-address
        """
        number, login = self._account(full_name)
        host = (urlsplit(self._url).hostname or "github.com").removeprefix("api.")
        name = login if self._credentials.is_app else BOT[0]
        return name, f"{number}+{login}@users.noreply.{host}"

    def signer(self, full_name: str) -> SignedCommits | None:
        """Return who makes commits with a signature; GitHub itself signs those of apps alone."""
        return SignedCommits(self.repository(full_name)) if self._credentials.is_app else None

    def repository(self, full_name: str) -> Repository:
        with classified(f"Repository {full_name}"):
            return self._github(full_name).get_repo(full_name)

    def default_branch(self, repository: str) -> str:
        return self.repository(repository).default_branch

    def clone_url(self, repository: str) -> str:
        return self.repository(repository).clone_url

    def git_token(self, full_name: str) -> str:
        """Return a token for git; an app's lasts an hour and reaches only this repository."""
        return self._credentials.auth(full_name).token

    def check_publishable(self, full_name: str, branch: str, base: str) -> None:
        """Raise `GitHubError` where a repository would refuse the branch, or the pull request of it."""
        repository, author = self.repository(full_name), self.author(full_name)
        with classified(f"Rules of {full_name}"):
            wanted = Publication(full_name, branch, base, author, signed=self._credentials.is_app)
            obstacle = find_obstacle(repository, wanted)
        if not obstacle and not self.may_push(full_name):
            obstacle = "the token may not push to it: give it Contents (read and write)"
        if not obstacle and not self._may_create(repository, "pulls"):
            obstacle = "the token may open no pull request: give it Pull requests (read and write)"
        if obstacle:
            raise GitHubError(f"Nothing can be published in {full_name}: {obstacle}.", retryable=False)

    def check_issues(self, full_name: str) -> None:
        """Raise `GitHubError` where no issue could be opened."""
        repository = self.repository(full_name)
        _check_enabled(repository)
        if not self._may_create(repository, "issues"):
            missing = "the token may open no issue: give it Issues (read and write)"
            raise GitHubError(f"{full_name}: {missing}.", retryable=False)

    def head_checks(self, full_name: str) -> HeadChecks:
        app = self._account(full_name)[1].removesuffix("[bot]") if self._credentials.is_app else None
        return HeadChecks(self.repository(full_name), app)

    def may_create_check_runs(self, full_name: str) -> bool | None:
        """Return whether they can say what a proof came to; None: not with a token, whatever it may do."""
        if not self._credentials.is_app:
            return None
        return self._may_create(self.repository(full_name), "check-runs")

    def may_set_status(self, full_name: str) -> bool:
        """Return whether a commit could get the status that says what its proof came to."""
        repository = self.repository(full_name)
        with classified(f"Default branch of {full_name}"):
            sha = repository.get_commit(repository.default_branch).sha
        return self._may_create(repository, f"statuses/{sha}")

    def _may_create(self, repository: Repository, kind: str) -> bool:
        """Try to create nothing: GitHub refuses that with 422, and whoever may not with 403 before."""
        with classified(f"Rights in {repository.full_name}"):
            try:
                repository.requester.requestJsonAndCheck("POST", f"{repository.url}/{kind}", input={})
            except GithubException as error:
                if error.status not in (403, 422) or from_status("", error).retryable:
                    raise
                return error.status == 422
        return True

    def may_push(self, full_name: str) -> bool:
        """Ask git itself whether it would take a push: a token may allow less than its owner may."""
        address = f"{self.clone_url(full_name)}/info/refs"
        try:
            answer = requests.get(
                address,
                params={"service": "git-receive-pack"},
                auth=("x-access-token", self.git_token(full_name)),
                timeout=TIMEOUT_SECONDS,
                stream=True,
            )
        except requests.RequestException as error:
            raise GitHubError(f"{address}: no answer ({type(error).__name__}).", retryable=True) from error
        answer.close()
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise GitHubError(f"{address}: answered {answer.status_code}.", retryable=True)
        return answer.ok

    def unseen_checks(self, full_name: str, branch: str) -> tuple[str, ...]:
        """Return what the token may not read of the checks of a branch's newest commit, a sentence each."""
        repository = self.repository(full_name)
        with classified(f"Checks of {full_name}"):
            return read_checks(repository, repository.get_branch(branch).commit.sha).unseen

    @property
    def left(self) -> int | None:
        """Requests left in GitHub's window by its last answers; None before the first."""
        lefts = [github.requester.rate_limiting[0] for github in self._clients.values()]
        return min((left for left in lefts if left >= 0), default=None)

    @contextmanager
    def issues(self, full_name: str) -> Iterator[Issues]:
        """Give access to a repository's issues; their errors are raised as `GitHubError`."""
        repository = self.repository(full_name)
        _check_enabled(repository)
        with classified(f"Issues of {full_name}"):
            yield Issues(repository, self.accounts(repository))

    def _github(self, full_name: str) -> Github:
        if full_name not in self._clients:
            self._clients[full_name] = Github(
                base_url=self._url,
                auth=self._credentials.auth(full_name),
                timeout=TIMEOUT_SECONDS,
                retry=None,
                per_page=100,
                seconds_between_requests=0.25 if self._pace else 0,
                seconds_between_writes=1.0 if self._pace else 0,
            )
        return self._clients[full_name]


def _check_enabled(repository: Repository) -> None:
    if repository.has_issues is False:
        raise GitHubError(ISSUES_OFF.format(repository.full_name), retryable=False)
