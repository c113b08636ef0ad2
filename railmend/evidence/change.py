"""A comparison of two commits as evidence: commits, files, and the hunks that may matter."""

import re
from collections.abc import Sequence

from railmend.evidence.tokens import cut, estimate
from railmend.publishing.compare import CommitComparison, ComparedCommit, ComparedFile

BUDGET = 2000
MAX_COMMITS, MAX_FILES = 15, 25
MAX_FILE_TOKENS = 700
# Hunks of these say little about a fault, and are long.
GENERATED = re.compile(
    r"(?:^|/)(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Cargo\.lock|go\.sum|Gemfile\.lock"
    r"|composer\.lock)$|\.min\.(?:js|css)$|\.(?:map|snap|svg|png|jpe?g|ico|pdf|csv)$|(?:^|/)(?:dist|vendor|node_modules)/"
)
ASIDE = re.compile(
    r"(?:^|/)(?:tests?|spec|__tests__|docs?|\.github)/|(?:^|/)test_[^/]*$|[._]test\.|\.spec\.|\.md$|LICENSE$"
)
CONFIGURATION = re.compile(
    r"(?:^|/)(?:Dockerfile|Procfile|railway\.(?:json|toml)|nixpacks\.toml|\.env[\w.]*)$|\.(?:toml|ya?ml|json)$"
)


def describe(found: CommitComparison, root_directory: str) -> str:
    """At most about 2,000 tokens. Files inside the service's root directory come first."""
    direction = "" if found.status == "ahead" else f" ({found.status})"
    head = (
        f"{found.total} commits from {found.base[:12] or 'nothing'} to {found.head[:12]}{direction}, "
        f"{len(found.files)} files:"
    )
    commits = [_commit(one) for one in reversed(found.commits[-MAX_COMMITS:])]
    if found.total > len(commits):
        commits.append(f"  ({found.total - len(commits)} commits left out)")
    files = sorted(found.files, key=lambda file: _rank(file, root_directory))
    table = [f"  {f.status} {f.path} +{f.additions} -{f.deletions}" for f in files[:MAX_FILES]]
    if len(files) > MAX_FILES:
        table.append(f"  ({len(files) - MAX_FILES} files left out)")
    text = "\n".join([head, *commits, "Files:", *table])
    return "\n".join([text, *_hunks(files, BUDGET - estimate(text))])


def _commit(one: ComparedCommit) -> str:
    at = f"{one.at:%Y-%m-%d %H:%M} " if one.at else ""
    message = one.message.partition("\n")[0]
    return f"  {one.sha[:12]} {at}{one.author}: {message[:160]}"


def _rank(file: ComparedFile, root_directory: str) -> tuple[bool, int, int]:
    """The root directory first; code, configuration, tests and papers, generated files; small before big."""
    outside = bool(root_directory) and not file.path.startswith(f"{root_directory.strip('/')}/")
    if GENERATED.search(file.path):
        kind = 3
    elif ASIDE.search(file.path):
        kind = 2
    else:
        kind = 1 if CONFIGURATION.search(file.path) else 0
    return outside, kind, file.additions + file.deletions


def _hunks(files: Sequence[ComparedFile], room: int) -> list[str]:
    lines: list[str] = []
    left = 0
    for file in files:
        if not file.patch or GENERATED.search(file.path):
            continue
        block = f"--- {file.path}\n{file.patch}"
        most = min(room, MAX_FILE_TOKENS)
        if most < 60:
            left += 1
            continue
        kept = cut(block, most)
        lines.append(kept if kept == block else f"{kept}\n(hunks cut)")
        room -= estimate(kept) + 4
    return [*lines, *([f"(hunks of {left} more files left out)"] if left else [])]
