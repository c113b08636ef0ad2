"""Secrets that a statement of SQL or GraphQL gives to a column, in place or bound beside it."""

import re
from collections.abc import Iterator

from railmend.evidence.blocks import is_sensitive
from railmend.evidence.lookalikes import is_literal
from railmend.evidence.patterns import Span

# A row that SQL inserts, with its values in place or bound behind it.
INSERT = re.compile(r"(?i)\binto\s[^(\n]{1,120}\(([^()]{1,2000})\)[^(]{0,60}?\bvalues\s{0,3}\(")
TEXT = r"(?:[NEbu]?'((?:[^'\\\n]|\\.|''){0,400})'|\"([^\"\n]{0,400})\")"
VALUE = re.compile(
    rf"\s{{0,4}}(?:{TEXT}|[^,()\[\]'\"]{{0,200}}(?:\([^()]{{0,80}}\))?)\s{{0,4}}"
    r"(?:\((?:\w+ = [\w-]+,? ?)+\)\s?)?(?:,|[)\]}])"
)
# What stands for a value that is bound: `$1`, `?`, `%s`, `:name`, `@p0`, `$name`, within calls too.
MARKER = re.compile(
    r"[NEe]?\s?(?:\w{1,30}\(\s?){0,2}(\$\w{1,30}|\?\d{0,3}|[:@]\w{1,30}|%s|%\(\w{1,30}\)s)(?=[\s,;:)\]}\"'`]|\Z)"
)
UNNAMED = re.compile(r"\?|%s")
BEGIN = re.compile(r"(?i)\b(?:update|insert|merge|replace|select|delete|call|exec|alter|create)\b")
# The values in order: a list behind the statement, or lines such as `parameter [2] as [TEXT] - [x]`.
LIST = re.compile(
    r"(?i)[\"'`;)\s:=-](?:\w{0,20}(?:param|value|bind|arg)\w{0,10}\W{1,3}?)?"
    r"[\[(](?=\s?(?:[NEbu]?['\"\d]|None|null|nil))"
)
LIST_BEFORE = re.compile(r"(?i)\b(?:param|bind|arg)\w{0,10}\W{1,3}[\[(](?=\s?['\"\d])")
NUMBERED = (
    r"(?i)(?:binding|bind|param)\w{{0,8}}\s?(?:parameter)?\s?[\[(#]?{}[\]):]?[^\n\[<]{{0,30}}(?:as )?"
    r"(?:\[\w+\]\)? - |\) <- |: |= )\[?([^\]\n]{{1,200}})\]?"
)
NAMED = (r"(?<![\w$@:])[$@:]?", rf"[\"'`\]]{{0,2}}(?: \(\w+\))?\s?(?:=>|[=:])\s?{TEXT}")
REACH, MAX_PLACES = 800, 100


def inserted(text: str) -> Iterator[Span]:
    """Yield what SQL inserts into a column such as `password`."""
    for statement in INSERT.finditer(text):
        position = statement.end()
        for column in statement[1].split(","):
            value = VALUE.match(text, position)
            if value is None:
                break
            group, position = value.lastindex or 0, value.end()
            if not is_sensitive(column.strip("[] \n\t")):
                continue
            if group and is_literal(value[group]):
                yield (*value.span(group), "secret")
            elif marker := MARKER.match(text, value.start()):
                yield from ((*span, "secret") for span in bound(text, marker, statement.end()))


def bound(text: str, marker: re.Match[str], begin: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the value that is bound to a marker of a statement: by its name, or by its place.

    `begin`: where the markers are counted from, the beginning of the statement if it is not given.
    """
    written = marker[1]
    name = written.strip("$@:%()?s" if written[0] == "%" else "$@:?")
    value = _by_name(text, marker, name) if name else None
    if value is None and (name.isdigit() or not name):
        if begin is None:
            first = max(marker.start() - REACH, 0)
            begin = max((each.end() for each in BEGIN.finditer(text, first, marker.start())), default=first)
        value = _by_place(
            text, marker.end(), int(name) if name else len(UNNAMED.findall(text, begin, marker.end()))
        )
    if value and is_literal(text[value[0] : value[1]]):
        yield value


def _by_name(text: str, marker: re.Match[str], name: str) -> tuple[int, int] | None:
    first, last = max(marker.start() - REACH, 0), marker.end() + REACH
    match = re.compile(NAMED[0] + re.escape(name) + NAMED[1]).search(text, first, last)
    return match.span(match.lastindex or 0) if match else None


def _by_place(text: str, position: int, place: int) -> tuple[int, int] | None:
    last = position + REACH
    if numbered := re.compile(NUMBERED.format(place)).search(text, position, last):
        return numbered.span(1)
    values = LIST.search(text, position, last) or next(
        LIST_BEFORE.finditer(text, max(position - REACH, 0), position), None
    )
    position = values.end() if values else len(text)
    for number in range(1, min(place, MAX_PLACES) + 1):
        value = VALUE.match(text, position)
        if value is None:
            return None
        if number == place and value.lastindex:
            return value.span(value.lastindex)
        position = value.end()
    return None
