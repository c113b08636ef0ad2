"""Redact secrets and personal data; stable placeholders keep equal values recognisable."""

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Sequence

from railmend.evidence.lookalikes import span
from railmend.evidence.patterns import RULES, Rule

# A placeholder with a digest: sources are redacted separately, and their packet numbers all of them.
KEYED = re.compile(r"<([a-z0-9-]{2,24}):([0-9a-f]{8})>")
KNOWN_KIND = "known-secret"
MIN_KNOWN_LENGTH = 6


class Redactor:
    """Replaces each secret by one placeholder, such as `<aws-key-1>`, in all text that it is called with.

    `known_secrets`: values that are redacted whatever they look like. `redaction_key`: redactors that share
    it write the same `<aws-key:3f2a91c4>` for the same secret, and `Numbering` numbers these together.
    """

    def __init__(self, known_secrets: Sequence[str] = (), redaction_key: str | None = None) -> None:
        long_enough = {secret for secret in known_secrets if len(secret) >= MIN_KNOWN_LENGTH}
        self._known_secrets = sorted(long_enough, key=len, reverse=True)
        self._redaction_key = redaction_key
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def __call__(self, text: str) -> str:
        for secret in self._known_secrets:
            if secret in text:
                text = text.replace(secret, self._placeholder(KNOWN_KIND, secret))
        lowered, original = text.lower(), text
        for rule in RULES:
            if original is not text:
                lowered, original = text.lower(), text
            if not rule.needles or any(needle in lowered for needle in rule.needles):
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
        placeholder = self._placeholders.get(secret)
        if placeholder is None:
            if self._redaction_key is None:
                self._counts[kind] += 1
                placeholder = f"<{kind}-{self._counts[kind]}>"
            else:
                digest = hmac.new(self._redaction_key.encode(), secret.encode(), hashlib.sha256).hexdigest()
                placeholder = f"<{kind}:{digest[:8]}>"
            self._placeholders[secret] = placeholder
        return placeholder


class Numbering:
    """Numbers the keyed placeholders of several redactors in the order in which they appear."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def __call__(self, text: str) -> str:
        return KEYED.sub(self._number, text)

    def _number(self, match: re.Match[str]) -> str:
        kind, digest = match[1], match[2]
        if digest not in self._placeholders:
            self._counts[kind] += 1
            self._placeholders[digest] = f"<{kind}-{self._counts[kind]}>"
        return self._placeholders[digest]


def redact(text: str) -> str:
    """Return one text redacted, its placeholders numbered from 1."""
    return Redactor()(text)
