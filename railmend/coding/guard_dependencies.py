"""Which dependencies a manifest names, and lock files that changed without it."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
GO_MODULE = re.compile(r"^\s*(?:require\s+)?([a-z0-9][\w.-]*\.[a-z]{2,}/\S+)\s+v", re.M)
GEM = re.compile(r"^\s*gem\s+['\"]([^'\"]+)", re.M)
MAVEN = re.compile(r"<artifactId>([^<]+)</artifactId>")
GRADLE = re.compile(r"['\"]([\w.-]+:[\w.-]+)(?::[^'\"]*)?['\"]")
NODE_KEYS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
# A lock file, and the manifests of which one must have changed with it.
MANIFEST_OF = {
    "package-lock.json": ("package.json",),
    "npm-shrinkwrap.json": ("package.json",),
    "yarn.lock": ("package.json",),
    "pnpm-lock.yaml": ("package.json", "pnpm-workspace.yaml"),
    "bun.lock": ("package.json",),
    "bun.lockb": ("package.json",),
    "poetry.lock": ("pyproject.toml",),
    "uv.lock": ("pyproject.toml",),
    "pdm.lock": ("pyproject.toml",),
    "pipfile.lock": ("pipfile",),
    "requirements.lock": ("pyproject.toml", "requirements.in"),
    "cargo.lock": ("cargo.toml",),
    "go.sum": ("go.mod",),
    "gemfile.lock": ("gemfile",),
    "composer.lock": ("composer.json",),
}


def new_dependencies(path: str, before: str | None, after: str | None) -> list[str]:
    """Names that the manifest at `path` has now and had not; nothing for any other file."""
    reader = _reader(PurePosixPath(path).name.lower())
    if reader is None or after is None:
        return []
    known = set(_names(reader, before or ""))
    return sorted({name for name in _names(reader, after) if name not in known})


def _names(reader: Callable[[str], Iterator[str]], text: str) -> list[str]:
    """A manifest that cannot be read names nothing: its own tools will say so."""
    try:
        return list(reader(text))
    except (ValueError, AttributeError, TypeError):
        return []


def _reader(name: str) -> Callable[[str], Iterator[str]] | None:
    if re.fullmatch(r"(?:.*[-_.])?(?:requirements|constraints)(?:[-_.].*)?\.(?:txt|in)", name):
        return _requirements
    return {
        "pyproject.toml": _pyproject,
        "pipfile": _pipfile,
        "package.json": _package,
        "composer.json": _composer,
        "cargo.toml": _cargo,
        "go.mod": lambda text: iter(GO_MODULE.findall(text)),
        "gemfile": lambda text: iter(GEM.findall(text)),
        "pom.xml": lambda text: iter(MAVEN.findall(text)),
        "build.gradle": lambda text: iter(GRADLE.findall(text)),
        "build.gradle.kts": lambda text: iter(GRADLE.findall(text)),
    }.get(name)


def _requirements(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if match := REQUIREMENT.match(line):
            yield _python_name(match[1])


def _python_name(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement_list(rows: Any) -> Iterator[str]:
    for row in rows or []:
        if isinstance(row, str):
            yield from _requirements(row)


def _pyproject(text: str) -> Iterator[str]:
    body = tomllib.loads(text)
    project = body.get("project", {})
    yield from _requirement_list(project.get("dependencies"))
    yield from _requirement_list(body.get("build-system", {}).get("requires"))
    for rows in (
        *project.get("optional-dependencies", {}).values(),
        *body.get("dependency-groups", {}).values(),
    ):
        yield from _requirement_list(rows)
    poetry = body.get("tool", {}).get("poetry", {})
    tables = [poetry.get("dependencies", {}), poetry.get("dev-dependencies", {})]
    tables += [group.get("dependencies", {}) for group in poetry.get("group", {}).values()]
    for table in tables:
        yield from map(_python_name, table)


def _pipfile(text: str) -> Iterator[str]:
    body = tomllib.loads(text)
    for key in ("packages", "dev-packages"):
        yield from map(_python_name, body.get(key, {}))


def _package(text: str) -> Iterator[str]:
    body = json.loads(text or "{}")
    for key in NODE_KEYS:
        yield from body.get(key) or {}


def _composer(text: str) -> Iterator[str]:
    body = json.loads(text or "{}")
    for key in ("require", "require-dev"):
        yield from body.get(key) or {}


def _cargo(text: str) -> Iterator[str]:
    body = tomllib.loads(text)
    tables = [body, *body.get("target", {}).values(), body.get("workspace", {})]
    for table in tables:
        for key in ("dependencies", "dev-dependencies", "build-dependencies"):
            yield from table.get(key, {})


def lacks_manifest(paths: Sequence[str]) -> list[str]:
    """A lock file changes with its manifest, in the same folder, or not at all."""
    changed = {path.lower() for path in paths}
    refused = []
    for path in paths:
        pure = PurePosixPath(path.lower())
        manifests = MANIFEST_OF.get(pure.name, ())
        if manifests and not any(str(pure.with_name(name)) in changed for name in manifests):
            refused.append(f"{path} is a lock file that changed without its manifest.")
    return refused
