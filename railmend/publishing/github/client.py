"""Repositories, pull requests and issues. PyGithub's retries are off: they repeat POSTs."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

import requests
from github import Github, GithubException
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest as GithubPull
from github.Repository import Repository
from pydantic import BaseModel, ConfigDict, SecretStr, SkipValidation

from railmend.contracts.repair import PullRequest
from railmend.contracts.review import Related, RelatedQuestion
from railmend.evidence.change import CommitComparison, ComparedCommit
from railmend.evidence.safe_text import MarkdownText, PlainText
from railmend.publishing.github.accounts import Accounts
from railmend.publishing.github.auth import Credentials, TokenCredentials
from railmend.publishing.github.checks import read_checks
from railmend.publishing.github.compare import comparison, earlier_commits, own_change
from railmend.publishing.github.errors import GitHubError, classified
from railmend.publishing.github.obstacles import find_obstacle
from railmend.publishing.text import BOT, Author

logger = logging.getLogger(__name__)
TIMEOUT_SECONDS = 15
# GitHub has no code for it: https://github.com/google/go-github/issues/1441
EXISTS = "A pull request already exists"
# Lists lag behind by seconds.
LISTED_SECONDS = 10.0
MEANT_AS_DRAFT = "railmend: draft"
NO_DRAFTS = MarkdownText.of(
    "> **Meant as a draft**: this repository has no draft pull requests. Look twice before you merge it."
)
# Newest open pull requests that a new one is compared with.
MAX_COMPARED = 50
# GitHub's clock and the worker's may differ by this; repairs of the same fault are hours apart.
CLOCKS_APART = timedelta(minutes=10)
# Touched by nearly every change: sharing one of them means nothing.
SHARED_BY_ALL = frozenset(
    {
        *("changelog.md", "changes.md", "readme.md", "package.json", "package-lock.json", "pnpm-lock.yaml"),
        *("yarn.lock", "poetry.lock", "uv.lock", "pyproject.toml", "go.mod", "go.sum", "cargo.lock"),
        *("cargo.toml", "gemfile.lock", "composer.lock", "requirements.txt"),
    }
)


class PullRequestMatch(BaseModel):
    """An existing pull request of a branch. `own`: Railmend's account opened it; else `author` did."""

    pull_request: PullRequest
    state: Literal["open", "closed", "merged"]
    labelled: bool
    body: str = ""
    own: bool = False
    author: str = ""

    def is_of(self, key: str) -> bool:
        """Whether it is Railmend's, and the hidden marker in its text names this repair."""
        return self.own and f'<!-- railmend {{"key": "{key}"' in self.body


