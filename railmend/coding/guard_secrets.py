"""Secrets in the lines that a change adds: bc-detect-secrets, and the patterns that redact evidence."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings, get_settings

from railmend.coding.diff import ChangedFile
from railmend.evidence.blocks import private_keys
from railmend.evidence.patterns import CONTEXT, TOKENS

# Of the rules for evidence those that rest on the words around a value are wrong in code about as often as
# they are right, and stay away; credentials in addresses are worth it.
OWN = (*TOKENS, *(rule for rule in CONTEXT if "://" in rule.needles))
# A comment that the agent writes must not hide a secret.
ALLOWLIST = "detect_secrets.filters.allowlist.is_line_allowlisted"
# Slow (8 s per MB), and a change of that size is refused for its size.
MAX_SCANNED_CHARACTERS = 200_000
_scanning = threading.Lock()  # its settings are one object for the whole process


def secrets_in(files: Sequence[ChangedFile]) -> list[str]:
    """Return a sentence for each file with a secret; the secret itself is in none of them."""
    sentences: dict[str, None] = {}
    for file in files:
        for number, kind in _hits(file):
            sentences[f"{file.path} adds what looks like a secret ({kind}, line {number})."] = None
            break
    return list(sentences)


def _hits(file: ChangedFile) -> Iterator[tuple[int, str]]:
    text = "\n".join(line for _, line in file.added)
    lowered = text.lower()
    for finds in (private_keys(text), *(rule.find(text, lowered) for rule in OWN)):
        if found := next(finds, None):
            yield file.added[text.count("\n", 0, found[0])][0], found[2]
    yield from _detected(file, text[:MAX_SCANNED_CHARACTERS])


def _detected(file: ChangedFile, text: str) -> Iterator[tuple[int, str]]:
    """Scan text as a file of that name: the scanner reads files, and judges their names."""
    if not text:
        return
    with _scanning, tempfile.TemporaryDirectory() as folder, default_settings():
        get_settings().disable_filters(ALLOWLIST)
        copy = Path(folder) / PurePosixPath(file.path).name
        copy.write_text(text + "\n", errors="replace")
        hits = [(secret.line_number, secret.type) for secret in scan_file(str(copy))]
    for line, kind in hits:
        yield file.added[min(line, len(file.added)) - 1][0], kind.lower()
