"""The names in `.env`: their lines, and which are misspelt."""

import difflib
import re
from collections.abc import Collection
from pathlib import Path

from railmend.secrets import ENV_FILE

ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
OURS = "RAILMEND_"
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


def misspelt(names: Collection[str]) -> list[str]:
    """Return a line for each name not in `names` that is meant for Railmend: similar, or with its prefix.

    The file may also hold what Docker Compose, OpenTelemetry or a model's provider read.
    """
    messages = []
    for name, number in lines().items():
        near = difflib.get_close_matches(name, names, 1, NEAR)
        if name in names or not (near or name.startswith(OURS)):
            continue
        meant = f"Is {near[0]} meant?" if near else "All are listed in docs/settings.md."
        messages.append(f"{ENV_FILE}:{number}: {name} is no setting. {meant}")
    return messages
