"""Undoes a merge in the trusted repository, exactly: nothing of it is left, and nothing else changes."""

import tempfile
from datetime import datetime
from pathlib import Path

from railmend.coding.git.commands import GitError
from railmend.coding.git.repository import TrustedRepository

# Author, date and message, which a rebase keeps and a squash does not.
SAME = "--format=%an%x00%ae%x00%at%x00%B"


class RevertConflict(GitError):
    """Only a person can tell how to undo it; the message says why."""


class RevertingRepository(TrustedRepository):
    """A repository that reverts merges. Its folder may be deleted afterwards. Blocking."""

    def revert(
        self,
        *,
        base_branch: str,
        merged: str,
        head: str,
        pull: str,
        branch: str,
        message: str,
        author: tuple[str, str],
        when: datetime,
    ) -> str:
        """Push to `branch` a commit on the base branch that undoes the merge of `head` as `merged`.

        `pull`: the reference under which the forge keeps `head`. Return the new commit's hash. Where nothing
        was merged since, the tree is exactly the one before; else later commits stay. Raise `RevertConflict`
        where it is not certain what the merge brought, or later commits changed the same lines. The same
        input makes the same commit: retries are safe.
        """
        self.fetch(base_branch)
        self._fetch(f"+{pull}:refs/railmend/pull")
        tip = self._git("rev-parse", "--verify", f"refs/heads/{base_branch}^{{commit}}").strip()
        tree = self._without(tip, merged, self._before(merged, head))
        if tree == self._git("rev-parse", f"{tip}^{{tree}}").strip():
            raise RevertConflict("Nothing of it is left in the base branch: somebody has undone it already.")
        return self.remote_head(branch) or self.publish(branch, tree, tip, message, author, when)

    def _before(self, merged: str, head: str) -> str:
        """Return the newest commit of the base branch, along first parents, that is older than the merge.

        A merge commit has the pull request as its second parent. A rebase made a copy of each commit but
        those of "Update branch"; a squash is one commit that is a copy of none.
        """
        parents = self._git("rev-parse", f"{merged}^@").split()
        if len(parents) == 2 and parents[1] == head:
            return parents[0]
        own = self._git("rev-list", "--topo-order", "--no-merges", head, f"^{merged}").split()
        if len(parents) != 1 or not own:
            raise RevertConflict("It was not merged by GitHub: its commits cannot be told apart from others.")
        tip, copies, missing = merged, 0, False
        for commit in own:
            if self._git("log", "-1", SAME, tip) == self._git("log", "-1", SAME, commit):
                tip, copies = self._git("rev-parse", f"{tip}^").strip(), copies + 1
            elif self._git("diff", "--name-only", f"{commit}^", commit):
                missing = True
        if copies and missing:
            raise RevertConflict("Only some of its commits are found in the base branch.")
        return tip if copies else parents[0]

    def _without(self, tip: str, merged: str, before: str) -> str:
        """Return the tree of `tip` without what came from `before` to `merged`: a three-way merge."""
        if tip == merged:
            return self._git("rev-parse", f"{before}^{{tree}}").strip()
        index = self._index()
        self._git("read-tree", "-i", "-m", "--aggressive", merged, tip, before, index=index)
        unmerged: dict[str, list[tuple[str, str]]] = {}
        for row in filter(None, self._git("ls-files", "-u", "-z", index=index).split("\0")):
            about, path = row.split("\t", 1)
            mode, sha, _ = about.split()
            unmerged.setdefault(path, []).append((mode, sha))
        for path, stages in unmerged.items():
            modes = {mode for mode, _ in stages}
            if len(stages) != 3 or len(modes) != 1 or not modes <= {"100644", "100755"}:
                raise RevertConflict(f"Later commits changed {path} in a way that only a person can undo.")
            sha = self._merged_file(path, [sha for _, sha in stages])
            entry = ("--add", "--cacheinfo", f"{modes.pop()},{sha},{path}")
            self._git("update-index", *entry, index=index)
        return self._git("write-tree", index=index).strip()

    def _merged_file(self, path: str, stages: list[str]) -> str:
        """Return the object that merges a file; `stages`: base, ours, theirs."""
        with tempfile.TemporaryDirectory(dir=self._root) as folder:
            files = [Path(folder, name) for name in ("base", "ours", "theirs")]
            for file, sha in zip(files, stages, strict=True):
                file.write_bytes(self._run("cat-file", "blob", sha).stdout)
            base, ours, theirs = map(str, files)
            done = self._run("merge-file", "-p", "-q", ours, base, theirs)
        if done.returncode:
            raise RevertConflict(
                f"What was merged cannot be undone: later commits changed the same lines of {path}."
            )
        return self._git("hash-object", "-w", "--stdin", stdin=done.stdout).strip()
