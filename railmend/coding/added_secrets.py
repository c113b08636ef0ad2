"""Secrets that a change adds: the patterns that redact evidence, without what code is full of.

What stood in the file before is not added, and what is plainly an example is no secret.
"""

import base64
import math
import re
from binascii import Error
from collections import Counter
from collections.abc import Iterator, Sequence

from railmend.coding.diff import ChangedFile, readable
from railmend.coding.file_kinds import is_test
from railmend.evidence import lookalikes
from railmend.evidence.patterns import CONTEXT, PRIVATE_KEY, TOKENS, Rule
from railmend.source.manifests import manifests_of

# Of the rules for evidence that rest on the words around a value, those for addresses and for assignments.
ADDRESSES = tuple(rule for rule in CONTEXT if "://" in rule.needles)
ASSIGNED = tuple(rule for rule in CONTEXT if rule.kind in ("password", "secret") and rule.secret)
EXAMPLE = re.compile(
    r"example|dummy|fake|placeholder|change_?me|your[_-]|xxxx|0{8}|12345|abcdef|foobar|redacted|\.\.\.|[${}<>()\s]|%[sd(]",
    re.I,
)
LOCAL = re.compile(
    r"@(?:localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal|\[::1\]|example\.\w+|[\w.-]+\.(?:test|invalid|example))\b"
)
JOINED = re.compile(r"[\"'`]\s{0,40}[+.\\]?\s{0,40}[\"'`]")
ENCODED = re.compile(r"[A-Za-z0-9+/_-]{24,2000}={0,2}")
URL_ALPHABET = str.maketrans("-_", "+/")
# Bits a character: words and names of settings stay below, keys of 16 characters and more do not.
RANDOM_BITS = 3.3
LONG = 12
# Words, numbers and versions joined by signs are names; letters and digits in one piece are not.
MIXED = re.compile(r"(?=[A-Za-z0-9+]*[0-9])(?=[A-Za-z0-9+]*[A-Za-z])[A-Za-z0-9+]{8,}")


def secrets_in(files: Sequence[ChangedFile]) -> list[str]:
    """Return a sentence for each file with secrets, all lines named; the secret itself is in none of them."""
    sentences = []
    for file in files:
        if any(_found(rule, file.path, "") for rule in TOKENS):
            sentences.append("The name of a file holds what looks like a secret.")
        hits = sorted(set(_hits(file))) if not manifests_of(file.path) else []
        if hits:
            told = ", ".join(f"{kind}, line {number}" for number, kind in hits[:5])
            sentences.append(f"{readable(file.path)} adds what looks like a secret ({told}).")
    return sentences


def _hits(file: ChangedFile) -> Iterator[tuple[int, str]]:
    text = "\n".join(line for _, line in file.added)
    before = file.before or ""
    rules = (PRIVATE_KEY, *TOKENS) if is_test(file.path) else (PRIVATE_KEY, *TOKENS, *ADDRESSES, *ASSIGNED)
    for rule in rules:
        for start in _found(rule, text, before):
            yield file.added[text.count("\n", 0, start)][0], rule.kind
    joined = JOINED.sub("", text)
    decoded = [(match.start(), _decoded(match[0])) for match in ENCODED.finditer(text)]
    for rule in TOKENS:
        if joined != text and _found(rule, joined, before) and not _found(rule, text, before):
            yield file.added[0][0], f"{rule.kind}, in pieces"
        for start, plain in decoded:
            if plain and _found(rule, plain, ""):
                yield file.added[text.count("\n", 0, start)][0], f"{rule.kind}, encoded"


def _found(rule: Rule, text: str, before: str) -> list[int]:
    lower = text.lower()
    if rule.needles and not any(needle in lower for needle in rule.needles):
        return []
    return [
        match.start()
        for match in rule.pattern.finditer(text)
        if (rule.secret is None or rule.secret(match)) and _is_real(rule, match) and match[0] not in before
    ]


def _is_real(rule: Rule, match: re.Match[str]) -> bool:
    value = lookalikes.matched(match)
    if rule is PRIVATE_KEY:
        return re.search(r"KEY[^-]*-----\s*(?:\\n)?\s*[A-Za-z0-9+/]{16}", match[0]) is not None
    if EXAMPLE.search(value):
        return False
    line = match.string[match.start() : match.string.find("\n", match.end()) % (len(match.string) + 1)]
    if rule in ADDRESSES:
        return not LOCAL.search(line) and lookalikes.is_literal(match) and len(value) >= 6
    if rule in ASSIGNED:
        quoted = match.string[match.end() - 1] in "\"'"
        mixed = MIXED.search(value) is not None and "://" not in value
        return (
            quoted
            and mixed
            and len(value) >= LONG
            and (_bits(value) > RANDOM_BITS or lookalikes.UUID.match(value) is not None)
        )
    return _bits(value) > 2.5


def _bits(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(
            text + "=" * (-len(text) % 4), altchars=b"-_" if set("-_") & set(text) else None
        ).decode("ascii")
    except (Error, ValueError):
        return ""
