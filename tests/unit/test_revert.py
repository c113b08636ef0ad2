"""A merge is undone exactly, or not at all: generated histories in real git, merged in all three ways."""

import itertools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railmend.coding.git.revert import RevertConflict, RevertingRepository
from tests import samples

STEPS = ("fix", "follow up", "person", "main", "update", "main undoes")
AUTHOR = ("Railmend", "1+railmend@users.noreply.github.com")


class History:
    """One shared file with a line for each step, and files of its own for each side."""

    def __init__(self, folder: Path) -> None:
        self.origin, self._work = folder / "origin.git", folder / "work"
        self._clock = itertools.count(1_700_000_000, 60)
        self._git("init", "-q", "-b", "main", str(self._work), cwd=folder)
        self.lines = {"main": [f"line {n}" for n in range(60)], "fix": [""] * 60}
        self._write("shared.txt", self.lines["main"])
        self._commit("first")
        self._git("branch", "fix")
        self.without = list(self.lines["main"])

    def _git(self, *arguments: str, cwd: Path | None = None) -> str:
        stamp = f"{next(self._clock)} +0000"
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "Ada"), ("EMAIL", "ada@example.invalid"), ("DATE", stamp))
        }
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(cwd or self._work),
            "GIT_EDITOR": "true",
            **who,
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self._work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _write(self, name: str, lines: list[str]) -> None:
        (self._work / name).write_text("\n".join(lines) + "\n")

    def _commit(self, message: str) -> None:
        self._git("add", "-A")
        self._git("commit", "-q", "-m", message)

    def step(self, kind: str, number: int) -> None:
        """Change one line of the shared file, far from those of other steps, or update the branch."""
        branch = "main" if kind.startswith("main") else "fix"
        self._git("checkout", "-q", branch)
        if kind == "update":
            self._git("merge", "-q", "--no-ff", "-m", "Merge branch 'main' into fix", "main")
            return
        file = self._work / "shared.txt"
        lines = file.read_text().splitlines()
        lines[number * 5] = f"{kind} {number}"
        self._write("shared.txt", lines)
        if branch == "main":
            self.without[number * 5] = f"{kind} {number}"
        else:
            self._write(f"own-{number}.txt", [kind])
        self._commit(f"{kind} {number}")

    def merge(self, how: str) -> tuple[str, str]:
        head = self._git("rev-parse", "fix")
        if how == "rebase":
            self._git("checkout", "-q", "-b", "copy", "fix")
            self._git("rebase", "-q", "--no-ff", "main")  # GitHub commits anew, also where main stands still
            self._git("checkout", "-q", "main")
            self._git("merge", "-q", "--ff-only", "copy")
        else:
            self._git("checkout", "-q", "main")
            self._git(
                "merge", "-q", *(["--squash"] if how == "squash" else ["--no-ff", "-m", "Merge"]), "fix"
            )
            if how == "squash":
                self._git("commit", "-q", "-m", "A message that a person wrote")
        return self._git("rev-parse", "main"), head

    def queued(self, name: str, number: int) -> None:
        """Merge another pull request, which began before the fix did."""
        self._git("checkout", "-q", "-b", name, "main")
        self.step("main of others", number)
        self._git("branch", "-q", "-f", name, "main")
        self._git("checkout", "-q", name)
        self._write(f"{name}.txt", [name])
        self._commit(name)
        self._git("checkout", "-q", "main")
        self._git("merge", "-q", "--no-ff", "-m", f"Merge pull request {name}", name)

    def reverted(self, merged: str, head: str) -> tuple[list[str], list[str]]:
        """Return the shared file, and the other files, after a revert."""
        self._git("clone", "-q", "--bare", str(self._work), str(self.origin))
        self._git("--git-dir", str(self.origin), "update-ref", "refs/pull/1/head", head)
        repository = RevertingRepository(self.origin.parent / "revert", f"file://{self.origin}", None)
        sha = repository.revert(
            base_branch="main",
            merged=merged,
            head=head,
            pull="refs/pull/1/head",
            branch="railmend/k-revert",
            message="Revert",
            author=AUTHOR,
            when=samples.NOW,
        )
        names = [path for path in repository.paths(sha) if path != "shared.txt"]
        return (repository.text(sha, "shared.txt") or "").splitlines(), names


@settings(max_examples=12, deadline=None)
@given(
    before=st.lists(st.sampled_from(STEPS), max_size=6),
    how=st.sampled_from(("merge", "squash", "rebase")),
    after=st.integers(0, 2),
)
def test_the_tree_after_a_revert_is_the_tree_without_our_commits(
    before: list[str], how: str, after: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        for number, kind in enumerate(["fix", *before]):
            history.step(kind, number)
        merged, head = history.merge(how)
        for number in range(after):
            history.step("main later", 9 + number)
        assert history.reverted(merged, head) == (history.without, [])


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_merge_by_a_queue_is_undone_alone(tmp_path: Path, how: str) -> None:
    """A queue puts pull requests on top of each other, and moves the base to all of them at once."""
    history = History(tmp_path)
    history.step("fix", 0)
    history.step("fix", 1)
    history.queued("before", 5)
    merged, head = history.merge(how)
    history.queued("after", 7)
    assert history.reverted(merged, head) == (history.without, ["after.txt", "before.txt"])


@pytest.mark.parametrize("how", ["fast-forward", "merged the other way round"])
def test_what_github_did_not_merge_is_not_reverted_with_a_strangers_work(tmp_path: Path, how: str) -> None:
    history = History(tmp_path)
    history.step("fix", 0)
    if how == "fast-forward":
        history._git("checkout", "-q", "main")
        history._git("merge", "-q", "--ff-only", "fix")
    else:
        history.step("main", 1)
        history.step("update", 0)
        head = history._git("rev-parse", "fix^1")
        history._git("checkout", "-q", "main")
        history._git("merge", "-q", "--ff-only", "fix")
    head = history._git("rev-parse", "main") if how == "fast-forward" else head
    with pytest.raises(RevertConflict, match="not merged by GitHub"):
        history.reverted(history._git("rev-parse", "main"), head)


def test_a_line_that_was_changed_again_is_left_to_a_person(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.step("fix", 0)
    merged, head = history.merge("squash")
    history.step("main", 0)
    with pytest.raises(RevertConflict, match=r"same lines of shared\.txt"):
        history.reverted(merged, head)


def test_what_somebody_has_undone_already_is_not_undone_again(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.step("fix", 0)
    merged, head = history.merge("squash")
    history._git("revert", "--no-edit", "HEAD")
    with pytest.raises(RevertConflict, match="somebody has undone it already"):
        history.reverted(merged, head)


def test_a_base_that_has_only_some_of_the_commits_is_left_to_a_person(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(2):
        history.step("fix", number)
    history.step("main", 2)
    history._git("cherry-pick", "fix")
    with pytest.raises(RevertConflict, match="Only some of its commits"):
        history.reverted(history._git("rev-parse", "main"), history._git("rev-parse", "fix"))
