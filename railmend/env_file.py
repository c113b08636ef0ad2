"""The names in `.env`: on which line each stands, and which of them is a slip of the pen."""

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
    """The last line of each name, which is the one that counts; empty where there is no file."""
    try:
        text = Path(ENV_FILE).read_text(encoding="utf-8")
    except OSError:
        return {}
    found = ((ASSIGNED.match(line), number) for number, line in enumerate(text.splitlines(), 1))
    return {match[1]: number for match, number in found if match}


def slips(known: Collection[str]) -> list[str]:
    """One line for each unknown name that was meant for Railmend: it begins so, or is spelt nearly so.

    The file may also hold what Docker Compose, OpenTelemetry or a model's provider read.
    """
    told = []
    for name, number in lines().items():
        near = difflib.get_close_matches(name, known, 1, NEAR)
        if name in known or not (near or name.startswith(OURS)):
            continue
        meant = f"Is {near[0]} meant?" if near else "All are listed in docs/settings.md."
        told.append(f"{ENV_FILE}:{number}: {name} is no setting. {meant}")
    return told
