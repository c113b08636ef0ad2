"""Condense logs offline: cases or plain rows as JSON lines in, the lines that matter out."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from railmend.evidence.redact import Redactor
from railmend.evidence.streams import StreamRow, condense_streams, parse_row


class FormatError(Exception):
    """A line that cannot be read; the message names it and what is expected."""


def condense(file: Path, budget: int, *, redacted: bool) -> None:
    """Write the condensed cases to standard output. Ends the process with code 2 on what cannot be read."""
    try:
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8") as source:
            for line in cases(source, budget, redacted=redacted):
                sys.stdout.write(f"{line}\n")
    except BrokenPipeError:
        raise  # whoever read the output has seen enough
    except (FormatError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"starter.py condense: {error}\n")
        raise SystemExit(2) from error


def cases(source: TextIO, budget: int, *, redacted: bool = True) -> Iterator[str]:
    """One line of output per case, `{"id", "text"}`; for a file of rows the text alone.

    A case is `{"id", "lines": [row, ...]}`; a row `{"ts", "stream", "severity", "message", "attributes"}`,
    or with `"stream": "http"` `{"ts", "method", "path", "status", "duration_ms"}`.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        found = _object(line, number)
        if "lines" in found:
            text = _text(found["lines"], budget, number, redacted=redacted)
            yield json.dumps({"id": found.get("id", str(number)), "text": text}, ensure_ascii=False)
        else:
            rows.append(found)
    if rows:
        yield _text(rows, budget, 1, redacted=redacted)


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise FormatError(f"Line {number} is not JSON ({error}). Give one JSON object a line.") from error
    if not isinstance(found, dict):
        raise FormatError(f"Line {number} is not a JSON object: give a case or a row a line.")
    return found


def _text(lines: Iterable[dict[str, Any]], budget: int, number: int, *, redacted: bool) -> str:
    streams: dict[str, list[StreamRow]] = defaultdict(list)
    try:
        for line in lines:
            streams[line.get("stream", "deploy")].append(parse_row(line))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"Line {number} holds a row without ts and message, or for HTTP without method, path, status and "
            f"duration_ms ({error!r})."
        ) from error
    text = condense_streams(streams, budget_tokens=budget)
    return Redactor()(text) if redacted else text
