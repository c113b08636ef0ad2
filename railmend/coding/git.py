"""A trusted bare repository that the agent never sees, and the agent's own work tree.

Git never runs in what the agent could write: the work tree is read by `railmend/coding/foreign_files.py`,
and what differs from the base is copied. Its `.git` (hooks, config, filters) is never used: commits are made
with the trusted `--git-dir`, and the token is given by environment to clone, fetch and push alone.
"""

import base64
import logging
import os
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from railmend.coding import foreign_files
from railmend.coding.diff import ChangedFile, ChangedLines, parse_diff
from railmend.coding.work_tree import BaseFile, WorkTree
from railmend.source.manifests import manifests_of

logger = logging.getLogger(__name__)

# They are code or instructions to the OpenCode server: hidden from it, and put back in the commit.
HIDDEN = (".opencode", "opencode.json", "opencode.jsonc", ".claude", ".agents")
# What installing and testing leaves behind, for repositories whose .gitignore forgets it.
LEFTOVERS = ("node_modules/", "__pycache__/", "*.pyc", ".venv/", ".pytest_cache/", ".mypy_cache/", "target/")
LEFTOVER_FOLDERS = frozenset(name.rstrip("/") for name in LEFTOVERS if name.endswith("/"))
TIMEOUT_SECONDS = 300
# Texts are read for the guard up to these; what is larger is refused for its size alone. Lines cost more
# than their bytes in memory.
MAX_TEXT_BYTES = 1_000_000
# Lock files of a workspace are larger; of these, the lines that changed are read and no more.
MAX_LOCK_BYTES = 4_000_000
MAX_TEXTS = 100
MAX_ALL_TEXTS_BYTES = 8_000_000
MAX_LINES = 50_000
# A list of changed files is read up to this: some 10,000 of them.
MAX_LIST_BYTES = 2_000_000
MORE = "the change has more files than can be listed"
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
    old_sha: str
    new_sha: str