class NewPullRequest(BaseModel):
    """What is opened. `reviewers`: logins, or `org/team`; one that cannot be requested is no error.

    `since`: when it was asked for; what was closed or merged before is of an earlier repair.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    branch: str
    base: str
    title: SkipValidation[PlainText]
    body: SkipValidation[MarkdownText]
    draft: bool = False
    labels: Sequence[str] = ()
    reviewers: Sequence[str] = ()
    since: datetime | None = None


class GitHubClient:
    """Client for all repositories.

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
        return Accounts(repository, lambda: self._own_ids(repository.full_name))

    def _own_ids(self, full_name: str) -> frozenset[int]:
        return self._former_ids | {self._account(full_name)[0]}

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
        return BOT[0], f"{number}+{login}@users.noreply.{host}"

    def repository(self, full_name: str) -> Repository:
        with classified(f"Repository {full_name}"):
            return self._github(full_name).get_repo(full_name)

    def check_publishable(self, full_name: str, branch: str, base: str) -> None:
        """Raise `GitHubError` where a repository would refuse the branch, or the pull request of it."""
        repository, author = self.repository(full_name), self.author(full_name)
        with classified(f"Rules of {full_name}"):
            obstacle = find_obstacle(repository, branch, base, author)
        if not obstacle and not self.may_push(full_name):
            obstacle = "the token may not push to it: give it Contents (read and write)"
        if obstacle:
            raise GitHubError(f"Nothing can be published in {full_name}: {obstacle}.", retryable=False)

    def may_push(self, full_name: str) -> bool:
        """Ask git itself whether it would take a push: a token may allow less than its owner may."""
        address = f"{self.clone_url(full_name)}/info/refs"
        auth = ("x-access-token", self.git_token(full_name))
        try:
            answer = requests.get(
                address,
                params={"service": "git-receive-pack"},
                auth=auth,
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

    def git_token(self, full_name: str) -> str:
        """Return a token for git; an app's lasts an hour and reaches only this repository."""
        return self._credentials.auth(full_name).token

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

    @property
    def left(self) -> int | None:
        """Requests left in GitHub's window by its last answers; None before the first."""
        lefts = [github.requester.rate_limiting[0] for github in self._clients.values()]
        return min((left for left in lefts if left >= 0), default=None)

    @contextmanager
    def issues(self, full_name: str) -> Iterator["Issues"]:
        """Give access to a repository's issues; their errors are raised as `GitHubError`."""
        repository = self.repository(full_name)
        with classified(f"Issues of {full_name}"):
            yield Issues(repository, self.accounts(repository))

    def default_branch(self, repository: str) -> str:
        return self.repository(repository).default_branch

    def clone_url(self, repository: str) -> str:
        return self.repository(repository).clone_url

    def missing_files(
        self, repository: str, reference: str, root_directory: str, paths: list[str]
    ) -> list[str]:
        """Return those of `paths` that `reference` has neither at its root nor in `root_directory`."""
        repo = self.repository(repository)
        with classified(f"Files of {repository}"):
            tree = repo.get_git_tree(reference, recursive=True)
            existing = {entry.path for entry in tree.tree}
            below = f"{root_directory.strip('/')}/" if root_directory.strip("/") else ""
            places = {path: {_plain(path), below + _plain(path)} for path in paths}
            missing = [path for path, names in places.items() if not names & existing]
            if tree.truncated:  # over 100,000 entries: what is not listed is asked for by name
                missing = [
                    path for path in missing if not any(_has(repo, reference, name) for name in places[path])
                ]
        return missing

    def compare(self, repository: str, base: str, head: str) -> CommitComparison:
        """Return commits, files and hunks from one commit to another."""
        repo = self.repository(repository)
        with classified(f"Comparison of {base[:12]} with {head[:12]} in {repository}"):
            return comparison(repo, base, head)

    def own_change(self, repository: str, sha: str) -> CommitComparison:
        """Return the changes of one commit."""
        repo = self.repository(repository)
        with classified(f"Commit {sha[:12]} in {repository}"):
            return own_change(repo, sha)

    def commits(
        self, repository: str, reference: str | None, *, path: str, since: datetime | None, most: int
    ) -> list[ComparedCommit]:
        """Return the newest `most` commits up to `reference`, of `path` where it is not empty."""
        repo = self.repository(repository)
        with classified(f"Commits of {repository}"):
            return earlier_commits(repo, reference, path, since, most)

    def find_pull_request(
        self, repository: str, branch: str, base: str, since: datetime | None = None
    ) -> PullRequestMatch | None:
        """Return the newest pull request of this branch, in any state.

        `since`: one that is closed or merged must have been opened after it.
        """
        repo = self.repository(repository)
        with classified(f"Pull requests of {repository}"):
            # Without `owner:` GitHub ignores the filter.
            for pull in repo.get_pulls(state="all", head=f"{repo.owner.login}:{branch}", base=base):
                if since is None or pull.state == "open" or pull.created_at > since - CLOCKS_APART:
                    return _match(pull, self.accounts(repo).own(pull.user))
        return None

    def open_pull_request(self, repository: str, new: NewPullRequest) -> PullRequest:
        """Open a pull request, or return the branch's existing one.

        One that a person closed or merged is left alone. An open one without a label may be incomplete from
        an earlier attempt: it gets labels and reviewers. One that another account opened from the branch is
        refused: its words are not Railmend's.
        """
        existing = self.find_pull_request(repository, new.branch, new.base, new.since)
        if existing is not None:
            _check_own(repository, existing)
            if existing.state == "open" and not existing.labelled:
                with classified(f"Pull request {existing.pull_request.number}"):
                    pull = self.repository(repository).get_pull(existing.pull_request.number)
                self._add_reviewers_and_labels(pull, new)
            return existing.pull_request
        try:
            with classified(f"Pull request for {new.branch}"):
                pull = self._create(self.repository(repository), new)
        except GitHubError as error:
            if error.status == 422:
                existing = self.find_pull_request(repository, new.branch, new.base, new.since)
            if existing is None:
                raise
            _check_own(repository, existing)
            return existing.pull_request
        self._add_reviewers_and_labels(pull, new)
        return PullRequest(number=pull.number, url=pull.html_url, head=pull.head.sha, draft=pull.draft)

    def _create(self, repo: Repository, new: NewPullRequest) -> GithubPull:
        """Create it; where that is refused as a draft, which some plans do not have, ready for review."""
        draft, body = new.draft, new.body
        while True:
            try:
                return repo.create_pull(
                    base=new.base, head=new.branch, title=new.title, body=body, draft=draft
                )
            except GithubException as error:
                if EXISTS in str(error.data):
                    # A new pull request is not listed at once: it is found at the next attempt.
                    after = LISTED_SECONDS
                    raise GitHubError(str(error), retryable=True, retry_after=after, status=422) from error
                if error.status != 422 or not draft:
                    raise
                draft, body = False, MarkdownText.joined([NO_DRAFTS, new.body])

    def _add_reviewers_and_labels(self, pull: GithubPull, new: NewPullRequest) -> None:
        """Add labels last: a label shows that the reviewers were requested. A refusal is no error."""
        for reviewers in _groups(new.reviewers):
            people = [name for name in reviewers if "/" not in name]
            teams = [name.partition("/")[2] for name in reviewers if "/" in name]
            asked = _unless_refused(
                f"Reviewers {', '.join(reviewers)} of pull request {pull.number}",
                partial(pull.create_review_request, reviewers=people, team_reviewers=teams),
            )
            if asked and len(reviewers) == len(new.reviewers):
                break
        labels = (*new.labels, *([MEANT_AS_DRAFT] if new.draft and not pull.draft else []))
        if labels:
            what = f"Labels of pull request {pull.number}"
            _unless_refused(what, partial(pull.add_to_labels, *labels))

    def find_related(self, question: RelatedQuestion) -> Related:
        """Return the newest open pull request about the same incident or files.

        Only those of who may write count: anybody can open one that names an incident.
        """
        wanted = {file for file in question.files if PurePosixPath(file).name.lower() not in SHARED_BY_ALL}
        accounts = self.accounts(self.repository(question.repository))
        for pull in self._open_pull_requests(question.repository, question.base_branch):
            if pull.head.ref == question.branch or not self._counts(pull, accounts):
                continue
            if any(fingerprint in (pull.body or "") for fingerprint in question.fingerprints):
                why = f"Pull request {pull.number} is about the same incident."
                return Related(number=pull.number, url=pull.html_url, why=why)
            with classified(f"Files of pull request {pull.number}"):
                touched = sorted(wanted & {file.filename for file in pull.get_files()})
            if touched:
                why = (
                    f"Pull request {pull.number} changes {', '.join(touched[:3])}, which the fix needs, too."
                )
                return Related(number=pull.number, url=pull.html_url, why=why)
        return Related()

    def _counts(self, pull: GithubPull, accounts: Accounts) -> bool:
        """Return whether a writer opened it, or an app from a branch that it was able to push here."""
        with classified(f"The author of pull request {pull.number}"):
            here = pull.head.repo is not None and pull.head.repo.id == pull.base.repo.id
            return accounts.writes(pull.user) or (here and pull.user.type == "Bot")

    def _open_pull_requests(self, repository: str, base: str) -> Iterator[GithubPull]:
        """Yield open pull requests, newest first, at most `MAX_COMPARED`."""
        repo = self.repository(repository)
        with classified(f"Pull requests of {repository}"):
            yield from islice(repo.get_pulls(state="open", base=base), MAX_COMPARED)

    def carries(self, repository: str, commit: str, ancestor: str) -> bool:
        """Return whether `commit` is `ancestor` or a descendant of it."""
        if commit == ancestor:
            return True
        repo = self.repository(repository)
        with classified(f"Comparison of commits in {repository}"):
            return repo.compare(ancestor, commit).status in ("ahead", "identical")


def _groups(reviewers: Sequence[str]) -> list[Sequence[str]]:
    """Return whom to ask together: all, and if that is refused each alone, so that one hides no other."""
    return [reviewers, *([name] for name in reviewers if len(reviewers) > 1)] if reviewers else []


def _unless_refused(what: str, call: Callable[[], object]) -> bool:
    """Return whether GitHub allowed it; the pull request is open, and people see it without."""
    try:
        with classified(what):
            call()
    except GitHubError as error:
        if not error.refused:
            raise
        logger.warning("%s", error)
        return False
    return True


def _has(repo: Repository, reference: str, path: str) -> bool:
    try:
        repo.get_contents(path, reference)
    except GithubException as error:
        if error.status == 404:
            return False
        raise
    return True


class Issues:
    """Railmend's own issues of one repository; see `GitHubClient.issues`."""

    def __init__(self, repository: Repository, accounts: Accounts) -> None:
        self._repository = repository
        self._accounts = accounts

    def find(self, label: str, mark: str, most: int) -> Issue | None:
        """Return the newest of the `most` newest issues with this label that holds `mark` and is our own."""
        newest = self._repository.get_issues(state="all", labels=[label], sort="created", direction="desc")
        return next((issue for issue in islice(newest, most) if self._marked(issue, mark)), None)

    def create(self, title: PlainText, body: MarkdownText, label: str) -> Issue:
        return self._repository.create_issue(title=title, body=body, labels=[label])

    def written(self, issue: Issue, mark: str) -> Issue | IssueComment | None:
        """Return what holds `mark`: an issue of our own, or a comment of ours on it."""
        if self._marked(issue, mark):
            return issue
        return next((comment for comment in issue.get_comments() if self._marked(comment, mark)), None)

    def _marked(self, written: Issue | IssueComment, mark: str) -> bool:
        return mark in (written.body or "") and self._accounts.own(written.user)


def _plain(path: str) -> str:
    return path.removeprefix("./").strip("/")


def _check_own(repository: str, existing: PullRequestMatch) -> None:
    if not existing.own:
        raise GitHubError(
            f"{existing.author} opened {existing.pull_request.url} from Railmend's branch of {repository}: "
            "close it, and the repair can be tried again. If that was Railmend's former account, add its id "
            "to RAILMEND_FORMER_GITHUB_IDS.",
            retryable=False,
        )


def _match(pull: GithubPull, own: bool) -> PullRequestMatch:
    state: Literal["open", "closed", "merged"] = (
        "merged" if pull.merged_at else "open" if pull.state == "open" else "closed"
    )
    return PullRequestMatch(
        pull_request=PullRequest(
            number=pull.number, url=pull.html_url, head=pull.head.sha, draft=pull.draft, existed=True
        ),
        state=state,
        labelled=bool(pull.labels),
        body=pull.body or "",
        own=own,
        author=pull.user.login if pull.user else "ghost",
    )
