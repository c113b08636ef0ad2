"""Tell secrets from values that only look like secrets, which a diagnosis needs."""

import ipaddress
import re

# Values that mean that there is no secret, or name a type or a state.
WORDS = frozenset(
    (
        *("none", "null", "nil", "undefined", "true", "false", "yes", "no", "empty", "unset"),
        *("missing", "required", "invalid", "expired", "redacted", "hidden", "masked", "string", "str"),
        *("bytes", "int", "number", "object", "text", "boolean", "any", "optional", "not", "is", "was"),
        *("must", "cannot", "unknown", "default", "ok", "failed", "error", "found", "changeme"),
        *("authentication", "authenticated", "verification", "reset", "change", "mismatch"),
        *("incorrect", "wrong"),
    )
)
# `${TOKEN}`, `$TOKEN`, `%s`, `{token}`, `***`, a placeholder of a redactor, an environment variable's name.
REFERENCE = re.compile(
    r"^(?:[$%{<*]|\*{2}|x{4,}$|os\.|env\.|process\.|config\.|self\.|settings\.|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$)"
)
ATTRIBUTE = re.compile(r"^[a-z_][\w]{0,60}(?:\.[a-z_][\w]{0,60}){1,6}$")
PATH = re.compile(r"^\.{0,2}/[\w./-]*$")
MEASURE = re.compile(r"^[\d.,]{1,15}(?:ms|s|m|h|d|%|kb|mb|gb|k)?$", re.I)
UUID = re.compile(r"^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$", re.I)
LONG = 16  # characters
# Endings of file and machine names, not of mail domains.
NO_MAIL = frozenset(
    (
        *("png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "js", "ts", "jsx", "tsx", "mjs", "cjs"),
        *("css", "scss", "json", "html", "map", "py", "go", "rb", "java", "php", "rs", "so", "dll"),
        *("md", "txt", "yml", "yaml", "lock", "vue", "toml", "xml", "service", "socket", "timer"),
        *("target", "mount", "internal", "local", "localhost", "localdomain", "svc"),
    )
)
VERSION_BEFORE = re.compile(r"(?:version|release|build|\bv|ver|assembly)[\"']?[ :=]{0,3}$", re.I)
RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"})
DOCUMENTATION = tuple(
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
# Global unicast (RFC 4291), addresses for documentation included.
PUBLIC_V6 = ipaddress.ip_network("2000::/3")
CARDS = re.compile(r"^(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|4[4-9]\d|5\d\d)\d{12})$")


def span(match: re.Match[str]) -> tuple[int, int]:
    """Return the secret's position: the one group that matched, or the whole match."""
    groups = (number for number in range(1, (match.lastindex or 0) + 1) if match[number] is not None)
    return match.span(next(groups, 0))


def matched(match: re.Match[str]) -> str:
    start, end = span(match)
    return match.string[start:end]


def stands_alone(match: re.Match[str]) -> bool:
    """Return whether a token with a prefix does not begin inside a word."""
    before = match.string[match.start() - 1 : match.start()]
    return not (before.isalnum() or before == "_")


def is_literal(match: re.Match[str]) -> bool:
    """Return whether what is assigned to a password is a literal."""
    text = matched(match)
    if (
        text.lower().rstrip(".,!") in WORDS
        or REFERENCE.match(text)
        or ATTRIBUTE.match(text)
        or PATH.match(text)
    ):
        return False
    return len(text) >= 3


def is_random(match: re.Match[str]) -> bool:
    """Return whether what is assigned to a token or key looks random, as such names occur in prose too.

    A UUID counts: Railway's own tokens are UUIDs.
    """
    text = matched(match)
    if not is_literal(match) or MEASURE.match(text):
        return False
    if UUID.match(text):
        return True
    return len(text) >= 6 and (any(c.isdigit() for c in text) or len(text) >= LONG)


def is_mixed(match: re.Match[str]) -> bool:
    """Return whether it has letters and digits, or is longer than any word."""
    text = matched(match)
    return (any(c.isdigit() for c in text) and any(c.isalpha() for c in text)) or len(text) >= 24


def is_mail_address(match: re.Match[str]) -> bool:
    """Return whether the domain is one that mail is sent to; `git@` names a repository."""
    name, _, domain = match[0].partition("@")
    labels = domain.lower().split(".")
    top = labels[-1]
    if not top.isalpha() or not 2 <= len(top) <= 24 or top in NO_MAIL:
        return False
    return name.lower() != "git" and not (labels[0].isdigit() and labels[1].isdigit())


def is_public_v4(match: re.Match[str]) -> bool:
    """Return whether the address is public: it may be a person's. Private ones a diagnosis needs."""
    text = match[0]
    if VERSION_BEFORE.search(match.string[max(match.start() - 20, 0) : match.start()]):
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
