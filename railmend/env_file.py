"""The names in `.env`: their lines, which are misspelt, and whether others can read its secrets."""

import difflib
import re
import stat
from codecs import BOM_UTF8
from collections.abc import Collection
from pathlib import Path

from dotenv import dotenv_values

from railmend.secrets import ENV_FILE

ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
OURS = "RAILMEND_"
# A provider's key, read by its own client.
SECRET = re.compile(r"(?:TOKEN|KEYS?|PASSWORD|SECRET)$")
# RAILWAY_TOKN is RAILWAY_TOKEN; OPENAI_API_KEY is not MODEL_API_KEY.
NEAR = 0.85


def lines() -> dict[str, int]:
    """Return each name's last line number, which is the one that counts; empty without a file."""
    try:
        text = Path(ENV_FILE).read_text(encoding="utf-8")
    except OSError:
        return {}
    matches = ((ASSIGNED.match(line), number) for number, line in enumerate(text.splitlines(), 1))
    return {match[1]: number for match, number in matches if match}


def encoding_problem() -> str:
    """Return why the file cannot be read; empty where it can be, or is not there.

    Editors of Windows write UTF-16, code pages, and marks with which the first name is lost.
    """
    try:
        content = Path(ENV_FILE).read_bytes()
        if "\0" not in content.decode() and not content.startswith(BOM_UTF8):
            return ""
    except OSError:
        return ""
    except UnicodeDecodeError:
        pass
    return f"{ENV_FILE} is not plain UTF-8: save it as UTF-8, without a byte order mark."


def misspelt(names: Collection[str]) -> list[str]:
    """Return a line for each name not in `names` that is meant for Railmend: similar, or with its prefix.

    The file may also hold what Docker Compose, OpenTelemetry or a model's provider read.
    """
    messages = []
    for name, number in lines().items():
        near = difflib.get_close_matches(name, names, 1, NEAR)
        if name in names or not (near or name.startswith(OURS)):
            continue
        meant = f"Did you mean {near[0]}?" if near else "All are listed in docs/settings.md."
        messages.append(f"{ENV_FILE}:{number}: {name} is not a setting. {meant}")
    return messages


def exposed(secrets: Collection[str]) -> list[str]:
    """Return a line if somebody else can read a secret in the file. `secrets`: names of variables."""
    file = Path(ENV_FILE)
    held = [name for name, value in dotenv_values(file).items() if value and _is_secret(name, secrets)]
    mode = stat.S_IMODE(file.stat().st_mode) if held else 0
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [
        f"{ENV_FILE} holds {held[0]}, and others can read it (mode {mode:03o}): run `chmod 600 {ENV_FILE}`."
    ]


def _is_secret(name: str, secrets: Collection[str]) -> bool:
    return not name.endswith("_FILE") and (name in secrets or bool(SECRET.search(name)))
