"""A trusted bare repository that the agent never sees, and the agent's own work tree.

Git never runs in what the agent could write: the work tree is read by `foreign_files`, and what differs from
the base is copied. Its `.git` (hooks, config, filters) is never used: commits are made with the trusted
`--git-dir`, and the token is given by environment to clone, fetch and push alone.
"""

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from railmend.coding.git.changes import ComparedTrees
from railmend.coding.git.commands import LEFTOVERS, GitError, failure
from railmend.coding.git.work_tree import BaseFile, WorkTree
from railmend.coding.sandbox import foreign_files

logger = logging.getLogger(__name__)

# They are code or instructions to the OpenCode server: hidden from it, and put back in the commit.
HIDDEN = (".opencode", "opencode.json", "opencode.jsonc", ".claude", ".agents")
LEFTOVER_FOLDERS = frozenset(name.rstrip("/") for name in LEFTOVERS if name.endswith("/"))
SUBMODULE = "160000"
# How many commits deep an agent can look back; evidence names the newest of them.
HISTORY = 200
# In the trusted repository: what a work tree's history is fetched from.
BASE_REF = "refs/railmend/base"


class BranchMoved(GitError):
    """The push was refused because the remote branch is not where it was expected to be."""


@dataclass(frozen=True)
class Snapshot:
    """A work tree as a git tree. `oversized`: bytes by path of what was too large to be taken into it."""

    tree: str
    oversized: Mapping[str, int]


class Signer(Protocol):
    """A forge that makes and signs commits itself."""

    def commit(
        self,
        branch: str,
        tree: str,
        parent: str,
        message: str,
        files: Mapping[str, tuple[str, bytes] | None],
        expected: str | None,
    ) -> str:
        """Commit `tree` to a branch that is at `expected`; `files`: what differs from `parent`."""
        ...


