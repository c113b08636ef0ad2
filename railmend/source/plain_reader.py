"""Read source files that no grammar is used for: by what their lines begin with, and by their indents.

Such code is nearly always laid out by a formatter, so that a block ends at the first line below it that is
not further to the right.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

from railmend.source.code_reader import Definition, FunctionCall, ModuleImport, SourceCode
from railmend.source.files import language_of, without_comments

MAX_ARGUMENTS, MAX_ARGUMENT = 8, 300
MAX_WIDTH, MAX_INDENT, MAX_CALLS = 1000, 100, 8  # of a line
CLASS = re.compile(r"\s*(?:[\w@]+ )*?(?:class|record|struct|interface|object|trait|enum) (?P<name>\w+)")
FUNCTION = re.compile(
    r"\s*(?:[\w@]+ )*?(?:fun|def)(?: <[^>]*>)? (?:[\w<>]+\.)?(?P<name>\w+)"
    r"|\s*(?:(?:public|private|protected|internal|static|async|override|virtual|partial|sealed) )+"
    r"[^=;(]{0,200}?(?P<method>\w+)(?:<[^>(]{0,80}>)?\("
)
IMPORT = re.compile(r"\s*(?:using|import) (?:static )?(?P<module>[\w.]+)")
CALL = re.compile(r"(?<![\w.])(?P<callee>\w[\w.]*)\(|^\s*[\[@](?P<attribute>\w+)\]?$")
ABOVE = re.compile(r"\s*(?:\[|@|/\*|\*|//)")  # attributes, annotations and comments
OPENS = ("{", "(", ",", "=>")
PAIRS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
KEYWORDS = frozenset(("if", "for", "foreach", "while", "switch", "when", "catch", "using", "lock", "return"))


def read(path: str, text: str) -> SourceCode:
    """Return what is in a file; nothing where it is not laid out as expected."""
    written, plain = text.split("\n"), without_comments(text, language_of(path) or "java").split("\n")
    blocks = _Blocks(plain)
    definitions = list(_definitions(written, plain, blocks))
    calls = list(_calls(plain, blocks, {each.line for each in definitions}))
    handed = (
        Definition(f"{call.callee} {call.arguments[0]}", "handed", call.start, call.start, call.end)
        for call in calls
        if call.end > call.start and call.arguments and call.arguments[0].startswith('"')
    )
    imports = ((IMPORT.match(line), number) for number, line in enumerate(plain, start=1))
    return SourceCode(
        path,
        written,
        tuple(sorted([*definitions, *handed], key=lambda each: (each.start, -each.end))),
        tuple(calls),
        tuple(ModuleImport(match["module"], number) for match, number in imports if match),
    )


class _Blocks:
    """Where blocks end. `lines`: without comments."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._indents = [
            min(len(line) - len(line.lstrip()), MAX_INDENT) if line.strip() else None for line in lines
        ]
        self._by_indent: dict[int, list[int]] = {}
        for number, indent in enumerate(self._indents):
            if indent is not None:
                self._by_indent.setdefault(indent, []).append(number)

    def end(self, start: int) -> int:
        """Return the number of the last line of what begins on a line, both from 1."""
        number, last = start - 1, start
        while (following := self._next(number)) is not None:
            line = self._lines[following].strip()
            less = (self._indents[following] or 0) < (self._indents[start - 1] or 0)
            if less or not line.startswith(("{", "}", ")", "]")):
                return max(last, self._before(following, start))
            number, last = following, following + 1
            if line.startswith("}"):
                break
        return last

    def _next(self, number: int) -> int | None:
        """Return the next line that is not further to the right."""
        most = self._indents[number] or 0
        found = (
            rows[position]
            for indent, rows in self._by_indent.items()
            if indent <= most and (position := bisect_right(rows, number)) < len(rows)
        )
        return min(found, default=None)

    def _before(self, number: int, start: int) -> int:
        """Return the last line before another that has text."""
        while number > start and self._indents[number - 1] is None:
            number -= 1
        return number


def _definitions(written: Sequence[str], plain: Sequence[str], blocks: _Blocks) -> Iterator[Definition]:
    classes: list[tuple[str, int]] = []
    for line, text in enumerate(plain, start=1):
        of_class, function = CLASS.match(text[:MAX_WIDTH]), FUNCTION.match(text[:MAX_WIDTH])
        if of_class is None and function is None:
            continue
        classes = [(name, end) for name, end in classes if end >= line]
        match, end, start = of_class or function, blocks.end(line), line
        while start > 1 and ABOVE.match(written[start - 2]):
            start -= 1
        name = match[match.lastgroup or "name"] if match else ""
        yield Definition(
            ".".join([*(each for each, _ in classes), name]),
            "class" if of_class else "function",
            start,
            line,
            end,
        )
        if of_class:
            classes.append((name, end))


def _calls(lines: Sequence[str], blocks: _Blocks, defined: set[int]) -> Iterator[FunctionCall]:
    for number, text in enumerate(lines, start=1):
        line = text[:MAX_WIDTH]
        for match in () if number in defined else islice(CALL.finditer(line), MAX_CALLS):
            if match["callee"] in KEYWORDS:
                continue
            further = line.rstrip().endswith(OPENS)
            rest = line[match.end() :] if match["callee"] else ""
            if further and not line.rstrip().endswith("{"):
                rest += "\n".join(each[:MAX_WIDTH] for each in lines[number : number + 3])
            yield FunctionCall(
                match["callee"] or match["attribute"],
                tuple(_arguments(rest[: 2 * MAX_ARGUMENT])),
                number,
                blocks.end(number) if further else number,
            )


def _arguments(text: str) -> Iterator[str]:
    """Yield the arguments in a text that begins behind the bracket before them."""
    depth, begun, found, quoted = 1, 0, 0, False
    for position, sign in enumerate(text):
        quoted ^= sign == '"'
        depth += 0 if quoted else PAIRS.get(sign, 0)
        if not quoted and (depth == 0 or (sign == "," and depth == 1)):
            if argument := text[begun:position].strip():
                yield argument[:MAX_ARGUMENT]
            begun, found = position + 1, found + 1
        if depth == 0 or found >= MAX_ARGUMENTS:
            return
    if argument := text[begun:].strip():
        yield argument[:MAX_ARGUMENT]
