"""The base's tests, check settings and commands, laid over a change: it does not choose how it is checked.

What stays the change's own: its code, its dependencies, and its new tests, which run apart.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.file_kinds import is_test

# They configure test runners and nothing else.
SETTINGS = re.compile(
    r"(?:^|/)(?:conftest\.py|pytest\.ini|\.pytest\.ini|tox\.ini|noxfile\.py|\.coveragerc|[Mm]akefile|GNUmakefile"
    r"|(?:jest|vitest|karma|playwright|cypress|ava|nyc|wallaby)\.(?:config|conf|workspace|setup)\.\w+|jest\.setup\.\w+"
    r"|vitest\.workspace\.\w+|\.mocharc\.\w+|\.nycrc(?:\.\w+)?|phpunit\.xml(?:\.dist)?|\.rspec|\.runsettings)$"
)
# A file or folder of such a name would be imported in the place of the runner itself.
RUNNERS = frozenset(
    {"pytest", "_pytest", "pluggy", "unittest", "xdist", "sitecustomize", "usercustomize", "coverage"}
)
# Of files that hold dependencies and settings for tests, the latter.
PACKAGE_KEYS = ("scripts", "jest", "vitest", "mocha", "ava", "tap", "nyc", "c8")
PYTEST_TABLE = re.compile(r"tool\.(?:pytest|coverage|tox|nox)\b")
SETUP_SECTION = re.compile(r"(?:tool:pytest|pytest|aliases|test|coverage:.*)$")
HEADER = re.compile(r"^\s*\[+\s*([^\]\[]+?)\s*\]+\s*(?:[#;].*)?$")


def is_check_file(path: str) -> bool:
    """Return whether a file says what is tested, or how."""
    parts = PurePosixPath(path).parts
    runner = any(part.removesuffix(".py") in RUNNERS for part in parts)
    return runner or is_test(path) or SETTINGS.search(path) is not None


def checked_tree(repository: TrustedRepository, base: str, reviewed: str) -> tuple[str, tuple[str, ...]]:
    """Return the tree `reviewed` with the base's tests and check settings, and the paths of its own tests.

    The latter are check files that the base has not, or has otherwise; none, unless a test is among them.
    Blocking.
    """
    old, new = repository.files(base), repository.files(reviewed)
    entries: dict[str, tuple[str, str] | None] = {}
    own = []
    for path in old.keys() | new.keys():
        if old.get(path) == new.get(path):
            continue
        if is_check_file(path):
            file = old.get(path)
            entries[path] = (file.mode, file.sha) if file else None
            own += [path] if path in new else []
        elif path in old and path in new and (merge := MERGED.get(PurePosixPath(path).name)):
            before, after = repository.text(base, path), repository.text(reviewed, path)
            if before is not None and after is not None and (text := merge(before, after)) != after:
                entries[path] = (new[path].mode, repository.write_blob(text))
    tree = repository.changed_tree(reviewed, entries) if entries else reviewed
    return tree, tuple(sorted(own)) if any(map(is_test, own)) else ()


def merge_package(before: str, after: str) -> str:
    """Return a package.json with the base's scripts and runners' settings, and the change's dependencies."""
    try:
        old, new = json.loads(before), json.loads(after)
        kept = {key: value for key, value in new.items() if key not in PACKAGE_KEYS}
        return json.dumps(kept | {key: old[key] for key in PACKAGE_KEYS if key in old}, indent=2) + "\n"
    except (ValueError, AttributeError, RecursionError):
        return before


Tables = tuple[dict[str, Any], dict[str, Any]]


def _toml(text: str) -> Tables:
    """Return the tables for test runners, and all the others."""
    parsed = tomllib.loads(text)
    tool = parsed.pop("tool", {})
    ours = {name: table for name, table in tool.items() if PYTEST_TABLE.match(f"tool.{name}")}
    return ours, parsed | {"": {name: table for name, table in tool.items() if name not in ours}}


def _ini(text: str) -> Tables:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    rows = {name: dict(parser[name]) for name in parser.sections()}
    ours = {name: row for name, row in rows.items() if SETUP_SECTION.match(name)}
    return ours, {name: row for name, row in rows.items() if name not in ours}


def _merge(wanted: re.Pattern[str], tables: Callable[[str], Tables]) -> Callable[[str, str], str]:
    """Return what lays the base's sections for test runners over the change's; that fails: the base's own."""

    def merged(before: str, after: str) -> str:
        kept = [part for name, part in _sections(after) if not wanted.match(name)]
        laid = [part for name, part in _sections(before) if wanted.match(name)]
        text = "\n".join(part.rstrip("\n") for part in (*kept, *laid) if part.strip()) + "\n"
        try:
            old, new, made = map(tables, (before, after, text))
        except (tomllib.TOMLDecodeError, configparser.Error, AttributeError, RecursionError):
            return before
        return text if made == (old[0], new[1]) else before

    return merged


def _sections(text: str) -> list[tuple[str, str]]:
    """Return name and text of each section; the first has no name."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines(keepends=True):
        if (header := HEADER.match(line)) is not None:
            sections.append((header[1], []))
        sections[-1][1].append(line)
    return [(name, "".join(lines)) for name, lines in sections]


merge_pyproject, merge_setup = _merge(PYTEST_TABLE, _toml), _merge(SETUP_SECTION, _ini)
MERGED: dict[str, Callable[[str, str], str]] = {
    "package.json": merge_package,
    "pyproject.toml": merge_pyproject,
    "setup.cfg": merge_setup,
}
