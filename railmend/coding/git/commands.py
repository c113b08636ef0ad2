"""Run git on a trusted bare repository, and read commits and trees."""

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from railmend.coding.git.work_tree import BaseFile

# What installing and testing leaves behind, for repositories whose .gitignore forgets it.
LEFTOVERS = ("node_modules/", "__pycache__/", "*.pyc", ".venv/", ".pytest_cache/", ".mypy_cache/", "target/")
TIMEOUT_SECONDS = 300
# Larger texts are read for nobody: they are refused for their size alone.
MAX_TEXT_BYTES = 1_000_000
# Lock files of a workspace are larger; of these, the lines that changed are read and no more.
MAX_LOCK_BYTES = 4_000_000
# A list of changed files is read up to this: some 10,000 of them.
MAX_LIST_BYTES = 2_000_000
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


class GitCommands:
    """A bare repository in `root`. Blocking."""

    def __init__(self, root: Path, git_url: str, token: str | None) -> None:
        self._root = root
        self._url = git_url
        self._token = token
        self.git_dir = root / "trusted.git"

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
            "GIT_LITERAL_PATHSPECS": "1",  # a file may be called `:(exclude)*`
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for number, (key, value) in enumerate(config.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return environment


def failure(command: str, output: str) -> GitError:
    """Return the error for a git command that failed with `output`."""
    retryable = any(part in output.lower() for part in TRANSIENT)
    return GitError(f"git {command} failed: {output.strip()[-800:]}", retryable=retryable)
