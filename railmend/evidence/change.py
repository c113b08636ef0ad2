"""The comparison of two commits, and its text as evidence: commits, files, and the hunks that may matter."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel

from railmend.evidence.tokens import estimate

BUDGET_TOKENS = 2000
MAX_COMMITS, MAX_FILES = 15, 25
# Of a file that nothing names, before what is left over is shared out. No hunk is of use below the least.
MAX_FILE_TOKENS, MIN_FILE_TOKENS = 700, 60
# What did not change is kept like a change that is so many lines further away.
NEAR_LINES = 12
HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)")
# Hunks of these are long and say little about a fault: what programs wrote, and data.
GENERATED = re.compile(
    r"(?:^|/)(?:[\w.-]*[.-]lock(?:\.json|\.ya?ml|b|file)?|npm-shrinkwrap\.json|go\.(?:sum|work\.sum)|flake\.lock)$"
    r"|\.(?:min|bundle|chunk|generated|gen|g|designer)\.\w+$|[._-](?:pb|pb2|pb2_grpc|pb_gw|grpc|gen|generated)\.\w+$"
    r"|_(?:pb|grpc_pb)\.[jt]s$|\.(?:map|snap|svg|png|jpe?g|gif|ico|webp|woff2?|pdf|[ct]sv|po|pot|mo|xlf|lock|resx"
    r"|ipynb|parquet|sqlite3?)$|(?:^|/)(?:dist|vendor|node_modules|__generated__|generated|\.next|\.yarn)/"
    r"|(?:^|/)(?:public|static|assets|wwwroot|priv/static)/(?:build|dist|packs|js/[\w.-]*[.-][0-9a-f]{8,}\.)"
    r"|[.-](?=\w*\d)[0-9A-Za-z]{8,}\.(?:js|css)$",
    re.I,
)
SECONDARY = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__|docs?|examples?|\.github)/|(?:^|/)test_[^/]*$|[._]test\.|\.spec\.|_spec\.rb$"
    r"|\.(?:md|mdx|rst|txt)$|LICENSE$",
    re.I,
)
# These decide how a service is built and started; they are always listed, wherever they are.
DEPLOYING = re.compile(
    r"(?:^|/)(?:[\w-]*\.?(?:Dockerfile|Containerfile)[\w.-]*|Procfile|railway\.(?:json|toml)|(?:nix|rail)pa(?:cks|ck)\.\w+"
    r"|\.dockerignore|\.(?:node|python|ruby|tool)-versions?)$"
)
CONFIGURATION = re.compile(r"(?:^|/)\.env[\w.]*$|\.(?:toml|ya?ml|json|ini|cfg)$")
MERGE = re.compile(r"Merge pull request (#\d+) from \S+\s+(\S[^\n]*)|Merge branch .*\n\s*\n(\S[^\n]*)")


class ComparedCommit(BaseModel):
    """A commit of a comparison; `at` is when it was authored."""

    sha: str
    author: str
    at: datetime | None
    message: str


class ComparedFile(BaseModel):
    """A file of a comparison. `patch`: its hunks, which GitHub omits for binary and very large files.

    `previous`: the path before it was renamed.
    """

    path: str
    previous: str = ""
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


def describe(
    comparison: CommitComparison,
    root_directory: str,
    *,
    named: Mapping[str, Sequence[int]] | None = None,
    budget: int = BUDGET_TOKENS,
    whole: bool = True,
) -> str:
    """Return at most about `budget` tokens.

    Hunks of the files that traces and routes name, `named` with their lines, come first, as long as they
    are; then those inside the service's root directory. `whole`: False leaves the hunks out.
    """
    named = named or {}
    direction = "" if comparison.status == "ahead" else f" ({comparison.status})"
    head = (
        f"{comparison.total} commits from {comparison.base[:12] or 'nothing'} to {comparison.head[:12]}"
        f"{direction}, {len(comparison.files)} files:"
    )
    commits = [f"  {commit_row(commit)}" for commit in reversed(comparison.commits[-MAX_COMMITS:])]
    if comparison.total > len(commits):
        commits.append(f"  ({comparison.total - len(commits)} commits left out)")
    files = sorted(comparison.files, key=lambda file: _rank(file, root_directory, named))
    text = "\n".join([head, *commits, "Files:", *_table(files)])
    if not whole:
        return f"{text}\n(All of it is new, and shown as the service's code.)"
    return "\n".join([text, *_hunks(files, budget - estimate(text), named)])


def _table(files: Sequence[ComparedFile]) -> list[str]:
    """Return a row for each of the first files, and for all that decide how the service is built."""
    listed = [file for n, file in enumerate(files) if n < MAX_FILES or DEPLOYING.search(file.path)]
    rows = [
        f"  {file.status} {f'{file.previous} -> ' if file.previous else ''}{file.path} "
        f"+{file.additions} -{file.deletions}"
        for file in listed
    ]
    return [*rows, *([f"  ({len(files) - len(listed)} files left out)"] if len(files) > len(listed) else [])]


def commit_row(commit: ComparedCommit) -> str:
    """Return one line; a merge says what its pull request is called, not which branch it was."""
    at = f"{commit.at:%Y-%m-%d %H:%M} " if commit.at else ""
    message = commit.message.partition("\n")[0]
    if match := MERGE.match(commit.message):
        message = f"Merge {match[1]}: {match[2]}" if match[1] else f"Merge: {match[3]}"
    return f"{commit.sha[:12]} {at}{commit.author}: {message[:160]}"


def _rank(
    file: ComparedFile, root_directory: str, named: Mapping[str, Sequence[int]]
) -> tuple[int, bool, int, int]:
    """Order: what is named; the root directory; code, configuration, tests and documents; small first."""
    position = next((n for n, path in enumerate(named) if path in (file.path, file.previous)), len(named))
    outside = bool(root_directory) and not file.path.startswith(f"{root_directory.strip('/')}/")
    if DEPLOYING.search(file.path):
        return position, False, 0, 0
    if GENERATED.search(file.path):
        kind = 3
    elif SECONDARY.search(file.path):
        kind = 2
    else:
        kind = 1 if CONFIGURATION.search(file.path) else 0
    return position, outside, kind, file.additions + file.deletions


def _hunks(files: Sequence[ComparedFile], budget: int, named: Mapping[str, Sequence[int]]) -> list[str]:
    """Return hunks by file: what is named whole, others up to a share; what is left over is then spent."""
    shown = [file for file in files if file.patch and not GENERATED.search(file.path)]
    sizes = [estimate(_block(file)) for file in shown]
    shares: list[int] = []
    for file, size in zip(shown, sizes, strict=True):
        most = budget if _lines(file, named) is not None else min(budget, MAX_FILE_TOKENS)
        share = size if size <= most else most if most >= MIN_FILE_TOKENS else 0
        shares.append(share)
        budget -= share + 4 if share else 0
    texts: list[str] = []
    for file, size, share in zip(shown, sizes, shares, strict=True):
        more = min(size - share, budget) if share and budget > MIN_FILE_TOKENS else 0
        budget -= more
        if share:
            texts.append(_cut(file, share + more, _lines(file, named) or ()))
    left_out = [file.path for file, share in zip(shown, shares, strict=True) if not share]
    listed = ", ".join(left_out[:5])
    return [*texts, *([f"(hunks of {len(left_out)} more files left out: {listed})"] if left_out else [])]


def _block(file: ComparedFile) -> str:
    return f"--- {file.path}\n{file.patch}"


def _lines(file: ComparedFile, named: Mapping[str, Sequence[int]]) -> Sequence[int] | None:
    """Return the lines of a file that are named; None if the file is not."""
    return named.get(file.path, named.get(file.previous) if file.previous else None)


def _cut(file: ComparedFile, share: int, lines: Sequence[int]) -> str:
    """Return what fits of a file's hunks: what is nearest to the named lines, and what was changed first."""
    block = _block(file)
    if estimate(block) <= share:
        return block
    rows = block.split("\n")
    numbers = _numbers(rows)
    order = sorted(
        range(1, len(rows)),
        key=lambda n: (
            min((abs(numbers[n] - line) for line in lines), default=0)
            + (0 if rows[n].startswith(("+", "-", "@@")) else NEAR_LINES),
            n,
        ),
    )
    kept, room = {0}, share - estimate(rows[0]) - 4
    for position in order:
        size = estimate(rows[position]) + 1
        if size > room:
            break
        kept.add(position)
        room -= size
    return "\n".join(_with_gaps(rows, kept))


def _numbers(rows: Sequence[str]) -> list[int]:
    """Return the line of the new file that each row of a patch is, or stands before."""
    numbers, line = [], 0
    for row in rows:
        if match := HUNK.match(row):
            line = int(match[1])
        numbers.append(line)
        line += not row.startswith(("-", "@@", "\\"))
    return numbers


def _with_gaps(rows: Sequence[str], kept: set[int]) -> Iterator[str]:
    """Yield the rows that are kept; where some are missing, the line goes on from is said."""
    numbers = _numbers(rows)
    for position in sorted(kept):
        if position - 1 not in kept and position and not rows[position].startswith("@@"):
            yield f"(hunks cut; line {numbers[position]})"
        yield rows[position]
    if len(rows) - 1 not in kept:
        yield "(hunks cut)"
