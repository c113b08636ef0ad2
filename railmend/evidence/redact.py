"""Takes secrets and personal data out of text; equality survives by stable placeholders."""

import re
from collections import defaultdict

# Every repeat is bounded: log lines are written by others and may be made to be slow.
# Order matters: the more exact pattern first.
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "private-key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.{0,8000}?(?:-----END [A-Z ]{0,30}KEY-----|\Z)", re.S
        ),
    ),
    ("github-token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255})")),
    ("aws-key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("stripe-key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,200}")),
    ("model-key", re.compile(r"\bsk-[A-Za-z0-9_-]{20,250}")),
    ("slack-token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,250}")),
    ("google-key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{4,4000}\.[A-Za-z0-9_-]{0,4000}")),
    ("credential", re.compile(r"(?i)(?<=authorization: )(?:bearer|basic|token) {1,4}[^\s\"',]{6,4000}")),
    ("credential", re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{12,4000}")),
    ("cookie", re.compile(r"(?i)(?<=cookie: )[^\r\n]{4,4000}")),
    ("password", re.compile(r"(?<=://)[^\s/:@]{1,100}:[^\s/@]{1,200}(?=@)")),
    (
        "secret",
        re.compile(
            r"(?i)(?:(?<=password=)|(?<=passwd=)|(?<=secret=)|(?<=token=)|(?<=api_key=)|(?<=apikey=))"
            r"[^\s&\"',;]{4,500}"
        ),
    ),
    ("email", re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}\b")),
)


class Redactor:
    """Remembers what it replaced, so that one secret has one placeholder in everything it redacts."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = defaultdict(int)

    def __call__(self, text: str) -> str:
        for kind, pattern in PATTERNS:
            text = pattern.sub(lambda match, kind=kind: self._placeholder(kind, match[0]), text)  # type: ignore[misc]
        return text

    def _placeholder(self, kind: str, secret: str) -> str:
        if secret not in self._known:
            self._counts[kind] += 1
            self._known[secret] = f"<{kind}-{self._counts[kind]}>"
        return self._known[secret]


def redact(text: str) -> str:
    return Redactor()(text)
