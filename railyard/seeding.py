"""Create a demo service's repository with the manifest's history as real commits."""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from railyard.forge.store import git

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.db")


def seed(git_dir: Path, entry: dict[str, Any], services_dir: Path) -> str:
    """Commit the service's history to `main` of the bare repository unless it exists; return its head.

    An entry of `history` may hold `before`: what the commit after it (the last) changes, so that the
    earlier state is the tree with `find` replaced by `put`. Raises ValueError when `find` is missing.
    """
    head = git(git_dir, "rev-parse", "-q", "--verify", "refs/heads/main", check=False)
    if head:
        return head
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        history = entry["history"]
        for number, commit in enumerate(history):
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(services_dir / entry["name"], tree, ignore=LEFT_OUT)
            for later in reversed(history[number + 1 :]):
                _take_back(tree, later.get("before", []))
            _commit(git_dir, tree, commit)
    return git(git_dir, "rev-parse", "refs/heads/main")


def _take_back(tree: Path, changes: list[dict[str, str]]) -> None:
    for change in changes:
        file = tree / change["file"]
        text = file.read_text()
        if change["find"] not in text:
            raise ValueError(f"{change['file']} does not hold {change['find'][:60]!r}: correct the manifest.")
        file.write_text(text.replace(change["find"], change["put"]))


def _commit(git_dir: Path, tree: Path, commit: dict[str, Any]) -> None:
    name, _, mail = commit["author"].partition(" <")
    when = (datetime.now(UTC) - timedelta(days=commit["days_ago"], minutes=5)).isoformat()
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", mail.rstrip(">")), ("DATE", when))
    }
    index = {"GIT_INDEX_FILE": str(tree.parent / "index")}
    git(git_dir, f"--work-tree={tree}", "-C", str(tree), "add", "-A", "-f", ".", env=index)
    written = git(git_dir, "write-tree", env=index)
    parent = git(git_dir, "rev-parse", "-q", "--verify", "refs/heads/main", check=False)
    parents = ["-p", parent] if parent else []
    sha = git(git_dir, "commit-tree", written, *parents, "-m", commit["message"], env=who)
    git(git_dir, "update-ref", "refs/heads/main", sha)
