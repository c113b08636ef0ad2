"""Secrets by the word beside them: `password`, `token` and their like, in whatever notation, and near by.

What follows a name is read as one of the ways in which languages, formats and tools write a name and its
value. Where none fits, a random-looking word close to it is taken. All patterns are matched at one position
and bounded, so work grows with the number of words alone.
"""

import re
from collections.abc import Iterator

from railmend.evidence.accepting import QUOTED, SYMBOL, accepted, is_short_code
from railmend.evidence.clauses import said
from railmend.evidence.enclosures import enclosed
from railmend.evidence.lookalikes import (
    PLACEHOLDER,
    has_letters_and_digits,
    is_opaque,
    looks_random,
)
from railmend.evidence.nearby import near, stated
from railmend.evidence.secret_names import KEY, PASSWORD, STRONG, Name, names, names_other
from railmend.evidence.statements import MARKER, bound
from railmend.evidence.values import ATTRIBUTE, values

SEPARATOR = (
    r"(?:=>|->(?= )|~>|={2,3}|:{0,3}=|!==?|\?{1,2}=|[.+]=|:-(?=\S)|::?(?!//|[?+])|[：＝→]|\|{1,2}|\?\?"
    r"|\.{3,60}(?: ?:)?)"
)
TYPE = r"(?:[*&]?(?:[\w:]{0,20}[sS]tr(?:ing)?|text|varchar\(\d{1,4}\)|char|\[\]byte|bytes|SecretStr)\*?)"
# Behind a name: what ends it, and PHP's visibility of a property.
CLOSE = (
    r"[\"'`]?(?::(?:\"?[\w\\]{1,80}\"?:)?(?:protected|private))?[\])]?"
    r"(?:\[\d{0,4}\])?(?:\*\*)?[\"'`]?"
)
# They do not say for sure that a value is the name's: alternatives, defaults.
UNSURE = ("|", "||", "??")
ASSIGNED = re.compile(
    rf"{CLOSE}(?:\s{{1,3}}{TYPE}|(?i: for) [\"'`]\S{{1,60}}|(?<=PASSWORD) \w{{1,40}}(?= = ))?"
    rf"[ \t]{{0,30}}(?P<separator>{SEPARATOR})[ \t]{{0,30}}"
    # The type of what is declared: `password: String = "..."`.
    rf"(?:(?<=: )[A-Za-z_&][\w<>&'\[\]|.?: ]{{0,40}}?(?:\s=\s{{1,3}}(?!=)|=(?=[\"'`])))?"
    rf"(?:\r?\n\s{{0,60}}(?=\"(?!\"\")|['`](?!'')|string\())?"
)
# `"name": "X", "value": "..."`, and the same as attributes and as elements.
PAIR = re.compile(
    r"[\"'`]?\s{0,4}[,;]?\s{0,60}(?:\"\w{1,20}\":\s?\"[^\"\n]{0,40}\",\s{0,40}"
    r"|\w{1,20}: \w{1,20} ?[,}]{1,2}\s{0,40}){0,3}"
    r"[\"'`]?(?i:value|val|content|default)[\"'`]?\s{0,4}(?:=>|[:=])\s{0,8}"
    r"|[\"'][^\n<>]{0,60}?\s(?i:value|content|default)\s{0,3}=\s{0,3}"
    r"|(?:[\"'][^<>\n]{0,60}/?>|</\w{1,20}>)\s{0,60}<(?i:\w{0,20}value|string\w{0,10}|val)\b[^<>\n]{0,60}>\s{0,8}"
    # The default of a flag or of a setting, in help.
    r"|[^\n()=:\"']{0,40} \(default:? (?=[\"'])"
    # A variable of Terraform's with its default.
    r"|[\"'] \{[^{}]{0,200}?\bdefault {0,20}= {0,20}(?=\")"
    # `--name NAME --value x`, and as a list of arguments.
    r"|[\"']?,?\s{1,4}[\"']?(?:/t \w{1,20} )?[/-]{1,2}(?i:value|val|data|(?<=/)d)[\"']?[\s=,]{1,4}"
    r"|[\"']\s{0,3}:\s{0,3}\{[^{}]{0,160}?[\"'](?:(?i:value|stringvalue)|S)[\"']\s{0,3}:\s{0,8}"
    r"|[\"'];s:\d{1,6}:(?=\")|[\"']\r?\n\r?\n(?=\S)"
)
ELEMENT = re.compile(r"(?:\s[^<>\n]{0,80})?(?<!/)>\s{0,60}(?:<!\[CDATA\[)?([^<]{1,400}?)\s{0,60}(?:\]\]>)?</")
INNER = re.compile(r"([^<\n]{1,400}?)\s{0,60}</")
# What looks a name up, and has its default next to it.
LOOK_UP = re.compile(r"(?i)(?:define|getenv|environ\.get|env|flag\.String|get_env|getOrDefault)\([\"']?\Z")
# A pair of a list of pairs: `[("a", "b"), ("name", "value")]`.
PAIRED = re.compile(r"(?:[\[(]|\),?\s{0,20})\([\"']\Z")
PAIR_END = re.compile(r"[\w(, ]{0,40}([\"'])[^\"'\n]{1,200}\1\)")
TYPED = re.compile(r"with:|\.\w+\(")
# Of a call with a user and a password: `change_password("a", "b")`.
SECOND = re.compile(r"[\"'][^\"'\n]{1,80}[\"'], ?[\"']([^\"'\n]{3,200})[\"']\)")
# What directly follows a name in brackets, `password[x]`, and is no index.
BRACKETED = re.compile(
    r"\s?(?:\[([^\s\[\]\"'=<>]{8,100})\]|<([^\s<>\"'=]{8,100})>|\{ ?[\"']([^\"'\n]{6,100})[\"'] ?\})"
    r"(?![\w.(\[={])"
)
ARGUMENT = re.compile(
    # What a test types into the field of that name; an argument.
    r"[\"'`]\)?(?:, ?with: ?|\)?\.(?:type|fill|val|enter|[sS]et_?[vV]alue|send_?[kK]eys)\()(?=[\"'`])"
    r"|[\"'`]?\s{0,2}[,(]\s{0,40}"
)
SPACE = re.compile(
    r"[\"'`]?(?:[ \t]{1,8}(?:(?i:is|was|to|as|of|value|used|set to|with|by|for \S{1,40}|string)"
    r"(?=[ \t]))?){1,3}"
)
# What a name of several secrets holds: `{"a": "x", "b": "y"}`, and lines that are further in.
MAPPING = re.compile(
    r"[\"']?\s{0,3}(?:=>|[:=])\s{0,3}\{([^{}]{1,2000})\}|:[ \t]*\r?\n((?:[ \t]+[^\n]{1,300}(?:\n|\Z)){1,60})"
)
ENTRY = re.compile(
    r"(?:^|[\s{,\"'-])([\w.-]{1,60})[\"']?\s?(?:=>|[:=])\s?[\"']?([^\s\"',{}\[\]]{8,400})", re.M
)
# Behind the label that a process manager puts before each line.
LINE_START = re.compile(
    r"(?:(?:[\w.:-]{1,40} ){1,4}\| )?[-+ \t#*>$]*\[?"
    r"(?:(?:export|let|var|const|env|(?P<directive>set|setx|SetEnv|setenv|ENV|ARG))"
    r"[ \t]+(?:-\w{1,3}[ \t]+)?)?"
    r"[\"']?(?:[\w-]+\.)*\Z"
)
# A line of a configuration of one word and its value; what such a line gives may be several words.
DIRECTIVE = r"[ \t]*[a-z][\w.-]{1,40}[ \t]+\S{1,80}[ \t]*"
ABOVE = re.compile(rf"(?m)^{DIRECTIVE}\r?\n[ \t]*\Z")
BELOW = re.compile(rf"[^\n]{{3,100}}\n{DIRECTIVE}(?:\r?\n|\Z)")
OPTION = re.compile(r"'[^'\n]{1,200}'[,)]")  # of SQL: `(user 'a', password 'b')`
# The last word of a line, in the second of two columns, and what a command sets: `kv put app/password x`.
WORDLIKE = re.compile(r"\w")
LAST = re.compile(r"[^\s*&\[]\S{2,200}[ \t]*(?:\r?\n|\Z)")
PATHS = re.compile(r"\s(?:put|set|write|config)\s(?:-\S{1,40}\s){0,3}[\w:@-]*[/._][\w./:@-]*\Z")
# `arn:aws:secretsmanager:...:secret:name` names a secret and is none.
ARN = re.compile(r"\barn:[\w:/*-]{1,120}\Z")
# What is longer than the above goes on to where a word must end.
LONG = 400
REST = re.compile(r"[A-Za-z0-9+/_=.~%-]*")


