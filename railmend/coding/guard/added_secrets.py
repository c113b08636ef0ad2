"""Secrets that a change adds: the patterns that redact evidence, without what code is full of.

What stood in the file before is not added, and what is plainly an example is no secret.
"""

import base64
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from railmend.coding.git.diff import ChangedFile, readable
from railmend.coding.guard.file_kinds import is_test
from railmend.evidence import assignments, lookalikes
from railmend.evidence.blocks import private_keys
from railmend.evidence.patterns import CONTEXT, TOKENS, Rule, Span
from railmend.source.manifests import manifests_of

# Of the rules for evidence that rest on the words around a value, those for addresses and for assignments.
ADDRESSES = tuple(rule for rule in CONTEXT if "://" in rule.needles)
EXAMPLE = re.compile(
    r"example|dummy|fake|placeholder|change_?me|your[_-]|xxxx|0{8}|12345|abcdef|foobar|redacted|\.\.\.|[${}<>()\s]|%[sd(]",
    re.I,
)
LOCAL = re.compile(
    r"@(?:localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal|\[::1\]|example\.\w+|[\w.-]+\.(?:test|invalid|example))\b"
)
JOINED = re.compile(r"[\"'`]\s{0,40}[+.,\\]?\s{0,40}[\"'`]")
ENCODED = re.compile(r"[A-Za-z0-9+/_-]{24,2000}={0,2}")
HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
# Bits a character: words and names of settings stay below, keys of 16 characters and more do not. Of a
# vendor's token only one letter again and again is below.
RANDOM_BITS = 3.3
TOKEN_BITS = 1.2
SHORT, MAX_TOLD = 6, 5
KEY_BODY = re.compile(r"[A-Za-z0-9+/]{16}")
# Words, numbers and versions joined by signs are names; letters and digits in one piece are not.
MIXED = re.compile(r"(?=[A-Za-z0-9+]*[0-9])(?=[A-Za-z0-9+]*[A-Za-z])[A-Za-z0-9+]{8,}")


def secrets_in(files: Sequence[ChangedFile]) -> list[str]:
    """Return a sentence for each file with secrets, its lines named; the secret itself is in none of them."""
    sentences = []
    for file in files:
        if any(_tokens(file.path)):
            sentences.append("The name of a file holds what looks like a secret.")
        hits = sorted(set(_hits(file))) if not manifests_of(file.path) else []
        if hits:
            told = ", ".join(f"{kind}, line {number}" for number, kind in hits[:MAX_TOLD])
            sentences.append(f"{readable(file.path)} adds what looks like a secret ({told}).")
    return sentences


def _hits(file: ChangedFile) -> Iterator[tuple[int, str]]:
    text, before = "\n".join(line for _, line in file.added), file.before or ""

    def line_at(position: int) -> int:
        return file.added[text.count("\n", 0, position)][0]

    spans = [span for span in _tokens(text) if text[span[0] : span[1]] not in before]
    if not is_test(file.path):
        spans += [span for span in _by_context(text) if text[span[0] : span[1]] not in before]
    yield from ((line_at(start), kind) for start, _, kind in spans)
    if not spans and (joined := JOINED.sub("", text)) != text:
        pieces = (span for span in _tokens(joined) if joined[span[0] : span[1]] not in before)
        yield from ((file.added[0][0], f"{kind}, in pieces") for _, _, kind in pieces)
    for match in ENCODED.finditer(text):
        if match[0] not in before:
            kinds = (kind for _, _, kind in _tokens(_decoded(match[0])))
            yield from ((line_at(match.start()), f"{kind}, encoded") for kind in kinds)


def _tokens(text: str) -> Iterator[Span]:
    """Yield private keys with a body, and tokens of vendors that are no examples."""
    yield from (span for span in private_keys(text) if KEY_BODY.search(text, *span[:2]))
    for start, end, kind in _found(TOKENS, text):
        value = text[start:end]
        if kind != "password-hash" and not EXAMPLE.search(value) and _bits(value) > TOKEN_BITS:
            yield start, end, kind


def _by_context(text: str) -> Iterator[Span]:
    """Yield credentials of addresses that are not local, and random values of what is named a secret."""
    for start, end, kind in _found(ADDRESSES, text):
        value, host = text[start:end], text[end : end + 100]
        if (
            not LOCAL.match(host)
            and not EXAMPLE.search(value)
            and len(value) >= SHORT
            and lookalikes.is_literal(value)
        ):
            yield start, end, kind
    for start, end, kind in assignments.find(text):
        value, quoted = text[start:end], text[start - 1 : start] in ("'", '"', "`")
        random = _bits(value) > RANDOM_BITS or lookalikes.UUID.fullmatch(value) is not None
        if quoted and random and MIXED.search(value) and not EXAMPLE.search(value) and "://" not in value:
            yield start, end, kind


def _found(rules: Iterable[Rule], text: str) -> Iterator[Span]:
    lowered = text.lower()
    for rule in rules:
        yield from rule.find(text, lowered)


def _bits(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _decoded(text: str) -> str:
    """Return what base64 or hexadecimal digits stand for, as far as it is text."""
    text = text.rstrip("=")
    if HEXADECIMAL.fullmatch(text):
        raw = bytes.fromhex(text[: len(text) // 2 * 2])
    else:
        raw = base64.urlsafe_b64decode(text[: len(text) - (len(text) % 4 == 1)] + "==")
    return raw.decode("ascii", errors="replace")
