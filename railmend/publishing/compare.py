"""What changed between two commits, as GitHub tells it."""

from datetime import datetime

from github.Repository import Repository
from pydantic import BaseModel

MAX_COMMITS = 50
MAX_FILES = 300  # GitHub's own limit of one comparison
MAX_PATCH = 20_000
MAX_MESSAGE = 300


class ComparedCommit(BaseModel):
    sha: str
    author: str
    at: datetime | None
    message: str


class ComparedFile(BaseModel):
    """`patch`: the hunks, where GitHub gives them (not for binary or very large files)."""

    path: str
    status: str
    additions: int
    deletions: int
    patch: str | None = None


class Comparison(BaseModel):
    """From `base` to `head`, oldest commit first; `total` counts all commits, also those not listed."""

    base: str
    head: str
    status: str  # ahead, behind, diverged, identical
    total: int
    commits: tuple[ComparedCommit, ...]
    files: tuple[ComparedFile, ...]


def comparison(repository: Repository, base: str, head: str) -> Comparison:
    """One request, and one more for every 250 commits or so. Raises PyGithub's errors."""
    found = repository.compare(base, head)
    commits = []
    for number, one in enumerate(found.commits):
        if number >= MAX_COMMITS:
            break
        author = one.commit.author
        commits.append(
            ComparedCommit(
                sha=one.sha,
                author=author.name or "-" if author else "-",
                at=author.date if author else None,
                message=(one.commit.message or "").strip()[:MAX_MESSAGE],
            )
        )
    files = tuple(
        ComparedFile(
            path=one.filename,
            status=one.status,
            additions=one.additions,
            deletions=one.deletions,
            patch=(one.patch or "")[:MAX_PATCH] or None,
        )
        for one in list(found.files)[:MAX_FILES]
    )
    return Comparison(
        base=base,
        head=head,
        status=found.status,
        total=found.total_commits,
        commits=tuple(commits),
        files=files,
    )
