"""How a value is written behind the name of a secret: in quotes, in lists and blocks, as a word or a line."""

import re
from collections.abc import Iterator

from railmend.evidence.accepting import GROUPED, QUOTED, SYMBOL, accepted, is_short_code
from railmend.evidence.enclosures import SENTENCE
from railmend.evidence.lookalikes import (
    LABEL,
    PLACEHOLDER,
    PROSE,
    has_letters_and_digits,
    has_symbols,
    is_identifier,
    looks_random,
)
from railmend.evidence.nearby import NUMBERED
from railmend.evidence.secret_names import PASSWORD, STRONG, Name

OPENER = re.compile(
    r"(?:changed (?:from )?(?=[\"'`])|string\(\d{1,6}\)\s?|s:\d{1,6}:|(?:\([\w =]{1,20}\)\s?){1,2}"
    r"|\[\]\w{1,20}\{(?=[\"'`])"
    r"|<{0,2}(?:(?:[\w:]{1,30}[.:])?(?:(?!New|Get|Load|Make|Create|Parse|Find)[A-Z]\w{0,30}|str|string|bytes|from|of|new|b64decode|to_string)"
    r"\(\s{0,60}(?:[A-Z]\w{0,20}, )?){0,3}(?=[\"'`])"
    r"|[A-Z]\w{0,20}\((?=\S)|(?!%[rsd])[brufLN@&$%q]{0,2}(?=[\"'`])|(?!\[\[\w)[\[(]{1,2}\s{0,3}|-?(?=[\"']))"
    r"(?:[brufLN@&$]{1,2}(?=[\"'`]))?"
)
# Strings of several lines, and those of Lua.
TRIPLE = re.compile(r"\"\"\"([^\"]{1,400})|'''([^']{1,400})|\[\[([^\[\]\"'\n]{1,400})\]\]")
NUMBERS = re.compile(
    r"(?:<Buffer |<<|\[\]?(?:byte|uint8)\{|\[|\{|\()\s?"
    r"((?:(?:0x)?[0-9a-fA-F]{1,3}(?:,\s?|\s|(?=[\]})>]))){4,400})"
)
ITEMS = re.compile(r"[ \t]*\r?\n(?:[ \t]*- [^\n]{1,200}(?:\n|\Z)){1,50}")
ITEM = re.compile(
    r"- [\"']?([^\s\"':{}\[\]][^\s\"':]{2,200}|(?<=[\"'])[^\"'\n]{3,200})[\"']?[ \t]*,?(?=\n|\Z)"
)
BLOCK = re.compile(
    r"[|>][+-]?\d?[ \t]*\r?\n((?:[ \t]+\S[^\n]*(?:\n|\Z)){1,100})"
    # A here-document, up to the word that it names.
    r"|<<[-~]?[\"']?([A-Z]\w{0,20})[\"']?\r?\n((?:[^\n]{0,400}\n){1,100}?)(?=[-+ \t]*\2\b)"
)
BARE = re.compile(
    r"(?:[^\s\"'`<>,;&(){}\[\]|\\，。；、）」』]|[,;&|](?![\s\"'`\\]|\Z|[\w.$-]{1,40}[\"']?[=:])"
    r"|[)\]}](?=[\w!@#$%^*+/~])"
    r"|[\"'`](?=[\w!@#$%^*])(?![\w ]{1,30}[\"'`]?[:=])|\\(?![nrtu\"'\\])|<(?![/\w!])"
    r"|(?<![^\s=:])\{\{(?=[^\s{}.:]{0,80}\d)[^\s{}.:]{4,80}(?=\s|\Z)){1,400}"
)
TO_END = re.compile(r"[^\n]{1,400}")
NEXT_KEY = re.compile(
    r"\s+(?:#|//|--)\s.*|[,;]?\s+[\w.$-]{1,40}\s?[=:](?!=).*|\s+--?\w.*|(?:\s+[}\])]+)?[\"'`,;\\]*$"
)
COMMENT = re.compile(r"(?:#|//|--|;) |[\w.]+ (?:[+*%?|]|or|if) |\w+\[")  # or an expression
EXPRESSIONS = frozenset(("new", "await", "typeof", "if", "match", "case", "lambda", "not", "function"))
# `x if y else "..."`, `x or "..."`: of an expression the string alone is a value.
CHOICE = re.compile(r"(?:\b(?:else|or)|\|\||\?\?|\?[^\n:]{1,80}:) ?([\"'])([^\"'\n]{1,200})\1")
# A variable of an environment is set to all that follows, whatever words that has.
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
PHRASE = re.compile(r"[\w'’]{1,40}(?:[ ,.!?&-]{1,3}[\w'’]{1,40}){1,9}[.!?]?")
MAX_LIST = 12
NEXT_OF_LIST = re.compile(r"[\"'`]?\s{0,4},\s{0,40}(?=[\"'`])")
CHANGED = re.compile(r"[\"'`][^\"'`\n]{0,200}(?=[\"'`]\s{1,4}(?:->|=>|→|to)\s)")
# `"old" -> "new"`, as plans and audits show a change.
CHANGED_TO = re.compile(r"[\"'`]?\s{1,4}(?:->|=>|→|to)\s{1,4}(?=[\"'`])")
BRACKETS = tuple("({[<>)]}\"'")
# In Rust a quote before a name may be no string: `&'a [u8]`.
LIFETIME = re.compile(r"[&<]'[a-z_]\w{0,20}\b(?!')")
ATTRIBUTE = re.compile(r"[\w.-]+[=:]")
# A key in groups of four, as people type it.
GROUPS = re.compile(r"(?i)[a-z0-9]{4}(?:[ -][a-z0-9]{4}){3,15}(?![\w-])")
MARKUP = re.compile(r"[a-z-]{2,30}=\"[^\"\n]{0,200}\"[ />]")  # an attribute of Vue: `:label="x"`
MORE = re.compile(r"[^\s\"'`,;]{2,200}")


