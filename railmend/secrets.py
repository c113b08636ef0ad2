"""Secrets from the environment, `.env`, or the file that NAME_FILE names (as Docker mounts them)."""

import os
from pathlib import Path

from dotenv import dotenv_values

ENV_FILE = ".env"


class SecretRefused(ValueError):
    """A secret that is given twice, or whose file cannot be read; the message never holds it."""


def secret(name: str) -> str | None:
    """Return the value of NAME, or the content of the file that NAME_FILE names, without the line end.

    An empty variable of the environment counts as not set, and hides the one in `.env`. Raise
    `SecretRefused` where both are set and where the file cannot be read or is empty.
    """
    given = {**dotenv_values(ENV_FILE), **os.environ}
    value, file = given.get(name), given.get(f"{name}_FILE")
    if value and file:
        raise SecretRefused(f"{name} and {name}_FILE are both set: keep one of them.")
    return _content(name, Path(file)) if file else value or None


def _content(name: str, file: Path) -> str:
    try:
        content = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise SecretRefused(f"{name}_FILE={file} cannot be read ({reason}).") from error
    if not content:
        raise SecretRefused(f"{name}_FILE={file} is empty.")
    return content