def find(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of the secrets that are assigned to a sensitive word or stand near one."""
    done = 0
    for name in names(text):
        if name.start < done or (
            text[name.start - 1 : name.start] == ":"
            and ARN.search(text, max(name.start - 120, 0), name.start)
        ):
            continue
        kind = "password" if name.strength == PASSWORD else "secret"
        yield from ((start, end, kind) for start, end in _held(text, name))
        spans = [*_assigned(text, name)] or [*stated(text, name)]
        for start, end in spans:
            if end - start >= LONG:
                rest = REST.match(text, end)
                end = rest.end() if rest else end
            yield start, end, kind
            done = max(done, end)
        if not spans and name.strength > KEY:
            yield from ((start, end, kind) for start, end in near(text, name))


def _held(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what looks random in a mapping that is named for several secrets, whatever its keys are."""
    mapping = MAPPING.match(text, name.end) if text[name.end - 1] in "sS" else None
    for entry in ENTRY.finditer(text, *mapping.span(mapping.lastindex or 1)) if mapping else ():
        if looks_random(entry[2], 8) and is_opaque(entry[2]) and not names_other(entry[1]):
            yield entry.span(2)


def kind_of(key: str, value: str) -> str | None:
    """Return the kind of secret that a value is by its key alone, in full; None where it is none."""
    name = next(names(key), None)
    if name is None or name.strength == KEY or name.end < len(key):
        return None
    kind = "password" if name.strength == PASSWORD else "secret"
    return kind if accepted(value, (0, len(value)), name, sure=True, quoted=True) else None


def _assigned(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what is assigned to the name: one value, or those of a list."""
    begin = text[name.start - 1 : name.start]
    tag = begin == "<" or (begin == ":" and "<" in text[max(name.start - 12, 0) : name.start])
    named = begin in ("'", '"') and text[name.end : name.end + 1] == begin
    element = ELEMENT.match(text, name.end + named) if tag or named else None
    if element and accepted(text, element.span(1), name, sure=True, quoted=True):
        yield element.span(1)
    elif value := enclosed(text, name):
        yield value
    elif pair := PAIR.match(text, name.end):
        inner = INNER.match(text, pair.end()) if text[pair.end() - 1] == ">" else None
        if inner:
            yield from [inner.span(1)] if accepted(text, inner.span(1), name, sure=True, quoted=True) else ()
        else:
            yield from values(text, pair.end(), name, sure=True, whole_line=_to_line_end(text, pair, name))
    elif assigned := ASSIGNED.match(text, name.end):
        yield from _behind_separator(text, assigned, name)
    elif argument := ARGUMENT.match(text, name.end):
        yield from _arguments(text, argument, name) or (said(text, name) if argument[0][0] == " " else ())
    else:
        yield from _spaced(text, name) or said(text, name)


def _behind_separator(text: str, assigned: re.Match[str], name: Name) -> Iterator[tuple[int, int]]:
    """Yield what follows `=`, `:` and their like, unless an address or a function has them."""
    separator, written, end = assigned["separator"], assigned[0], assigned.end()
    if separator == ":" and text.startswith("//", assigned.end("separator")):
        return
    if written.startswith(")") and separator in (":", "=>"):
        return
    quote = text[name.start - 1 : name.start]
    if (
        written == "="
        and quote in QUOTED
        and text[end : end + 1] == quote
        and not text[end + 1 : end + 2].isalnum()
    ):
        return
    if marker := MARKER.match(text, end):
        yield from bound(text, marker)
        return
    if text[end : end + 1] == "\n":
        yield from said(text, name)
    whole_line = _line_start(text, name) is not None
    yield from values(text, end, name, sure=separator not in UNSURE, whole_line=whole_line)


def _to_line_end(text: str, pair: re.Match[str], name: Name) -> bool:
    """Return whether the value stands on a line of its own, as in YAML and in the part of a form."""
    in_form = text[max(name.start - 6, 0) : name.start] == 'name="'
    return "\n" in pair[0] and (in_form or pair[0].strip("\"'\r\n") != "")


def _line_start(text: str, name: Name) -> re.Match[str] | None:
    return LINE_START.match(text, text.rfind("\n", 0, name.start) + 1, name.start)


def _arguments(text: str, argument: re.Match[str], name: Name) -> list[tuple[int, int]]:
    """Return what follows the name in a call or a list; in a pair it is the name's value."""
    begin = text[name.start - 1 : name.start]
    comma = "," in argument[0]
    if name.strength >= STRONG and "(" in argument[0] and (second := SECOND.match(text, argument.end())):
        return [second.span(1)] if accepted(text, second.span(1), name, sure=True, quoted=True) else []
    if ATTRIBUTE.match(text, argument.end()) or (comma and begin == "/"):  # `f(secret, algorithm=...)`, paths
        return []
    quote = text[argument.end() : argument.end() + 1]
    sure = TYPED.search(argument[0]) is not None
    if comma and not sure:
        sure = (
            begin == "#"
            or (begin in ("{", ":") and quote in ("'", '"', "<"))
            or (text[name.start] == "-" and argument[0][0] == quote)
            or LOOK_UP.search(text, max(name.start - 20, 0), name.start) is not None
            or bool(
                PAIRED.search(text, max(name.start - 30, 0), name.start)
                and PAIR_END.match(text, argument.end())
            )
        )
    return [*values(text, argument.end(), name, sure=sure)]


def _bracketed(text: str, match: re.Match[str], name: Name) -> list[tuple[int, int]]:
    span = match.span(match.lastindex or 0)
    value = text[span[0] : span[1]]
    telling = not PLACEHOLDER.search(match[0]) and (has_letters_and_digits(value) or SYMBOL.search(value))
    return [span] if telling and accepted(text, span, name, sure=True, quoted=True) else []


def _spaced(text: str, name: Name) -> list[tuple[int, int]]:
    """Return what follows behind a blank: of a flag, of a directive, of a clause of SQL, or a random word."""
    if bracketed := name.strength == PASSWORD and BRACKETED.match(text, name.end):
        return _bracketed(text, bracketed, name)
    space = SPACE.match(text, name.end)
    if space is None:
        return []
    word = text[name.start : name.end]
    flag = word.startswith("-")
    if word.startswith("$"):  # a variable of a shell, not its name
        return []
    if word[:10] == "identified" and not _takes_a_value(text, name, space):  # of prose
        return []
    attribute = ATTRIBUTE.match(text, space.end())
    # Behind another word no attribute of its own; nor `--secret id=npm,src=file`, whose parts have names.
    if attribute and (
        not flag or (name.strength < PASSWORD and text[attribute.end() : attribute.end() + 1].isalnum())
    ):
        return []
    quoted = text[space.end() : space.end() + 1] in QUOTED
    if name.strength >= STRONG and (start := _line_start(text, name)):
        flag |= quoted or start["directive"] is not None
        wanted = name.strength == PASSWORD and not is_short_code(text, name)
        if not flag and wanted and not text.startswith("--", space.end()):
            lines = max(start.start() - 120, 0), start.start()
            if ABOVE.search(text, *lines) or BELOW.match(text, space.end()):
                return [*values(text, space.end(), name, sure=True, whole_line=True)]
    if name.strength == PASSWORD and _takes_a_value(text, name, space):
        flag = True
    flag |= quoted and text[name.start - 1 : name.start] == ":"  # of Clojure
    return [*values(text, space.end(), name, sure=flag, spaced=not flag)]


def _takes_a_value(text: str, name: Name, space: re.Match[str]) -> bool:
    """Return whether a statement, a command or a column sets a password to the word behind it."""
    word = text[name.start : name.end]
    if word[:10].lower() == "identified" or (word.isupper() and word.isalpha()):
        return text[space.end() : space.end() + 1] in ("'", '"')
    ahead = text[max(name.start - 3, 0) : name.start].rstrip()
    if OPTION.match(text, space.end()) and ahead[-1:] in ("(", ","):
        return True
    if word.startswith("set-") or ((len(space[0]) > 2 or "_" in word) and _line_start(text, name)):
        return LAST.match(text, space.end()) is not None
    return PATHS.search(text, max(name.start - 120, 0), name.end) is not None
