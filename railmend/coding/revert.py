"""Undoes a merge in the trusted repository, exactly: nothing of it is left, and nothing else changes."""

from datetime import datetime

from railmend.coding.git import GitError, TrustedRepository


class RevertConflict(GitError):
    """Later commits changed the same lines: only a person can tell how to undo it."""


class RevertingRepository(TrustedRepository):
    """A repository that reverts merges. Its folder may be deleted afterwards. Blocking."""

    def revert(
        self,
        *,
        base_branch: str,
        merged: str,
        commits: int,
        branch: str,
        message: str,
        author: tuple[str, str],
        when: datetime,
    ) -> str:
        """Push to `branch` a commit on the base branch that undoes `commits` commits up to `merged`.

        Return its hash. Where nothing was merged since, the tree is exactly the one before; else later
        commits stay, or `RevertConflict` is raised. The same input makes the same commit: retries are safe.
        """
        self.fetch(base_branch)
        head = self._git("rev-parse", "--verify", f"refs/heads/{base_branch}^{{commit}}").strip()
        before = self._git("rev-parse", "--verify", f"{merged}~{commits}^{{commit}}").strip()
        tree = self._reverted_tree(head, merged, before)
        sha = self.commit_tree(tree, head, message, author, when)
        remote = self.remote_head(branch)
        if remote is None:
            self.push(branch, sha, None)
            return sha
        return remote

    def _reverted_tree(self, head: str, merged: str, before: str) -> str:
        if head == merged:
            return self._git("rev-parse", f"{before}^{{tree}}").strip()
        patch = self._root / "revert.patch"
        difference = self._git(
            "diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", merged, before
        )
        patch.write_bytes(difference.encode(errors="surrogateescape"))
        index = self._index()
        self._git("read-tree", head, index=index)
        try:
            self._git("apply", "--cached", "--whitespace=nowarn", str(patch), index=index)
        except GitError as error:
            raise RevertConflict(
                f"What was merged cannot be undone by itself, later commits changed the same lines: {error}"
            ) from error
        return self._git("write-tree", index=index).strip()
