"""Secrets that stand near a word such as `password` without being assigned to it, behind it or before it."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from railmend.evidence.accepting import accepted
from railmend.evidence.lookalikes import (
    HEXADECIMAL,
    IDENTIFIER,
    LABEL,
    MEASURE,
    PLACEHOLDER,
    UUID,
    has_letters_and_digits,
    is_identifier,
    is_literal,
    looks_random,
)
from railmend.evidence.secret_names import PASSWORD, STRONG, Name

NEAR = 48
# What people think up: letters and digits with a symbol, or with digits for letters and an exclamation mark.
THOUGHT_UP = re.compile(
    r"(?=[^A-Za-z]{0,40}[A-Za-z])(?=\D{0,40}\d)(?![\w.+-]{1,40}@[\w-]{1,40}\.\w)"
    r"(?:(?=[^!#$%^&*@]{1,40}[!#$%^&*@])[\w!#$%^&*@~+-]{8,40}(?<![!*+-])|[A-Za-z]{1,20}\d{1,3}[A-Za-z]\w{0,20}[!*]{1,3})"
)
# A word alone on the line below that of the name.
NEXT_LINE = re.compile(
    r"[^\n={\[]{0,40}\n[ \t]{0,60}([A-Za-z0-9][A-Za-z0-9!#$%^&*_+/=~.-]{8,400})[ \t]*(?=\n|\Z)"
)
NEAR_WORD = re.compile(r"(?:[A-Za-z0-9+/_~.!@#$%^*-]|&(?![\w.-]{1,40}=)){6,400}={0,2}")
# What sentences number: `password user42`.
NUMBERED = re.compile(
    r"(?i)(?:user|step|attempt|version|v|page|item|test|client|account|node|worker|job)[-_]?\d{1,6}"
)
# What may stand before a name, by what ends it: `value="x" name=`, `"x" == `, `x is the `.
ATTRIBUTE_END = re.compile(r"\b(?:name|id|key)[\"']?\s?[=:]\s?[\"']?\Z")
ATTRIBUTE_VALUE = re.compile(r"\bvalue[\"']?\s?[=:]\s?[\"']([^\"'<>\n]{3,200})[\"']")
COMPARED_END = re.compile(r"[\"']\s{0,3}[!=]={1,2}\s{0,3}\Z")
SENTENCE_END = re.compile(r"\s{0,3}(?:[.,;:!?)]|\n|\Z)")
SAID_END = re.compile(r"[\"'`]? (?:is|as|was|for) (?:the |your |my |our |an? )?\Z")
BACK = 200


def stated(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what stands before: `value="x" name="password"`, `"x" == password`, `x is the password`."""
    begin = max(name.start - BACK, text.rfind("\n", 0, name.start) + 1)
    tail = max(name.start - 20, begin)
    span: tuple[int, int] | None = None
    if ATTRIBUTE_END.search(text, tail, name.start):
        for match in ATTRIBUTE_VALUE.finditer(text, begin, name.start):  # the last one is its own
            span = match.span(1)
    elif compared := COMPARED_END.search(text, tail, name.start):
        opening = text.rfind(text[compared.start()], begin, compared.start())
        span = (opening + 1, compared.start()) if opening >= 0 else None
    elif said := SAID_END.search(text, tail, name.start):
        opening = max(text.rfind(each, begin, said.start()) for each in " \"'`(<[") + 1 or begin
        word, ends = text[opening : said.start()], SENTENCE_END.match(text, name.end) is not None
        if looks_random(word, 8) or (
            ends and name.strength == PASSWORD and len(word) >= 8 and has_letters_and_digits(word)
        ):
            span = opening, said.start()
    if span and accepted(text, span, name, sure=True, quoted=True):
        yield span


def near(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield the first random-looking word close behind the name, or else before it, on its line."""
    if PLACEHOLDER.search(text, max(name.start - NEAR, 0), name.end + NEAR):  # it was found before
        return
    line_end = text.find("\n", name.end)
    stop = min(name.end + NEAR, line_end if line_end >= 0 else len(text))
    for match in NEAR_WORD.finditer(
        text, name.end, min(stop + 400, line_end if line_end >= 0 else len(text))
    ):
        if match.start() >= stop:
            break
        if _is_near_secret(text, match) or _is_thought_up(text, match, name):
            yield match.span()
            return
    alone = text[name.start - 1 : name.start].isspace() or not name.start
    below = NEXT_LINE.match(text, name.end) if alone else None
    if below and looks_random(below[1], 12 if name.strength < STRONG else 8) and is_literal(below[1]):
        yield below.span(1)
        return
    line_start = text.rfind("\n", 0, name.start) + 1
    for match in NEAR_WORD.finditer(text, max(name.start - NEAR, line_start), name.start):
        inside = match.start() > line_start and text[match.start() - 1].isalnum()
        if not inside and len(match[0]) >= 16 and match.end() < name.start and _is_near_secret(text, match):
            yield match.span()


def _is_thought_up(text: str, match: re.Match[str], name: Name) -> bool:
    """Return whether a word near the name of a password is like one that people think up."""
    if name.strength < STRONG and "cred" not in text[name.start : name.end].lower():
        return False
    begin, end = match.span()
    apart = begin > name.end + 1 and text[begin - 1] in "/.:=@$[("
    if apart or text[end : end + 1] in tuple("(=:@/"):
        return False
    words = (match[0], match[0].rstrip(".!*+-"))
    return any(
        THOUGHT_UP.fullmatch(word) and is_literal(word) and not NUMBERED.fullmatch(word) for word in words
    )


def _is_near_secret(text: str, match: re.Match[str]) -> bool:
    word = unquote(match[0]).strip(".!*+-")
    if word[:1] == "@" and HEXADECIMAL.fullmatch(word[1:]):  # what a dependency is pinned to
        return False
    if "/" in word and (
        word.startswith((".", "/"))
        or (word.count("/") > 2 and not looks_random(max(word.split("/"), key=len), 16))
    ):
        return False
    if (
        re.search(r"\.[a-z]{2,4}$|[\s<>\"']", word)  # a file, or words of another view
        or UUID.fullmatch(word)
        or MEASURE.fullmatch(word)
        or (IDENTIFIER.fullmatch(word) and "." in word and text[match.end() : match.end() + 1] in ("(", "{"))
        or is_identifier(word)
        or not looks_random(word, 12)
        or not is_literal(word)
    ):
        return False
    return LABEL.search(text[max(match.start() - 16, 0) : match.start()]) is None
