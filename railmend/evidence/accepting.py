"""Whether a value is the secret that a name promises, or an expression, a label, a state.

The more a name says, and the surer the notation is that the value is the name's, the less the value itself
must look like a secret.
"""

import re

from railmend.evidence.lookalikes import (
    CHUNK,
    DATE,
    HEXADECIMAL,
    IDENTIFIER,
    MEASURE,
    PLACEHOLDER,
    PROSE,
    WORDS,
    has_letters_and_digits,
    has_symbols,
    is_identifier,
    is_literal,
    is_opaque,
    is_wordlike,
    looks_random,
)
from railmend.evidence.secret_names import ISSUED, KEY, PASSWORD, STRONG, WORD, Name
from railmend.evidence.words import words

# What is in quotes; a quote inside a word does not end it.
QUOTED = {
    quote: re.compile(
        rf"(?:[^{quote}\\\n]|\\.|{quote}{quote}(?=\w)|{quote}(?![\s,;:.)\]}}>&|+?\\/#]|\Z|[\"'`])){{1,400}}"
    )
    for quote in "\"'`"
}
# A code as it is read out: `482 913`.
GROUPED = re.compile(r"(?:\d{2,4}(?:[ -]\d{2,4}){1,2}|\d{4,8}(?=[，。]))(?![\w-]|\.\d)")
SYMBOL = re.compile(r"[^\w\s.-]")
# What neither identifiers nor labels have.
ODD = re.compile(r"[^\w.:/\[\]-]")
SIGN = re.compile(r"[$#@%^]")
FLAG = re.compile(r"--|-[a-z][\w-]*(?:[= ]|\Z)")
APART = re.compile(r"[_\d]")
# What makes an identifier an expression: a call, a part, a generic type, a string that is put to it.
EXPRESSION = re.compile(r"[(\[]|[,;]\Z|<[\w<>,.:& '\[\]?]*>(?:[,;]?\Z|\()|::<|\s?\+\s?[\"'`]")
DASHED = re.compile(r"[a-z]+(?:[-_./][a-z]+)+")
ADDRESS = re.compile(r"\w[\w+.-]{0,30}://\S+")
# A label in another script than Latin: several words of letters alone.
FOREIGN = r"[^\W\d_a-zA-ZÀ-ɏ]{1,200}"
FOREIGN_LABEL = re.compile(rf"{FOREIGN}(?:[\s.!?،۔]{{1,2}}{FOREIGN}){{1,19}}[\s.!?،۔]{{0,2}}")
# What forms and errors say of a password in other scripts: required, too short, wrong, please enter.
FOREIGN_PROSE = re.compile(
    r"必[須须填要]|不能|为空|為空|[请請]|[错錯][误誤]|不正|不一致|正しく|入力|エラー|過期|过期|至少|以上|以下|필수|이상|이하|입력|오류|올바|일치"
    r"|(?i:обязател|неверн|долж|введите|требуется|просроч|مطلوب|חובה)"
)
SHORT_CODES = words("short_codes")
# Beside `pass` and the like: they are of a login, and no results of a test.
LOGIN = re.compile(r"(?i)(?<![a-z])(?:user\w{0,8}|login|e?mail|host|account|name)(?![a-z])")
LOGIN_NEAR, BEFORE = 80, 160
# What stands before a name where values are no expressions: pairs of a log, of a file, of a flag or of a
# connection, and Go's maps.
PRINTED = re.compile(
    r"(?:(?<!\S)[\w.-]{1,40}=[^\s,;(){}=]{1,80}[ \n]|(?<!\S)--?[a-z][\w-]{0,40}[ =][\"']?"
    r"|\bmap\[(?:[^\[\]\n]{0,80} )?"
    r"|\{(?:\w{1,40}:[^\s,{}]{0,40} ){1,8}"
    r"|(?i:\b(?:server|data source|host|u(?:ser )?id|user(?:name)?|database|initial catalog|endpoint)"
    r"=[^;=\n]{1,80};\s?))\Z"
)
NEXT_PAIR = re.compile(r"[ \n][\w.-]{1,40}=(?=[^\s=])")
WITH = re.compile(
    r"(?i)\b(?:with|using|uses?|temporary|initial|default|new|tried|entered|typed|sent|given|old) \Z"
)
CODE = re.compile(r"(?!Test[A-Z])(?=\D{0,200}\d)(?=[^A-Za-z]{0,200}[A-Za-z]).+")
# Of a key or a token too, if it has digits and several kinds of symbols.
PHRASE = re.compile(
    r"(?=\D{0,60}\d)(?=[^#$%&;|<>{}^*!@]{0,60}[#$%&;|<>{}^*!@]\S{0,60}?[#$%&;|<>{}^*!@])[^\"'`\n]{8,60}"
)


