"""Runtime dependencies that a manifest names itself: not those of tests and tools, nor what comes with them.

Lock files list everything, however it got there; they are read where they say what was asked for directly.
A manifest that cannot be parsed names nothing.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from railmend.providers.registry import Ecosystem
from railmend.providers.source import without_comments, without_markup_comments
from railmend.providers.xml import parse_xml

DEV_GROUPS = frozenset(
    {
        "dev",
        "development",
        "test",
        "tests",
        "testing",
        "lint",
        "docs",
        "doc",
        "ci",
        "typing",
        "tools",
        "format",
    }
)


class Dependency(NamedTuple):
    ecosystem: Ecosystem
    name: str


ManifestReader = Callable[[str], Iterable[str]]

REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
GEM = re.compile(r"^\s*gem[\s(]+[\"']([^\"']+)[\"'](.*)$")
GEM_GROUP = re.compile(r"^\s*group[\s(]+(.+?)\)?\s+do\b")
GO_REQUIRE = re.compile(r"^\s*(?:require\s+)?([a-z0-9.-]+\.[a-z]+/\S+|[a-z0-9.-]+\.[a-z]+)\s+v\d\S*(.*)$")
HEX = re.compile(r"\{\s*:(\w+)\s*,([^{}]*)\}")
SBT = re.compile(r"\"([\w.-]+)\"\s*%%?\s*\"([\w.-]+)\"\s*%\s*[^,\n)]+?(%\s*(?:\"test\"|Test))?\s*[,)\n]")
GRADLE = re.compile(
    r"\b(?:implementation|api|compile|runtimeOnly|runtime)\b[\s(]*(?:platform[\s(]*)?"
    r"(?:group:\s*)?[\"']([\w.-]+)(?::|[\"'],\s*name:\s*[\"'])([\w.-]+)"
)


def is_manifest(path: str) -> bool:
    return _reader(path) is not None


def dependencies(path: str, text: str) -> list[Dependency]:
    """Names as the manifest writes them; [] for a file that is no manifest or does not parse."""
    found = _reader(path)
    if found is None:
        return []
    ecosystem, reader = found
    try:
        return [Dependency(ecosystem, name) for name in reader(text)]
    except (ValueError, ParseError, KeyError, TypeError, AttributeError, RecursionError):
        # Half-written or exotic: the errors of tomllib and json are ValueErrors, the others mean odd shapes.
        return []


def _reader(path: str) -> tuple[Ecosystem, ManifestReader] | None:
    name = PurePosixPath(path).name
    if name in BY_NAME:
        return BY_NAME[name]
    lowered = name.lower()
    if lowered.endswith((".csproj", ".fsproj", ".vbproj")):
        return "nuget", _csproj
    in_folder = PurePosixPath(path).parent.name == "requirements"
    if re.fullmatch(r"requirements[\w.-]*\.(?:txt|in)", lowered) or (in_folder and lowered.endswith(".txt")):
        return None if set(re.split(r"[^a-z]+", lowered)) & DEV_GROUPS else ("pypi", _requirements)
    return None


def _package_json(text: str) -> Iterator[str]:
    document = json.loads(text)
    for section in ("dependencies", "optionalDependencies"):
        yield from document.get(section) or {}


def _package_lock(text: str) -> Iterator[str]:
    yield from json.loads(text)["packages"][""].get("dependencies") or {}


def _requirements(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if (match := REQUIREMENT.match(line)) and not line.lstrip().startswith("-"):
            yield match[1]


def _pyproject(text: str) -> Iterator[str]:
    document = tomllib.loads(text)
    project = document.get("project", {})
    extras = project.get("optional-dependencies", {})
    wanted = [
        *project.get("dependencies", []),
        *(one for group, many in extras.items() if group.lower() not in DEV_GROUPS for one in many),
    ]
    yield from (match[1] for one in wanted if (match := REQUIREMENT.match(one)))
    yield from document.get("tool", {}).get("poetry", {}).get("dependencies", {})


def _pipfile(text: str) -> Iterator[str]:
    yield from tomllib.loads(text).get("packages", {})


def _uv_lock(text: str) -> Iterator[str]:
    for package in tomllib.loads(text).get("package", []):
        if {"virtual", "editable"} & set(package.get("source", {})):
            yield from (one["name"] for one in package.get("dependencies", []))


def _go_mod(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if (match := GO_REQUIRE.match(line)) and "// indirect" not in match[2]:
            yield match[1]


def _gemfile(text: str) -> Iterator[str]:
    inside_dev = 0
    for line in without_comments(text, "ruby").splitlines():
        if group := GEM_GROUP.match(line):
            names = set(re.findall(r"\w+", group[1]))
            inside_dev = 1 if names <= DEV_GROUPS else 0
        elif re.match(r"^\s*end\b", line):
            inside_dev = 0
        elif (gem := GEM.match(line)) and not inside_dev and not _dev_only(gem[2]):
            yield gem[1]


def _dev_only(options: str) -> bool:
    match = re.search(r"\bgroups?(?::|\s*=>)\s*(\[[^\]]*\]|:\w+)", options)
    return match is not None and set(re.findall(r"\w+", match[1])) <= DEV_GROUPS


def _gemfile_lock(text: str) -> Iterator[str]:
    """DEPENDENCIES does not tell groups apart, so it counts only in a lock file that stands alone."""
    _, _, rest = text.partition("\nDEPENDENCIES\n")
    for line in rest.splitlines():
        if not line.startswith("  "):
            return
        yield line.split()[0].rstrip("!")


def _cargo(text: str) -> Iterator[str]:
    document = tomllib.loads(text)
    tables: list[dict[str, Any]] = [document, *document.get("target", {}).values()]
    for table in tables:
        for alias, wanted in table.get("dependencies", {}).items():
            yield wanted.get("package", alias) if isinstance(wanted, dict) else alias


def _composer(text: str) -> Iterator[str]:
    yield from json.loads(text).get("require") or {}


def _pom(text: str) -> Iterator[str]:
    root = parse_xml(text)
    # Not those that are only managed, nor those of build plugins.
    for dependency in _children(root, "dependencies", "dependency"):
        scope = _text(dependency, "scope")
        if scope not in ("test", "provided"):
            yield f"{_text(dependency, 'groupId')}:{_text(dependency, 'artifactId')}"


def _gradle(text: str) -> Iterator[str]:
    yield from (f"{group}:{name}" for group, name in GRADLE.findall(without_comments(text, "java")))


def _sbt(text: str) -> Iterator[str]:
    found = SBT.findall(without_comments(text, "java") + "\n")
    yield from (f"{group}:{name}" for group, name, test in found if not test)


def _mix(text: str) -> Iterator[str]:
    for name, options in HEX.findall(without_comments(text, "ruby")):
        only = re.search(r"\bonly:\s*(\[[^\]]*\]|:\w+)", options)
        if only is None or not set(re.findall(r"\w+", only[1])) <= DEV_GROUPS:
            yield name


def _deno(text: str) -> Iterator[str]:
    for specifier in (json.loads(text).get("imports") or {}).values():
        if match := re.match(r"npm:/?((?:@[^/@]+/)?[^/@]+)", specifier):
            yield match[1]


def _csproj(text: str) -> Iterator[str]:
    for element in parse_xml(without_markup_comments(text)).iter():
        if _tag(element) == "PackageReference" and "Include" in element.attrib:
            private = element.attrib.get("PrivateAssets") or _text(element, "PrivateAssets")
            if private.lower() != "all":
                yield element.attrib["Include"]


def _packages_config(text: str) -> Iterator[str]:
    for element in parse_xml(text).iter():
        if _tag(element) == "package" and element.attrib.get("developmentDependency") != "true":
            yield element.attrib["id"]


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, *path: str) -> Iterator[Element]:
    if not path:
        yield element
        return
    for child in element:
        if _tag(child) == path[0]:
            yield from _children(child, *path[1:])


def _text(element: Element, tag: str) -> str:
    return next(((child.text or "").strip() for child in element if _tag(child) == tag), "")


BY_NAME: dict[str, tuple[Ecosystem, ManifestReader]] = {
    "package.json": ("npm", _package_json),
    "package-lock.json": ("npm", _package_lock),
    "pyproject.toml": ("pypi", _pyproject),
    "Pipfile": ("pypi", _pipfile),
    "uv.lock": ("pypi", _uv_lock),
    "go.mod": ("go", _go_mod),
    "Gemfile": ("rubygems", _gemfile),
    "Gemfile.lock": ("rubygems", _gemfile_lock),
    "Cargo.toml": ("cargo", _cargo),
    "composer.json": ("packagist", _composer),
    "mix.exs": ("hex", _mix),
    "deno.json": ("npm", _deno),
    "build.sbt": ("maven", _sbt),
    "pom.xml": ("maven", _pom),
    "build.gradle": ("maven", _gradle),
    "build.gradle.kts": ("maven", _gradle),
    "packages.config": ("nuget", _packages_config),
}
# Lock files that count only where the manifest they belong to is missing.
BESIDE = {
    "package-lock.json": "package.json",
    "uv.lock": "pyproject.toml",
    "Gemfile.lock": "Gemfile",
}
