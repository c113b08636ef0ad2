"""A trusted bare repository that the agent never sees, and the agent's own work tree.

The agent's `.git` (hooks, config, filters) is never used: commits are made with the trusted `--git-dir`
and the agent's `--work-tree`, and the token is given by environment to clone, fetch and push alone.
"""

import base64
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from railmend.coding.diff import ChangedFile, ChangedLines, parse_diff

logger = logging.getLogger(__name__)

# They are code or instructions to the OpenCode server: hidden from it, and put back in the commit.
HIDDEN = (".opencode", "opencode.json", "opencode.jsonc", ".claude", ".agents")
# What installing and testing leaves behind, for repositories whose .gitignore forgets it.
LEFTOVERS = ("node_modules/", "__pycache__/", "*.pyc", ".venv/", ".pytest_cache/", ".mypy_cache/", "target/")
TIMEOUT_SECONDS = 300
# Texts are read for the guard up to these; larger changes are refused by their size alone.
MAX_TEXT_BYTES = 1_000_000
MAX_TEXTS = 100
SUBMODULE = "160000"
# Git has no codes for what failed: these parts of its messages say that a later try may succeed.
TRANSIENT = (
    *("could not resolve", "timed out", "connection", "failed to connect", "returned error: 5"),
    *("cannot lock ref", "hung up"),
)


