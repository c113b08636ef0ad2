"""The comparison of two commits, and its text as evidence: commits, files, and the hunks that may matter."""

import re
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from railmend.evidence.tokens import cut, estimate

BUDGET_TOKENS = 2000
MAX_COMMITS, MAX_FILES = 15, 25
MAX_FILE_TOKENS = 700
# Hunks of these are long and say little about a fault.
GENERATED = re.compile(
    r"(?:^|/)(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Cargo\.lock|go\.sum|Gemfile\.lock"
    r"|composer\.lock)$|\.min\.(?:js|css)$|\.(?:map|snap|svg|png|jpe?g|ico|pdf|csv)$|(?:^|/)(?:dist|vendor|node_modules)/"
)
SECONDARY = re.compile(
    r"(?:^|/)(?:tests?|spec|__tests__|docs?|\.github)/|(?:^|/)test_[^/]*$|[._]test\.|\.spec\.|\.md$|LICENSE$"
)
CONFIGURATION = re.compile(
    r"(?:^|/)(?:Dockerfile|Procfile|railway\.(?:json|toml)|nixpacks\.toml|\.env[\w.]*)$|\.(?:toml|ya?ml|json)$"
)


class ComparedCommit(BaseModel):
    """A commit of a comparison; `at` is when it was authored."""

    sha: str
    author: str
    at: datetime | None
    message: str


class ComparedFile(BaseModel):
    """A file of a comparison. `patch`: its hunks, which GitHub omits for binary and very large files."""

    path: str
    status: str
    additions: int
    deletions: int
    patch: str | None = None


class CommitComparison(BaseModel):
    """What lies between `base` and `head`, oldest commit first; `total` also counts commits not listed."""

    base: str
    head: str
    status: str  # ahead, behind, diverged, identical
    total: int
    commits: tuple[ComparedCommit, ...]
    files: tuple[ComparedFile, ...]


def describe(comparison: CommitComparison, root_directory: str) -> str:
    """Return at most about 2,000 tokens. Files inside the service's root directory come first."""
    direction = "" if comparison.status == "ahead" else f" ({comparison.status})"
    head = (
        f"{comparison.total} commits from {comparison.base[:12] or 'nothing'} to {comparison.head[:12]}"
        f"{direction}, {len(comparison.files)} files:"
    )
    commits = [_commit(commit) for commit in reversed(comparison.commits[-MAX_COMMITS:])]
    if comparison.total > len(commits):
        commits.append(f"  ({comparison.total - len(commits)} commits left out)")
    files = sorted(comparison.files, key=lambda file: _rank(file, root_directory))
    table = [f"  {file.status} {file.path} +{file.additions} -{file.deletions}" for file in files[:MAX_FILES]]
    if len(files) > MAX_FILES:
        table.append(f"  ({len(files) - MAX_FILES} files left out)")
    text = "\n".join([head, *commits, "Files:", *table])
    return "\n".join([text, *_hunks(files, BUDGET_TOKENS - estimate(text))])


def _commit(commit: ComparedCommit) -> str:
    at = f"{commit.at:%Y-%m-%d %H:%M} " if commit.at else ""
    message = commit.message.partition("\n")[0]
    return f"  {commit.sha[:12]} {at}{commit.author}: {message[:160]}"


def _rank(file: ComparedFile, root_directory: str) -> tuple[bool, int, int]:
    """Order: the root directory first; code, configuration, tests and documents, generated; small first."""
    outside = bool(root_directory) and not file.path.startswith(f"{root_directory.strip('/')}/")
    if GENERATED.search(file.path):
        kind = 3
    elif SECONDARY.search(file.path):
        kind = 2
    else:
        kind = 1 if CONFIGURATION.search(file.path) else 0
    return outside, kind, file.additions + file.deletions


def _hunks(files: Sequence[ComparedFile], max_tokens: int) -> list[str]:
    lines: list[str] = []
    left_out = 0
    for file in files:
        if not file.patch or GENERATED.search(file.path):
            continue
        block = f"--- {file.path}\n{file.patch}"
        share = min(max_tokens, MAX_FILE_TOKENS)
        if share < 60:
            left_out += 1
            continue
        kept = cut(block, share)
        lines.append(kept if kept == block else f"{kept}\n(hunks cut)")
        max_tokens -= estimate(kept) + 4
    return [*lines, *([f"(hunks of {left_out} more files left out)"] if left_out else [])]
