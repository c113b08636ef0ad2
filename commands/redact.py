"""`starter.py redact`: text in, the same text without secrets and personal data out."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def redact(
    file: Annotated[Path, typer.Argument(help="Text; default: standard input.")] = Path("-"),
) -> None:
    """Take secrets and personal data out of a text."""
    from railmend.evidence.redact import Redactor

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        sys.stderr.write(f"starter.py redact: {file} cannot be read: {reason}.\n")
        raise SystemExit(2) from error
    sys.stdout.write(Redactor()(text))
