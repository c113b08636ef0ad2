"""What logs name of the code: places in traces, and routes that fail or are slow."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from railmend.evidence.frames import LIBRARY_PATH

MAX_PLACES, MAX_ROUTES = 30, 12
SUFFIXES = (
    "pyi?|[cm]?[jt]sx?|vue|svelte|go|rb|rake|ru|rs|java|kts?|scala|groovy|php|cs|fs|vb|exs?"
    "|html|erb|haml|slim|h?eex|leex|ejs|hbs|pug|twig|jinja2?|j2|cshtml|razor"
)
PLACE = re.compile(
    rf"(?P<path>(?:[A-Za-z]:)?(?:[\w@~.+/\\\[\]-]|\([\w.-]+\)/)*\w\.(?:{SUFFIXES}))"
    r"(?:\", line |:line |:|\()(?P<line>\d{1,6})\b"
)
# The function of a frame, beside its place: Node, the JVM, .NET; Python; Ruby; Go, also in the line before.
GO_FUNCTION = re.compile(
    r"^\s*(?:created by )?[\w./-]*?((?:\(\*?\w+\)\.)?\w+(?:\.func\d+)*)\((?=[^()]*\)|\.\.\.)"
)
FUNCTIONS = (
    re.compile(r"\bat (?:async )?(?:new )?([\w$.<>\[\]`]+)\s?\("),
    re.compile(r"\", line \d+, in ([\w<>.]+)"),
    re.compile(r":in [`']([^'`]+)'"),
    GO_FUNCTION,
)
# Railmend's own summary of HTTP logs: `GET /cart/<id> -> 500: ...`; it names failing and slow routes first.
REQUEST = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/[^\s,;]*)")
SCRIPTS = frozenset((".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"))


class Place(NamedTuple):
    """A place in code as a trace names it; `function` is "" where it names none."""

    path: str
    line: int
    function: str = ""


def places_in(texts: Iterable[str]) -> tuple[Place, ...]:
    """Return the places that traces name, not those in libraries, each once, in their order."""
    found = (place for text in texts for place in _places(text))
    return tuple(dict.fromkeys(place for place in found if not LIBRARY_PATH.search(place.path)))[:MAX_PLACES]


def _places(text: str) -> Iterator[Place]:
    before = ""
    for line in text.split("\n"):
        for match in PLACE.finditer(line):
            yield Place(match["path"].replace("\\", "/"), int(match["line"]), _function(line, before))
        before = line


def _function(line: str, before: str) -> str:
    names = (match[1] for pattern in FUNCTIONS if (match := pattern.search(line)))
    name = next(names, "")
    if not name and line[:1].isspace() and (match := GO_FUNCTION.search(before)):
        name = match[1]
    return re.sub(r"^(?:block|rescue|ensure) (?:\(.*?\) )?in ", "", name)


def requests_in(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return method and path of the requests that summaries of HTTP logs name, the first ones."""
    found = (match.groups() for text in texts for match in REQUEST.finditer(text))
    return tuple(dict.fromkeys((method, path.rstrip(".:")) for method, path in found))[:MAX_ROUTES]


def file_of(path: str, files: Mapping[str, object]) -> str | None:
    """Return the file that a trace's path means: the one that shares most of its end.

    Traces name files where they run: below another folder, or as the script that was made of them.
    """
    asked = [part for part in PurePosixPath(path).parts if part not in ("/", ".", "..")]
    scored = [(_shared(asked, PurePosixPath(candidate)), candidate) for candidate in files]
    best = max(scored, key=lambda row: (row[0], -row[1].count("/")), default=((0, False, False), ""))
    return best[1] if best[0][0] else None


def _shared(asked: list[str], candidate: PurePosixPath) -> tuple[int, bool, bool]:
    """Return how many parts agree from the end, whether all of the candidate's do, and its whole name."""
    if not asked:
        return 0, False, False
    name = PurePosixPath(asked[-1])
    same = name.name == candidate.name
    if not same and not (name.stem == candidate.stem and {name.suffix, candidate.suffix} <= SCRIPTS):
        return 0, False, False
    parts, count = candidate.parts, 1
    while count < min(len(parts), len(asked)) and parts[-count - 1] == asked[-count - 1]:
        count += 1
    return count, count == len(parts), same
