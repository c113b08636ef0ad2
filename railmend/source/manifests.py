"""Dependencies that a manifest names itself: all for the guard, those that run for provider detection.

Lock files list everything, however it got there; only those are read that say what was asked for directly.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from railmend.source.files import without_comments, without_markup_comments
from railmend.xml import children, local_name, parse_xml

Ecosystem = Literal["npm", "pypi", "go", "rubygems", "cargo", "packagist", "maven", "nuget", "hex"]


class Dependency(NamedTuple):
    """A package, its name as written. `runtime`: for the running service, not only for tests or tools."""

    ecosystem: Ecosystem
    name: str
    runtime: bool = True


class ManifestError(ValueError):
    """A manifest that its format's parser does not accept."""


# Yields the name of a package and whether the running service has it.
ManifestReader = Callable[[str], Iterable[tuple[str, bool]]]

DEVELOPMENT = frozenset(
    (
        *("dev", "development", "test", "tests", "testing", "lint", "docs", "doc", "ci", "typing"),
        *("tools", "format"),
    )
)
REQUIREMENTS_FILE = re.compile(r"(?:.*[-_.])?(?:requirements|constraints)[\w.-]*\.(?:txt|in)")
PACKAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
URL = re.compile(r"(?:[a-z]+\+)?[a-z]+://\S+")
EDITABLE = re.compile(r"(?:-e|--editable)(?:\s+|=)")
# pip's options behind a requirement, such as `--hash`.
LINE_OPTIONS = re.compile(r"\s--[a-z].*$")
NPM_ALIAS = re.compile(r"npm:/?((?:@[^/@]+/)?[^/@]+)")
GEM = re.compile(r"^\s*gem[\s(]+[\"']([^\"']+)[\"'](.*)$")
GEM_GROUP = re.compile(r"^\s*group[\s(]+(.+?)\)?\s+do\b")
RUBY_BLOCK = re.compile(r"^\s*(?:if|unless|case|begin)\b|\bdo(?:\s*\|[^|]*\|)?\s*$")
GO_MODULE = re.compile(r"[\"`]?([a-z0-9.-]+\.[a-z]+(?:/[^\s\"`]+)?)[\"`]?\s+\S")
MIX = re.compile(r"\{\s*:(\w+)\s*,([^{}]*)\}")
SBT = re.compile(r"\"([\w.-]+)\"\s*%%?\s*\"([\w.-]+)\"\s*%\s*[^,\n)]+?(%\s*(?:\"test\"|Test))?\s*[,)\n]")
MAVEN_COORDINATES = r"[\"']([\w.-]+)(?::|[\"'],\s*name:\s*[\"'])([\w.-]+)"
GRADLE_RUNTIME = re.compile(
    r"\b(?:implementation|api|compile|runtimeOnly|runtime)\b[\s(]*(?:platform[\s(]*)?(?:group:\s*)?"
    + MAVEN_COORDINATES
)
GRADLE = re.compile(rf"group:\s*{MAVEN_COORDINATES}|[\"']([\w.-]+):([\w.-]+)(?::[^\"']*)?[\"']")
POM_ARTIFACT = re.compile(r"<artifactId>([^<]+)</artifactId>")
# A lock file, and the manifests that it may belong to; all names in lower case.
LOCK_FILES: Mapping[str, tuple[str, ...]] = {
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
    "mix.lock": ("mix.exs",),
    "deno.lock": ("deno.json", "package.json"),
    "go.work.sum": ("go.mod", "go.work"),
}


def is_manifest(path: str) -> bool:
    """Return whether `parse` reads files of this name."""
    return _format(path) is not None


def manifests_of(path: str) -> tuple[str, ...]:
    """Return the paths, in lower case, of a lock file's possible manifests; () for any other file."""
    lock = PurePosixPath(path.lower())
    return tuple(str(lock.with_name(name)) for name in LOCK_FILES.get(lock.name, ()))


def canonical_name(ecosystem: Ecosystem, name: str) -> str:
    """Return a name as the ecosystem compares it: PEP 503 for Python, without case but for Go and Maven."""
    if ecosystem == "pypi":
        return name if "/" in name else canonicalize_name(name)
    return name if ecosystem in ("go", "maven") else name.lower()


