"""Merge, squash and rebase, as GitHub does them."""

from collections.abc import Sequence
from pathlib import Path

from railyard.forge.store import Forge, git

METHODS = ("merge", "squash", "rebase")


def merged(
    forge: Forge, full_name: str, ends: tuple[str, str], method: str, message: str, user: str
) -> str | None:
    """Return the commit that the base moves to, None on a conflict. `ends`: base and head."""
    base, head = ends
    if method == "rebase":
        return _rebased(forge, full_name, base, head, user)
    tree = forge.merge_tree(full_name, base, head)
    if tree is None:
        return None
    parents = [base, head] if method == "merge" else [base]
    return commit_tree(
        forge.git_dir(full_name), tree, parents, message, _by("AUTHOR", user) | _by("COMMITTER", user)
    )


def _rebased(forge: Forge, full_name: str, base: str, head: str, user: str) -> str | None:
    """Recreate each commit on the base, with its own author and message."""
    path, tip = forge.git_dir(full_name), base
    for sha in git(path, "rev-list", "--reverse", "--no-merges", f"{base}..{head}").split():
        if base == git(path, "merge-base", base, head):
            tree: str | None = git(path, "rev-parse", f"{sha}^{{tree}}")
        else:
            tree = forge.merge_tree(full_name, tip, sha)
        if tree is None:
            return None
        name, mail, date = git(path, "show", "-s", "--format=%an%n%ae%n%aI", sha).split("\n")
        author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": date}
        message = git(path, "show", "-s", "--format=%B", sha) + "\n"
        tip = commit_tree(path, tree, [tip], message, author | _by("COMMITTER", user))
    return tip


def who(role: str, name: str, email: str) -> dict[str, str]:
    """Return git's environment for an `AUTHOR` or a `COMMITTER`."""
    return {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email}


def _by(role: str, user: str) -> dict[str, str]:
    return who(role, user, f"{user}@localhost")


def commit_tree(path: Path, tree: str, parents: Sequence[str], message: str, who: dict[str, str]) -> str:
    flags = [part for sha in parents for part in ("-p", sha)]
    return git(path, "commit-tree", tree, *flags, data=message.encode(), env=who)
