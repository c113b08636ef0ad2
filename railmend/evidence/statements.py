"""Secrets that a statement of SQL or GraphQL gives to a column, in place or bound beside it."""

import re
from collections.abc import Iterator

from railmend.evidence.blocks import COLUMN
from railmend.evidence.lookalikes import is_literal
from railmend.evidence.patterns import Span

# A row that SQL inserts, with its values in place or bound behind it.
INSERT = re.compile(r"(?i)\binto\s[^(\n]{1,120}\(([^()]{1,2000})\)[^(]{0,60}?\bvalues\s{0,3}\(")
VALUE = re.compile(
    r"\s{0,4}(?:[NEbu]?'((?:[^'\\]|\\.|''){0,400})'|\"([^\"\n]{0,400})\"|[^,()\[\]'\"]{0,200}(?:\([^()]{0,80}\))?)"
    r"\s{0,4}(?:\((?:\w+ = [\w-]+,? ?)+\)\s?)?(?:,|[)\]}])"
)
# What stands for a value that is bound: `$1`, `?`, `%s`, `:name`, `@p0`, `$name`.
MARKER = re.compile(
    r"[NEe]?\s?(?:\w{1,30}\(\s?){0,2}(\$\w{1,30}|\?\d{0,3}|[:@]\w{1,30}|%s|%\(\w{1,30}\)s)(?=[\s,;:)\]}\"'`]|\Z)"
)
ANY_MARKER = re.compile(r"\?|%s")
BEGIN = re.compile(r"(?i)\b(?:update|insert|merge|replace|select|delete|call|exec|alter|create|set)\b")
# The values in order: a list behind the statement, or lines such as `binding parameter [2] as [VARCHAR] - [x]`.
LIST = re.compile(
    r"(?i)[\"'`;)\s:=-](?:\w{0,20}(?:param|value|bind|arg)\w{0,10}\W{1,3}?)?[\[(](?=\s?(?:[NEbu]?['\"\d]|None|null|nil))"
)
NUMBERED = r"(?i)(?:binding|bind|param)\w{{0,8}}\s?(?:parameter)?\s?[\[(#]?{}[\]):]?[^\n\[<]{{0,30}}(?:as )?(?:\[\w+\]\)? - |\) <- |: |= )\[?([^\]\n]{{1,200}})\]?"
NAMED = r"(?<![\w$@:])[$@:]?{}[\"'`\]]{{0,2}}(?: \(\w+\))?\s?(?:=>|[=:])\s?(?:[NEbu]?'((?:[^'\\\n]|\\.|''){{1,400}})'|\"([^\"\n]{{1,400}})\")"
REACH = 2000


def inserted(text: str) -> Iterator[Span]:
    """Yield what SQL inserts into a column such as `password`."""
    for statement in INSERT.finditer(text):
        position = statement.end()
        for column in statement[1].split(","):
            value = VALUE.match(text, position)
            if value is None:
                break
            group, position = value.lastindex or 0, value.end()
            if not COLUMN.fullmatch(column.strip("[] \n\t")):
                continue
            if group and is_literal(value[group]):
                yield (*value.span(group), "secret")
            elif marker := MARKER.match(text, value.start()):
                yield from ((*span, "secret") for span in bound(text, marker, statement.end()))


def bound(text: str, marker: re.Match[str], begin: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the value that is bound to a marker of a statement: by its name, or by its place."""
    name = marker[1].strip("$@:%()s" if marker[1][0] == "%" else "$@:")
    first, last = max(marker.start() - REACH, 0), marker.end() + REACH
    if marker[1][0] not in "?%" or len(marker[1]) > 2:
        for match in re.compile(NAMED.format(re.escape(name))).finditer(text, first, last):
            if is_literal(match[match.lastindex or 0]):
                yield match.span(match.lastindex or 0)
                return
    if name.isdigit():
        place = int(name)
    elif marker[1] in ("?", "%s"):
        if begin is None:
            starts = [each.end() for each in BEGIN.finditer(text, first, marker.start())]
            begin = next(
                (start for start in reversed(starts) if text[start - 3 : start].lower() != "set"), first
            )
        place = len(ANY_MARKER.findall(text, begin, marker.end()))
    else:
        return
    numbered = re.compile(NUMBERED.format(place)).search(text, marker.end(), last)
    if numbered and is_literal(numbered[1]):
        yield numbered.span(1)
        return
    values = LIST.search(text, marker.end(), last)
    position = values.end() if values else len(text)
    for number in range(1, place + 1):
        value = VALUE.match(text, position)
        if value is None:
            return
        group, position = value.lastindex or 0, value.end()
        if number == place and group and is_literal(value[group]):
            yield value.span(group)
