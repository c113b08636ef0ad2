"""A trusted bare repository that the agent never sees, and the agent's own work tree.

The agent's `.git` (hooks, config, filters) is never used: commits are made with the trusted `--git-dir`
and the agent's `--work-tree`, and the token is given by environment to clone, fetch and push alone.
"""

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from railmend.contracts.repair import FileChange

# They are code or instructions to the OpenCode server: hidden from it, and put back in the commit.
HIDDEN = (".opencode", "opencode.json", "opencode.jsonc", ".claude", ".agents")
TIMEOUT_SECONDS = 300
PASSING = ("could not resolve", "timed out", "connection", "returned error: 5", "cannot lock ref", "hung up")


class GitError(Exception):
    """What git said, without the token."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retryable = any(part in message.lower() for part in PASSING)


class TrustedRepository:
    """`root` holds `trusted.git`, `tree` (the agent's) and the index. Blocking."""

    def __init__(self, root: Path, git_url: str, token: str | None) -> None:
        self._root = root
        self._url = git_url
        self._token = token
        self.git_dir = root / "trusted.git"
        self.tree = root / "tree"

    def prepare(self, branch: str, commit: str | None) -> str:
        """Fetch, and lay `commit` (or the branch's head) into the tree. A prepared tree keeps its edits.

        Returns the base commit. Raises `GitError` when branch or commit do not exist.
        """
        done = self._root / "base"
        if done.exists():
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
            _remove(self.tree / name)
        self._give_the_agent_a_git()
        done.write_text(base)
        return base

    def _give_the_agent_a_git(self) -> None:
        """A history of its own, without remotes: the agent may look at its diff, nothing more."""
        for arguments in (("init", "--quiet", "-b", "work"), ("add", "-A"), ("commit", "-qm", "Start")):
            self._git(
                *("-C", str(self.tree), "-c", "user.name=agent", "-c", "user.email=agent@localhost"),
                *arguments,
                trusted=False,
            )

    def commit(self, base: str, message: str, author: tuple[str, str], when: datetime) -> str | None:
        """Commit the work tree on `base`; None when nothing changed. The same input makes the same commit."""
        tree = self._write_tree(base)
        if tree == self._git("rev-parse", f"{base}^{{tree}}").strip():
            return None
        name, mail = author
        stamp = f"{int(when.timestamp())} +0000"
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", name), ("EMAIL", mail), ("DATE", stamp))
        }
        return self._git("commit-tree", tree, "-p", base, "-m", message, extra=who).strip()

    def changes(self, base: str) -> list[FileChange]:
        tree = self._write_tree(base)
        names = {"A": "added", "M": "modified", "D": "deleted", "T": "modified"}
        status = self._git("diff", "--no-renames", "--name-status", "-z", base, tree).split("\0")
        kinds = dict(zip(status[1::2], status[0::2], strict=False))
        found = []
        for row in filter(None, self._git("diff", "--no-renames", "--numstat", "-z", base, tree).split("\0")):
            added, deleted, path = row.split("\t", 2)
            found.append(
                FileChange(
                    path=path,
                    status=names.get(kinds.get(path, "M"), "modified"),
                    additions=int(added) if added != "-" else -1,  # -1: binary
                    deletions=int(deleted) if deleted != "-" else -1,
                )
            )
        return found

    def diff(self, base: str, limit: int) -> str:
        tree = self._write_tree(base)
        return self._git("diff", "--no-renames", "--no-ext-diff", "--no-textconv", base, tree)[:limit]

    def modes(self, base: str) -> dict[str, str]:
        """The new git mode of each changed path, such as 100644, or 120000 for a symbolic link."""
        raw = self._git("diff", "--no-renames", "--raw", "-z", base, self._write_tree(base)).split("\0")
        return {path: meta.split()[1] for meta, path in zip(raw[0::2], raw[1::2], strict=False)}

    def remote_head(self, branch: str) -> str | None:
        line = self._git("ls-remote", self._url, f"refs/heads/{branch}", token=True)
        return line.split()[0] if line.strip() else None

    def push(self, branch: str, sha: str, expected: str | None) -> None:
        """`expected`: what the branch must be at now; None: it must not exist. Never overwrites more."""
        lease = f"--force-with-lease=refs/heads/{branch}:{expected or ''}"
        self._git("push", "--quiet", lease, self._url, f"{sha}:refs/heads/{branch}", token=True)

    def remove(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def _index(self) -> Path:
        index = self._root / "index"
        index.unlink(missing_ok=True)
        return index

    def _write_tree(self, base: str) -> str:
        index = self._index()
        self._git("read-tree", base, index=index)
        self._git(f"--work-tree={self.tree}", "add", "-A", ".", index=index, cwd=self.tree)
        for name in HIDDEN:
            self._git("rm", "-rq", "--cached", "--ignore-unmatch", "--", name, index=index, cwd=self.tree)
            if self._git("ls-tree", base, "--", name).strip():
                listing = self._git("ls-tree", "-r", "-z", base, "--", name)
                for row in filter(None, listing.split("\0")):
                    meta, path = row.split("\t", 1)
                    mode, _, sha = meta.split()
                    self._git("update-index", "--add", "--cacheinfo", f"{mode},{sha},{path}", index=index)
        return self._git("write-tree", index=index).strip()

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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