def is_short_code(text: str, name: Name) -> bool:
    """Return whether the name is one whose secrets are short, and which means other things too."""
    return name.word == "code" or text[name.start : name.end].lower().lstrip("-") in SHORT_CODES


def accepted(text: str, span: tuple[int, int], name: Name, *, sure: bool, quoted: bool) -> bool:
    """Return whether a value is a secret, given how much its name says.

    `sure`: the notation says that it is the name's value. `quoted`: it is a string, no expression.
    """
    value = text[span[0] : span[1]].strip()
    begin = text[name.start - 1 : name.start]
    quoted |= begin in ("?", "&") and text[name.end : name.end + 1] == "="
    if not _is_value(value):
        return False
    if quoted and name.strength == PASSWORD and WITH.search(text, max(name.start - 12, 0), name.start):
        sure = True
    quoted |= text[name.start] == "-" or (not quoted and _is_printed(text, span, name))
    if _names_a_secret(value, quoted=quoted) or (not quoted and _is_code(text, span, name)):
        return False
    if quoted and " " in value and _is_label(value) and not _is_set(text, name):
        return False
    if is_short_code(text, name):
        return _is_short_secret(text, span, name)
    if name.strength < STRONG or not (sure or quoted):
        return _is_random_enough(value, text[name.start : name.end], name, sure=sure, quoted=quoted)
    if not sure:
        telling = has_letters_and_digits(value) or ODD.search(value) is not None
        return telling and (quoted or not is_identifier(value))
    if name.strength == STRONG and not has_letters_and_digits(value):
        return len(value) >= 6 and value.isascii() and not DASHED.fullmatch(value)
    return not value.isdigit() or len(value) >= 4


def _is_set(text: str, name: Name) -> bool:
    """Return whether it is a flag or a variable of an environment, whose value is no label."""
    return text[name.start] == "-" or (
        text[name.start : name.end].isupper() and text[name.end : name.end + 1] == "="
    )


def _is_printed(text: str, span: tuple[int, int], name: Name) -> bool:
    """Return whether the notation has values alone, no expressions: a shell's, a log's, a dump's."""
    begin, end = text[name.start - 1 : name.start], text[name.end : name.end + 4]
    word, following = text[name.start : name.end], text[span[1] : span[1] + 1]
    if following in ("(", "[", "{", ")"):
        return False
    if begin == "[" and end == "] =>":  # of PHP
        return True
    apart = not begin.strip("\"' \t\n")
    if end[:2] == ": " and apart and (word.isupper() or "." in word):
        return following in ("", "\n")  # of YAML
    if end[:1] not in ("=", ":") or name.end + 1 != span[0]:
        return False
    if end[0] == "=" and apart and (_is_set(text, name) or NEXT_PAIR.match(text, span[1])):
        return True
    return PRINTED.search(text, max(name.start - BEFORE, 0), name.start) is not None


def _is_label(value: str) -> bool:
    """Return whether several words explain something, in a sentence or in another script than Latin."""
    parts = value.lower().split()
    explains = PROSE.search(value) is not None and (len(parts) > 2 or all(part in WORDS for part in parts))
    explains |= len(parts) > 5 and value[0].isupper()
    return explains or FOREIGN_LABEL.fullmatch(value) is not None


