"""Takes secrets and personal data out of text; equality survives by stable placeholders."""

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Sequence

from railmend.evidence.lookalikes import span
from railmend.evidence.patterns import RULES, Rule

# A placeholder that is not numbered yet: sources redact apart, one packet numbers all of them.
SEALED = re.compile(r"<([a-z0-9-]{2,24}):([0-9a-f]{8})>")
KNOWN = "known-secret"
MIN_KNOWN = 6


class Redactor:
    """One secret has one placeholder, such as `<aws-key-1>`, in everything that one redactor sees.

    `known`: values that must not pass whatever they look like. `redaction_key`: several redactors share
    it; they then write `<aws-key:3f2a91c4>`, and `Numbering` makes one numbering of it.
    """

    def __init__(self, known: Sequence[str] = (), redaction_key: str | None = None) -> None:
        self._known = sorted({text for text in known if len(text) >= MIN_KNOWN}, key=len, reverse=True)
        self._redaction_key = redaction_key
        self._places: dict[str, str] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def __call__(self, text: str) -> str:
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, self._placeholder(KNOWN, secret))
        low, of = text.lower(), text
        for rule in RULES:
            if of is not text:
                low, of = text.lower(), text
            if not rule.needles or any(needle in low for needle in rule.needles):
                text = rule.pattern.sub(lambda match, rule=rule: self._replaced(rule, match), text)  # type: ignore[misc]
        return text

    def _replaced(self, rule: Rule, match: re.Match[str]) -> str:
        if rule.secret is not None and not rule.secret(match):
            return match[0]
        start, end = span(match) if rule.in_context else match.span()
        secret = match.string[start:end]
        if secret.startswith("<") and secret.endswith(">"):
            return match[0]
        before, after = match.string[match.start() : start], match.string[end : match.end()]
        return before + self._placeholder(rule.kind, secret) + after

    def _placeholder(self, kind: str, secret: str) -> str:
        place = self._places.get(secret)
        if place is None:
            if self._redaction_key is None:
                self._counts[kind] += 1
                place = f"<{kind}-{self._counts[kind]}>"
            else:
                digest = hmac.new(self._redaction_key.encode(), secret.encode(), hashlib.sha256).hexdigest()
                place = f"<{kind}:{digest[:8]}>"
            self._places[secret] = place
        return place


class Numbering:
    """Gives the sealed placeholders of several redactors their numbers, in the order in which they appear."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def __call__(self, text: str) -> str:
        return SEALED.sub(self._number, text)

    def _number(self, match: re.Match[str]) -> str:
        kind, digest = match[1], match[2]
        if digest not in self._places:
            self._counts[kind] += 1
            self._places[digest] = f"<{kind}-{self._counts[kind]}>"
        return self._places[digest]


def redact(text: str) -> str:
    return Redactor()(text)
