"""What releases left: histories and stored data. `python -m tests.replay.freeze` adds those of this version.

`next` is of the release to come. What is frozen is never changed: `frozen.sha256` says what it was.
"""

import sys
import tomllib
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
HISTORIES, GOLDEN = HERE / "histories", HERE / "golden"
FROZEN = HERE / "frozen.sha256"
NEXT = "next"


def released() -> dict[str, str]:
    """Return the digest of each file of a release, by its path from here."""
    files = [*HISTORIES.glob("*/*.json"), *GOLDEN.glob("*.json")]
    names = {file: str(file.relative_to(HERE)) for file in sorted(files)}
    return {
        name: sha256(file.read_bytes()).hexdigest()
        for file, name in names.items()
        if NEXT not in (file.parent.name, file.stem)
    }


def frozen() -> dict[str, str]:
    """Return the same as it was when it was frozen."""
    lines = FROZEN.read_text().splitlines() if FROZEN.exists() else ()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def freeze(version: str) -> str:
    """Make what is in `next` that of the version; return what is wrong, or an empty text."""
    moves = ((HISTORIES / NEXT, HISTORIES / version), (GOLDEN / f"{NEXT}.json", GOLDEN / f"{version}.json"))
    if released() != frozen():
        return "A file of an earlier release was changed, added or removed: restore it with git checkout."
    for source, target in moves:
        if target.exists():
            return f"{version} is frozen already: set the new version in pyproject.toml first."
        if not source.exists():
            return f"{source} is missing: run python -m tests.replay.record and tests.replay.examples."
    for source, target in moves:
        source.rename(target)
    FROZEN.write_text("".join(f"{digest}  {name}\n" for name, digest in released().items()))
    return ""


if __name__ == "__main__":
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]
    sys.exit(freeze(project["version"]) or None)
