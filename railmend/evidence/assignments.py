"""Secrets by the word beside them: `password`, `token` and their like, in whatever notation, and near by.

What follows a name is read as one of the ways in which languages, formats and tools write a name and its
value. Where none fits, a random-looking word close to it is taken. All patterns are matched at one position
and bounded, so work grows with the number of words alone.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from railmend.evidence.lookalikes import (
    CHUNK,
    HEXADECIMAL,
    IDENTIFIER,
    INSERTED,
    LABEL,
    PLACEHOLDER,
    PROSE,
    UUID,
    has_letters_and_digits,
    has_symbols,
    is_literal,
    is_opaque,
    is_wordlike,
    looks_random,
)
from railmend.evidence.secret_names import (
    KEY,
    PASSWORD,
    STRONG,
    WEAK,
    WORD,
    Name,
    names,
    names_other,
)
from railmend.evidence.statements import MARKER, bound
from railmend.evidence.words import words

SEPARATOR = r"(?:=>|->|~>|={2,3}|:{0,3}=|!==?|\?{1,2}=|[.+]=|::?(?!//|[?+])|[：＝]|\|)"
TYPE = r"(?:[*&]?(?:[\w:]{0,20}[sS]tr(?:ing)?|text|varchar\(\d{1,4}\)|char|\[\]byte|bytes|SecretStr)\*?)"
CLOSE = r"[\"'`]?(?::(?:\"?[\w\\]{1,80}\"?:)?(?:protected|private))?[\])]?(?:\[\d{0,4}\])?(?:\*\*)?[\"'`]?"
ASSIGNED = re.compile(
    rf"{CLOSE}(?:\s{{1,3}}{TYPE})?[ \t]{{0,30}}(?P<separator>{SEPARATOR})[ \t]{{0,30}}"
    # The type of what is declared: `password: String = "..."`.
    rf"(?:(?<=: )[A-Za-z_&][\w<>&'\[\]|.?: ]{{0,40}}?(?:\s=\s{{1,3}}(?!=)|=(?=[\"'`])))?"
    rf"(?:\r?\n\s{{0,60}}(?=[\"'`]|string\())?"
)
# `"name": "X", "value": "..."`, and the same as attributes and as elements.
PAIR = re.compile(
    r"[\"'`]?\s{0,4}[,;]?\s{0,60}[\"'`]?(?i:value|val|content)[\"'`]?\s{0,4}(?:=>|[:=])\s{0,8}"
    r"|[\"'][^\n<>]{0,60}?\s(?i:value|content|default)\s{0,3}=\s{0,3}"
    r"|(?:[\"']\s{0,3}/?>|</\w{1,20}>)\s{0,60}<(?i:value|string|val)\b[^<>\n]{0,40}?[>=]\s{0,8}"
    # `--name NAME --value x`, and as a list of arguments.
    r"|[\"']?,?\s{1,4}[\"']?-{1,2}(?i:v|value|val|data)[\"']?[\s=,]{1,4}"
    r"|[\"']\s{0,3}:\s{0,3}\{[^{}]{0,160}?[\"'](?i:value)[\"']\s{0,3}:\s{0,8}|[\"'];s:\d{1,6}:(?=\")|[\"']?\r?\n\r?\n(?=\S)"
)
ELEMENT = re.compile(r"(?:\s[^<>\n]{0,80})?(?<!/)>\s{0,60}(?:<!\[CDATA\[)?([^<]{1,400}?)\s{0,60}(?:\]\]>)?</")
ARGUMENT = re.compile(r"[\"'`]?\s{0,2}[,(]\s{0,40}")
SPACE = re.compile(
    r"[\"'`]?(?:[ \t]{1,8}(?:(?i:is|was|to|as|of|value|used|set to|with|by|for \S{1,40}|string)"
    r"(?=[ \t]))?){1,3}"
)
OPENER = re.compile(
    r"(?:string\(\d{1,6}\)\s?|s:\d{1,6}:|\([\w ]{1,20}\)\s?|<?(?:[A-Za-z_][\w.:]{0,30}\(\s{0,60})?(?=[\"'`])"
    r"|[A-Z]\w{0,20}\((?=\S)|[brufLN@&$%q]{0,2}(?=[\"'`])|[\[(]{1,2}\s{0,3}|-?(?=[\"']))"
    r"(?:[brufLN@&$]{1,2}(?=[\"'`]))?"
)
QUOTED = {
    quote: re.compile(
        rf"(?:[^{quote}\\\n]|\\.|{quote}{quote}(?=\w)|{quote}(?![\s,;:.)\]}}>&|+?\\/#]|\Z|[\"'`])){{1,400}}"
    )
    for quote in "\"'`"
}
TRIPLE = re.compile(r"\"\"\"([^\"]{1,400})|'''([^']{1,400})")
NUMBERS = re.compile(
    r"(?:<Buffer |<<|\[\]?(?:byte|uint8)\{|\[|\{|\()\s?"
    r"((?:(?:0x)?[0-9a-fA-F]{1,3}(?:,\s?|\s|(?=[\]})>]))){4,400})"
)
ITEMS = re.compile(r"[ \t]*\r?\n(?:[ \t]*- [^\n]{1,200}(?:\n|\Z)){1,50}")
ITEM = re.compile(
    r"- [\"']?([^\s\"':{}\[\]][^\s\"':]{2,200}|(?<=[\"'])[^\"'\n]{3,200})[\"']?[ \t]*,?(?=\n|\Z)"
)
# What a name of several secrets holds: `{"a": "x", "b": "y"}`, and lines that are further in.
MAPPING = re.compile(
    r"[\"']?\s{0,3}(?:=>|[:=])\s{0,3}\{([^{}]{1,2000})\}|:[ \t]*\r?\n((?:[ \t]+[^\n]{1,300}(?:\n|\Z)){1,60})"
)
ENTRY = re.compile(
    r"(?:^|[\s{,\"'-])([\w.-]{1,60})[\"']?\s?(?:=>|[:=])\s?[\"']?([^\s\"',{}\[\]]{8,400})", re.M
)
BLOCK = re.compile(r"[|>][+-]?\d?[ \t]*\r?\n((?:[ \t]+\S[^\n]*(?:\n|\Z)){1,100})")
BARE = re.compile(
    r"(?:[^\s\"'`<>,;&(){}\[\]|\\]|[,;&|](?![\s\"'`\\]|\Z|[\w.$-]{1,40}[\"']?[=:])|[)\]}](?=[\w!@#$%^*+/~])"
    r"|[\"'`](?=[\w!@#$%^*])(?![\w ]{1,30}[\"'`]?[:=])|\\(?![nrtu\"'\\])|<(?![/\w!])"
    r"|(?<![^\s=:])\{\{(?=[^\s{}.:]{0,80}\d)[^\s{}.:]{4,80}(?=\s|\Z)){1,400}"
)
TO_END = re.compile(r"[^\n]{1,400}")
# What stands around a name and its value says where the value ends: quotes, the next member, a table's bar.
QUOTED_PAIR = {
    quote: re.compile(rf"=([^{quote}\n\\]{{1,200}}?)(?={quote}|[&;,]?\s?[\w.-]{{1,40}}=)") for quote in "\"'"
}
BRACED = re.compile(r"=\s?\{((?:[^}\n]|\}\}){1,200})\}(?=[;\"']|\Z|\n)")
SETTING = re.compile(r"=([^;\n\"'<>(){}=]{1,200})(?=[;\"'<]|\Z|\n)")
MEMBER = re.compile(r"=([^\n=(\"'`][^\n=(]{0,200}?)(?=, ?[\w.]{1,40}=|[\])}])")
FIELD = re.compile(r":([^\s:,{}\[\"'&(][^\n{}:]{0,200}?)(?= [A-Z]\w{0,40}:|\}(?!\}))")
ROW = re.compile(
    r"[*`\"']{0,3}\s{1,60}\|\s{0,60}[`\"']?((?:[^|\s]{1,60} ?){1,6})[`\"']?\s{0,60}(?:\|\s*)?(?=\n|\Z)"
)
ROW_START = re.compile(r"[\s|*`\"']{0,60}\Z")
# What a sentence says of a name, up to what it is: `password of x: `, `password for the user "x" is `.
CLAUSES = (
    re.compile(
        r"[\"'`]?(?P<said>[^\n=;{}<>|,\\]{0,80}?)(?P<colon>\s?[:：](?:[ \t]{1,3}|(?=[「『“《\"'\[])"
        r"|\s{0,4}\n\s{0,60}(?=\S{6,200}\s*(?:\n|\Z))))(?=\S)"
    ),
    re.compile(
        r"[\"'`]?(?P<said>[^\n=;{}<>|,\\]{0,80}?)(?P<colon>(?!))?"
        r"(?:\s(?:is|was|lautet|ist|est|es|è|é|jest|to|är|er|on|adalah|là)\s(?:now |now set to |set to )?"
        r"|(?:为|為|是|は|は、|는|은)\s?)(?=\S)"
    ),
    re.compile(
        r"(?P<said>)(?P<colon>(?!))?[^\n=;{}<>|]{0,80}?\b(?:tried|given|got|sent|entered|received|supplied)[ :]{1,3}(?=[\"'`\[])"
    ),
)
# A clause about something else than the value, or whose end names whom the password is of.
OTHER_CLAUSE = re.compile(
    r"(?i)\b(?:fail|error|invalid|wrong|incorrect|must|should|can|cannot|reset|chang|expir|requir|missing|not|no|if|when"
    r"|mismatch|authent|reject|denied|length|policy|strength|match|hash(?:er|ing)?\b)"
    r"|\b(?:user(?:name)?|account|login|name|host|e-?mail|benutzer|utilisateur|usuario|database|server)\s*\Z"
)
SAID_WORD = re.compile(r"[^\s\"'`<>「」『』“”«»]{3,100}")
SAID_REST = re.compile(
    r"(?!(?i:see|use|using|the|please|run|set|try|check|got|expected|it|we|you|at|in)\b)[^\s\"'`<>(){}]{1,60}(?: [^\s\"'`<>(){}]{1,60}){1,3}(?=\s*(?:\n|\Z|\(|[\"'}]))"
)
GROUPED = re.compile(r"\d{2,4}(?:[ -]\d{2,4}){1,2}(?![\w-]|\.\d)")
SAID_QUOTED = re.compile(r"[「『“«《‘]\s?([^\n「」『』“”«»《》’]{3,100}?)\s?[」』”»》’]|\[([^\]\n]{3,100})\]")
NEXT_KEY = re.compile(r"\s+(?:#|//|--)\s.*|[,;]?\s+[\w.$-]{1,40}\s?[=:](?!=).*|\s+--?\w.*|[\"'`,;\\]+$")
LINE_START = re.compile(
    r"[-+ \t#*>$]*(?:(?:export|set|setx|ENV|ARG|let|var|const|env)[ \t]+)?[\"']?(?:[\w-]+\.)*\Z"
)
# A variable of an environment is set to all that follows, whatever words that has.
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
PHRASE = re.compile(r"[\w'’]{1,40}(?:[ ,.!?&-]{1,3}[\w'’]{1,40}){1,9}[.!?]?")
NEAR = 48
NEAR_WORD = re.compile(r"(?:[A-Za-z0-9+/_~.!@#$%^*-]|&(?![\w.-]{1,40}=)){6,400}={0,2}")
# What is longer than the above goes on to where a word must end.
LONG = 400
REST = re.compile(r"[A-Za-z0-9+/_=.~%-]*")
# What may stand before a name, by what ends it: `value="x" name=`, `"x" == `, `x is the `.
ATTRIBUTE_END = re.compile(r"\b(?:name|id|key)[\"']?\s?[=:]\s?[\"']?\Z")
ATTRIBUTE_VALUE = re.compile(r"\bvalue[\"']?\s?[=:]\s?[\"']([^\"'<>\n]{3,200})[\"']")
COMPARED_END = re.compile(r"[\"']\s{0,3}[!=]={1,2}\s{0,3}\Z")
SAID_END = re.compile(r"[\"'`]? (?:is|as|was|for) (?:the |your |my |our |an? )?\Z")
BACK = 200
MAX_LIST = 12
NEXT_OF_LIST = re.compile(r"[\"'`]?\s{0,4},\s{0,40}(?=[\"'`])")
# `"old" -> "new"`, as plans and audits show a change.
CHANGED_TO = re.compile(r"[\"'`]?\s{1,4}(?:->|=>|→)\s{1,4}(?=[\"'`])")
BRACKETS = tuple("({[<>)]}\"'")
SYMBOL = re.compile(r"[^\w\s.-]")
ODD = re.compile(r"[^\w.:/\[\]-]")
SIGN = re.compile(r"[$#@%^]")
UNUSUAL = re.compile(r"[^\w\s.,;:!?'\"()/-]")
# What makes an identifier an expression: a call, a part, a generic type, a string that is put to it.
EXPRESSION = re.compile(r"[(\[]|[,;]\Z|<[\w<>,.:& '\[\]?]*>(?:[,;]?\Z|\()|\s?\+\s?[\"'`]")
# In Rust a quote before a name may be no string: `&'a [u8]`.
LIFETIME = re.compile(r"[&<]'[a-z_]\w{0,20}\b(?!')")
CAMEL_CASE = re.compile(r"[a-z]+(?:[A-Z][a-z]+\d{0,2})+|(?:[A-Z][a-z]+\d{0,2}){2,}")
ATTRIBUTE = re.compile(r"[\w.-]+[=:]")
SENTENCE = re.compile(r"[A-Z][a-z]+ [A-Za-z]")
MORE = re.compile(r"[^\s\"'`,;]{2,200}")
DASHED = re.compile(r"[a-z]+(?:[-_./][a-z]+)+")
ADDRESS = re.compile(r"\w[\w+.-]{0,30}://\S+")
# A label in another script than Latin: several words of letters alone.
FOREIGN = r"[^\W\d_a-zA-ZÀ-ɏ]{1,200}"
FOREIGN_LABEL = re.compile(rf"{FOREIGN}(?:[\s.!?،۔]{{1,2}}{FOREIGN}){{1,19}}[\s.!?،۔]{{0,2}}")
# What sentences number: `password user42`.
NUMBERED = re.compile(
    r"(?i)(?:user|step|attempt|version|v|page|item|test|client|account|node|worker|job)[-_]?\d{1,6}"
)
SHORT_CODES = words("short_codes")
# Beside `pass` and the like: they are of a login, and no results of a test.
LOGIN = re.compile(r"(?i)(?<![a-z])(?:user\w{0,8}|login|e?mail|host|account)(?![a-z])")
WITH = re.compile(r"(?i)\b(?:with|using|temporary|initial|default|new) \Z")
CODE = re.compile(r"(?!Test[A-Z])(?=\D{0,200}\d)(?=[^A-Za-z]{0,200}[A-Za-z]).+")


def find(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of the secrets that are assigned to a sensitive word or stand near one."""
    done = 0
    for name in names(text):
        if name.start < done:
            continue
        kind = "password" if name.strength == PASSWORD else "secret"
        yield from ((start, end, kind) for start, end in _held(text, name))
        spans = [*_assigned(text, name)] or [*_stated(text, name)]
        for start, end in spans:
            if end - start >= LONG:
                rest = REST.match(text, end)
                end = rest.end() if rest else end
            yield start, end, kind
            done = max(done, end)
        if not spans and name.strength > KEY:
            yield from ((start, end, kind) for start, end in _near(text, name))


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
    return kind if _accepted(value, (0, len(value)), name, sure=True, quoted=True) else None


