"""A trusted bare repository that the agent never sees, and the agent's own work tree.

The agent's `.git` (hooks, config, filters) is never used: commits are made with the trusted `--git-dir`
and the agent's `--work-tree`, and the token is given by environment to clone, fetch and push alone.
"""

import base64
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from railmend.coding.diff import ChangedFile

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
HUNK = re.compile(r"\+(\d+)")
PASSING = (
    *("could not resolve", "timed out", "connection", "failed to connect", "returned error: 5"),
    *("cannot lock ref", "hung up"),
)


class GitError(Exception):
    """What git said, without the token."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retryable = any(part in message.lower() for part in PASSING)


class TrustedRepository:
    """`root` holds `trusted.git` and the index; `tree`, by default in it, is the agent's. Blocking."""

    def __init__(self, root: Path, git_url: str, token: str | None, tree: Path | None = None) -> None:
        self._root = root
        self._url = git_url
        self._token = token
        self.git_dir = root / "trusted.git"
        self.tree = tree or root / "tree"

    def prepare(self, branch: str, commit: str | None) -> str:
        """Fetch, and lay `commit` (or the branch's head) into the tree. A prepared tree keeps its edits.

        Returns the base commit. Raises `GitError` when branch or commit do not exist.
        """
        done = self._root / "base"
        if done.exists() and self.tree.is_dir():
            return done.read_text().strip()
        self._root.mkdir(parents=True, exist_ok=True)
        if not (self.git_dir / "HEAD").exists():
            self._git("init", "--quiet", "--bare", str(self.git_dir), trusted=False)
        refs = f"+refs/heads/{branch}:refs/heads/{branch}"
        self._git("fetch", "--quiet", "--no-tags", self._url, refs, token=True)
        base = self._git("rev-parse", "--verify", f"{commit or 'refs/heads/' + branch}^{{commit}}").strip()
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        index = self._index()
        self._git("read-tree", base, index=index)
        self._git(f"--work-tree={self.tree}", "checkout-index", "--all", "--force", index=index)
        for name in HIDDEN:
            remove(self.tree / name)
        self._give_the_agent_a_git()
        done.write_text(base)
        return base

    def _give_the_agent_a_git(self) -> None:
        """A history of its own, without remotes: the agent may look at its diff, nothing more.

        It begins with the same empty commit each time: OpenCode keeps sessions by a repository's first
        commit, and a later turn on a tree that was laid out anew must find the session of the first.
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
        """The work tree as a git tree; submodules, and what is hidden from the agent, are those of `base`."""
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
        """Lay `tree` back over what a check or an installation left in the work tree."""
        now = self.snapshot(base)
        if now == tree:
            return
        rows = self._raw_rows(tree, now)
        for path, status, _, _ in rows:
            if status == "added":
                remove(self.tree / path)
        index = self._index()
        self._git("read-tree", tree, index=index)
        for path, status, _, _ in rows:
            if status != "added":
                command = (f"--work-tree={self.tree}", "checkout-index", "--force", "--", path)
                self._git(*command, index=index, cwd=self.tree)

    def commit(
        self, tree: str, base: str, message: str, author: tuple[str, str], when: datetime
    ) -> str | None:
        """Commit `tree` on `base`; None when nothing changed. The same input makes the same commit."""
        if tree == self._git("rev-parse", f"{base}^{{tree}}").strip():
            return None
        return self.commit_tree(tree, base, message, author, when)

    def commit_tree(
        self, tree: str, parent: str, message: str, author: tuple[str, str], when: datetime
    ) -> str:
        """A commit that is on no branch yet; author and date are given, so that it repeats."""
        name, mail = author
        stamp = f"{int(when.timestamp())} +0000"
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", name), ("EMAIL", mail), ("DATE", stamp))
        }
        return self._git("commit-tree", tree, "-p", parent, "-m", message, extra=who).strip()

    def touched(self, tree: str, base: str) -> list[ChangedFile]:
        """Every file in which `tree` differs from `base`; a rename is a deletion and an addition."""
        rows = self._raw_rows(base, tree)
        counts = self._counts(base, tree)
        lines = self._lines(base, tree) if len(rows) <= MAX_TEXTS else {}
        found = []
        for number, (path, status, old, new) in enumerate(rows):
            added, deleted = counts[path]
            text = added >= 0 and number < MAX_TEXTS
            found.append(
                ChangedFile(
                    path=path,
                    status=status,
                    additions=added,
                    deletions=deleted,
                    mode=new,
                    before=self.text(base, path) if text and old.startswith("100") else None,
                    after=self.text(tree, path) if text and new.startswith("100") else None,
                    added=lines[number][0] if text and number in lines else (),
                    removed=lines[number][1] if text and number in lines else (),
                )
            )
        return found

    def _raw_rows(self, base: str, tree: str) -> list[tuple[str, str, str, str]]:
        """Path, what happened, old and new mode."""
        names = {"A": "added", "D": "deleted"}
        raw = self._git("diff", "--no-renames", "--raw", "-z", base, tree).split("\0")
        rows = []
        for meta, path in zip(raw[0::2], raw[1::2], strict=False):
            old, new, _, _, kind = meta.removeprefix(":").split()
            rows.append((path, names.get(kind[0], "modified"), old, new))
        return rows

    def _counts(self, base: str, tree: str) -> dict[str, tuple[int, int]]:
        """Added and deleted lines; -1: binary."""
        counts = {}
        for row in filter(None, self._git("diff", "--no-renames", "--numstat", "-z", base, tree).split("\0")):
            added, deleted, path = row.split("\t", 2)
            counts[path] = (int(added), int(deleted)) if added != "-" else (-1, -1)
        return counts

    def _lines(self, base: str, tree: str) -> dict[int, tuple[tuple[tuple[int, str], ...], tuple[str, ...]]]:
        """Added lines with their number, and removed ones, by the position of the file in the diff."""
        text = self._git(*("diff", "--no-renames", "--no-ext-diff", "--no-textconv", "-U0"), base, tree)
        found: dict[int, tuple[tuple[tuple[int, str], ...], tuple[str, ...]]] = {}
        for number, section in enumerate(("\n" + text).split("\ndiff --git ")[1:]):
            added, removed, at = [], [], 0
            for line in section.split("\n@@ ")[1:]:
                header, _, body = line.partition("\n")
                at = int(HUNK.search(header)[1])  # type: ignore[index]  # git's own format
                for row in body.split("\n"):
                    if row.startswith("+"):
                        added.append((at, row[1:]))
                        at += 1
                    elif row.startswith("-"):
                        removed.append(row[1:])
            found[number] = (tuple(added), tuple(removed))
        return found

    def left_at(self, branch: str, base_branch: str) -> str | None:
        """Where a branch that was prepared left its base branch; None: it was not, or the base is gone.

        Raises `GitError` when the forge does not answer: a network that fails must not narrow the guard.
        """
        if not self._git("for-each-ref", f"refs/heads/{branch}"):
            return None
        refs = f"+refs/heads/{base_branch}:refs/railmend/base"
        try:
            self._git("fetch", "--quiet", "--no-tags", self._url, refs, token=True)
            return self._git("merge-base", "refs/railmend/base", f"refs/heads/{branch}").strip()
        except GitError as error:
            if error.retryable:
                raise
            logger.warning("the guard judges this round of %s alone: %s", branch, error)
            return None

    def authors(self, base: str, head: str) -> dict[str, set[str]]:
        """Mail addresses of those whose commits touched a path, from `base` to `head`.

        A merge is its author's as far as it differs from the branch before it.
        """
        found: dict[str, set[str]] = {}
        log = ("log", "--first-parent", "-m", "--no-renames", "--name-only", "-z", "--format=%x01%ae%x02")
        for commit in self._git(*log, f"{base}..{head}").split("\x01")[1:]:
            mail, _, names = commit.partition("\x02")
            for path in filter(None, names.strip("\0\n").split("\0")):
                found.setdefault(path.lstrip("\n"), set()).add(mail)
        return found

    def text(self, revision: str, path: str) -> str | None:
        """A regular file's text; None: not there, no regular file, or larger than `MAX_TEXT_BYTES`."""
        listed = self._git("ls-tree", "-l", "-z", revision, "--", path).split("\0")[0]
        meta = listed.partition("\t")[0].split()
        if len(meta) != 4 or not meta[0].startswith("100") or int(meta[3]) > MAX_TEXT_BYTES:
            return None
        return (
            self._git("cat-file", "blob", meta[2]).encode(errors="surrogateescape").decode(errors="replace")
        )

    def paths(self, revision: str) -> list[str]:
        """All files of a commit."""
        return [
            path for path in self._git("ls-tree", "-r", "-z", "--name-only", revision).split("\0") if path
        ]

    def remote_head(self, branch: str) -> str | None:
        line = self._git("ls-remote", self._url, f"refs/heads/{branch}", token=True)
        return line.split()[0] if line.strip() else None

    def push(self, branch: str, sha: str, expected: str | None) -> None:
        """`expected`: what the branch must be at now; None: it must not exist. Never overwrites more."""
        lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
        self._git("push", "--quiet", lease, self._url, f"{sha}:refs/heads/{branch}", token=True)

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
        """Out of the index alone; forced, or git would look into it first."""
        self._git(*("rm", "-rqf", "--cached", "--ignore-unmatch", "--", path), index=index, cwd=self.tree)

    def _kept(self, base: str) -> list[tuple[str, str, str]]:
        """Mode, object and path of the base's submodules and of what is hidden from the agent."""
        rows = []
        for row in filter(None, self._git("ls-tree", "-r", "-z", base).split("\0")):
            meta, path = row.split("\t", 1)
            mode, _, sha = meta.split()
            if mode == SUBMODULE or path.split("/")[0] in HIDDEN:
                rows.append((mode, sha, path))
        return rows

    def _git(
        self,
        *arguments: str,
        token: bool = False,
        trusted: bool = True,
        index: Path | None = None,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> str:
        command = ["git", *([f"--git-dir={self.git_dir}"] if trusted else []), *arguments]
        environment = {**self._environment(token), **(extra or {})}
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        try:
            done = subprocess.run(
                command,
                cwd=cwd or self._root,
                env=environment,
                capture_output=True,
                timeout=TIMEOUT_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {arguments[0]} timed out after {TIMEOUT_SECONDS} s") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-800:]
            raise GitError(f"git {arguments[0]} failed: {said}")
        return done.stdout.decode(errors="surrogateescape")

    def _environment(self, token: bool) -> dict[str, str]:
        """Built from nothing: no user or system configuration, no hooks, no helpers, no questions."""
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


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
