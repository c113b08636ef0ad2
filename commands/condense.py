"""`starter.py condense`: cases or plain rows of logs as JSON lines in, the lines that matter out."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from commands.options import opened, using, worded

if TYPE_CHECKING:
    from railmend.evidence.streams import StreamRow


class FormatError(Exception):
    """A line that cannot be read; the message names it and what is expected."""


def condense(
    file: Annotated[Path, typer.Argument(help="Cases or rows of logs as JSON lines; - is standard input.")],
    budget: Annotated[int, typer.Option(min=100, help="Tokens that a model may read.")] = 2000,
    raw: Annotated[bool, typer.Option("--raw", help="Do not redact.")] = False,
) -> None:
    """Condense logs to the lines that matter."""
    with worded(), using(file), opened(file) as source:
        for line in condense_cases(source, budget, redacted=not raw):
            sys.stdout.write(f"{line}\n")


def condense_cases(source: TextIO, budget: int, *, redacted: bool) -> Iterator[str]:
    """Yield one line per case, `{"id", "text"}`; for a file of rows the text alone.

    A case is `{"id", "lines": [row, ...]}`; a row `{"ts", "stream", "severity", "message", "attributes"}`,
    or with `"stream": "http"` `{"ts", "method", "path", "status", "duration_ms"}`.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        case = _object(line, number)
        if "lines" in case:
            text = _text(case["lines"], budget, number, redacted=redacted)
            yield json.dumps({"id": case.get("id", str(number)), "text": text}, ensure_ascii=False)
        else:
            rows.append(case)
    if rows:
        yield _text(rows, budget, 1, redacted=redacted)


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise FormatError(f"Line {number} is not JSON ({error}). Give one JSON object a line.") from error
    if not isinstance(content, dict):
        raise FormatError(f"Line {number} is not a JSON object: give a case or a row a line.")
    return content


def _text(rows: Iterable[dict[str, Any]], budget: int, number: int, *, redacted: bool) -> str:
    from railmend.evidence.redact import Redactor
    from railmend.evidence.streams import condense_streams, parse_row

    streams: dict[str, list[StreamRow]] = defaultdict(list)
    try:
        for row in rows:
            streams[row.get("stream", "deploy")].append(parse_row(row))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"Line {number} holds a row without ts and message, or for HTTP without method, path, status and "
            f"duration_ms ({error!r})."
        ) from error
    if not redacted:
        return condense_streams(streams, budget_tokens=budget)
    redactor = Redactor()
    return redactor(
        condense_streams({name: redactor.rows(rows) for name, rows in streams.items()}, budget_tokens=budget)
    )