def values(
    text: str, position: int, name: Name, *, sure: bool, whole_line: bool = False, spaced: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield the stretches of what stands at a position behind a name: one value, or those of a list.

    `sure`: an assignment says that it is one. `whole_line`: it may go on to the end of its line. `spaced`:
    a blank alone stands before it.
    """
    if sure and (blocks := _blocks(text, position, name)) is not None:
        yield from blocks
        return
    opener = OPENER.match(text, position)
    start = opener.end() if opener else position
    listed = text[position:start].strip() in ("[", "(", "[[", "((")
    for _ in range(MAX_LIST):
        value = _value(
            text,
            start,
            name,
            sure=sure and not (listed and name.strength < PASSWORD),
            whole_line=whole_line and not listed,
            spaced=spaced,
        )
        old = CHANGED.match(text, start) if sure and value is None else None
        end = value[1] if value else old.end() if old else 0
        if not end:
            return
        if value and not PLACEHOLDER.fullmatch(text, *value):
            yield value
        more = NEXT_OF_LIST.match(text, end) if listed else CHANGED_TO.match(text, end)
        if more is None:
            return
        start = more.end()


def _blocks(text: str, position: int, name: Name) -> list[tuple[int, int]] | None:
    """Return a value that is written as numbers, as indented lines or as items; None for others."""
    if name.strength >= STRONG and (numbers := NUMBERS.match(text, position)):
        return [numbers.span(1)]
    if block := BLOCK.match(text, position):
        start, end = block.span(block.lastindex or 1)
        whole = accepted(text, (start, end), name, sure=True, quoted=True)
        return [(start, start + len(text[start:end].rstrip()))] if whole else []
    if items := ITEMS.match(text, position):
        spans = [item.span(1) for item in ITEM.finditer(text, *items.span())]
        return [span for span in spans if accepted(text, span, name, sure=True, quoted=True)]
    return None


def _value(
    text: str, start: int, name: Name, *, sure: bool, whole_line: bool, spaced: bool
) -> tuple[int, int] | None:
    """Return the stretch of one value: in quotes, to the end of a line, or a word."""
    if triple := TRIPLE.match(text, start):
        span = triple.span(triple.lastindex or 1)
        return span if accepted(text, span, name, sure=sure, quoted=True) else None
    if LIFETIME.match(text, start - 1) or (text[start - 1] in "([{" and ATTRIBUTE.match(text, start)):
        return None
    if text[start : start + 1] in QUOTED:
        quoted = QUOTED[text[start]].match(text, start + 1)
        if quoted and quoted[0][0] in " )];|`":  # what follows the end of a string
            return None
        random = quoted and (looks_random(quoted[0]) or has_symbols(quoted[0]))
        if quoted is None or (spaced and name.strength < PASSWORD and not random):
            return None
        return quoted.span() if accepted(text, quoted.span(), name, sure=sure, quoted=True) else None
    line = _line(text, start, name) if whole_line and sure else None
    return line or _word(text, start, name, sure=sure, spaced=spaced)


def _line(text: str, start: int, name: Name) -> tuple[int, int] | None:
    """Return the rest of a line of a configuration, up to a comment or the next key."""
    line = TO_END.match(text, start)
    if line is None or PLACEHOLDER.search(line[0]):
        return None
    end = start + len(NEXT_KEY.sub("", line[0]).rstrip())
    variable = text[start - 1] == "=" and VARIABLE.fullmatch(text, name.start, start - 1)
    if variable and name.strength >= STRONG and PHRASE.fullmatch(text, start, end):
        return start, end
    parts = text[start:end].split()
    if (
        not parts
        or COMMENT.match(text, start, line.end())
        or any(each in parts[0][: None if len(parts) > 1 else 1] for each in "({")
    ):
        return None
    if len(parts) > 1:
        if choice := CHOICE.search(text, start, line.end()):
            span = choice.span(2)
            return span if accepted(text, span, name, sure=True, quoted=True) else None
        expression = parts[0] in EXPRESSIONS or PROSE.search(text[start:end])
        wanted = name.strength >= STRONG and not expression
    else:
        wanted = has_symbols(parts[0]) or has_letters_and_digits(parts[0])
    if wanted and accepted(text, (start, end), name, sure=True, quoted=len(parts) > 1):
        return start, end
    return None


def _word(text: str, start: int, name: Name, *, sure: bool, spaced: bool) -> tuple[int, int] | None:
    """Return one word; behind a blank alone it must look like a secret itself."""
    if name.word == "code" and (grouped := GROUPED.match(text, start)):
        return grouped.span()
    if sure and (groups := GROUPS.match(text, start)):
        return groups.span()
    bare = BARE.match(text, start)
    if bare is None:
        return None
    end = start + len(bare[0].rstrip(".,;:!?") if len(bare[0]) > 3 else bare[0])
    value = text[start:end]
    if text[end : end + 1] in BRACKETS and has_letters_and_digits(value) and SYMBOL.search(value):
        rest = MORE.match(text, end)
        end = rest.end() if rest and any(map(str.isalnum, rest[0])) else end
    if SENTENCE.match(text, start) or MARKUP.match(text, start):
        return None
    if spaced:
        password = (
            name.strength == PASSWORD
            and not is_short_code(text, name)
            and len(value) >= 6
            and has_letters_and_digits(value)
        )
        if not looks_random(value) and (not password or NUMBERED.fullmatch(value) or is_identifier(value)):
            return None
        if LABEL.search(text[max(start - 12, 0) : start]):
            return None
    return (start, end) if accepted(text, (start, end), name, sure=sure, quoted=False) else None
