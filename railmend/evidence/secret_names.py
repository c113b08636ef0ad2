"""The names of secrets: words such as `password` and `token`, and the identifiers around them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from railmend.evidence.lookalikes import CHUNK, PLACEHOLDER, looks_random
from railmend.evidence.words import table, words

# How much a word says: that of a key may mean anything, that of a password is a secret even in a sentence.
KEY, WEAK, STRONG, PASSWORD = 1, 2, 3, 4


def _alternatives(name: str) -> str:
    return "|".join(table(name)).replace("_", "[ _-]?")


EDGE = r"(?:(?<![A-Za-z])|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))"
PASSWORDS = (
    r"passwor[dt]s?|passwd|(?:passw|pswd|psswd|pword)(?![a-z])|pass[-_ ]?phrase|passcode|requirepass"
    r"|masterauth|(?:wi-?fi|wlan|wpa|network)[-_ ]?key|mnemonic"
    r"|community[-_ ]?string|(?:seed|recovery)[-_ ]?phrase"
    r"|identified (?:with \w{1,40} )?by|pwd(?![a-z])"
    r"|(?:db|my|user|smtp|mail|root|admin|pg|redis|ftp|sql|rabbitmq|bind|key|store|trust|ldap|mqtt|proxy|ssh)"
    r"(?:pass|pw)(?![a-z])|kennwort|wachtwoord|lösenord"
)
SHORT_PASSWORDS = rf"pass|pwd|pw|pin|otp|totp|cvv2?|cvc|psk|{_alternatives('passwords')}"
SECRETS = r"secret[eo]?|private[-_ ]?key|credential(?!s)"
TOKENS = (
    r"token|(?:api|access|auth|account|encryption|decryption|validation|fernet|signing|master|shared|session"
    r"|license|service|deploy|webhook|storage"
    r"|unseal|recovery|join|pairing"
    r"|admin|root|write|application|app|subscription|ssh)[-_ ]?(?:api|access)?[-_ ]?key|apikey|credential"
    r"|session[-_]?(?:id|token)|sessid|connection[-_ ]?string|csrf|xsrf|authorization|signature"
    r"|code[-_]?verifier|client[-_]?assertion|saml_?response"
)
SHORT_TOKENS = (
    r"auth|clave|(?<!account)(?<!account[_-])sid|sig|jwt|bearer|creds?|session|salt|pepper|hmac|cookie"
)
WORD = re.compile(
    rf"(?P<password>(?i:{PASSWORDS})|{EDGE}(?i:{SHORT_PASSWORDS})(?![a-z]))|(?P<secret>(?i:{SECRETS}))"
    rf"|(?P<token>(?i:{TOKENS})|{EDGE}(?i:{SHORT_TOKENS})(?![a-z]))|(?P<key>{EDGE}(?i:key)(?![a-z]))"
    rf"|(?P<code>(?i:{_alternatives('one_time_codes')}))"
)
STEM = re.compile(
    "|".join((*sorted(words("stems")), _alternatives("passwords"), _alternatives("one_time_codes")))
)
STRENGTHS = {"password": PASSWORD, "code": PASSWORD, "secret": STRONG, "token": WEAK, "key": KEY}
BEFORE = re.compile(r"[\w.$@-]*\Z")
# A setting of .NET's by its sections, `Jwt__Token`: what it is set to is its value, whatever it looks like.
SECTION = re.compile(r"[A-Z]\w*__\w*\Z")
# Tokens and keys that are issued, unlike those that a parser, a bucket or a form has.
ISSUED = re.compile(
    r"(?i)(?:(?:access|auth|refresh|private|api|bearer|bot|deploy)[-_ ]?|\bx-[\w-]{0,30})(?:token|key)"
)
AFTER = re.compile(r"[\w-]*(?:\.\w+)*", re.A)
OTHER_THING = words("other_thing")
SAME_THING = words("same_thing")
OTHER_BEFORE = {word: words(f"before_{word}") for word in ("token", "key", "password")}
OTHER_BEFORE["secret"] = OTHER_BEFORE["password"]


class Name(NamedTuple):
    """An identifier with a sensitive word in it."""

    start: int
    end: int
    word: str
    strength: int


def names(text: str) -> Iterator[Name]:
    """Yield the identifiers that name a secret, such as `DB_PASSWORD`, in order; none of `token_type`."""
    for match in _words(text):
        if name := _name(text, match):
            yield name


def _words(text: str) -> Iterator[re.Match[str]]:
    begin = 0
    for line in text.split("\n"):
        if STEM.search(line.lower()):
            yield from WORD.finditer(text, begin, begin + len(line))
        begin += len(line) + 1


def _parts(text: str) -> list[str]:
    return [part.lower() for part in CHUNK.findall(text) if not part.isdigit()]


def names_other(key: str) -> bool:
    """Return whether the name of a member says that it is no secret: an id, an address, a type."""
    parts = _parts(key)
    return bool(parts) and parts[-1] in OTHER_THING


def _name(text: str, match: re.Match[str]) -> Name | None:
    """Return the identifier around a word, unless it names something else, such as `token_type`."""
    start, end, word = match.start(), match.end(), match.lastgroup or ""
    following, last = text[end : end + 1], text[end - 1]
    if (
        following.isalpha()
        and following.isascii()
        and last.isascii()
        and (following.islower() or last.isupper())
    ):
        if following in "sS" and not text[end + 1 : end + 2].isalpha():
            end += 1
        elif following.islower() == last.islower():
            return None
    before = BEFORE.search(text, max(start - 60, 0), start)
    prefix = before[0] if before else ""
    after = AFTER.match(text, end, min(end + 60, len(text)))
    suffix = after[0].rstrip(".-") if after else ""
    whole = f"{prefix}{text[start:end]}{suffix}"
    by_chance = len(whole) >= 30 and looks_random(whole, 24)  # in a digest or in a key
    if by_chance or (start > len(prefix) and PLACEHOLDER.match(text, start - len(prefix) - 1)):
        return None
    strength = STRENGTHS[word] + (word == "token" and SECTION.search(prefix) is not None)
    parts = _parts(suffix)
    if any(part in OTHER_THING for part in parts):
        return None
    if any(part not in SAME_THING for part in parts):
        strength -= 1
    ahead = _parts(prefix)
    if ahead and ahead[-1] in OTHER_BEFORE.get(word, ()):
        return None
    if word == "key" and not ahead and not suffix and not prefix.endswith("-"):
        strength = KEY
    elif word == "key" and prefix.isupper():
        strength = WEAK
    return Name(start - len(prefix), end + len(suffix), word, strength) if strength > 0 else None
