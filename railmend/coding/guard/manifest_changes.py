"""What a change does to manifests and lock files: new packages, other sources, hooks of installation."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from railmend.coding.git.diff import ChangedFile
from railmend.coding.guard.tables import pattern, words
from railmend.source.manifests import (
    LOCK_FILES,
    ManifestError,
    canonical_name,
    is_manifest,
    manifests_of,
    parse,
)

INTERNAL, DESCRIBED, OTHER_SOURCE, HOOKS, DECLARES = map(
    pattern, ("internal", "described", "other_source", "hooks", "declares")
)
# Manifests that are programs.
PROGRAM = re.compile(r"(?:^|/)(?:gemfile|mix\.exs|build\.sbt|build\.gradle(?:\.kts)?)$")
# Where a lock file says that a package is fetched, not where its authors are thanked.
FETCHED = re.compile(r"resolved|tarball|\bregistry\b|\bremote:|\burl = |\bsource\b")
HOST = re.compile(r"\b(?:https?|ssh|git)://(?:[^/\s\"'@]+@)?([\w.-]+)")
REGISTRIES = words("names", "registries")


def manifest_refusals(files: Sequence[ChangedFile], plan: str) -> Iterator[str]:
    """Yield a sentence for each thing that a manifest or lock file may not do; `plan`: its text."""
    paths = [PurePosixPath(file.path.lower()) for file in files]
    for file in files:
        if manifests_of(file.path):
            yield from _lock(file, paths)
        elif is_manifest(file.path):
            yield from _manifest(file, plan)


def _manifest(file: ChangedFile, plan: str) -> Iterator[str]:
    before, after = _said(file.path, file.before or ""), _said(file.path, file.after or "")
    own = {name for row in after if INTERNAL.search(row) for name in re.findall(r"[@\w./-]+", row)}
    if new := [name for name in new_dependencies(file) if name not in own and not _names(plan, name)]:
        yield f"{file.path} adds a dependency that the plan does not name: {', '.join(new)}."
    added, gone = after - before, before - after
    others = (row for row in added if not INTERNAL.search(row) and not DESCRIBED.search(row))
    if any(map(OTHER_SOURCE.search, others)):
        yield f"{file.path} takes a package from another source, or puts one in another's place."
    undeclared = PROGRAM.search(file.path.lower()) and not all(map(DECLARES.search, added))
    if undeclared or any(map(HOOKS.search, added + gone)):
        yield f"{file.path} changes what runs when packages are installed, or which tests run."


def new_dependencies(file: ChangedFile) -> list[str]:
    """Return the names that a manifest has now and had not."""
    return sorted(_packages(file.path, file.after or "") - _packages(file.path, file.before or ""))


def _packages(path: str, text: str) -> set[str]:
    """Of tests and tools, too. A manifest that cannot be read names nothing: its own tools will say so."""
    try:
        return {canonical_name(row.ecosystem, row.name) for row in parse(path, text)}
    except (ManifestError, RecursionError):
        return set()


def _said(path: str, text: str) -> Counter[str]:
    """Return what a manifest says: values with their keys where its format is known, else its lines."""
    suffix = PurePosixPath(path.lower()).suffix
    try:
        if suffix == ".json":
            return Counter(_rows(json.loads(text or "{}"), ""))
        if suffix == ".toml":
            return Counter(_rows(tomllib.loads(text), ""))
    except (ValueError, RecursionError):
        pass
    return Counter(line.strip().rstrip(",") for line in text.splitlines())


def _rows(value: Any, keys: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _rows(inner, f"{keys}{key} ")
    elif isinstance(value, list):
        for inner in value:
            yield from _rows(inner, keys)
    else:
        yield f"{keys}= {value}"


def _names(plan: str, package: str) -> bool:
    """Return whether the plan has exactly this name, under any spelling, as a word of its own."""
    spelled = re.sub(r"[-_.]+", "-", package.lower())
    names = {re.sub(r"[-_.]+", "-", word.strip(".")) for word in re.findall(r"[@\w./:-]+", plan.lower())}
    # A name that is an English word as well must be set apart.
    return f"`{package.lower()}`" in plan.lower() or (len(spelled) > 3 and spelled in names)


def _lock(file: ChangedFile, changed: Sequence[PurePosixPath]) -> Iterator[str]:
    lock = PurePosixPath(file.path.lower())
    wanted = LOCK_FILES[lock.name]
    if not any(path.name in wanted and path.is_relative_to(lock.parent) for path in changed):
        yield f"{file.path} is a lock file that changed without a manifest."
    old = [*(file.before or "").splitlines(), *file.removed]
    if new := _hosts(line for _, line in file.added) - _hosts(old) - REGISTRIES:
        yield f"{file.path} takes packages from {', '.join(sorted(new))}, which it did not before."


def _hosts(lines: Iterable[str]) -> set[str]:
    return {host for line in lines if FETCHED.search(line) for host in HOST.findall(line)}
