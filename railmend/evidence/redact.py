"""Redact secrets and personal data; stable placeholders keep equal values recognisable."""

import hashlib
import hmac
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from railmend.evidence import assignments
from railmend.evidence.blocks import kubernetes_secrets, private_keys, tables
from railmend.evidence.lookalikes import PLACEHOLDER, has_letters_and_digits, is_literal, looks_random
from railmend.evidence.patterns import CONTEXT, PERSONAL, TOKENS, Span
from railmend.evidence.statements import inserted
from railmend.evidence.views import BASE64, HEX, decode, views

# A placeholder with a digest: sources are redacted separately, and their packet numbers all of them.
KEYED = re.compile(r"<([a-z0-9-]{2,24}):([0-9a-f]{8})>")
NUMBERED = re.compile(r"<([a-z0-9-]{2,24})-(\d{1,6})>")
PERSONAL_KINDS = frozenset(rule.kind for rule in PERSONAL)
KNOWN_KIND = "known-secret"
MIN_KNOWN_LENGTH = 6
ENCODED = re.compile(r"%[0-9A-Fa-f]{2}[\w.~*!%+-]{0,400}")
NEXT_ELEMENT = re.compile(r"(?<=\w)([\"']),[ \t]?\1")
REPEATED = frozenset({"password", "secret", "token", "credential"})
MIN_REPEATED, MAX_REPEATED = 8, 50
MAX_REPEATED_LENGTH = 400
MAX_ENCODED = 2  # base64 in base64


Row = TypeVar("Row")
Model = TypeVar("Model", bound=BaseModel)
Pairs = tuple[tuple[str, str], ...]


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
        return self._replace(text, self._find(text))

    def lines(self, lines: Sequence[str]) -> list[str]:
        """Redact lines as one text; of a secret that fills several lines all but the first become empty."""
        text = "\n".join(lines)
        redacted = self._replace(text, self._find(text), keep_lines=True).split("\n")
        counts = [line.count("\n") + 1 for line in lines]
        result, at = [], 0
        for count in counts:
            result.append("\n".join(redacted[at : at + count]))
            at += count
        return result

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Return log rows with message, attributes (by their keys) or path redacted, before any is joined."""
        changes: list[dict[str, object]] = [{} for _ in rows]
        paths = [getattr(row, "path", "") for row in rows]
        distinct = list(dict.fromkeys(path for path in paths if path))
        known = dict(zip(distinct, self.lines(distinct), strict=True))
        messages = [getattr(row, "message", "") for row in rows]
        attributes: list[Pairs] = [getattr(row, "attributes", ()) for row in rows]
        pairs = list(dict.fromkeys(pair for each in attributes for pair in each))
        known_pairs = dict(zip(pairs, self._pairs(pairs), strict=True))
        redacted = self.lines(messages)
        for change, path, old, new, each in zip(changes, paths, messages, redacted, attributes, strict=True):
            if path:
                change["path"] = known[path]
            if old:  # the rest of a secret that fills several rows is empty now
                change["message"] = new
            if each:
                change["attributes"] = tuple(known_pairs[pair] for pair in each)
        return [_changed(row, change) for row, change in zip(rows, changes, strict=True)]

    def model(self, model: Model) -> Model:
        """Return a copy of a commit, a deployment, a comparison ... with each of its texts redacted."""
        texts: list[str] = []

        def collect(text: str) -> str:
            texts.append(text)
            return text

        _walk(model, collect)
        redacted = iter(self.lines(texts))
        changed: Model = _walk(model, lambda _: next(redacted))
        return changed

    def _pairs(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Redact values that are JSON text, whole where their key says what they are."""
        values = self.lines([f"{key}={value}" for key, value in pairs])
        return [
            (key, self._by_key(key, value) or redacted.partition("=")[2] if "=" not in key else redacted)
            for (key, value), redacted in zip(pairs, values, strict=True)
        ]

    def _by_key(self, key: str, value: str) -> str | None:
        plain = value[1:-1] if value[:1] == value[-1:] == '"' and len(value) > 1 else value
        kind = assignments.kind_of(key, plain)
        return value.replace(plain, self._placeholder(kind, plain)) if kind else None

    def _find(self, text: str, depth: int = 0) -> list[Span]:
        """Return what is secret in any view of the text, in order, what overlaps as one stretch."""
        found: list[Span] = []
        for view in views(text):
            for start, end, kind in self._find_in_view(view.text, depth):
                first, last = view.original(start, end)
                joined = not NEXT_ELEMENT.search(view.text, start, end)
                end_of_element = NEXT_ELEMENT.search(text, first, last) if joined else None
                last = end_of_element.start() if end_of_element else _to_its_end(text, first, last)
                if end_of_element is None or is_literal(text[first:last]):
                    found.append((first, last, kind))
        found += _repeated(text, found)
        found.sort(key=lambda span: (span[0], -span[1]))
        merged: list[Span] = []
        for start, end, kind in found:
            if merged and start < merged[-1][1]:
                merged[-1] = _union(merged[-1], (start, end, kind))
            else:
                merged.append((start, end, kind))
        return merged

    def _find_in_view(self, text: str, depth: int) -> Iterator[Span]:
        for secret in self._known_secrets:
            at = text.find(secret)
            while at >= 0:
                yield at, at + len(secret), KNOWN_KIND
                at = text.find(secret, at + len(secret))
        lowered = text.lower()
        yield from private_keys(text)
        for rule in (*TOKENS, *CONTEXT):
            yield from rule.find(text, lowered)
        yield from assignments.find(text)
        yield from tables(text)
        if "Secret" in text:
            yield from kubernetes_secrets(text)
        yield from inserted(text)
        for rule in PERSONAL:
            yield from rule.find(text, lowered)
        if depth < MAX_ENCODED:
            for pattern in (BASE64, HEX):
                for match in pattern.finditer(text):
                    decoded = decode(match[0])
                    if decoded and ("\0" in decoded or self._find(decoded, depth + 1)):
                        yield (*match.span(), "encoded-secret")

    def _replace(self, text: str, spans: Sequence[Span], *, keep_lines: bool = False) -> str:
        pieces, at = [], 0
        for start, end, kind in spans:
            for first, last in _between_placeholders(text, max(start, at), end):
                pieces += [text[at:first], self._placeholder(kind, text[first:last])]
                if keep_lines:
                    pieces.append("\n" * text.count("\n", first, last))
                at = last
        return "".join([*pieces, text[at:]])

    def _placeholder(self, kind: str, secret: str) -> str:
        placeholder = self._placeholders.get(secret)
        if placeholder is None:
            if self._redaction_key is None:
                self._counts[kind] += 1
                placeholder = f"<{kind}-{self._counts[kind]}>"
            else:
                digest = hmac.new(
                    self._redaction_key.encode(), secret.encode("utf-8", "replace"), hashlib.sha256
                ).hexdigest()
                placeholder = f"<{kind}:{digest[:8]}>"
            self._placeholders[secret] = placeholder
        return placeholder


