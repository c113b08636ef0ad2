"""Passwords that a sentence states: `password for the user "x" is ...`, `mot de passe provisoire : ...`."""

import re
from collections.abc import Iterator

from railmend.evidence.accepting import GROUPED, QUOTED, SYMBOL, accepted, is_short_code
from railmend.evidence.lookalikes import has_letters_and_digits
from railmend.evidence.secret_names import PASSWORD, STRONG, Name

# What is said of the name: no assignment, no list, and within one sentence.
SAID = r"[\"'`]?(?P<said>(?:[^\n=;{}<>|,\\?!.，。；：]|\.(?!\s)){0,80}?)"
COLON = re.compile(
    rf"{SAID}(?:\?\s(?=[\"'「“])|\s?[:：](?:[ \t]{{1,3}}|(?=[「『“《\"'\[])"
    r"|\s{0,4}\n\s{0,60}(?=[^\s(){};]{6,200}\s*(?:\n|\Z))))(?=\S)"
)
COPULA = re.compile(
    rf"{SAID}(?:\s(?:is|was|wurde auf|lautet|ist|est|es|è|é|jest|to|är|er|on|be|adalah|là)\s"
    r"(?:now |jetzt |ahora |maintenant )?(?:set to )?"
    r"|(?:为|為|是|は|は、|는|은)\s?)(?=\S)"
)
TRIED = re.compile(
    r"(?P<said>)[^\n=;{}<>|]{0,80}?\b(?:tried|given|got|sent|entered|received|supplied)[ :]{1,3}(?=[\"'`\[(])"
)
# A clause about something else than the value, and one whose end names whom the password is of.
OTHER_CLAUSE = re.compile(
    r"(?i)\b(?:fail|error|invalid|wrong|incorrect|must|should|can|cannot|reset|chang|expir|requir|missing|not|no"
    r"|if|when|mismatch|authent|reject|denied|length|policy|strength|manager|hint|match|hash(?:er|ing)?\b)"
)
OWNER = re.compile(
    r"(?i)\b(?:user(?:name)?|account|login|name|host|e-?mail|benutzer|utilisateur|usuario|database|server)\s*\Z"
)
# `has been reset to x`: what was done is done.
DONE = re.compile(r"(?i)\b(?:reset|changed?|rotated|should)\Z")
# What says of which kind or whose a password is: `temporary password for guests: x`.
QUALIFIED = re.compile(
    r"(?i) (?:(?:for|of|de|del|du|für|do|di) [^\n]{1,40}|set to|is(?: now)?"
    r"|temp\w{2,8}|provis\w{2,8}|in[iy][ct]ial\w{0,4})"
)
END = re.compile(r"[.!]?[ \t]*(?:\n|\Z)")
FOREIGN = re.compile(r"[^\x00-\u024F]")
ASIDE = re.compile(r"\([^()]*\)")
WORD = re.compile(r"[^\s\"'`<>，。；！？「」『』“”«»]{3,100}")
REST = re.compile(
    r"(?!(?i:see|use|using|the|please|run|set|try|check|got|expected|it|we|you|at|in)\b)[^\s\"'`<>(){}]{1,60}"
    r"(?: [^\s\"'`<>(){}]{1,60}){1,3}(?=\s*(?:\n|\Z|\(|[\"'}]))"
)
IN_MARKS = re.compile(
    r"[「『“«《‘]\s?([^\n「」『』“”«»《》’]{3,100}?)\s?[」』”»》’]|\[([^\]\"'\n]{3,100})\]|\(([^\s()\"']{3,100})\)"
)
LISTED = re.compile(r"\[\s?|\s?,\s?")
MAX_LISTED = 12
ENDS = ".,;:!?。，；)]\"'"
# What several words of a sentence do not have.
# Words that a generator of passphrases joins.
DICEWARE = re.compile(r"[A-Za-z]{3,12}(?:[-._][A-Za-z]{3,12}){3,11}")
UNUSUAL = re.compile(r"[^\w\s.,;:!?'\"()/-]")


def said(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """Yield what a sentence says that the password is."""
    if name.strength < STRONG:
        return
    for pattern in (COLON, COPULA, TRIED):
        clause = pattern.match(text, name.end)
        about = DONE.sub("", ASIDE.sub("", clause["said"])) if clause else ""
        if clause is None or OTHER_CLAUSE.search(about):
            continue
        if OWNER.search(about) and "\n" not in clause[0]:
            continue
        patterns = (REST, WORD) if pattern is COLON else (WORD,)
        plain = pattern is COLON and QUALIFIED.fullmatch(clause["said"]) is not None
        spans = [
            span
            for span in _values(text, clause.end(), patterns, plain=plain)
            if _is_meant(text, span, name, clause["said"])
            and accepted(text, span, name, sure=True, quoted=True)
            and (name.strength == PASSWORD or has_letters_and_digits(text[span[0] : span[1]]))
        ]
        if spans:
            yield from spans if text[clause.end()] == "[" else spans[:1]
            return


def _values(
    text: str, start: int, patterns: tuple[re.Pattern[str], ...], *, plain: bool
) -> Iterator[tuple[int, int]]:
    """Yield what may be meant: what is in quotes, or else the rest of the sentence, or one word.

    `plain`: the last word of a line may be any.
    """
    if grouped := GROUPED.match(text, start):
        yield grouped.span()
    elif marked := IN_MARKS.match(text, start):
        yield marked.span(marked.lastindex or 0)
    elif text[start] in "\"'`[":
        listed = LISTED.match(text, start) if text[start] == "[" else None
        start = listed.end() if listed else start
        for _ in range(MAX_LISTED):
            quoted = QUOTED[text[start]].match(text, start + 1) if text[start : start + 1] in QUOTED else None
            if quoted is None:
                return
            yield quoted.span()
            listed = LISTED.match(text, quoted.end() + 1)
            start = listed.end() if listed else len(text)
    else:
        for pattern in patterns:
            if match := pattern.match(text, start):
                value = match[0].rstrip(ENDS)
                last = plain and pattern is WORD and END.match(text, match.end())
                if last or _is_unusual(value, SYMBOL if pattern is WORD else UNUSUAL):
                    yield start, start + len(value)


def _is_unusual(value: str, symbol: re.Pattern[str]) -> bool:
    """Return whether it has what words of a sentence do not have."""
    known = symbol.search(value) or DICEWARE.fullmatch(value) or FOREIGN.search(value)
    return known is not None or any(map(str.isdigit, value))


def _is_meant(text: str, span: tuple[int, int], name: Name, said: str) -> bool:
    """Return whether it may be a password: of one in other letters a sentence must say nothing else."""
    value = text[span[0] : span[1]]
    if is_short_code(text, name) and not GROUPED.fullmatch(value):
        return value.rstrip("#*").isdigit()
    return value.isascii() or not said.strip() or any(map(str.isdigit, value))
