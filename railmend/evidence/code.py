"""Choose the code that an incident is about, whole functions, within a budget of tokens.

First the functions that traces name, then those that answer failing or slow routes, then what both call and
the state that they share, then the rest of the service as far as there is room, manifests last.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePosixPath
from posixpath import normpath

from railmend.contracts.scan import FindingKind
from railmend.evidence.clues import Place, file_of
from railmend.evidence.tokens import estimate
from railmend.source.code_reader import Definition, SourceCode, last_name
from railmend.source.files import language_of
from railmend.source.grammars import can_read
from railmend.source.manifests import is_manifest, manifests_of
from railmend.source.reading_process import CodeReaderProcess
from railmend.source.routes import ANY, RouteHandler, matches, routes_of, split_path

# Files are read as they are needed, for at most so long.
MAX_SECONDS = 15.0
# A function beyond this is shown around the line that was named.
MAX_FUNCTION_TOKENS = 2500
# Beyond this nothing of an excerpt is shown. No token is longer, on average, than so many characters.
MAX_CHARACTERS, MAX_WIDTH = 100_000, 8
LONG_TEXT = 8000
MAX_ROUTES, MAX_HANDLERS, MAX_CALLEES, MAX_CANDIDATES = 12, 3, 40, 3
MAX_STATE_LINES, MAX_CLASS_LINES, AROUND_LINES = 12, 60, 15
MAX_REST_FILES, MAX_LEFT_OUT = 30, 15
# What code looks like that can cause such a finding, to order what nothing names.
_MEMORY = r"setInterval|cache|\.(?:push|append|set|add|on)\(|\bglobal\b|new Map|buffer|<<|@@|go func|chan\b"
_TIME = r"sleep|quer|select|lock|fetch|\.all\b|each|pool|timeout|sync|transaction|http\.|sort|while|\bfor\b"
_START = r"exit|panic\(|Fatal|environ|process\.env|getenv|ENV\b|listen|connect|migrat|throw|raise|bind"
HINTS: Mapping[FindingKind, str] = {
    FindingKind.MEMORY_LEAK: _MEMORY,
    FindingKind.MEMORY_SATURATION: _MEMORY,
    FindingKind.CPU_SATURATION: r"while|\bfor\b|sort|regex|RegExp|re\.|parse|hash|crypt|Sync\(|loop",
    FindingKind.LATENCY: _TIME,
    FindingKind.CRASH_LOOP: _START,
    FindingKind.RESTART: _START,
    FindingKind.OUTAGE: _START,
    FindingKind.DEPLOYMENT_FAILED: _START,
}
OTHER_HINTS = r"throw|raise|except|catch|rescue|panic|error|abort|status"
ENTRY = re.compile(r"^(?:main|app|server|index|application|worker|wsgi|asgi|cli|config\.ru)(?:\.\w+)?$")
ASSIGNED = re.compile(
    r"^(?:export\s+)?(?:const|let|var|static|pub|final|private)?\s*(?:mut\s+)?[({\[]?\s*"
    r"([\w$@]+(?:\s*,\s*[\w$]+)*)[^=\n]*(?<![=!<>])=(?!=)"
)
# Rails names the controller of a route, so no other will do.
CONTROLLER = re.compile(r"_controller\.\w+$")
CONSTRUCTORS = ("__init__", "constructor", "initialize", "__construct")
# What the methods of classes are called that answer, by the request's method, and whether it ends in an id.
CLASS_METHODS: Mapping[tuple[str, bool], Sequence[str]] = {
    ("GET", False): ("list", "index"),
    ("GET", True): ("retrieve", "show"),
    ("POST", False): ("create", "store"),
    ("PUT", True): ("update",),
    ("PATCH", True): ("partial_update", "update"),
    ("DELETE", True): ("destroy",),
}
MAX_BASES = 3  # of a class, one after the other
WORD = re.compile(r"[A-Za-z_$@][\w$]*")


@dataclass(frozen=True)
class Excerpt:
    """Lines of a file, and why they are shown; `focus`: the line that was named, 0 for none."""

    path: str
    start: int
    end: int
    reason: str
    focus: int = 0


class CodeChooser:
    """Chooses from the files of one commit. `files`: texts by path from the service's root directory.

    `reader`: reads them, and names those that it could not read.
    """

    def __init__(
        self, files: Mapping[str, str], reader: CodeReaderProcess, kinds: Iterable[FindingKind] = ()
    ) -> None:
        self._files, self._reader = files, reader
        self._codes: dict[str, SourceCode | None] = {}
        self._routes: dict[str, tuple[RouteHandler, ...]] = {}
        self._less_likely: list[Excerpt] = []
        self._until = time.monotonic() + MAX_SECONDS
        patterns = dict.fromkeys(HINTS.get(kind, OTHER_HINTS) for kind in kinds)
        self._hints = re.compile("|".join(patterns) or OTHER_HINTS, re.I)

    def named(self, places: Sequence[Place], requests: Sequence[tuple[str, str]]) -> list[Excerpt]:
        """Return what traces name, then what answers the requests."""
        traced = [excerpt for place in places for excerpt in self._traced(place)]
        answering = [excerpt for method, path in requests for excerpt in self._answering(method, path)]
        return _distinct([*traced, *answering])

    def called(self, named: Sequence[Excerpt]) -> list[Excerpt]:
        """Return what the excerpts call and the state they share, and what that calls, likeliest first.

        Between them stands what also answers the requests, as far as the code tells.
        """
        found = _distinct(excerpt for caller in named for excerpt in self._callees(caller))
        deeper = [excerpt for caller in found for excerpt in self._callees(caller)]
        deeper.sort(key=lambda excerpt: -self._likeness(self.lines(excerpt)))
        return _distinct([*found, *self._less_likely, *deeper])[:MAX_CALLEES]

    def rest(self, named: Sequence[Excerpt], changed: Collection[str]) -> Iterator[Excerpt]:
        """Yield other files whole: those named, changed, imported there, and most like the fault.

        Manifests come last.
        """
        touched = {excerpt.path for excerpt in named}
        imported = {
            last_name(each.module)
            for path in touched
            if (read := self._code(path)) is not None
            for each in read.imports
        }
        scores = {
            path: self._likeness(text)
            for path, text in self._files.items()
            if language_of(path) not in (None, "config")
        }

        def order(path: str) -> tuple[bool, bool, bool, float]:
            pure = PurePosixPath(path)
            score = scores[path] * (2 if ENTRY.match(pure.name) else 1)
            return path not in touched, path not in changed, pure.stem not in imported, -score

        likely = [
            path
            for path in sorted(scores, key=order)
            if scores[path] or path in touched or path in changed or ENTRY.match(PurePosixPath(path).name)
        ]
        manifests = [path for path in self._files if is_manifest(path) and not manifests_of(path)]
        for path in [*likely[:MAX_REST_FILES], *manifests]:
            yield Excerpt(path, 1, len(self._files[path].rstrip("\n").split("\n")), "")

    def parts(self, whole: Excerpt) -> list[Excerpt]:
        """Return the functions of a file and its statements between them, most like the fault first."""
        code = self._code(whole.path)
        if code is None:
            return []
        spans = [(d.start, d.end) for d in code.definitions if d.kind != "class"] + list(code.statements)
        spans = [span for span in spans if whole.start <= span[0] and span[1] <= whole.end]
        weights = {span: self._likeness(code.text(*span)) for span in spans}
        ordered = sorted((span for span in weights if weights[span]), key=lambda span: -weights[span])
        return [Excerpt(whole.path, start, end, "") for start, end in ordered]

    def _likeness(self, text: str) -> float:
        """Return how many different signs of such a fault there are, less in a long text."""
        signs = {sign.lower() for sign in self._hints.findall(text)}
        return len(signs) / (1 + len(text) / LONG_TEXT)

    @property
    def unread(self) -> Sequence[str]:
        return tuple(self._reader.unread)

    def lines(self, excerpt: Excerpt) -> str:
        return "\n".join(self._files[excerpt.path].split("\n")[excerpt.start - 1 : max(excerpt.end, 0)])

    def _code(self, path: str) -> SourceCode | None:
        if path not in self._codes:
            if time.monotonic() > self._until:
                return None
            self._codes[path] = self._reader.read(path, self._files[path])
        return self._codes[path]

    def _traced(self, place: Place) -> Iterator[Excerpt]:
        path = file_of(place.path, self._files)
        if path is None:
            return
        code, lines, name = self._code(path), self._files[path].split("\n"), last_name(place.function)
        moved = PurePosixPath(place.path).suffix != PurePosixPath(path).suffix
        at = None if moved or code is None else code.function_at(place.line)
        if (
            code and name and (at is None or at.last_name != name)
        ):  # the line may be that of a compiled script
            by_name = [d for d in code.definitions if d.last_name == name]
            at = by_name[0] if moved and by_name else at or next(iter(by_name), None)
        reason = (
            f"named by a trace, line {place.line}" if not moved else "named by a trace of the compiled script"
        )
        if at is None and not moved and place.line <= len(lines):
            start, end = max(place.line - AROUND_LINES, 1), min(place.line + AROUND_LINES, len(lines))
            start, end = code.statement_at(place.line) if code else (start, end)
            yield Excerpt(path, start, end, reason, place.line)
        elif at is not None and at.kind == "class":
            start, end = max(at.start, place.line - AROUND_LINES), min(at.end, place.line + AROUND_LINES)
            yield Excerpt(path, start, end, reason, place.line)
        elif at is not None:
            yield Excerpt(path, at.start, at.end, reason, 0 if moved else place.line)
        else:  # nothing to show, but the file is named
            yield Excerpt(path, 1, 0, reason)

    def _answering(self, method: str, path: str) -> Iterator[Excerpt]:
        words = [part for part in split_path(path) if WORD.fullmatch(part) or "-" in part]
        scored: list[tuple[int, str, RouteHandler]] = []
        said = {
            file: sum(word in text or word in file for word in words) for file, text in self._files.items()
        }
        for file in sorted(filter(can_read, said), key=lambda file: -said[file]):  # as long as there is time
            if words and not said[file]:
                break
            for route in self._routes_of(file):
                if score := matches(route, method, path):
                    scored.append((score, file, route))
        scored.sort(key=lambda row: -row[0])
        answers = [
            (score, list(self._handlers(file, route, method, path)))
            for score, file, route in scored[:MAX_ROUTES]
        ]
        # A route without a function is a client's, or of one that is not read.
        best = next((score for score, found in answers if found), 0)
        fitting = [(score, found) for score, found in answers if found][:MAX_HANDLERS]
        kept = [found for score, found in fitting if score == best]
        self._less_likely += [each for score, found in fitting if score < best for each in found]
        for found in kept:
            yield from found
        if not kept and scored:
            _, file, route = scored[0]
            yield Excerpt(file, route.start, route.end, f"answers {method} {path}", route.start)

    def _handlers(self, file: str, route: RouteHandler, method: str, path: str) -> Iterator[Excerpt]:
        """Yield the functions that answer a route, the last of them first: middleware stands before it."""
        reason = f"answers {method} {path}"
        named = (self._find(name, file) or self._assigned(name, file) for name in route.handlers)
        handlers = [each for found in named for each in found[:1]]
        code = self._code(file)
        handed = (d for d in code.definitions if d.kind == "handed" or d.end > d.start) if code else ()
        inside = any(route.start <= d.start and d.end <= route.end for d in handed)
        if inside or (handlers and route.end > route.start):
            yield Excerpt(file, route.start, route.end, reason, route.start)
        for where, found in reversed(handlers):
            methods = self._methods(where, found, method, split_path(path)) if found.kind == "class" else []
            short = found.end - found.start <= MAX_CLASS_LINES
            whole = [] if methods and not short else [(where, found)]
            for there, each in [*whole, *methods]:
                yield Excerpt(there, each.start, each.end, reason, each.line)

    def _methods(
        self, path: str, found: Definition, method: str, asked: Sequence[str], deep: int = 0
    ) -> list[tuple[str, Definition]]:
        """Return the methods of a class that answer a request, its own or else those of its bases."""
        code = self._code(path)
        last = asked[-1:] if asked and not ANY.match(asked[-1]) else ()
        names = {_plain(name) for name in (*last, method, *CLASS_METHODS.get((method, not last), ()))}
        if code is None:
            return []
        own = [d for d in code.definitions if d.kind == "function" and found.has(d.start)]
        named = [f"{quote}{part}{quote}" for part in last for quote in "\"'"]  # @action(url_path="check-out")
        fitting = [
            (path, d)
            for d in own
            if _plain(d.last_name) in names or any(word in code.text(d.start, d.line) for word in named)
        ]
        if fitting or deep >= MAX_BASES:
            return sorted(fitting, key=lambda row: _plain(row[1].last_name) not in map(_plain, last))[:2]
        bases = [b for b in WORD.findall(code.text(found.line, found.line))[2:] if b[0].isupper()]
        classes = [row for base in bases for row in self._find(base, path)[:1] if row[1].kind == "class"]
        return next(filter(None, (self._methods(*row, method, asked, deep + 1) for row in classes)), [])

    def _routes_of(self, path: str) -> tuple[RouteHandler, ...]:
        if path not in self._routes:
            code = self._code(path)
            self._routes[path] = routes_of(code) if code else ()
        return self._routes[path]

    def _callees(self, caller: Excerpt) -> Iterator[Excerpt]:
        code = self._code(caller.path)
        if code is None:
            return
        words = set(WORD.findall(code.text(caller.start, caller.end)))
        for start, end in code.statements:
            if end - start < MAX_STATE_LINES and not any(start <= d.start <= end for d in code.definitions):
                match = ASSIGNED.match(code.text(start, start).strip())
                if match and words & set(WORD.findall(match[1])):
                    yield Excerpt(caller.path, start, end, "used there")
        calls = dict.fromkeys(call.callee for call in code.calls_in(caller.start, caller.end))
        found = [self._find(callee, caller.path) for callee in calls]
        # A bare word, such as a function that is handed on: in the same file alone.
        others = sorted(words - {last_name(call) for call in calls})
        own = {
            d.last_name: d for d in reversed(code.definitions) if d.kind != "handed" and len(d.last_name) > 1
        }
        found += [
            [(caller.path, own[word])] for word in others if word in own and own[word].kind == "function"
        ]
        for rows in found:
            if rows and (len(rows) <= MAX_CANDIDATES or rows[0][0] == caller.path):
                path, definition = rows[0]
                reason = f"called in {PurePosixPath(caller.path).name}"
                yield Excerpt(path, definition.start, self._end(path, definition), reason)

    def _end(self, path: str, definition: Definition) -> int:
        """Return the last line to show: of a class, before the first method other than its constructor."""
        code = self._code(path)
        if definition.kind != "class" or code is None:
            return definition.end
        inside = (d for d in code.definitions if d.kind == "function" and definition.has(d.start))
        methods = (d.start - 1 for d in inside if d.last_name not in (*CONSTRUCTORS, definition.last_name))
        return max(next(methods, definition.end), definition.line)

    def _find(self, reference: str, near: str) -> list[tuple[str, Definition]]:
        """Return definitions of a name, those in the same file and in what the reference names first."""
        name = last_name(reference)
        if len(name) < 2:
            return []
        words = self._around(reference, near)
        around = {_plain(word) for word in words}
        found = []
        for path in [near, *(path for path in self._files if path != near)]:
            if name not in self._files[path] or not can_read(path) or (code := self._code(path)) is None:
                continue
            pure = PurePosixPath(path)
            for definition in code.definitions:
                if definition.last_name != name or definition.kind == "handed":
                    continue
                owners = (*definition.name.split(".")[:-1], *pure.stem.split("."), *pure.parts[:-1])
                same = len(around & {_plain(owner) for owner in owners})
                alike = len(_parts(words) & _parts(owners))
                if same or not CONTROLLER.search(reference):
                    rank = (-2 * same - alike, path != near or bool(around), -_together(path, near))
                    found.append((rank, path, definition))
        found.sort(key=lambda row: row[0])
        return [(path, definition) for rank, path, definition in found if rank[0] == found[0][0][0]]

    def _assigned(self, name: str, path: str) -> list[tuple[str, Definition]]:
        """Return what the value of a variable is made of: `show = wrap.Show(cart)`."""
        match = re.search(rf"\b{re.escape(name)}\s*:?=\s*([\w.:]+)", self._files[path])
        return self._find(match[1], path) if match else []

    def _around(self, reference: str, near: str) -> set[str]:
        """Return the words that say whose a name is: those before it, and of the imports that bring them."""
        owners = set(WORD.findall(reference)[:-1])
        code = self._code(near)
        starts = {each.line for each in code.imports} if code else set()
        starts |= {call.start for call in code.calls if call.name == "require"} if code else set()
        lines = [WORD.findall(code.text(line, line)) for line in starts] if code else []
        return {word for words in [owners, *lines] if owners.intersection(words) for word in words}


def _together(path: str, other: str) -> int:
    """Return how many folders two files have in common."""
    pairs = zip(path.split("/")[:-1], other.split("/")[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _parts(names: Iterable[str]) -> set[str]:
    """Return the words that names in camel or snake case are made of."""
    return {part.lower() for name in names for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def _distinct(excerpts: Iterable[Excerpt]) -> list[Excerpt]:
    """Return each span once; one that lies in an earlier one is left out."""
    kept: list[Excerpt] = []
    for excerpt in excerpts:
        if not any(_covers(other, excerpt) for other in kept):
            kept.append(excerpt)
    return kept


def _covers(outer: Excerpt, inner: Excerpt) -> bool:
    return outer.path == inner.path and outer.start <= inner.start and inner.end <= outer.end


class CodeText:
    """Adds excerpts while there is room. `redact` sees each before anything of it is cut."""

    def __init__(self, chooser: CodeChooser, redact: Callable[[str], str], root_directory: str = "") -> None:
        self._chooser, self._redact = chooser, redact
        self._root = f"{root_directory.strip('/')}/" if root_directory.strip("/") else ""
        self._blocks: list[str] = []
        self._shown: list[Excerpt] = []
        self._left_out: list[Excerpt] = []
        self.used = 0

    def add(self, excerpts: Iterable[Excerpt], budget: int, *, in_parts: bool = False) -> None:
        """Add excerpts whole while all of the text stays within the budget, or what is like the fault."""
        for excerpt in excerpts:
            for gap in self._gaps(excerpt):
                if self._add(gap, budget):
                    continue
                parts = self._chooser.parts(gap) if in_parts else []
                added = [self._add(rest, budget) for part in parts for rest in self._gaps(part)]
                if not any(added):
                    self._left_out.append(gap)

    def _gaps(self, excerpt: Excerpt) -> Iterator[Excerpt]:
        """Yield what is not shown yet of an excerpt, without blank lines at the ends."""
        start = excerpt.start
        shown = sorted((e.start, e.end) for e in self._shown if e.path == excerpt.path)
        for low, high in [*shown, (excerpt.end + 1, excerpt.end + 1)]:
            gap = replace(excerpt, start=start, end=min(low - 1, excerpt.end))
            if text := self._chooser.lines(gap).strip("\n"):
                blank = self._chooser.lines(gap).index(text)
                first = gap.start + self._chooser.lines(gap)[:blank].count("\n")
                yield replace(gap, start=first, end=first + text.count("\n"))
            start = max(start, high + 1)

    def _is_shown(self, excerpt: Excerpt) -> bool:
        return any(_covers(shown, excerpt) for shown in self._shown)

    def _add(self, excerpt: Excerpt, budget: int) -> bool:
        room = budget - self.used
        text = self._chooser.lines(excerpt)
        if len(text) > MAX_CHARACTERS or (len(text) > room * MAX_WIDTH and not excerpt.focus):
            return False
        text = self._redact(text)
        if excerpt.focus and estimate(text) > min(room, MAX_FUNCTION_TOKENS):
            excerpt, text = self._around(excerpt, text, min(room, MAX_FUNCTION_TOKENS))
        reason = f": {excerpt.reason}" if excerpt.reason else ""
        block = f"--- {self._place(excerpt)}{reason}\n{text}"
        size = estimate(block) + 4
        if size > room:
            return False
        self._blocks.append(block)
        self._shown.append(excerpt)
        self.used += size
        return True

    def _place(self, excerpt: Excerpt) -> str:
        return f"{normpath(self._root + excerpt.path)} lines {excerpt.start}-{excerpt.end}"

    def _around(self, excerpt: Excerpt, text: str, room: int) -> tuple[Excerpt, str]:
        """Return as many lines around the named one as there is room for."""
        lines = text.split("\n")
        focus = min(max(excerpt.focus - excerpt.start, 0), len(lines) - 1)
        low = high = focus
        size = estimate(lines[focus]) + 40
        while low > 0 or high < len(lines) - 1:
            before = estimate(lines[low - 1]) + 1 if low > 0 else 0
            after = estimate(lines[high + 1]) + 1 if high < len(lines) - 1 else 0
            if size + before + after > room:
                break
            size += before + after
            low, high = max(low - 1, 0), min(high + 1, len(lines) - 1)
        reason = f"{excerpt.reason}; of lines {excerpt.start}-{excerpt.end}"
        part = Excerpt(excerpt.path, excerpt.start + low, excerpt.start + high, reason, excerpt.focus)
        return part, "\n".join(lines[low : high + 1])

    def text(self) -> str:
        """Return the excerpts, and lists of what there was no room for and what could not be read."""
        rows = [self._place(excerpt) for excerpt in self._left_out if not self._is_shown(excerpt)]
        unread = [normpath(self._root + path) for path in self._chooser.unread]
        return "\n\n".join([*self._blocks, *_listed("not shown", rows), *_listed("not read as code", unread)])


def _listed(what: str, rows: Sequence[str]) -> list[str]:
    more = [f"and {len(rows) - MAX_LEFT_OUT} more"] if len(rows) > MAX_LEFT_OUT else []
    return [f"({what}: {'; '.join([*rows[:MAX_LEFT_OUT], *more])})"] if rows else []