def parse(path: str, text: str) -> list[Dependency]:
    """Return each dependency once per mention, [] for a file that is no manifest.

    Raise `ManifestError` for a manifest that its format's parser does not accept, and `RecursionError` for
    one that is nested too deeply.
    """
    if (manifest_format := _format(path)) is None:
        return []
    ecosystem, reader = manifest_format
    try:
        return [Dependency(ecosystem, *row) for row in reader(text.removeprefix("\ufeff")) if row[0]]
    except (ValueError, ParseError, KeyError, TypeError, AttributeError) as error:
        # The errors of tomllib and json are ValueErrors; the others mean tables and lists in odd places.
        raise ManifestError(f"{path} cannot be read: {error}") from error


def runtime_packages(path: str, text: str) -> list[tuple[Ecosystem, str]]:
    """Return the packages that the running service has; [] for a manifest that cannot be read."""
    try:
        return [(row.ecosystem, row.name) for row in parse(path, text) if row.runtime]
    except (ManifestError, RecursionError):
        return []


def _format(path: str) -> tuple[Ecosystem, ManifestReader] | None:
    pure = PurePosixPath(path.lower())
    if pure.name in BY_NAME:
        return BY_NAME[pure.name]
    if pure.suffix in (".csproj", ".fsproj", ".vbproj"):
        return "nuget", _csproj
    in_folder = pure.parent.name == "requirements" and pure.suffix in (".txt", ".in")
    if not in_folder and not REQUIREMENTS_FILE.fullmatch(pure.name):
        return None
    # A constraint bounds a version of what others ask for.
    words = set(re.split(r"[^a-z]+", pure.name))
    runtime = not words & DEVELOPMENT and "constraints" not in words
    return "pypi", lambda text: ((name, runtime) for name in _requirement_lines(text))


def _requirement_lines(text: str) -> Iterator[str]:
    """Names in a requirements file of pip; what it includes by `-r` is a manifest of its own."""
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        line = re.sub(r"(?:^|\s)#.*$", "", line).strip()
        if not line.startswith("-") or EDITABLE.match(line):
            yield from _requirement(EDITABLE.sub("", line))


def _requirement(text: str) -> Iterator[str]:
    """Return the name in a PEP 508 requirement or bare URL. `./path` has none, another path itself."""
    text = LINE_OPTIONS.sub("", text).strip()
    if URL.match(text):
        yield _name_in_url(text)
        return
    if text.startswith("."):
        return
    if re.match(r"[\w.-]*/", text):
        yield text
        return
    try:
        yield Requirement(text).name
    except InvalidRequirement:
        if match := PACKAGE_NAME.match(text):
            yield match[0]


def _name_in_url(url: str) -> str:
    """By `#egg=`, else by the name of the repository, wheel or source archive; else the URL itself."""
    parts = urlsplit(url)
    if egg := re.search(r"(?:^|&)egg=([^&\[]+)", parts.fragment):
        return unquote(egg[1])
    file = PurePosixPath(unquote(parts.path).partition("@")[0]).name
    if match := re.fullmatch(r"(.+?)(?:\.git|-\d.*)", file):
        return match[1]
    return file if "+" in parts.scheme and file else url


def _requirements_in(rows: Any) -> Iterator[str]:
    """Of a list of PEP 508 strings; tables, such as `include-group`, name nothing themselves."""
    for row in rows or ():
        if isinstance(row, str):
            yield from _requirement(row)


def _pyproject(text: str) -> Iterator[tuple[str, bool]]:
    document = tomllib.loads(text)
    project, tool = document.get("project", {}), document.get("tool", {})
    lists = [(project.get("dependencies"), True), (document.get("build-system", {}).get("requires"), False)]
    lists += [(rows, _runs(extra)) for extra, rows in project.get("optional-dependencies", {}).items()]
    development = [
        *document.get("dependency-groups", {}).values(),
        tool.get("uv", {}).get("dev-dependencies"),
    ]
    development += tool.get("pdm", {}).get("dev-dependencies", {}).values()
    lists += [(rows, False) for rows in development]
    for rows, runtime in lists:
        yield from ((name, runtime) for name in _requirements_in(rows))
    poetry = tool.get("poetry", {})
    tables = [(poetry.get("dependencies", {}), True), (poetry.get("dev-dependencies", {}), False)]
    tables += [
        (group.get("dependencies", {}), _runs(name)) for name, group in poetry.get("group", {}).items()
    ]
    for table, runtime in tables:
        yield from ((name, runtime) for name in table if name != "python")


