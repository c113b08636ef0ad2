"""`starter.py redact`: text in, the same text without secrets and personal data out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.options import opened, using, worded


def redact(
    file: Annotated[Path, typer.Argument(help="Text; default: standard input.")] = Path("-"),
) -> None:
    """Remove secrets and personal data from a text."""
    from railmend.evidence.redact import Redactor

    with worded(), using(file), opened(file) as source:
        sys.stdout.write(Redactor()(source.read()))