def _assigned(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what is assigned to the name: one value, or those of a list."""
    begin = text[name.start - 1 : name.start]
    tag = begin == "<" or (begin == ":" and "<" in text[max(name.start - 12, 0) : name.start])
    named = begin in ("'", '"') and text[name.end : name.end + 1] == begin
    element = ELEMENT.match(text, name.end + named) if tag or named else None
    if element and _accepted(text, element.span(1), name, sure=True, quoted=True):
        yield element.span(1)
        return
    if enclosed := _enclosed(text, name):
        yield enclosed
    elif pair := PAIR.match(text, name.end):
        yield from _values(text, pair.end(), name, sure=True)
    elif assigned := ASSIGNED.match(text, name.end):
        if assigned["separator"] == ":" and text.startswith("//", assigned.end("separator")):
            return
        if marker := MARKER.match(text, assigned.end()):
            yield from bound(text, marker)
            return
        at_start = LINE_START.match(text, text.rfind("\n", 0, name.start) + 1, name.start) is not None
        yield from _values(text, assigned.end(), name, sure=assigned["separator"] != "|", whole_line=at_start)
    elif argument := ARGUMENT.match(text, name.end):
        if not ATTRIBUTE.match(text, argument.end()):  # `f(secret, algorithm=...)`
            yield from [*_values(text, argument.end(), name, sure=False)] or _said(text, name)
    elif space := SPACE.match(text, name.end):
        # A flag, or a clause of SQL; behind another word no attribute of its own.
        word = text[name.start : name.end]
        if not word.startswith("-") and ATTRIBUTE.match(text, space.end()):
            yield from _said(text, name)
            return
        flag = word.startswith("-") or (
            name.strength == PASSWORD and (word.isupper() or word[:10].lower() == "identified")
        )
        yield from [*_values(text, space.end(), name, sure=flag, spaced=not flag)] or _said(text, name)
    else:
        yield from _said(text, name)


def _enclosed(text: str, name: Name) -> tuple[int, int] | None:
    """Return a value of several words by what stands around it and its name."""
    begin = max(name.start - BACK, text.rfind("\n", 0, name.start) + 1)
    ahead = text[begin : name.start]
    quote, sign, opening = ahead[-1:], text[name.end : name.end + 1], BACK
    value: re.Match[str] | None = None
    if sign == "=" and quote in QUOTED_PAIR:
        value = QUOTED_PAIR[quote].match(text, name.end)
    elif sign == "=" and ahead.rstrip()[-1:] == ";":
        value = BRACED.match(text, name.end) or SETTING.match(text, name.end)
    elif sign in "=:" and (opening := max(map(ahead.rfind, "[{("))) >= 0:
        closing = max(map(ahead.rfind, "])}"))
        if (
            closing < opening
            and (ahead[opening] == "{" or ahead[opening - 1 : opening].isalnum())
            and sign == "="
        ):
            value = MEMBER.match(text, name.end)
        elif closing < opening and ahead[opening] == "{" and sign == ":":
            value = FIELD.match(text, name.end)
    elif ROW_START.fullmatch(ahead) and name.strength >= STRONG:
        value = ROW.match(text, name.end)
    if value is None or INSERTED.match(value[1]):
        return None
    plain = " " not in value[1] and sign != "|" and ahead[opening : opening + 1] != "["
    return (
        value.span(1)
        if _accepted(text, value.span(1), name, sure=True, quoted=not plain)
        and not (" " in value[1] and SENTENCE.match(value[1]))
        else None
    )


def _said(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what a sentence says that the password is."""
    if name.strength < PASSWORD:
        return
    for pattern in CLAUSES:
        clause = pattern.match(text, name.end)
        if clause and not OTHER_CLAUSE.search(clause["said"]):
            for span in _said_values(text, clause.end(), colon=clause["colon"] is not None):
                if _accepted(text, span, name, sure=True, quoted=True):
                    yield span
                    return


def _said_values(text: str, start: int, *, colon: bool) -> Iterator[tuple[int, int]]:
    """Yield what may be meant: what is in quotes, or else the rest of the sentence, or one word."""
    if grouped := GROUPED.match(text, start):
        yield grouped.span()
    elif quoted := SAID_QUOTED.match(text, start):
        yield quoted.span(quoted.lastindex or 0)
    elif text[start] in QUOTED:
        quoted = QUOTED[text[start]].match(text, start + 1)
        if quoted:
            yield quoted.span()
    else:
        for pattern in (SAID_REST, SAID_WORD) if colon else (SAID_WORD,):
            if said := pattern.match(text, start):
                value = said[0].rstrip(".,;:!?。，；)]\"'")
                symbol = SYMBOL if pattern is SAID_WORD else UNUSUAL
                if any(map(str.isdigit, value)) or symbol.search(value) or not value.isascii():
                    yield start, start + len(value)


def _values(
    text: str, position: int, name: Name, *, sure: bool, whole_line: bool = False, spaced: bool = False
) -> Iterator[tuple[int, int]]:
    if name.strength >= STRONG and (numbers := NUMBERS.match(text, position)) and sure:
        yield numbers.span(1)
        return
    if sure and (block := BLOCK.match(text, position)):
        if _accepted(text, block.span(1), name, sure=True, quoted=True):
            yield block.start(1), block.start(1) + len(block[1].rstrip())
        return
    if sure and (items := ITEMS.match(text, position)):
        for item in ITEM.finditer(text, *items.span()):
            if _accepted(text, item.span(1), name, sure=True, quoted=True):
                yield item.span(1)
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
        if value is None:
            return
        if not PLACEHOLDER.fullmatch(text, *value):
            yield value
        more = NEXT_OF_LIST.match(text, value[1]) if listed else CHANGED_TO.match(text, value[1])
        if more is None:
            return
        start = more.end()


def _value(
    text: str, start: int, name: Name, *, sure: bool, whole_line: bool, spaced: bool
) -> tuple[int, int] | None:
    """Return the stretch of one value: in quotes, to the end of a line, or a word."""
    if triple := TRIPLE.match(text, start):
        span = triple.span(triple.lastindex or 1)
        return span if _accepted(text, span, name, sure=sure, quoted=True) else None
    if LIFETIME.match(text, start - 1):
        return None
    if text[start : start + 1] in QUOTED:
        quoted = QUOTED[text[start]].match(text, start + 1)
        random = quoted and (looks_random(quoted[0]) or has_symbols(quoted[0]))
        if quoted is None or (spaced and name.strength < PASSWORD and not random):
            return None
        return quoted.span() if _accepted(text, quoted.span(), name, sure=sure, quoted=True) else None
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
    if not parts or any(each in parts[0][: None if len(parts) > 1 else 1] for each in "({"):
        return None
    if len(parts) > 1:
        expression = parts[0] in ("new", "await", "typeof") or PROSE.search(text[start:end])
        wanted = name.strength >= STRONG and not expression
    else:
        wanted = has_symbols(parts[0]) or has_letters_and_digits(parts[0])
    accepted = wanted and _accepted(text, (start, end), name, sure=True, quoted=len(parts) > 1)
    return (start, end) if accepted else None


def _word(text: str, start: int, name: Name, *, sure: bool, spaced: bool) -> tuple[int, int] | None:
    """Return one word; behind a blank alone it must look like a secret itself."""
    if name.word == "code" and (grouped := GROUPED.match(text, start)):
        return grouped.span()
    bare = BARE.match(text, start)
    if bare is None:
        return None
    end = start + len(bare[0].rstrip(".,;:!?") if len(bare[0]) > 3 else bare[0])
    value = text[start:end]
    if text[end : end + 1] in BRACKETS and has_letters_and_digits(value) and SYMBOL.search(value):
        rest = MORE.match(text, end)
        end = rest.end() if rest and any(map(str.isalnum, rest[0])) else end
    if SENTENCE.match(text, start) or (text[start - 1] == "(" and ATTRIBUTE.match(value)):
        return None
    if spaced:
        password = name.strength == PASSWORD and len(value) >= 6 and has_letters_and_digits(value)
        if not looks_random(value) and (not password or NUMBERED.fullmatch(value)):
            return None
        if LABEL.search(text[max(start - 12, 0) : start]):
            return None
    return (start, end) if _accepted(text, (start, end), name, sure=sure, quoted=False) else None


def _is_code(text: str, span: tuple[int, int]) -> bool:
    """Return whether a value without quotes is an expression: a call, an attribute, another variable."""
    value, following = text[span[0] : span[1]], text[span[1] : span[1] + 1]
    if not (whole := IDENTIFIER.match(value)):
        return value.startswith(("(", "[", "{", "&", "!", "=", "<")) and not value.startswith("{{")
    if whole.end() < len(value):
        return EXPRESSION.match(value, whole.end()) is not None
    if following and (following in "([" or (following == "{" and "." in value)):
        return True
    parts = CHUNK.findall(value)
    if all(part.isalpha() and (len(part) < 3 or is_wordlike(part)) for part in parts) and len(parts) > 1:
        return True
    if re.search(r"[.:>]", value) and all(
        len(part) < 3 or is_wordlike(part) for part in parts if part.isalpha()
    ):
        return not looks_random(value)
    return following == ";" and value.isalpha() and value.islower() and text[span[0] - 1] == " "


def _accepted(text: str, span: tuple[int, int], name: Name, *, sure: bool, quoted: bool) -> bool:
    """Return whether a value is a secret, given how much its name says.

    `sure`: the notation says that it is the name's value. `quoted`: it is a string, no expression.
    """
    value = text[span[0] : span[1]].strip()
    quoted |= text[name.start - 1 : name.start] in ("?", "&") and text[name.end : name.end + 1] == "="
    if (
        not is_literal(value)
        or value.startswith("--")
        or not any(map(str.isalnum, value))
        or PLACEHOLDER.search(value)
    ):
        return False
    sure |= (
        quoted
        and name.strength == PASSWORD
        and WITH.search(text, max(name.start - 12, 0), name.start) is not None
    )
    quoted |= text[name.start] == "-"  # words of a shell are no expressions
    if _names_a_secret(value, quoted=quoted) or (not quoted and _is_code(text, span)):
        return False
    if quoted and " " in value and (PROSE.search(value) or FOREIGN_LABEL.fullmatch(value)):
        return False
    if ADDRESS.fullmatch(value):
        return False
    if name.word == "code" or text[name.start : name.end].lower() in SHORT_CODES:
        if GROUPED.fullmatch(value):
            return True
        assigned = text[max(span[0] - 4, 0) : span[0]].rstrip("\"' ")[-1:] in ("=", ":", ">")
        if assigned and len(value) >= 6 and LOGIN.search(text, max(name.start - 80, 0), name.end + 80):
            return True
        return len(value) >= 4 if value.isdigit() else len(value) >= 6 and bool(CODE.fullmatch(value))
    if name.strength == KEY:
        random = looks_random(value, 16) and not HEXADECIMAL.fullmatch(value)
        return random or (len(value) >= 16 and has_symbols(value) and " " not in value)
    if name.strength == WEAK or not (sure or quoted):
        return " " not in value and is_opaque(value) and (quoted or sure or not _is_identifier(value))
    if not sure:
        return has_letters_and_digits(value) or SYMBOL.search(value) is not None
    if name.strength == STRONG and not has_letters_and_digits(value):
        return len(value) >= 6 and not DASHED.fullmatch(value)
    return not value.isdigit() or len(value) >= 4


def _is_identifier(value: str) -> bool:
    """Return whether it is put together of words, as `badClaims2` is and no secret."""
    words = (part for part in CHUNK.findall(value) if len(part) > 2)
    return CAMEL_CASE.fullmatch(value) is not None and all(map(is_wordlike, words))


def _names_a_secret(value: str, *, quoted: bool) -> bool:
    """Return whether a value is itself a name or a label, such as `new_password` or "Your password"."""
    word = WORD.search(value)
    if word is None or has_letters_and_digits(value) or has_symbols(value):
        return False
    invented = value.islower() or not all(is_wordlike(part) for part in CHUNK.findall(value) if len(part) > 3)
    own = len(value) > len(word[0]) + 3 or value.startswith("my")
    if quoted and " " not in value and ODD.search(value.strip("*?!:.()…")):
        return False
    if quoted and " " in value and (SIGN.search(value) or (value.islower() and len(word[0]) < 5)):
        return False  # several words that only happen to have `salt` or `key` among them
    return not (quoted and value.isalpha() and invented and own)


def _stated(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what stands before: `value="x" name="password"`, `"x" == password`, `x is the password`."""
    begin = max(name.start - BACK, text.rfind("\n", 0, name.start) + 1)
    tail = max(name.start - 20, begin)
    span: tuple[int, int] | None = None
    if ATTRIBUTE_END.search(text, tail, name.start):
        match = ATTRIBUTE_VALUE.search(text, begin, name.start)
        span = match.span(1) if match else None
    elif compared := COMPARED_END.search(text, tail, name.start):
        opening = text.rfind(text[compared.start()], begin, compared.start())
        span = (opening + 1, compared.start()) if opening >= 0 else None
    elif said := SAID_END.search(text, tail, name.start):
        opening = max(text.rfind(each, begin, said.start()) for each in " \"'`(<") + 1 or begin
        if looks_random(text[opening : said.start()], 8):
            span = opening, said.start()
    if span and _accepted(text, span, name, sure=True, quoted=True):
        yield span


def _near(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield the first random-looking word close behind the name, or else before it, on its line."""
    line_end = text.find("\n", name.end)
    stop = min(name.end + NEAR, line_end if line_end >= 0 else len(text))
    for match in NEAR_WORD.finditer(
        text, name.end, min(stop + 400, line_end if line_end >= 0 else len(text))
    ):
        if match.start() >= stop or PLACEHOLDER.match(text, match.start() - 1):
            break
        if _is_near_secret(text, match):
            yield match.span()
            return
    line_start = text.rfind("\n", 0, name.start) + 1
    for match in NEAR_WORD.finditer(text, max(name.start - NEAR, line_start), name.start):
        inside = match.start() > line_start and text[match.start() - 1].isalnum()
        if not inside and len(match[0]) >= 16 and match.end() < name.start and _is_near_secret(text, match):
            yield match.span()


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
        or not looks_random(word, 12)
        or not is_literal(word)
    ):
        return False
    return LABEL.search(text[max(match.start() - 16, 0) : match.start()]) is None
