"""Changes between two commits, as GitHub reports them."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from github.Commit import Commit
from github.File import File
from github.GithubObject import NotSet
from github.Repository import Repository

from railmend.evidence.change import CommitComparison, ComparedCommit, ComparedFile

MAX_COMMITS = 50
MAX_FILES = 300  # GitHub's own limit per comparison
MAX_PATCH = 60_000
MAX_MESSAGE = 300


def own_change(repository: Repository, sha: str) -> CommitComparison:
    """Return the changes of one commit against its first parent; `base` is empty for a root commit."""
    commit = repository.get_commit(sha)
    parent = commit.parents[0].sha if commit.parents else ""
    return CommitComparison(
        base=parent, head=sha, status="ahead", total=1, commits=(_commit(commit),), files=_files(commit.files)
    )


def earlier_commits(
    repository: Repository, reference: str | None, path: str, since: datetime | None, most: int
) -> list[ComparedCommit]:
    """Return the newest commits of a path, or of all, up to a reference. Raise PyGithub's errors."""
    commits = repository.get_commits(sha=reference or NotSet, path=path or NotSet, since=since or NotSet)
    return [_commit(commit) for commit in islice(commits, most)]


def comparison(repository: Repository, base: str, head: str) -> CommitComparison:
    """Compare two commits in one request, plus one per 250 commits. Raise PyGithub's errors.

    GitHub lists the oldest commit first; of many, the newest are kept.
    """
    compared = repository.compare(base, head)
    commits = tuple(_commit(commit) for commit in deque(compared.commits, maxlen=MAX_COMMITS))
    return CommitComparison(
        base=base,
        head=head,
        status=compared.status,
        total=compared.total_commits,
        commits=commits,
        files=_files(compared.files),
    )


def _commit(commit: Commit) -> ComparedCommit:
    author = commit.commit.author
    return ComparedCommit(
        sha=commit.sha,
        author=author.name or "-" if author else "-",
        at=author.date if author else None,
        message=(commit.commit.message or "").strip()[:MAX_MESSAGE],
    )


def _files(files: Iterable[File]) -> tuple[ComparedFile, ...]:
    return tuple(
        ComparedFile(
            path=file.filename,
            previous=(file.previous_filename or "") if file.status == "renamed" else "",
            status=file.status,
            additions=file.additions,
            deletions=file.deletions,
            patch=(file.patch or "")[:MAX_PATCH] or None,
        )
        for file in islice(files, MAX_FILES)
    )