def _runs(group: str) -> bool:
    return group.lower() not in DEVELOPMENT


def _pipfile(text: str) -> Iterator[tuple[str, bool]]:
    document = tomllib.loads(text)
    yield from ((name, True) for name in document.get("packages", {}))
    yield from ((name, False) for name in document.get("dev-packages", {}))


def _uv_lock(text: str) -> Iterator[tuple[str, bool]]:
    for package in tomllib.loads(text).get("package", []):
        if {"virtual", "editable"} & set(package.get("source", {})):
            yield from ((row["name"], True) for row in package.get("dependencies", []))


def _package_json(text: str) -> Iterator[tuple[str, bool]]:
    yield from _npm_tables(json.loads(text))


def _package_lock(text: str) -> Iterator[tuple[str, bool]]:
    yield from _npm_tables(json.loads(text)["packages"][""])


def _npm_tables(document: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Return the package itself where the key is an alias of it: `"ai": "npm:openai@4"`."""
    for runtime, keys in (
        (True, ("dependencies", "optionalDependencies")),
        (False, ("devDependencies", "peerDependencies")),
    ):
        for key in keys:
            for name, version in (document.get(key) or {}).items():
                alias = NPM_ALIAS.match(version) if isinstance(version, str) else None
                yield alias[1] if alias else name, runtime


def _deno(text: str) -> Iterator[tuple[str, bool]]:
    for specifier in (json.loads(text).get("imports") or {}).values():
        if match := NPM_ALIAS.match(specifier):
            yield match[1], True


def _composer(text: str) -> Iterator[tuple[str, bool]]:
    document = json.loads(text)
    for key, runtime in (("require", True), ("require-dev", False)):
        yield from ((name, runtime) for name in document.get(key) or {} if name != "php")


def _go_mod(text: str) -> Iterator[tuple[str, bool]]:
    """Return required modules and those put in by `replace`; paths of this machine are none."""
    block = ""
    for line in text.splitlines():
        words = line.split("//")[0].strip()
        if match := re.fullmatch(r"(\w+)\s*\(", words):
            block = match[1]
        elif words == ")":
            block = ""
        else:
            keyword, _, rest = ("", "", words) if block else words.partition(" ")
            module = rest.partition("=>")[2].strip() if (block or keyword) == "replace" else rest
            if (block or keyword) in ("require", "replace") and (match := GO_MODULE.match(module)):
                yield match[1], "// indirect" not in line


def _gemfile(text: str) -> Iterator[tuple[str, bool]]:
    seen = set()
    blocks: list[bool] = []  # of each open block: whether it is a group of tests or tools
    for line in without_comments(text, "ruby").splitlines():
        if gem := GEM.match(line):
            seen.add(gem[1])
            yield gem[1], not any(blocks) and not _only_development(r"\bgroups?(?::|\s*=>)\s*", gem[2])
        elif re.match(r"^\s*end\b", line):
            blocks = blocks[:-1]
        elif RUBY_BLOCK.search(line):
            group = GEM_GROUP.match(line)
            blocks.append(group is not None and set(re.findall(r"\w+", group[1])) <= DEVELOPMENT)
    # Ruby may still run what looks like a comment here, such as `=begin` within a string.
    yield from (
        (gem[1], False) for line in text.splitlines() if (gem := GEM.match(line)) and gem[1] not in seen
    )


def _only_development(option: str, text: str) -> bool:
    """Whether a Ruby or Elixir option, such as `only: [:dev, :test]`, names nothing but tests and tools."""
    match = re.search(option + r"(\[[^\]]*\]|:\w+)", text)
    return match is not None and set(re.findall(r"\w+", match[1])) <= DEVELOPMENT


def _gemfile_lock(text: str) -> Iterator[tuple[str, bool]]:
    """DEPENDENCIES does not tell groups apart, so it counts only in a lock file that stands alone."""
    for line in text.partition("\nDEPENDENCIES\n")[2].splitlines():
        if not line.startswith("  "):
            return
        yield line.split()[0].rstrip("!"), True


def _cargo(text: str) -> Iterator[tuple[str, bool]]:
    """Return the crate behind an alias. What a workspace declares runs only once a member asks."""
    document = tomllib.loads(text)
    tables = [(table, True) for table in (document, *document.get("target", {}).values())]
    for table, runtime in (*tables, (document.get("workspace", {}), False)):
        for key in ("dependencies", "dev-dependencies", "build-dependencies"):
            for alias, wanted in table.get(key, {}).items():
                name = wanted.get("package", alias) if isinstance(wanted, dict) else alias
                yield name, runtime and key == "dependencies"


def _pom(text: str) -> Iterator[tuple[str, bool]]:
    """Dependencies, and as not running those that are managed or of tests, plugins and the parent."""
    try:
        root = parse_xml(text)
    except ParseError:
        # Maven accepts a document type, which is not read here.
        yield from ((name, False) for name in POM_ARTIFACT.findall(text))
        return
    direct = {id(element) for element in children(root, "dependencies", "dependency")}
    for element in root.iter():
        artifact = _text(element, "artifactId")
        if artifact and element is not root and local_name(element) != "exclusion":
            runs = id(element) in direct and _text(element, "scope") not in ("test", "provided")
            yield f"{_text(element, 'groupId')}:{artifact}", runs


def _gradle(text: str) -> Iterator[tuple[str, bool]]:
    runs = {":".join(match) for match in GRADLE_RUNTIME.findall(without_comments(text, "java"))}
    yield from ((name, True) for name in runs)
    # A slashy string of Groovy may look like a comment, so the rest is looked for in all of the text.
    for match in GRADLE.findall(text):
        name = ":".join(part for part in match if part)
        if name not in runs:
            yield name, False


def _sbt(text: str) -> Iterator[tuple[str, bool]]:
    for group, name, test in SBT.findall(without_comments(text, "java") + "\n"):
        yield f"{group}:{name}", not test


def _mix(text: str) -> Iterator[tuple[str, bool]]:
    for name, options in MIX.findall(without_comments(text, "ruby")):
        yield name, not _only_development(r"\bonly:\s*", options)


def _csproj(text: str) -> Iterator[tuple[str, bool]]:
    for element in parse_xml(without_markup_comments(text)).iter():
        if local_name(element) == "PackageReference" and "Include" in element.attrib:
            private = element.attrib.get("PrivateAssets") or _text(element, "PrivateAssets")
            yield element.attrib["Include"], private.lower() != "all"


def _packages_config(text: str) -> Iterator[tuple[str, bool]]:
    for element in parse_xml(text).iter():
        if local_name(element) == "package":
            yield element.attrib["id"], element.attrib.get("developmentDependency") != "true"


def _text(element: Element, tag: str) -> str:
    return next(((child.text or "").strip() for child in children(element, tag)), "")


BY_NAME: Mapping[str, tuple[Ecosystem, ManifestReader]] = {
    "package.json": ("npm", _package_json),
    "package-lock.json": ("npm", _package_lock),
    "deno.json": ("npm", _deno),
    "pyproject.toml": ("pypi", _pyproject),
    "pipfile": ("pypi", _pipfile),
    "uv.lock": ("pypi", _uv_lock),
    "go.mod": ("go", _go_mod),
    "gemfile": ("rubygems", _gemfile),
    "gemfile.lock": ("rubygems", _gemfile_lock),
    "cargo.toml": ("cargo", _cargo),
    "composer.json": ("packagist", _composer),
    "mix.exs": ("hex", _mix),
    "build.sbt": ("maven", _sbt),
    "pom.xml": ("maven", _pom),
    "build.gradle": ("maven", _gradle),
    "build.gradle.kts": ("maven", _gradle),
    "packages.config": ("nuget", _packages_config),
}