def _to_its_end(text: str, start: int, end: int) -> int:
    """Return the end of a value of a form with all that is percent-encoded in it: blanks, quotes, `&`."""
    rest = ENCODED.match(text, end) if text[start - 1 : start] == "=" else None
    return rest.end() if rest else end


def _repeated(text: str, found: Sequence[Span]) -> list[Span]:
    """Return where else a text shows what was found to be a secret, without a word that betrays it."""
    secrets = {
        text[start:end]: kind
        for start, end, kind in found
        if kind in REPEATED and MIN_REPEATED <= end - start <= MAX_REPEATED_LENGTH
    }
    return [
        (*match.span(), kind)
        for secret, kind in list(secrets.items())[:MAX_REPEATED]
        if has_letters_and_digits(secret) and (" " in secret or looks_random(secret, MIN_REPEATED))
        for match in re.finditer(rf"(?<!\w){re.escape(secret)}(?!\w)", text)
    ]


def _changed(row: Row, changes: dict[str, object]) -> Row:
    """Return a copy of a model or of a dataclass."""
    if isinstance(row, BaseModel):
        return row.model_copy(update=changes)
    changed: Row = replace(row, **changes)  # type: ignore[type-var]
    return changed


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    """Return a copy of a tree of models with each text changed, in a fixed order."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return value.model_copy(update={name: _walk(getattr(value, name), change) for name in fields})
    if isinstance(value, dict):
        return {key: _after_key(key, part, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_walk(part, change) for part in value)
    return value


def _after_key(key: str, value: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(value, str):
        return _walk(value, change)
    return change(f"{key}={value}").removeprefix(f"{key}=")


def _union(one: Span, other: Span) -> Span:
    """Return what two stretches cover together; of a secret and an address around it the secret alone."""
    for secret, address in ((one, other), (other, one)):
        if address[2] in PERSONAL_KINDS and secret[2] not in PERSONAL_KINDS:
            return secret
    return one[0], max(one[1], other[1]), one[2]


def _between_placeholders(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a stretch that no earlier redaction wrote."""
    for match in PLACEHOLDER.finditer(text, start, end):
        if any(map(str.isalnum, text[start : match.start()])):
            yield start, match.start()
        start = match.end()
    if any(map(str.isalnum, text[start:end])):
        yield start, end


class Numbering:
    """Numbers the keyed placeholders of several redactors in the order in which they appear.

    `after`: texts whose numbers are not given to others.
    """

    def __init__(self, after: Iterable[str] = ()) -> None:
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = defaultdict(int)
        for kind, number in (match.groups() for text in after for match in NUMBERED.finditer(text)):
            self._counts[kind] = max(self._counts[kind], int(number))

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