@dataclass(frozen=True)
class Snapshot:
    """A work tree as a git tree. `oversized`: bytes by path of what was too large to be taken into it."""

    tree: str
    oversized: Mapping[str, int]


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
        foreign_files.remove_tree(self.tree)
        self.export(base, self.tree, hidden=HIDDEN)
        self._init_work_tree()
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

    def export(
        self, revision: str, folder: Path, *, hidden: Collection[str] = (), only: Iterable[str] | None = None
    ) -> None:
        """Check the files of a commit or tree out into `folder`, which is made; at its top all but `hidden`.

        `only`: these paths, not all.
        """
        folder.mkdir(mode=0o700)
        index = self._index()
        self._git("read-tree", revision, index=index)
        for name in hidden:
            self._git(*("rm", "-rqf", "--cached", "--ignore-unmatch", "--", name), index=index, cwd=folder)
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
        rows = {row.path: row.status for row in self._raw_rows(tree, now.tree)[0]}
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

    def changed_files(
        self, tree: str, base: str, oversized: Mapping[str, int] | None = None
    ) -> list[ChangedFile]:
        """Return every file in which `tree` differs from `base`; a rename is a deletion and an addition.

        `oversized`: of the snapshot that `tree` is, files that it does not hold.
        """
        rows, more = self._raw_rows(base, tree)
        counts = self._counts(base, tree)
        unread = self._unread(rows, counts)
        lines = self._changed_lines(base, tree, [row.path for row in rows if unread[row.path] is None])
        files = []
        for row in rows:
            additions, deletions = counts.get(row.path, (-1, -1))
            readable = additions >= 0 and unread[row.path] is None
            changed = lines.get(row.path, ChangedLines()) if readable else ChangedLines()
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
                    unread=MORE if more and row is rows[-1] else unread[row.path],
                )
            )
        known = {row.path for row in rows}
        for path, size in (oversized or {}).items():
            if path not in known:
                files.append(ChangedFile(path, "modified", -1, -1, unread=_too_large(size)))
        return files

    def _raw_rows(self, base: str, tree: str) -> tuple[list[_RawRow], bool]:
        """Return the differences, and whether there are more than could be listed."""
        kinds = {"A": "added", "D": "deleted"}
        raw, more = self._head("diff", "--no-renames", "--no-abbrev", "--raw", "-z", base, tree)
        fields = raw.split("\0")
        rows = []
        for meta, path in zip(fields[0::2], fields[1::2], strict=False):
            old_mode, new_mode, old_sha, new_sha, kind = meta.removeprefix(":").split()
            rows.append(_RawRow(path, kinds.get(kind[0], "modified"), old_mode, new_mode, old_sha, new_sha))
        return (rows[:-1], True) if more else (rows, False)

    def _counts(self, base: str, tree: str) -> dict[str, tuple[int, int]]:
        """Return added and deleted lines by path; -1: binary, or too large for git to look into."""
        counts = {}
        raw, more = self._head("diff", "--no-renames", "--numstat", "-z", base, tree)
        rows = raw.split("\0")
        for row in filter(None, rows[:-1] if more else rows):
            added, deleted, path = row.split("\t", 2)
            counts[path] = (int(added), int(deleted)) if added != "-" else (-1, -1)
        return counts

    def _unread(self, rows: list[_RawRow], counts: Mapping[str, tuple[int, int]]) -> dict[str, str | None]:
        """Return by path why a file's lines are not read; sizes are asked for before any content."""
        sizes = self._sizes({sha for row in rows for sha in (row.old_sha, row.new_sha)})
        unread: dict[str, str | None] = {}
        texts, all_bytes, all_lines = 0, 0, 0
        for row in rows:
            size = max(sizes.get(row.old_sha, 0), sizes.get(row.new_sha, 0))
            additions, deletions = counts.get(row.path, (-1, -1))
            if size > (MAX_LOCK_BYTES if manifests_of(row.path) else MAX_TEXT_BYTES):
                unread[row.path] = _too_large(size)
                continue
            texts, all_lines = texts + 1, all_lines + additions + deletions
            all_bytes += size if size <= MAX_TEXT_BYTES else 0
            if texts > MAX_TEXTS or all_bytes > MAX_ALL_TEXTS_BYTES or all_lines > MAX_LINES:
                unread[row.path] = "the whole change is too large to be read"
            else:
                unread[row.path] = None
        return unread

    def _sizes(self, objects: Collection[str]) -> dict[str, int]:
        """Return bytes by object; what is not here (none, or a submodule's commit) is left out."""
        stdin = "".join(f"{each}\n" for each in objects).encode()
        rows = self._git("cat-file", "--batch-check", stdin=stdin).splitlines() if objects else []
        found = (row.split() for row in rows)
        return {fields[0]: int(fields[2]) for fields in found if len(fields) == 3}

    def _changed_lines(self, base: str, tree: str, paths: Collection[str]) -> dict[str, ChangedLines]:
        if not paths:
            return {}
        options = (
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "-U0",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        )
        done = self._run("--literal-pathspecs", "diff", *options, base, tree, "--", *paths)
        if done.returncode:
            raise failure("diff", done.stderr.decode(errors="replace"))
        return parse_diff(done.stdout)

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
        return list(self.files(revision))

    def files(self, revision: str) -> dict[str, BaseFile]:
        """Return by path mode, object and size of all files of a commit or tree."""
        files = {}
        for row in filter(None, self._git("ls-tree", "-r", "-l", "-z", revision).split("\0")):
            meta, path = row.split("\t", 1)
            mode, _, sha, size = meta.split()
            files[path] = BaseFile(mode, sha, int(size) if size.isdigit() else 0)
        return files

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

    def _git(self, *arguments: str, **options: Any) -> str:
        """Return what the command prints. Raise `GitError` when it fails. `options`: those of `_run`."""
        done = self._run(*arguments, **options)
        if done.returncode:
            raise failure(arguments[0], done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="surrogateescape")

    def _head(self, *arguments: str) -> tuple[str, bool]:
        """Return the first `MAX_LIST_BYTES` that a command prints, and whether that was not all."""
        command = ["git", f"--git-dir={self.git_dir}", *arguments]
        with subprocess.Popen(
            command,
            cwd=self._root,
            env=self._environment(token=False),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            raw = process.stdout.read(MAX_LIST_BYTES + 1)
            if len(raw) <= MAX_LIST_BYTES:
                if process.wait(TIMEOUT_SECONDS):
                    raise failure(arguments[0], f"exit code {process.returncode}")
                return raw.decode(errors="surrogateescape"), False
            process.kill()
        return raw[:MAX_LIST_BYTES].decode(errors="surrogateescape"), True

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
            # Larger files are binary to git: it compares no lines of them.
            "core.bigFileThreshold": str(MAX_LOCK_BYTES),
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


def _listed(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _is_kept(path: str, file: BaseFile) -> bool:
    """Return whether a file of the base is a submodule, or hidden from the agent."""
    return file.mode == SUBMODULE or path.split("/")[0] in HIDDEN


def _too_large(size: int) -> str:
    return f"its {size / 1_000_000:.1f} MB are more than the {MAX_TEXT_BYTES / 1_000_000:g} MB that are read"
