"""Secrets that fill several lines: private keys, and columns of tables."""

import re
from collections.abc import Iterator

from railmend.evidence.lookalikes import is_literal, looks_random
from railmend.evidence.patterns import Span
from railmend.evidence.secret_names import KEY, names

BEGIN = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d: [\w-]{1,40}"
)
END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\bPrivate-MAC: [0-9a-f]{1,80}")
# Nothing in it can fail, so there is no backtracking; a truncated key ends where it stops looking like one.
BODY = re.compile(
    r"(?:\s|(?:[A-Za-z0-9+/=_]|-(?!-)){24,4000}"
    r"|(?:Proc-Type|DEK-Info|Version|Comment): [^\r\n]{1,100}){0,400}"
    r"(?:[A-Za-z0-9+/=]{1,15}\s{0,4}(?=-----END|\Z))?"
)
# What a line of a key ends with, whatever a logger puts before and behind it.
BODY_LINE = re.compile(r"(?<![A-Za-z0-9+/_-])([A-Za-z0-9+/_-]{1,4000}={0,2})[\s\"'`,;+\\)]{0,8}$")
MIN_BODY_LINE = 40
MAX_LINE = 4100
MAX_KEY_LINES = 200
MAX_FOREIGN_LINES = 8  # of something else, within a key
COLUMN = re.compile(
    r"(?im)(?:^|[|,;\t]|  )[ \t\"'`]{0,40}[\w.-]{0,40}(?:pass|pwd|secret|token|key|otp|credential)"
    r"[\w.-]{0,40}"
    r"[ \t\"'`]{0,40}(?=[|,;\t]|  |$)"
)
DELIMITERS = (re.compile(r"\|"), re.compile(r"\t"), re.compile(r","), re.compile(r";"), re.compile(r" {2,}"))
HEADING = re.compile(r"[\s\"'`+-]*[\w.-]{0,40}(?: [\w.-]{1,20})?[\s\"'`]*")
WORD = re.compile(r"\w")
TYPES = frozenset({"string", "str", "text", "int", "bool", "boolean"})  # of fields, which no table has
# The data of a Secret of Kubernetes, under whatever names.
SECRET_KIND = re.compile(r"(?m)^[+\s{,-]{0,12}[\"']?kind[\"']?\s?:\s?[\"']?Secret\b")
DATA = re.compile(
    r"(?m)^[+-]?([ \t]*)[\"']?(?:data|stringData)[\"']?:[ \t]*\{?[ \t]*\n"
    r"((?:[+-]?\1[ \t]+[^\n]{1,4000}(?:\n|\Z)){1,100})"
)
DATUM = re.compile(r"(?m)^[+-]?[ \t]*[\"']?[\w.-]{1,100}[\"']?:[ \t]*[\"']?([^\s\"',|>&*{][^\s\"',]{2,4000})")
DOCUMENT = 8000
RULE = re.compile(r"[\s|+:=-]+")
MAX_ROWS = 2000
MAX_HEADING = 2000


def private_keys(text: str) -> Iterator[Span]:
    """Yield private keys in PEM, with other lines between theirs, and cut at either end."""
    done = 0
    for match in BEGIN.finditer(text):
        if match.start() < done:
            continue
        body = BODY.match(text, match.end())
        end = body.end() if body else match.end()
        if closing := END.match(text, end):
            yield match.start(), closing.end(), "private-key"
            done = closing.end()
            continue
        yield match.start(), end, "private-key"
        lines = list(_lines_after(text, end))
        yield from ((first, last, "private-key") for first, last in lines)
        done = lines[-1][1] if lines else end
    for match in END.finditer(text):
        line = text.rfind("\n", 0, match.start()) + 1
        if (
            match.start() >= done
            and BEGIN.search(text, max(line, match.start() - MAX_LINE), match.start()) is None
        ):
            yield (*match.span(), "private-key")
            yield from (
                (first, last, "private-key") for first, last in _lines_before(text, match.start(), done)
            )
            done = match.end()


