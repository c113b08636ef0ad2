"""What changed between two commits, as GitHub tells it."""

from collections.abc import Iterable
from itertools import islice

from github.Commit import Commit
from github.File import File
from github.Repository import Repository

from railmend.evidence.change import CommitComparison, ComparedCommit, ComparedFile

MAX_COMMITS = 50
MAX_FILES = 300  # GitHub's own limit of one comparison
MAX_PATCH = 20_000
MAX_MESSAGE = 300


def own_change(repository: Repository, sha: str) -> CommitComparison:
    """What one commit changed against its first parent; `base` is empty for the first commit of all."""
    one = repository.get_commit(sha)
    parent = one.parents[0].sha if one.parents else ""
    return CommitComparison(
        base=parent, head=sha, status="ahead", total=1, commits=(_commit(one),), files=_files(one.files)
    )


def comparison(repository: Repository, base: str, head: str) -> CommitComparison:
    """One request, and one more for every 250 commits or so. Raises PyGithub's errors."""
    found = repository.compare(base, head)
    commits = tuple(_commit(one) for one in islice(found.commits, MAX_COMMITS))
    return CommitComparison(
        base=base,
        head=head,
        status=found.status,
        total=found.total_commits,
        commits=commits,
        files=_files(found.files),
    )


def _commit(one: Commit) -> ComparedCommit:
    author = one.commit.author
    return ComparedCommit(
        sha=one.sha,
        author=author.name or "-" if author else "-",
        at=author.date if author else None,
        message=(one.commit.message or "").strip()[:MAX_MESSAGE],
    )


def _files(files: Iterable[File]) -> tuple[ComparedFile, ...]:
    return tuple(
        ComparedFile(
            path=one.filename,
            status=one.status,
            additions=one.additions,
            deletions=one.deletions,
            patch=(one.patch or "")[:MAX_PATCH] or None,
        )
        for one in islice(files, MAX_FILES)
    )