class TrustedRepository(ComparedTrees):
    """A bare repository in `root`, and the agent's work tree, `root/tree` unless given. Blocking.

    `signer`: who makes the commits that are published; None: git, without a signature.
    """

    def __init__(
        self,
        root: Path,
        git_url: str,
        token: str | None,
        tree: Path | None = None,
        signer: Signer | None = None,
    ) -> None:
        super().__init__(root, git_url, token)
        self.tree = tree or root / "tree"
        self._signer = signer

    def prepare(self, branch: str, commit: str | None) -> str:
        """Fetch and check out `commit` (or the branch's head); return it. A prepared tree keeps its edits.

        Raise `GitError` when branch or commit do not exist.
        """
        base_file = self._root / "base"
        if base_file.exists() and self.tree.is_dir():
            return base_file.read_text().strip()
        self.fetch(branch)
        base = self._git("rev-parse", "--verify", f"{commit or 'refs/heads/' + branch}^{{commit}}").strip()
        foreign_files.remove_tree(self.tree)
        self.export(base, self.tree, hidden=HIDDEN)
        self._init_work_tree()
        self._add_history(base)
        base_file.write_text(base)
        return base

    def fetch(self, branch: str) -> None:
        """Make the bare repository where there is none, and bring `branch` up to date in it."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.git_dir / "HEAD").exists():
            self._git("init", "--quiet", "--bare", str(self.git_dir), trusted=False)
        self._fetch(f"+refs/heads/{branch}:refs/heads/{branch}")

    def _fetch(self, refs: str) -> None:
        self._git("fetch", "--quiet", "--no-tags", self._url, refs, token=True)

    def _init_work_tree(self) -> None:
        """Give the agent a history of its own, without remotes, in which it sees its diff.

        Its first commit is the same empty one each time: OpenCode keeps sessions by a repository's first
        commit, and a later turn on a tree that was checked out anew must find the session of the first.
        """
        first = {f"GIT_{role}_DATE": "@0 +0000" for role in ("AUTHOR", "COMMITTER")}
        for arguments, extra in (
            (("init", "--quiet", "-b", "work"), None),
            (("commit", "-qm", "Begin", "--allow-empty"), first),
            (("add", "-A"), None),
            (("commit", "-qm", "Start", "--allow-empty"), None),
        ):
            self._git(
                *("-C", str(self.tree), "-c", "user.name=agent", "-c", "user.email=agent@localhost"),
                *arguments,
                trusted=False,
                extra=extra,
            )

    def _add_history(self, base: str) -> None:
        """Put the commits up to the base beside it, on no branch: they are looked at by hash.

        On a branch their first commit could be the one that OpenCode keeps sessions by.
        """
        self._git("update-ref", BASE_REF, base)
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", f"--depth={HISTORY}")
        self._git("-C", str(self.tree), *fetch, self.git_dir.as_uri(), BASE_REF, trusted=False)

    def export(
        self, revision: str, folder: Path, *, hidden: Collection[str] = (), only: Iterable[str] | None = None
    ) -> None:
        """Check the files of a commit or tree out into `folder`, which is made; at its top all but `hidden`.

        `only`: these paths, not all.
        """
        folder.mkdir(mode=0o700)
        index = self._index()
        self._git("read-tree", revision, index=index)
        if hidden:
            self._git(*("rm", "-rqf", "--cached", "--ignore-unmatch", "--", *hidden), index=index, cwd=folder)
        what = ("--all",) if only is None else ("-z", "--stdin")
        command = (f"--work-tree={folder}", "checkout-index", "--force", *what)
        self._git(*command, index=index, cwd=folder, stdin=_listed(only or ()))

    def snapshot(self, base: str) -> str:
        """Return the work tree as a git tree; see `take`."""
        return self.take(base).tree

    def take(self, base: str) -> Snapshot:
        """Return the work tree as a git tree; submodules and `HIDDEN` files are those of `base`.

        Nothing of the repair may run meanwhile. What is too large to be taken stays as in `base`.
        """
        files = self.files(base)
        kept = [path for path, file in files.items() if _is_kept(path, file)]
        tracked = {part for path in files for part in path.split("/")[:-1]}
        tree = WorkTree(
            self.tree,
            {path: file for path, file in files.items() if not _is_kept(path, file)},
            ignored=frozenset((*HIDDEN, *kept)),
            skip=LEFTOVER_FOLDERS - tracked,
        )
        copy, index = self._root / "taken", self._index()
        foreign_files.remove_tree(copy)
        self._git("read-tree", base, index=index)
        try:
            tree.lay_out(copy)
            work = f"--work-tree={copy}"
            listing = ("ls-files", "-z", "--others", "--exclude-standard")
            new = self._git(work, *listing, index=index, cwd=copy).split("\0")
            oversized = tree.copy_changed(copy, filter(None, new))
            for change, paths in (("--force-remove", tree.gone), ("--add", tree.taken)):
                command = (work, "update-index", change, "-z", "--stdin")
                self._git(*command, index=index, cwd=copy, stdin=_listed(paths))
            for folder in tree.repositories:  # the guard refuses submodules, so which commit does not matter
                entry = ("--add", "--replace", "--cacheinfo", f"{SUBMODULE},{base},{folder}")
                self._git("update-index", *entry, index=index, cwd=copy)
        finally:
            foreign_files.remove_tree(copy)
        return Snapshot(self._git("write-tree", index=index).strip(), oversized)

    def restore(self, tree: str, base: str) -> None:
        """Reset the work tree to `tree`, undoing what an installation left in it."""
        now = self.take(base)
        rows = {row.path: row.status for row in self._differences(tree, now.tree)[0]}
        known = self.files(tree)
        rows |= {path: "modified" if path in known else "added" for path in now.oversized}
        for path in rows:
            foreign_files.remove(self.tree, path)
        self.lay(tree, [path for path, status in rows.items() if status != "added"], self.tree)

    def lay(self, tree: str, paths: Collection[str], target: Path) -> None:
        """Put the files `paths` of a tree into a folder that foreign code could write to."""
        if not paths:
            return
        copy = self._root / "laid"
        foreign_files.remove_tree(copy)
        try:
            self.export(tree, copy, only=paths)
            for path in paths:
                if not (copy / path).is_dir():  # of a submodule
                    foreign_files.copy(copy, target, path, foreign_files.ANY_SIZE)
        finally:
            foreign_files.remove_tree(copy)

    def write_blob(self, text: str) -> str:
        """Return the object of a new file."""
        return self._git("hash-object", "-w", "--stdin", stdin=text.encode(errors="surrogateescape")).strip()

    def changed_tree(self, tree: str, entries: Mapping[str, tuple[str, str] | None]) -> str:
        """Return `tree` with other files: mode and object by path; None: without it."""
        index = self._index()
        self._git("read-tree", tree, index=index)
        rows = []
        for path, entry in sorted(entries.items(), key=lambda row: row[1] is not None):  # room first
            mode, sha = entry or ("0", "0" * 40)
            rows.append(f"{mode} {sha}\t{path}\0")
        stdin = os.fsencode("".join(rows))
        self._git("update-index", "-z", "--index-info", index=index, stdin=stdin)
        return self._git("write-tree", index=index).strip()

    def commit(
        self, tree: str, base: str, message: str, author: tuple[str, str], when: datetime
    ) -> str | None:
        """Commit `tree` on `base`; return None when nothing changed. The same input makes the same commit."""
        if tree == self._git("rev-parse", f"{base}^{{tree}}").strip():
            return None
        return self.commit_tree(tree, base, message, author, when)

    def commit_tree(
        self, tree: str, parent: str, message: str, author: tuple[str, str], when: datetime
    ) -> str:
        """Return a commit that is on no branch yet. The same input makes the same commit."""
        name, mail = author
        stamp = f"{int(when.timestamp())} +0000"
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", name), ("EMAIL", mail), ("DATE", stamp))
        }
        return self._git("commit-tree", tree, "-p", parent, "-m", message, extra=who).strip()

    def merge_base(self, branch: str, base_branch: str) -> str | None:
        """Return where `branch` left its base branch; None: it was never prepared, or the base is gone.

        Raise `GitError` when the forge does not answer: a network that fails must not narrow the guard.
        """
        if not self._git("for-each-ref", f"refs/heads/{branch}"):
            return None
        try:
            self._fetch(f"+refs/heads/{base_branch}:refs/railmend/base")
            return self._git("merge-base", "refs/railmend/base", f"refs/heads/{branch}").strip()
        except GitError as error:
            if error.retryable:
                raise
            logger.warning("the guard judges this round of %s alone: %s", branch, error)
            return None

    def authors(self, base: str, head: str) -> dict[str, set[str]]:
        """Return by path the mail addresses of those whose commits changed it, from `base` to `head`.

        A merge counts as its author's as far as it differs from the branch before it.
        """
        authors: dict[str, set[str]] = {}
        log = ("log", "--first-parent", "-m", "--no-renames", "--name-only", "-z", "--format=%x01%ae%x02")
        for commit in self._git(*log, f"{base}..{head}").split("\x01")[1:]:
            mail, _, names = commit.partition("\x02")
            for path in filter(None, names.strip("\0\n").split("\0")):
                authors.setdefault(path.lstrip("\n"), set()).add(mail)
        return authors

    def remote_head(self, branch: str) -> str | None:
        line = self._git("ls-remote", self._url, f"refs/heads/{branch}", token=True)
        return line.split()[0] if line.strip() else None

    def publish(
        self, branch: str, tree: str, base: str, message: str, author: tuple[str, str], when: datetime
    ) -> str:
        """Commit `tree` on `base`, to a branch that is there or does not exist yet; return the commit.

        Where nothing changed that is `base`. What an earlier attempt left there is kept. Raise
        `BranchMoved` when the branch is elsewhere.
        """
        made = self.commit(tree, base, message, author, when)
        remote = self.remote_head(branch)
        expected = remote and base
        if made is None or self._signer is None:
            sha = made or base
            if remote != sha:
                self.push(branch, sha, expected)
            return sha
        if remote != expected:
            self._fetch(f"+refs/heads/{branch}:refs/railmend/published")
            published = "refs/railmend/published"
            if self._git("log", "-1", "--format=%T %P", published).strip() == f"{tree} {base}":
                return self._git("rev-parse", published).strip()
            raise BranchMoved(f"{branch} has moved since it was read: it is at {remote}")
        return self._signer.commit(branch, tree, base, message, self._changes(base, tree), expected)

    def _changes(self, base: str, tree: str) -> dict[str, tuple[str, bytes] | None]:
        """Return mode and content of what differs, by path; None: deleted."""
        return {
            row.path: None
            if row.status == "deleted"
            else (row.new_mode, self._run("cat-file", "blob", row.new_sha).stdout)
            for row in self._differences(base, tree)[0]
        }

    def push(self, branch: str, sha: str, expected: str | None) -> None:
        """Push `sha` if the branch is at `expected` now; None: if it does not exist.

        Raise `BranchMoved` when it is not, which overwrites nothing, and `GitError` for any other failure.
        """
        lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
        refs = f"{sha}:refs/heads/{branch}"
        done = self._run("push", "--quiet", "--porcelain", lease, self._url, refs, token=True)
        if not done.returncode:
            return
        # git-push(1), OUTPUT: flag, refs and summary; `[rejected]` is git's own refusal, `[remote rejected]`
        # that of the forge.
        rows = done.stdout.decode(errors="replace").splitlines()
        refusals = [row.split("\t")[-1] for row in rows if row.startswith("!")]
        if any(refusal.startswith("[rejected]") for refusal in refusals):
            raise BranchMoved(f"{branch} has moved since it was read: {'; '.join(refusals)}")
        raise failure("push", "\n".join([*refusals, done.stderr.decode(errors="replace")]))


def _listed(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _is_kept(path: str, file: BaseFile) -> bool:
    """Return whether a file of the base is a submodule, or hidden from the agent."""
    return file.mode == SUBMODULE or path.split("/")[0] in HIDDEN
