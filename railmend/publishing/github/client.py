"""Pull requests, files and comparisons."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal

from github import GithubException
from github.PullRequest import PullRequest as GithubPull
from github.Repository import Repository
from pydantic import BaseModel, ConfigDict, SkipValidation

from railmend.contracts.repair import PullRequest
from railmend.contracts.review import Related, RelatedQuestion
from railmend.evidence.change import CommitComparison, ComparedCommit
from railmend.evidence.safe_text import MarkdownText, PlainText
from railmend.publishing.github.access import GitHubAccess
from railmend.publishing.github.accounts import Accounts
from railmend.publishing.github.compare import comparison, earlier_commits, own_change
from railmend.publishing.github.errors import GitHubError, classified, unless_refused

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


class GitHubClient(GitHubAccess):
    """Comparisons, files and pull requests of all repositories. Raise `GitHubError`."""

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
            what = f"Reviewers {', '.join(reviewers)} of pull request {pull.number}"
            ask = partial(pull.create_review_request, reviewers=people, team_reviewers=teams)
            refused = object()
            if unless_refused(what, ask, refused) is not refused and len(reviewers) == len(new.reviewers):
                break
        labels = (*new.labels, *([MEANT_AS_DRAFT] if new.draft and not pull.draft else []))
        if labels:
            what = f"Labels of pull request {pull.number}"
            unless_refused(what, partial(pull.add_to_labels, *labels), None)

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


def _has(repo: Repository, reference: str, path: str) -> bool:
    try:
        repo.get_contents(path, reference)
    except GithubException as error:
        if error.status == 404:
            return False
        raise
    return True


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
