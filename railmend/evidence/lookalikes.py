"""Tell secrets from values that only look like secrets, which a diagnosis needs."""

import ipaddress
import re

from railmend.evidence.words import words

WORDS = words("no_secret")
# Words of sentences: a quoted text with one of them explains, and is no passphrase.
PROSE = re.compile(
    r"(?i)\b(?:is|are|was|be|must|should|your|not|does|enter|please|invalid|missing|required|characters?|least|contain"
    r"|match|field|cannot|can't|forgot\w*|need|needed|failed|error|wrong|expired|valid|confirm|confirmation)\b"
)
# A variable, a template's or formatter's place, a redactor's mask.
REFERENCE = re.compile(
    r"(?i:bearer |basic |token )?(?:\$\{[^}]*\}?|\$[a-z_]\w*(?:->\w+(?:\(\))?)+"
    r"|\$\([^)]*\)?|\$[A-Z_][A-Z0-9_]*|\$[a-z]+(?:[A-Z_][a-zA-Z]*)*|#\{[^}]*\}?|%\{[^}]*\}?|%\(\w+\)[sr]"
    r"|#[0-9a-fA-F]{3,8}|%[sdvqrx+#]{1,3}|%[A-Z_]{2,}%|\{\{(?:[^{}]*\}\}?|\s?(?:\.[\w.]{0,60}|[A-Za-z_.]{0,60}))"
    r"|\{[\w .:!\[\]'\"()-]{0,60}\}|<%.*|<[^>]*>|\[[\w -]*\]|\([\w ]*\)"
    r"|[*\u2022\u25cf.#?_-]+|[\w-]{1,12}[*\u2022\u25cf]{4,}\w{0,4}|[xX*]{3,}\S{0,4}|(?:[xX]{3,8}-){1,4}[xX]{3,12}|(?:os|env|process|config|self|settings|this|ctx|req|request|secrets|var"
    r"|vars|data|local|each|module|Rails|System|Deno|import)[.\[]\S*|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|@[a-z_]+|:[a-z_]+)"
    r"[;,]?"
)
# Rules of a form in the notations of Laravel and of Go, and the tag of a field there.
VALIDATION = re.compile(
    r"[a-z_]+(?::[\w,.]+)?(?:\|[a-z_]+(?::[\w,.]+)?)+|[a-z]+(?:=\w+)?(?:,[a-z]+(?:=\w+)?)*,?[a-z]+=\w+|[a-z]{2,20}:\".*|required\w*[=,|].*|[\w.-]*,omitempty"
)
# What a template puts in: an expression. A password may have braces too.
INSERTED = re.compile(r"[#$]?\{[^{}<>#@]*\}|\$\{\{[^{}]*\}\}|\{\{[^{}]*\}\}|<%.*?%>")
COMPUTED = re.compile(r"\$\{[^{}]*\}|\{[a-z_][\w.]*[.(][^{}]*\}")  # `{user.id}`, `{uuid4().hex}`
SCHEME = re.compile(r"(?i)\A(?:bearer|basic|token) ")
# Of a language: a keyword, a calculation, alternatives of types, an index.
EXPRESSION = re.compile(
    r"(?:new|await|async|typeof|if|match|case|lambda|not|function|return) (?:\w+ ?[({<.:]|\()"
    r"|\w[\w.]* [+*%?|] "
    r"|[A-Z]\w*[\[<]\w+ ?[|,]|\d+(?:\*\d+)*\*[a-z]+\.[A-Z]|\$\w+(?:->|/|::|\[)|(?:this|self)\.\w+[.\[(]"
)
REGULAR = re.compile(r"\(\?[:=!<]|\[[a-z]-[a-z]|\[0-9\]|\A\^.*\$\Z")  # a regular expression
# Of a package, alone or behind its coordinates: `^1.4.2`, `v1.2.3-0.2024/go.mod`, `com.acme:auth:1.3`.
VERSION = re.compile(r"(?:[a-z][\w.-]*:){0,2}[\^~v=<>]{0,2}\d+(?:\.\d+)+(?:[-+][\w.-]+)*(?:/go\.mod)?", re.A)
IDENTIFIER = re.compile(r"[A-Za-z_$]\w*(?:(?:\.|::|->|\?\.|!!?\.)[A-Za-z_$]\w*)*[!?]?")
FILES = words("no_mail") | words("files")
PATH = re.compile(
    r"(?:~|\.{0,2}|\$\w+)/[\w./@~{}<>-]*|\.{1,2}/[\w./@~()\[\]-]*|\d{1,5}/(?:tcp|udp)"
    r"|[A-Za-z]:\\[\w.\\ -]*|[\w-]+(?:/[\w.-]+)+\.[a-z\d]{2,4}"
    rf"|[\w.-]+\.(?:{'|'.join(sorted(FILES))})"
)
TYPE = re.compile(
    r"_{0,2}[a-z][a-z0-9]*(?:_[a-z0-9]+)*_t|\d{3,14}_[a-z0-9_]+"
)  # of C, such as `gnutls_x509_crt_t`; a migration
LINE_NUMBER = re.compile(r"(?::\d{1,6}){1,2}$")
MEASURE = re.compile(r"[-+]?[\d.,]{1,15}(?:ms|s|m|h|d|%|kb|mb|gb|k)?|0x[0-9a-fA-F]{1,16}", re.I)
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I)
HEXADECIMAL = re.compile(r"[0-9a-f]+|[0-9A-F]+")
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T_ ].*)?|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}")
CHUNK = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
HUMPS = r"(?:[a-z]+\d{0,2})?(?:(?:[A-Z]{1,2}[a-z]+|[A-Z]{2,5})\d{0,2})*"
CAMEL_CASE = re.compile(rf"(?=[a-z]*\d?[A-Z]*[a-z]+[_A-Z\d])_?{HUMPS}(?:_{HUMPS})*")
SNAKE_CASE = re.compile(r"_?[a-z]+\d{0,3}(?:_[a-z0-9]{1,20})+")
PAIRS = frozenset(group[0] + second for group in words("pairs_of_letters") for second in group[1:])
# What precedes an id or a digest, however random it looks.
LABEL = re.compile(
    r"(?i)(?:\bid|[a-z]id|Id|_id|uuid|commit|sha-?\d*|digest|md5|hash|etag|checksum|fingerprint|thumbprint|integrity|trace|span"
    r"|request|revision|rev|version|build|image|deployment|instance|pod|container|arn|ref|branch|tag|file|host"
    r"|h1|kid|pid|thread|object|class|node|blob|tree|job|order|upstream|key[_ -]?id)"
    r"[\"']?\s{0,2}[:=#@/]?\s{0,2}[\"']?$"
)
ALGORITHM = re.compile(
    r"(?i)(?:sha|md|aes|rsa|utf|x?oauth|http|ipv|argon|pbkdf|base|blake|tls|ssl|v|id|id_|ecdsa|hmac|rsassa-pkcs|cve-|cwe-|rfc|iso|fips"
    r"|(?:[ehrp]s|x|ed|p-?)(?=\d{3}))"
    r"[-_]?\d{1,4}(?:[-_./#][a-z0-9]{1,8}){0,5}"
    r"|(?:(?:scram|sha|md|aes|rsa|ecdsa|ecdhe|dhe|gcm|cbc|ctr|chacha|poly|hmac|pbkdf|tls|with|plus)"
    r"[-_/]?\d{0,4}[-_/]?){2,8}|ghsa(?:-[a-z0-9]{4}){3}"
)
PLACEHOLDER = re.compile(r"<[a-z][a-z0-9-]{1,24}(?:-\d{1,6}|:[0-9a-f]{8})>")
# The end that Kubernetes gives to the names of pods and jobs, in its alphabet without vowels.
POD = re.compile(r"-(?:\d{8}|[bcdf-hj-np-tv-xz2456789]{6,10})-[bcdf-hj-np-tv-xz2456789]{5}\Z")
NO_MAIL = words("no_mail")
MAIL_DOMAINS = words("mail_domains")
VERSION_BEFORE = re.compile(
    r"(?:version|release|build|\bv|ver|assembly)[\"']?[ :=]{0,3}$"
    r"|(?:==|~>|[<>=^~]=|\(=|[~^])\s?$|^[-+ ]*[\w.-]+ \($",
    re.I | re.M,
)
RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"})
DOCUMENTATION = tuple(
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
# Global unicast (RFC 4291), addresses for documentation included.
PUBLIC_V6 = ipaddress.ip_network("2000::/3")
CARDS = re.compile(r"^(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12})$")


def is_wordlike(letters: str) -> bool:
    """Return whether most pairs of neighbouring letters are ones that words are made of."""
    text = letters.lower()
    pairs = sum(text[i : i + 2] in PAIRS for i in range(len(text) - 1))
    return len(text) >= 3 and pairs >= (len(text) - 1) * 0.55


def is_identifier(value: str) -> bool:
    """Return whether it is put together of words, as `badClaims2` and `trans_36` are and no secret."""
    parts = (part for part in CHUNK.findall(value) if len(part) > 2 and part.isalpha() and not part.isupper())
    return (CAMEL_CASE.fullmatch(value) or SNAKE_CASE.fullmatch(value)) is not None and all(
        map(is_wordlike, parts)
    )


def _random_share(text: str) -> tuple[int, float]:
    """Return how many letters and digits there are, and the share of them that is not in words."""
    total = sum(character.isalnum() for character in text)
    words = sum(
        len(chunk)
        for chunk in CHUNK.findall(text)
        if len(chunk) > 3 and chunk.isalpha() and is_wordlike(chunk)
    )
    return total, (total - words) / total if total else 0.0


def looks_random(text: str, min_length: int = 12) -> bool:
    """Return whether a word is made by a machine: letters and digits, or both cases, that form no words."""
    if len(text) < min_length or UUID.fullmatch(text) or DATE.match(text) or ALGORITHM.fullmatch(text):
        return False
    total, share = _random_share(text)
    digits, lower = any(map(str.isdigit, text)), any(map(str.islower, text))
    upper = any(map(str.isupper, text))
    letters = sum(map(str.isalpha, text))
    if total < min_length * 0.7 or letters < 2:
        return False
    if digits and (lower or upper):
        return share > 0.5
    return total >= 16 and share > 0.6


def has_letters_and_digits(text: str) -> bool:
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def has_symbols(text: str) -> bool:
    """Return whether it has several kinds of symbols that neither names nor paths have."""
    return len(set(re.findall(r"[^\w\s.,;:/()'\"-]", text))) >= 2 and any(map(str.isalpha, text))


def is_literal(text: str) -> bool:
    """Return whether what is assigned may be a secret: not a state, a reference, a path or a mask."""
    stripped = text.strip().rstrip(".,!;")
    if len(stripped) < 3 or stripped.lower().lstrip("*&[]?") in WORDS or REFERENCE.fullmatch(stripped):
        return False
    parts = re.split(r"[._/]", stripped.lower())  # `not_set`, `form.validation.required`
    if len(parts) > 1 and (all(part in WORDS for part in parts) or (len(parts) > 2 and parts[-1] in WORDS)):
        return False
    if VALIDATION.fullmatch(stripped) or VERSION.fullmatch(stripped):
        return False
    rest = INSERTED.sub("", SCHEME.sub("", stripped))
    if sum(map(str.isalnum, rest)) < 3 or (
        COMPUTED.search(stripped) and not re.search(r"[^`A-Za-z_.:/-]", rest)
    ):
        return False
    if TYPE.fullmatch(stripped) or EXPRESSION.match(stripped) or REGULAR.search(stripped):
        return False
    stripped = LINE_NUMBER.sub("", stripped)
    if PATH.fullmatch(stripped) and not looks_random(max(re.split(r"[\\/]", stripped), key=len), 16):
        return False
    if PLACEHOLDER.fullmatch(stripped):
        return False
    return not all(map(ALGORITHM.fullmatch, stripped.strip("$").split(",")))


def is_opaque(text: str) -> bool:
    """Return whether it looks random, as names of tokens and keys occur in prose too.

    A UUID counts: Railway's own tokens are UUIDs.
    """
    if not is_literal(text) or MEASURE.fullmatch(text) or DATE.fullmatch(text) or ALGORITHM.fullmatch(text):
        return False
    if UUID.fullmatch(text):
        return True
    if len(text) >= 6 and has_letters_and_digits(text):
        return not re.fullmatch(r"[a-z]+(?:[-_.][a-z]+)*[-_.]?\d{1,2}", text) or len(text) < 9
    return len(text) >= 12 and (
        has_symbols(text) or looks_random(text) or (len(text) >= 16 and text.isdigit())
    )


def is_mixed(text: str) -> bool:
    """Return whether it has letters and digits, or is longer than any word."""
    return has_letters_and_digits(text) or len(text) >= 24


def is_mail_address(match: re.Match[str]) -> bool:
    """Return whether the domain is one that mail is sent to; `git@` names a repository, `this@` a scope."""
    name, _, domain = match[0].partition("@")
    labels = domain.lower().split(".")
    top = labels[-1]
    if top in NO_MAIL or not (top in MAIL_DOMAINS or (len(top) == 2 and top.isalpha())):
        return False
    if match.string[match.end() : match.end() + 1] == "(" or not name[-1:].isalnum():
        return False
    return name.lower() not in ("git", "this", "return", "super") and not (
        labels[0].isdigit() and labels[1].isdigit()
    )


def is_public_v4(match: re.Match[str]) -> bool:
    """Return whether the address is public: it may be a person's. Private ones a diagnosis needs."""
    text = match[0]
    if VERSION_BEFORE.search(match.string[max(match.start() - 40, 0) : match.start()]):
        return False
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    if text in RESOLVERS or text.endswith(".0.0"):
        return False
    return address.is_global or any(address in network for network in DOCUMENTATION)


def is_public_v6(match: re.Match[str]) -> bool:
    """Return whether it is a global unicast address."""
    try:
        address = ipaddress.IPv6Address(match[0])
    except ValueError:
        return False
    return address in PUBLIC_V6


def is_card_number(match: re.Match[str]) -> bool:
    """Return whether the number is in an issuer's range and its check digit (Luhn) is right."""
    digits = [int(c) for c in match[0] if c.isdigit()]
    if not CARDS.match("".join(map(str, digits))):
        return False
    doubled = (sum(divmod(2 * d, 10)) if i % 2 else d for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def is_phone_number(match: re.Match[str]) -> bool:
    """Return whether it has E.164's country code and 9 to 15 digits; fewer are an offset or a count."""
    return 9 <= sum(c.isdigit() for c in match[0]) <= 15 and match[0][1] != "0"