class GitError(Exception):
    """A git command failed; the message is git's own, without the token."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class BranchMoved(GitError):
    """The push was refused because the remote branch is not where it was expected to be."""


class _RawRow(NamedTuple):
    path: str
    status: str
    old_mode: str
    new_mode: str


class TrustedRepository:
    """A bare repository in `root`, and the agent's work tree, `root/tree` unless given. Blocking."""

    def __init__(self, root: Path, git_url: str, token: str | None, tree: Path | None = None) -> None:
        self._root = root
        self._url = git_url
        self._token = token
        self.git_dir = root / "trusted.git"
        self.tree = tree or root / "tree"

    def prepare(self, branch: str, commit: str | None) -> str:
        """Fetch and check out `commit` (or the branch's head); return it. A prepared tree keeps its edits.

        Raise `GitError` when branch or commit do not exist.
        """
        base_file = self._root / "base"
        if base_file.exists() and self.tree.is_dir():
            return base_file.read_text().strip()
        self.fetch(branch)
        base = self._git("rev-parse", "--verify", f"{commit or 'refs/heads/' + branch}^{{commit}}").strip()
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        index = self._index()
        self._git("read-tree", base, index=index)
        self._git(f"--work-tree={self.tree}", "checkout-index", "--all", "--force", index=index)
        for name in HIDDEN:
            remove(self.tree / name)
        self._init_work_tree()
        base_file.write_text(base)
        return base

    def fetch(self, branch: str) -> None:
        """Make the bare repository where there is none, and bring `branch` up to date in it."""
        self._root.mkdir(parents=True, exist_ok=True)
        if not (self.git_dir / "HEAD").exists():
            self._git("init", "--quiet", "--bare", str(self.git_dir), trusted=False)
        self._fetch(f"+refs/heads/{branch}:refs/heads/{branch}")

    def _fetch(self, refs: str) -> None:
        self._git("fetch", "--quiet", "--no-tags", self._url, refs, token=True)

    def _init_work_tree(self) -> None:
        """Give the agent a history of its own, without remotes, so that it can see its diff and no more.

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

    def snapshot(self, base: str) -> str:
        """Return the work tree as a git tree; submodules and `HIDDEN` files are those of `base`."""
        index = self._index()
        self._git("read-tree", base, index=index)
        kept = self._kept(base)
        # Out of the index first: git would run `git status` in a submodule's folder, with the configuration
        # that the agent may have put there.
        for path in {path for _, _, path in kept} | set(HIDDEN):
            self._forget(path, index)
        self._git(f"--work-tree={self.tree}", "add", "-A", ".", index=index, cwd=self.tree)
        for name in HIDDEN:
            self._forget(name, index)
        for mode, sha, path in kept:
            self._forget(path, index)
            self._git("update-index", "--add", "--cacheinfo", f"{mode},{sha},{path}", index=index)
        return self._git("write-tree", index=index).strip()

    def restore(self, tree: str, base: str) -> None:
        """Reset the work tree to `tree`, undoing what a check or an installation left in it."""
        now = self.snapshot(base)
        if now == tree:
            return
        rows = self._raw_rows(tree, now)
        for row in rows:
            if row.status == "added":
                remove(self.tree / row.path)
        index = self._index()
        self._git("read-tree", tree, index=index)
        for row in rows:
            if row.status != "added":
                command = (f"--work-tree={self.tree}", "checkout-index", "--force", "--", row.path)
                self._git(*command, index=index, cwd=self.tree)

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

    def changed_files(self, tree: str, base: str) -> list[ChangedFile]:
        """Return every file in which `tree` differs from `base`; a rename is a deletion and an addition."""
        rows = self._raw_rows(base, tree)
        counts = self._counts(base, tree)
        lines = self._changed_lines(base, tree) if len(rows) <= MAX_TEXTS else []
        files = []
        for number, row in enumerate(rows):
            additions, deletions = counts[row.path]
            readable = additions >= 0 and number < MAX_TEXTS
            changed = lines[number] if readable and number < len(lines) else ChangedLines()
            files.append(
                ChangedFile(
                    path=row.path,
                    status=row.status,
                    additions=additions,
                    deletions=deletions,
                    mode=row.new_mode,
                    before=self.text(base, row.path) if readable and row.old_mode.startswith("100") else None,
                    after=self.text(tree, row.path) if readable and row.new_mode.startswith("100") else None,
                    added=changed.added,
                    removed=changed.removed,
                )
            )
        return files

    def _raw_rows(self, base: str, tree: str) -> list[_RawRow]:
        names = {"A": "added", "D": "deleted"}
        raw = self._git("diff", "--no-renames", "--raw", "-z", base, tree).split("\0")
        rows = []
        for meta, path in zip(raw[0::2], raw[1::2], strict=False):
            old_mode, new_mode, _, _, kind = meta.removeprefix(":").split()
            rows.append(_RawRow(path, names.get(kind[0], "modified"), old_mode, new_mode))
        return rows

    def _counts(self, base: str, tree: str) -> dict[str, tuple[int, int]]:
        """Return added and deleted lines by path; -1: binary."""
        counts = {}
        for row in filter(None, self._git("diff", "--no-renames", "--numstat", "-z", base, tree).split("\0")):
            added, deleted, path = row.split("\t", 2)
            counts[path] = (int(added), int(deleted)) if added != "-" else (-1, -1)
        return counts

    def _changed_lines(self, base: str, tree: str) -> list[ChangedLines]:
        options = ("--no-renames", "--no-ext-diff", "--no-textconv", "-U0")
        return parse_diff(self._git("diff", *options, base, tree))

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

    def text(self, revision: str, path: str) -> str | None:
        """Return a file's text; None: not there, not a regular file, or larger than `MAX_TEXT_BYTES`."""
        listed = self._git("ls-tree", "-l", "-z", revision, "--", path).split("\0")[0]
        meta = listed.partition("\t")[0].split()
        if len(meta) != 4 or not meta[0].startswith("100") or int(meta[3]) > MAX_TEXT_BYTES:
            return None
        return (
            self._git("cat-file", "blob", meta[2]).encode(errors="surrogateescape").decode(errors="replace")
        )

    def paths(self, revision: str) -> list[str]:
        """Return the paths of all files of a commit."""
        return [
            path for path in self._git("ls-tree", "-r", "-z", "--name-only", revision).split("\0") if path
        ]

    def remote_head(self, branch: str) -> str | None:
        line = self._git("ls-remote", self._url, f"refs/heads/{branch}", token=True)
        return line.split()[0] if line.strip() else None

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

    def _excludes(self) -> Path:
        file = self._root / "excludes"
        if not file.exists() and self._root.is_dir():
            file.write_text("\n".join(LEFTOVERS) + "\n")
        return file

    def _index(self) -> Path:
        index = self._root / "index"
        index.unlink(missing_ok=True)
        return index

    def _forget(self, path: str, index: Path) -> None:
        """Remove `path` from the index alone; forced, or git would look into it first."""
        self._git(*("rm", "-rqf", "--cached", "--ignore-unmatch", "--", path), index=index, cwd=self.tree)

    def _kept(self, base: str) -> list[tuple[str, str, str]]:
        """Return mode, object and path of the base's submodules and of what is hidden from the agent."""
        rows = []
        for row in filter(None, self._git("ls-tree", "-r", "-z", base).split("\0")):
            meta, path = row.split("\t", 1)
            mode, _, sha = meta.split()
            if mode == SUBMODULE or path.split("/")[0] in HIDDEN:
                rows.append((mode, sha, path))
        return rows

    def _git(self, *arguments: str, **options: Any) -> str:
        """Return what the command prints. Raise `GitError` when it fails. `options`: those of `_run`."""
        done = self._run(*arguments, **options)
        if done.returncode:
            raise failure(arguments[0], done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="surrogateescape")

    def _run(
        self,
        *arguments: str,
        token: bool = False,
        trusted: bool = True,
        index: Path | None = None,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        seconds: float = TIMEOUT_SECONDS,
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", *([f"--git-dir={self.git_dir}"] if trusted else []), *arguments]
        environment = {**self._environment(token), **(extra or {})}
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        try:
            return subprocess.run(
                command,
                cwd=cwd or self._root,
                env=environment,
                input=stdin,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {arguments[0]} timed out after {seconds:g} s", retryable=True) from error

    def _environment(self, token: bool) -> dict[str, str]:
        """Return a whole environment: no user or system configuration, no hooks, helpers or questions."""
        config = {
            "core.hooksPath": os.devnull,
            "credential.helper": "",
            "http.followRedirects": "false",
            "core.fsmonitor": "false",
            # Filters named by the tree's .gitattributes are defined nowhere here, so none runs.
            "core.attributesFile": os.devnull,
            "core.excludesFile": str(self._excludes()),
        }
        if token and self._token:
            parts = urlsplit(self._url)
            basic = base64.b64encode(f"x-access-token:{self._token}".encode()).decode()
            config[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {basic}"
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self._root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for number, (key, value) in enumerate(config.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return environment


def failure(command: str, output: str) -> GitError:
    """Return the error for a git command that failed with `output`."""
    retryable = any(part in output.lower() for part in TRANSIENT)
    return GitError(f"git {command} failed: {output.strip()[-800:]}", retryable=retryable)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
