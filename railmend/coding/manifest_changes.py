# ruff: noqa: E501 - one pattern a line, to be read as a table
"""What a change does to manifests and lock files: new packages, other sources, hooks that run at installation."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from railmend.coding.diff import ChangedFile
from railmend.source.manifests import (
    LOCK_FILES,
    ManifestError,
    canonical_name,
    is_manifest,
    manifests_of,
    parse,
)

# A package from somewhere else than the registry, or in another's place.
SOURCE = re.compile(
    r"://|\bgit[@+]|--(?:extra-)?index|--find-links|^\s*-[if]\s|\bindex-url\b|tool\.uv\.(?:index|sources)|^\s*replace\b"
    r"|^\s*\w\S*(?:\s+v\S+)?\s*=>\s|^\s*\[patch\b|^\s*\[source\.|[\"']?\b(?:overrides|resolutions|repositories)\b[\"']?\s*:"
    r"|\b(?:git|github|url|registry|remote)\b[\"']?\s*(?:=>|[:=])\s|^\s*source\s+[\"']|<repositor|\bmaven\s*\{"
    r"|[\"'](?:git|github|file|link):"
)
HOOK = re.compile(r"\bbuild-backend\b|\bbackend-path\b|\btool\.(?:pytest|coverage|tox|hatch\.build)|\baddopts\b|\btestpaths\b|^\s*build\s*=\s*\"|-cmd\"\s*:|\bcmdclass\b")  # fmt: skip
NPM_HOOK = re.compile(
    r"^(?:(?:pre|post)?(?:install|prepare|publish|pack|test)|prepublishOnly|dependencies|test:.*)$"
)
INTERNAL = re.compile(r"[\"'](?:workspace:|file:\.)|\bpath\s*[:=]\s*[\"']|\bworkspace\s*=\s*true")
# Where a lock file says that a package is fetched, not where its authors are thanked.
FETCHED = re.compile(r"resolved|tarball|\bregistry\b|\bremote:|\burl = |\bsource\b")
HOST = re.compile(r"\b(?:https?|ssh|git)://([^/\s\"'@]+@)?([\w.-]+)")
REGISTRIES = frozenset(
    {
        *("registry.npmjs.org", "registry.yarnpkg.com", "pypi.org", "files.pythonhosted.org", "rubygems.org"),
        *(
            "github.com",
            "repo.packagist.org",
            "packagist.org",
            "api.github.com",
            "opencollective.com",
            "tidelift.com",
        ),
    }
)


def manifest_refusals(files: Sequence[ChangedFile], plan: str) -> Iterator[str]:
    """Yield a sentence for each thing that a manifest or lock file may not do; `plan`: its text."""
    paths = [PurePosixPath(file.path.lower()) for file in files]
    for file in files:
        if manifests_of(file.path):
            yield from _lock(file, paths)
        elif is_manifest(file.path):
            yield from _manifest(file, plan)


def _manifest(file: ChangedFile, plan: str) -> Iterator[str]:
    if new := [name for name in new_dependencies(file) if not _names(plan, name)]:
        yield f"{file.path} adds a dependency that the plan does not name: {', '.join(new)}."
    old = {line.strip().rstrip(",") for line in file.removed}
    added = [line for _, line in file.added if line.strip().rstrip(",") not in old]
    if any(SOURCE.search(line) and not INTERNAL.search(line) for line in added if "homepage" not in line):
        yield f"{file.path} takes a package from another source, or puts one in another's place."
    if any(map(HOOK.search, added)) or _scripts(file.before) != _scripts(file.after):
        yield f"{file.path} changes what runs when packages are installed, or which tests run."


def new_dependencies(file: ChangedFile) -> list[str]:
    """Return the names that a manifest has now and had not; packages of the same repository are not counted."""
    own = {name for _, line in file.added if INTERNAL.search(line) for name in re.findall(r"[@\w./-]+", line)}
    return sorted(_packages(file.path, file.after or "") - _packages(file.path, file.before or "") - own)


def _packages(path: str, text: str) -> set[str]:
    """Of tests and tools, too. A manifest that cannot be read names nothing: its own tools will say so."""
    try:
        return {canonical_name(row.ecosystem, row.name) for row in parse(path, text)}
    except (ManifestError, RecursionError):
        return set()


def _names(plan: str, package: str) -> bool:
    """Return whether the plan has exactly this name, under any spelling, as a word of its own."""
    words = {re.sub(r"[-_.]+", "-", word.strip(".")) for word in re.findall(r"[@\w./:-]+", plan.lower())}
    spelled = re.sub(r"[-_.]+", "-", package.lower())
    # A name that is an English word as well must be set apart.
    return f"`{package.lower()}`" in plan.lower() or (len(spelled) > 3 and spelled in words)


def _scripts(text: str | None) -> dict[str, object]:
    try:
        scripts = json.loads(text or "{}").get("scripts", {})
        return {name: value for name, value in scripts.items() if NPM_HOOK.match(name)}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _lock(file: ChangedFile, changed: Sequence[PurePosixPath]) -> Iterator[str]:
    lock = PurePosixPath(file.path.lower())
    wanted = LOCK_FILES[lock.name]
    if not any(path.name in wanted and path.is_relative_to(lock.parent) for path in changed):
        yield f"{file.path} is a lock file that changed without a manifest."
    old = [*(file.before or "").splitlines(), *file.removed]
    if new := _hosts(line for _, line in file.added) - _hosts(old) - REGISTRIES:
        yield f"{file.path} takes packages from {', '.join(sorted(new))}, which it did not before."


def _hosts(lines: Iterable[str]) -> set[str]:
    return {match[2] for line in lines if FETCHED.search(line) for match in HOST.finditer(line)}