def _is_value(value: str) -> bool:
    """Return whether it is something: no flag, no address, no placeholder of an earlier redaction."""
    if not is_literal(value) or FLAG.match(value) or not any(map(str.isalnum, value)):
        return False
    if not value.isascii() and FOREIGN_PROSE.search(value):
        return False
    return not (PLACEHOLDER.search(value) or ADDRESS.fullmatch(value) or DATE.fullmatch(value))


def _is_short_secret(text: str, span: tuple[int, int], name: Name) -> bool:
    """Return whether it is what `pass` or `pin` is set to, not what a test or a list counts."""
    value = text[span[0] : span[1]].strip()
    if value.isdigit() or GROUPED.fullmatch(value):
        return len(value) >= 4
    if len(value) < 6:
        return len(value) >= 4 and CODE.fullmatch(value) is not None and SYMBOL.search(value) is not None
    ahead = text[max(span[0] - 4, 0) : span[0]]
    assigned = ahead[-1:] in QUOTED or ahead.rstrip("\"' ")[-1:] in ("=", ":", ">")
    of_login = LOGIN.search(text, max(name.start - LOGIN_NEAR, 0), name.end + LOGIN_NEAR)
    return bool(CODE.fullmatch(value)) or (assigned and of_login is not None)


def _is_random_enough(value: str, word: str, name: Name, *, sure: bool, quoted: bool) -> bool:
    if name.strength == KEY:
        random = looks_random(value, 16) and not HEXADECIMAL.fullmatch(value)
        return random or (len(value) >= 16 and has_symbols(value) and " " not in value)
    if " " in value and not PHRASE.fullmatch(value):
        return False
    if sure and len(value) >= 8 and CODE.fullmatch(value) and ISSUED.search(word):
        return not MEASURE.fullmatch(value)
    return is_opaque(value) and (quoted or not is_identifier(value))


def _is_code(text: str, span: tuple[int, int], name: Name) -> bool:
    """Return whether a value without quotes is an expression: a call, an attribute, another variable."""
    value, following = text[span[0] : span[1]], text[span[1] : span[1] + 1]
    letters = APART.sub("", value.lower())
    if letters and letters in APART.sub("", text[name.start : name.end].lower()):
        return True
    if value[0] == "$" and (value[-1] == "-" or "->" in value):  # of PHP and Perl
        return True
    if not (whole := IDENTIFIER.match(value)):
        return value.startswith(("(", "[", "{", "&", "!", "=", "<", "]")) and not value.startswith("{{")
    if whole.end() < len(value):
        return EXPRESSION.match(value, whole.end()) is not None
    if following and (
        following in "([" or (following == "<" and value[:1].isupper()) or (following == "{" and "." in value)
    ):
        return True
    parts = CHUNK.findall(value)
    if all(part.isalpha() and (len(part) < 3 or is_wordlike(part)) for part in parts) and len(parts) > 1:
        return True
    if re.search(r"[.:>]", value) and all(
        len(part) < 3 or is_wordlike(part) for part in parts if part.isalpha()
    ):
        return not looks_random(value)
    return following == ";" and value.isalpha() and value.islower() and text[span[0] - 1] == " "


def _names_a_secret(value: str, *, quoted: bool) -> bool:
    """Return whether a value is itself a name or a label, such as `new_password` or "Your password"."""
    word = WORD.search(value)
    if word is None or has_letters_and_digits(value) or has_symbols(value):
        return False
    if not quoted:
        return True
    if " " in value:  # several words may only happen to have `salt` or `key` among them
        return not SIGN.search(value) and not (value.islower() and len(word[0]) < 5)
    if ODD.search(value.strip("*?!:.()…")):
        return False
    invented = value.islower() or not all(is_wordlike(part) for part in CHUNK.findall(value) if len(part) > 3)
    own = len(value) > len(word[0]) + 3 or value.startswith("my")
    return not (value.isalpha() and invented and own)
