"""Commits made by GitHub itself, which signs those of an app; what git pushes is not signed.

https://docs.github.com/authentication/managing-commit-signature-verification/about-commit-signature-verification#signature-verification-for-bots
"""

import base64
from collections.abc import Mapping

from github import GithubException
from github.InputGitTreeElement import InputGitTreeElement
from github.Repository import Repository

from railmend.publishing.github.errors import GitHubError, classified

# Any mode of a file does for one that is deleted.
FILE = "100644"


class SignedCommits:
    """The commits of one repository. Modes and bytes are kept: the tree is the one that was reviewed."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def commit(
        self,
        branch: str,
        tree: str,
        parent: str,
        message: str,
        files: Mapping[str, tuple[str, bytes] | None],
        expected: str | None,
    ) -> str:
        """Commit `tree` on `parent` to a branch that is at `expected`, None: that does not exist yet.

        `files`: mode and content by path of what differs from `parent`; None: deleted. Raise `GitHubError`.
        """
        with classified(f"Commit on {branch}"):
            before = self._repository.get_git_commit(parent)
            entries = [self._entry(path, file) for path, file in files.items()]
            made = self._repository.create_git_tree(entries, before.tree)
            if made.sha != tree:
                raise GitHubError(f"GitHub made {made.sha} of the reviewed tree {tree}.", retryable=False)
            # With an author or a committer GitHub would not sign it.
            commit = self._repository.create_git_commit(message, made, [before]).sha
            self._move(branch, commit, expected)
        return commit

    def _entry(self, path: str, file: tuple[str, bytes] | None) -> InputGitTreeElement:
        if file is None:
            return InputGitTreeElement(path, FILE, "blob", sha=None)
        mode, content = file
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" not in text:
            return InputGitTreeElement(path, mode, "blob", content=text)
        blob = self._repository.create_git_blob(base64.b64encode(content).decode(), "base64")
        return InputGitTreeElement(path, mode, "blob", sha=blob.sha)

    def _move(self, branch: str, commit: str, expected: str | None) -> None:
        """Let the branch point to a commit; where it has moved meanwhile, the next attempt will see that."""
        if expected is None:
            try:
                self._repository.create_git_ref(f"refs/heads/{branch}", commit)
            except GithubException as error:
                if error.status != 422 or not self._exists(branch):
                    raise
                raise GitHubError(f"{branch} exists meanwhile.", retryable=True) from error
            return
        reference = self._repository.get_git_ref(f"heads/{branch}")
        if reference.object.sha != expected:
            raise GitHubError(f"{branch} has moved meanwhile.", retryable=True)
        reference.edit(commit)

    def _exists(self, branch: str) -> bool:
        try:
            self._repository.get_git_ref(f"heads/{branch}")
        except GithubException as error:
            if error.status == 404:
                return False
            raise
        return True
