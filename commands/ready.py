"""Imported first by the entry points: says where Railmend is not set up, and quickens the next imports.

Written for every Python 3: it must not fail on the version that it complains about.
"""

import gc
import importlib.util
import os
import sys

OLDEST = (3, 11)


def problem(version: "tuple[int, ...]", installed: bool, own: str) -> str:
    """Return what to do before anything can run; empty: nothing. `own`: Railmend's own Python."""
    if os.path.exists(own) and (version < OLDEST or not installed):
        return "This is not Railmend's own Python. Run: {} {}".format(own, " ".join(sys.argv))
    if version < OLDEST:
        found = ".".join(map(str, version[:2]))
        return f"Railmend needs Python 3.11 or newer, and this is {found}. Run: make setup PYTHON=python3.11"
    return "" if installed else "Railmend is not set up yet. Run: make setup"


home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
missing = problem(
    tuple(sys.version_info[:3]),
    importlib.util.find_spec("typer") is not None,
    os.path.join(home, ".venv", "bin", "python"),
)
if missing:
    sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {missing}\n")
    sys.exit(2)

# The collector's default would search all that is being imported a hundred times, a tenth of the start.
usual = gc.get_threshold()
gc.set_threshold(500_000)
# Else pydantic reads what every installed package declares, to find plugins of its own: there are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def imported() -> None:
    """Collect as usual from here on, for a process that stays, and never search what was imported again."""
    gc.freeze()
    gc.set_threshold(*usual)
