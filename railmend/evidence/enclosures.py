"""Values whose end is told by what stands around them and their name: quotes, `;`, the next member, a bar."""

import re

from railmend.evidence.accepting import accepted
from railmend.evidence.lookalikes import INSERTED
from railmend.evidence.secret_names import STRONG, Name

# `"NAME=value with blanks"`.
IN_QUOTES = {
    quote: re.compile(rf"=([^{quote}\n\\]{{1,200}}?)(?={quote}|[&;,]?\s?[\w.-]{{1,40}}=)") for quote in "\"'"
}
# `-H "NAME: value"`.
HEADER = re.compile(r"(?:-H|header)[ =][\"']\Z")
IN_HEADER = re.compile(r": ?([^\"'\n]{1,400})[\"']")
# A part of a connection string, in braces where it has a `;` itself.
BRACED = re.compile(r"=\s?\{((?:[^}\n]|\}\}){1,200})\}(?=[;\"']|\Z|\n)")
SETTING = re.compile(r"=([^;\n\"'<>(){}=]{1,200})(?=[;\"'<]|\Z|\n)")
# A member of a printed object: `Name[a=b, c=d]`, `{A = b, C = d}`, `{A:b C:d}`.
MEMBER = re.compile(r" ?= ?([^\s=>(\[{<\"'`][^\n=(]{0,200}?)(?=, ?[\w.]{1,40} ?=| ?[\])}])")
FIELD = re.compile(r":([^\s:,{}\[\"'&(][^\n{}:]{0,200}?)(?= [A-Z]\w{0,40}:|\}(?!\}))")
# A row of a table of names and values.
ROW = re.compile(
    r"[*`\"']{0,3}\s{1,60}\|\s{0,60}[`\"']?((?:[^|\s`\"']{1,60} ?){1,6})[`\"']?\s{0,60}(?:\|\s*)?(?=\n|\Z)"
)
ROW_START = re.compile(r"(?:(?:[\w.:-]{1,40} ){1,4}\| )?[\s|*`\"']{0,60}\Z")
SENTENCE = re.compile(r"[A-Z][a-z]+ (?![\w.-]{1,40}(?:=|:\S))[A-Za-z]")
BACK = 200


def enclosed(text: str, name: Name) -> tuple[int, int] | None:
    """Return the stretch of a value, which may have blanks."""
    ahead = text[max(name.start - BACK, text.rfind("\n", 0, name.start) + 1) : name.start]
    sign = text[name.end : name.end + 2].lstrip(" ")[:1]
    opening = max(map(ahead.rfind, "[{("))
    opener = ahead[opening] if opening > max(map(ahead.rfind, "])}")) else ""
    value: re.Match[str] | None = None
    if sign == "=" and ahead[-1:] in IN_QUOTES:
        value = IN_QUOTES[ahead[-1]].match(text, name.end)
    elif sign == ":" and HEADER.search(ahead):
        value = IN_HEADER.match(text, name.end)
    elif sign == "=" and ahead.rstrip()[-1:] == ";":
        value = BRACED.match(text, name.end) or SETTING.match(text, name.end)
    elif sign == "=" and (opener == "{" or (opener and ahead[opening - 1 : opening].isalnum())):
        value = MEMBER.match(text, name.end)
    elif sign == ":" and opener == "{" and ahead[opening - 1 : opening] != "$":
        value = FIELD.match(text, name.end)
    elif sign not in ("=", ":") and name.strength >= STRONG and ROW_START.fullmatch(ahead):
        value = ROW.match(text, name.end)
        opener = "|"
    if value is None or INSERTED.match(value[1]) or (opener == "(" and ", " in value[1]):
        return None
    blank = " " in value[1]
    if blank and sign != "=" and SENTENCE.match(value[1]):
        return None
    printed = opener in ("[", "|") or (opener == "{" and re.match(r"=\S", value[0]) is not None)  # of Java
    quoted = blank or printed
    return value.span(1) if accepted(text, value.span(1), name, sure=True, quoted=quoted) else None