def _lines_after(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Yield what lines behind the beginning of a key hold of it."""
    foreign, begin = 0, position
    for _ in range(MAX_KEY_LINES):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if closing := END.search(text, position, min(end, position + MAX_LINE)):
            yield closing.span()
            yield from _lines_before(text, closing.start(), begin)
            return
        body = _body(text, position, end, MIN_BODY_LINE)
        foreign = 0 if body else foreign + 1
        if body:
            yield body
        if foreign > MAX_FOREIGN_LINES or end == len(text):
            return
        position = end + 1


def _lines_before(text: str, position: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield what lines before the end of a key hold of it; the last one may be short."""
    foreign, last = 0, None
    for _ in range(MAX_KEY_LINES):
        end = text.rfind("\n", stop, position)
        if end < 0:
            return
        begin = text.rfind("\n", stop, end) + 1 or stop
        if body := _body(text, begin, end, MIN_BODY_LINE):
            yield from (each for each in (last, body) if each)
            foreign, last = 0, None
        else:
            last = last or _body(text, begin, end, 4)
            foreign += 1
        if foreign > MAX_FOREIGN_LINES or begin <= stop:
            return
        position = begin


def _body(text: str, begin: int, end: int, shortest: int) -> tuple[int, int] | None:
    line = text[max(begin, end - MAX_LINE) : end]
    match = BODY_LINE.search(line)
    if (
        match is None
        or len(match[1]) < shortest
        or (shortest >= MIN_BODY_LINE and not looks_random(match[1]))
    ):
        return None
    start = end - len(line) + match.start(1)
    return start, start + len(match[1])


def kubernetes_secrets(text: str) -> Iterator[Span]:
    """Yield what a manifest or an answer of kind Secret holds."""
    done = 0
    for kind in SECRET_KIND.finditer(text):
        first = max(text.rfind("\n---", done, kind.start()), kind.start() - DOCUMENT, done)
        last = text.find("\n---", kind.end(), kind.end() + DOCUMENT)
        last = done = last if last >= 0 else kind.end() + DOCUMENT
        for data in DATA.finditer(text, first, last):
            for datum in DATUM.finditer(text, *data.span(2)):
                if is_literal(datum[1]):
                    yield (*datum.span(1), "secret")


def is_sensitive(column: str) -> bool:
    """Return whether a column is named for a secret, and for nothing of it such as its length."""
    heading = column.strip(" \t\"'`")
    name = next(names(heading), None)
    return name is not None and name.strength > KEY and (name.start, name.end) == (0, len(heading))


def _is_heading(columns: list[str], *, bars: bool) -> bool:
    """Return whether the columns are names, neither fields of a type nor alternatives behind a single bar."""
    named = columns
    if bars:
        named = columns[not WORD.search(columns[0]) : len(columns) - (not WORD.search(columns[-1]))]
    if len(named) < 2 and len(columns) < 3:
        return False
    names_alone = all(map(HEADING.fullmatch, columns)) and all(map(WORD.search, named))
    return names_alone and not any(column.strip() in TYPES for column in columns)


def tables(text: str) -> Iterator[Span]:
    """Yield the cells below a heading such as `password`, of tables, CSV and columns."""
    done = 0
    for match in COLUMN.finditer(text):
        if match.start() < done:
            continue
        begin = text.rfind("\n", 0, match.end()) + 1
        end = text.find("\n", match.end())
        done = end if end >= 0 else len(text)
        heading = text[begin:done]
        if end < 0 or len(heading) > MAX_HEADING:
            continue
        delimiter = next((each for each in DELIMITERS if len(each.split(heading.strip())) > 1), None)
        if delimiter is None:
            continue
        columns = delimiter.split(heading)
        if delimiter in DELIMITERS[:2]:  # a logger may have put something before and behind
            columns[0] = re.split(r"[\s=]", columns[0].rstrip())[-1]
            columns[-1] = (columns[-1].split() or [""])[0].rstrip("\\\"'}")
        wanted = [number for number, column in enumerate(columns) if is_sensitive(column)]
        if not wanted or not _is_heading(columns, bars=delimiter is DELIMITERS[0]):
            continue
        above = text[text.rfind("\n", 0, begin - 1) + 1 : begin - 1] if begin else ""
        if len(delimiter.split(above[:MAX_HEADING])) == len(columns) and not RULE.fullmatch(above):
            continue
        for start, last in _cells(text, end + 1, delimiter, len(columns), wanted):
            yield start, last, "secret"
            done = last


def _cells(
    text: str, position: int, delimiter: re.Pattern[str], columns: int, wanted: list[int]
) -> Iterator[tuple[int, int]]:
    for _ in range(MAX_ROWS):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        row = text[position:end]
        edges = [0, *(edge for match in delimiter.finditer(row[:4000]) for edge in match.span()), len(row)]
        if len(edges) != 2 * columns and not RULE.fullmatch(row[:4000]):
            return
        if len(edges) == 2 * columns:
            for number in wanted:
                cell = row[edges[2 * number] : edges[2 * number + 1]]
                value = cell.strip(" \t\"'`")
                whole = " " not in value or delimiter in DELIMITERS[:2] or cell.strip()[:1] in ("'", '"')
                if value and is_literal(value) and whole:
                    start = position + edges[2 * number] + cell.index(value)
                    yield start, start + len(value)
        if end == len(text):
            return
        position = end + 1
