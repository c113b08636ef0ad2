"""The names of secrets: words such as `password` and `token`, and the identifiers around them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from railmend.evidence.lookalikes import CHUNK, PLACEHOLDER, words

# How much a word says: that of a key may mean anything, that of a password is a secret even in a sentence.
KEY, WEAK, STRONG, PASSWORD = 1, 2, 3, 4
EDGE = r"(?:(?<![A-Za-z])|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))"
PASSWORDS = (
    r"passwor[dt]s?|passwd|passphrase|passcode|contrase[nñ]a|mot[ _-]?de[ _-]?passe|kennwort|wachtwoord"
    r"|l[oö]senord|пароль|密[码碼]|口令|パスワード|비밀번호|requirepass|masterauth|mnemonic"
    r"|(?:seed|recovery)[-_ ]?phrase|identified (?:with \w{1,40} )?by"
    r"|(?:db|my|user|smtp|mail|root|admin|pg|redis|ftp|sql|rabbitmq)(?:pass|pwd)(?![a-z])"
)
SHORT_PASSWORDS = r"pass|pwd|pw|pin|otp|totp|cvv2?|cvc|psk|senha|parola|has[lł]o|heslo|[sş]ifre"
SECRETS = r"secret[eo]?|private[-_ ]?key"
TOKENS = (
    r"token|(?:api|access|auth|account|encryption|signing|master|shared|session|license|service|deploy|webhook|storage"
    r"|admin|root|write|application|app|subscription|ssh)[-_ ]?(?:api|access)?[-_ ]?key|apikey|credential"
    r"|session[-_]?(?:id|token)|sessid|connection[-_ ]?string|csrf|xsrf|authorization|signature"
)
SHORT_TOKENS = r"auth|sid|sig|jwt|bearer|creds?|session|salt|pepper|hmac|cookie"
WORD = re.compile(
    rf"(?P<password>(?i:{PASSWORDS})|{EDGE}(?i:{SHORT_PASSWORDS})(?![a-z]))|(?P<secret>(?i:{SECRETS}))"
    rf"|(?P<token>(?i:{TOKENS})|{EDGE}(?i:{SHORT_TOKENS})(?![a-z]))|(?P<key>{EDGE}(?i:key)(?![a-z]))"
)
# Each sensitive word contains one of these, in lower case: most lines need no look at their words.
STEMS = words(
    """
    pass pwd pw pin otp cvv cvc psk senha parola heslo hasl hasł ifre contrase kennwort wachtwoord
    senord парол 密 口令 パス 비밀 masterauth mnemonic phrase identified secret private token key credential
    sess string srf auth sid sig jwt bearer cred salt pepper hmac cookie
    """
)
STRENGTHS = {"password": PASSWORD, "secret": STRONG, "token": WEAK, "key": KEY}
BEFORE = re.compile(r"[\w.$@-]*\Z")
AFTER = re.compile(r"[\w-]*(?:\.\w+)*")
# Parts of an identifier behind the word that make it the name of something else than the secret, and those
# that do not; what is neither makes the word weaker.
OTHER_THING = words(
    """
    id ids name names type types url uri urls path paths file files ref refs arn length len size sizes count
    counts ttl expiry expires expiration exp expire timeout age policy method methods mode provider
    providers version status state error errors field fields column label reset resets hint strength valid
    validity enabled required changed at limit prefix suffix format algorithm alg kind scheme schemes header
    headers issuer audience scope bucket server service endpoint host port store storage manager handler
    factory class encoder validator validation validators generator middleware guard location rotation
    rotate exists present set input form view page screen link links message messages template index map
    dict group usage used budget price cost per total max min number pair ring board code codes down up
    press word words stroke frame point points schema sets list spec attempt attempts retry retries regex
    pattern rule rules test tests check checks checker match matches mismatch params param args arg config
    settings option options event events listener callback hook hooks context user users controller module
    repository resolver strategy adapter client clients interface impl base64url request response parser
    lexer stream iterator kinds literal node nodes counter interval window cache lookup
    """
)
SAME_THING = words(
    """
    prod production staging stage test dev live old new current next previous primary secondary main backup
    base hash hashed digest value val string str raw plain plaintext text hex b64 base64 encoded encrypted
    confirm confirmation again repeat repeated data v x key token secret password default override local env
    root admin db app api svc for json pem salt access
    """
)
# The part before the word that makes it something else.
OTHER_BEFORE = {
    "token": words(
        """
        page next cancellation continuation max total prompt completion input output num unexpected syntax
        reserved public pub start end eof sync cursor tokens per count lex parse keyword punctuation
        publishable skip
        """
    ),
    "key": words(
        """
        public pub primary foreign cache partition sort row group idempotency bucket unique translation
        sequence schema hash routing composite registry index object map dict hot host natural range lookup
        search order user config property message i18n event field column data query react flag lock topic
        feature redis dedup duplicate publishable left right up down arrow enter space missing unknown is
        has by per sub
        """
    ),
    "password": words(
        """
        no has is show hide toggle use enable allow require requires with without missing invalid wrong
        forgot forgotten validate check verify compare hash encrypt encode generate update change on handle
        send match lost
        """
    ),
}
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
        lowered = line.lower()
        if any(stem in lowered for stem in STEMS):
            yield from WORD.finditer(text, begin, begin + len(line))
        begin += len(line) + 1


def _parts(text: str) -> list[str]:
    return [part.lower() for part in CHUNK.findall(text) if not part.isdigit()]


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
    if PLACEHOLDER.match(text, start - len(prefix) - 1) if start > len(prefix) else False:
        return None
    strength = STRENGTHS[word]
    parts = _parts(suffix)
    if any(part in OTHER_THING for part in parts):
        return None
    if any(part not in SAME_THING for part in parts):
        strength -= 1
    ahead = _parts(prefix)
    if ahead and ahead[-1] in OTHER_BEFORE[word]:
        return None
    if word == "key" and not ahead and not suffix and not prefix.endswith("-"):
        strength = KEY
    elif word == "key" and prefix.isupper():
        strength = WEAK
    return Name(start - len(prefix), end + len(suffix), word, strength) if strength > 0 else None
