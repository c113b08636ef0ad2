"""Several rounds of one pull request, each small enough, looked at together."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.coding import CodingActivities
from activities.workbench import Workbench
from railmend.coding.git import TrustedRepository
from railmend.coding.guard import Plan, review
from railmend.coding.guard_rounds import review_rounds
from railmend.coding.guard_settings import GuardSettings
from railmend.coding.metering import Limits
from railmend.contracts.repair import Change, CodingRequest, Workspace
from railmend.publishing.text import BOT
from tests import samples
from tests.unit.test_workspace import run

BRANCH = samples.repair().branch
SETTINGS = GuardSettings(max_lines=50, max_files=3)
TESTS = "".join(f"def test_{number}():\n    assert {number}\n\n\n" for number in range(15))


def numbered(first: int, last: int, word: str = "line") -> str:
    return "".join(f"{word} {number}\n" for number in range(first, last))


class PullRequest:
    """A branch that Railmend's rounds and people's commits take turns on."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._origin, self._person = folder / "origin.git", folder / "person"
        run(folder, "init", "-q", "--bare", "-b", "main", str(self._origin))
        run(folder, "clone", "-q", str(self._origin), str(self._person))
        run(self._person, "checkout", "-qb", "main")
        self.person("main", {"app.txt": numbered(0, 60), "tests/test_app.py": TESTS})

    def person(self, branch: str, files: dict[str, str], author: str = "dev <dev@x.invalid>") -> None:
        if run(self._person, "ls-remote", "origin", branch):
            run(self._person, "fetch", "-q", "origin")
            run(self._person, "checkout", "-qB", branch, f"origin/{branch}")
        for name, text in files.items():
            (self._person / name).parent.mkdir(exist_ok=True)
            (self._person / name).write_text(text)
        run(self._person, "add", "-A")
        run(self._person, "commit", "-qm", "by hand", f"--author={author}")
        run(self._person, "push", "-q", "origin", branch)

    def merge_main(self) -> None:
        run(self._person, "fetch", "-q", "origin")
        run(self._person, "checkout", "-qB", BRANCH, f"origin/{BRANCH}")
        run(self._person, "merge", "-q", "--no-edit", "origin/main")
        run(self._person, "push", "-q", "origin", BRANCH)

    def without(self, branch: str) -> None:
        run(self._origin, "update-ref", "-d", f"refs/heads/{branch}")

    async def reviewed(self, edit: Callable[[Path], object]) -> Change:
        """A follow-up as the worker reviews it; nothing is pushed."""
        repository = TrustedRepository(self._folder / "reviewed", f"file://{self._origin}", None)
        base = repository.prepare(BRANCH, None)
        edit(repository.tree)
        bench = cast(Workbench, SimpleNamespace(repository=lambda key, name: repository))
        nobody = cast(Any, None)
        coding = CodingActivities(bench, task_queue="q", server_for=nobody, limits=Limits(), guard=SETTINGS)
        repair = samples.repair()
        workspace = Workspace(
            key=repair.key,
            repository=repair.repository,
            task_queue="q",
            work_tree=str(repository.tree),
            base=base,
        )
        request = CodingRequest(workspace=workspace, repair=repair, turn=1)
        return cast(Change, await ActivityEnvironment().run(coding.review_change, request))

    def round(self, edit: Callable[[Path], object]) -> tuple[str, ...]:
        """What the guard says; the round is pushed whatever it says."""
        self._count += 1
        folder = self._folder / f"round{self._count}"
        repository = TrustedRepository(folder, f"file://{self._origin}", None)
        base = repository.prepare("main" if self._count == 1 else BRANCH, None)
        edit(repository.tree)
        tree = repository.snapshot(base)
        now = repository.touched(tree, base)
        earlier = repository.rounds(BRANCH, "main", base, BOT[1])
        sha = repository.commit(tree, base, f"round {self._count}", BOT, samples.NOW)
        assert sha is not None
        repository.push(BRANCH, sha, None if self._count == 1 else base)
        return (*review(now, Plan(), SETTINGS), *review_rounds(earlier, now, SETTINGS))


@pytest.fixture
def pull(tmp_path: Path) -> PullRequest:
    return PullRequest(tmp_path)


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda tree: (tree / name).write_text(text)


def test_rounds_that_add_up_to_too_many_lines_are_refused(pull: PullRequest) -> None:
    assert pull.round(write("one.txt", numbered(0, 30))) == ()
    assert pull.round(write("two.txt", numbered(0, 30))) == (
        "With the earlier rounds: The change has 60 lines; at most 50 are allowed.",
    )


def test_what_people_commit_in_between_does_not_count(pull: PullRequest) -> None:
    assert pull.round(write("one.txt", numbered(0, 20))) == ()
    theirs = numbered(0, 20) + numbered(0, 300, "theirs")
    pull.person(BRANCH, {"one.txt": theirs, "more.txt": numbered(0, 300), "b": "", "c": "", "d": ""})
    assert pull.round(write("one.txt", theirs + numbered(0, 20, "ours"))) == ()


def test_what_is_merged_from_the_base_branch_does_not_count(pull: PullRequest) -> None:
    """Not even an earlier repair, whose commits have the same author."""
    assert pull.round(write("one.txt", numbered(0, 20))) == ()
    pull.person("main", {"earlier.txt": numbered(0, 300)}, author="{} <{}>".format(*BOT))
    pull.merge_main()
    assert pull.round(write("two.txt", numbered(0, 20))) == ()


def test_a_round_that_takes_back_an_earlier_one_makes_the_change_smaller(pull: PullRequest) -> None:
    assert pull.round(write("one.txt", numbered(0, 39))) == ()
    assert pull.round(write("one.txt", numbered(0, 5))) == ()
    assert pull.round(write("two.txt", numbered(0, 40))) == ()


def test_a_file_rewritten_in_two_halves_is_refused(pull: PullRequest) -> None:
    assert pull.round(write("app.txt", numbered(25, 60))) == ()
    assert pull.round(write("app.txt", numbered(50, 60))) == (
        "With the earlier rounds: app.txt was rewritten: 50 of its 60 lines are gone.",
    )


def test_a_test_deleted_in_two_halves_is_refused_both_times_and_told_once(pull: PullRequest) -> None:
    name, half = "tests/test_app.py", TESTS[: len(TESTS) // 2]
    assert len(pull.round(write(name, half))) == 1
    said = pull.round(lambda tree: (tree / name).unlink())
    assert said[0] == f"{name} is a test and was deleted."
    assert sum("deleted" in each for each in said) == 1


def test_a_round_too_large_by_itself_is_told_once(pull: PullRequest) -> None:
    assert pull.round(write("one.txt", numbered(0, 30))) == ()
    assert pull.round(write("two.txt", numbered(0, 70))) == (
        "The change has 70 lines; at most 50 are allowed.",
    )


def test_what_was_published_as_a_draft_is_not_told_again(pull: PullRequest) -> None:
    assert len(pull.round(write("one.txt", numbered(0, 70)))) == 1
    assert pull.round(write("two.txt", "small\n")) == ()


async def test_a_follow_up_is_reviewed_with_the_earlier_round(pull: PullRequest) -> None:
    pull.round(write("one.txt", numbered(0, 30)))
    change = await pull.reviewed(write("two.txt", numbered(0, 30)))
    assert change.refused == ("With the earlier rounds: The change has 60 lines; at most 50 are allowed.",)
    assert [file.path for file in change.files] == ["two.txt"]


async def test_without_the_base_branch_it_is_reviewed_alone_and_the_log_says_so(
    pull: PullRequest, caplog: pytest.LogCaptureFixture
) -> None:
    pull.round(write("one.txt", numbered(0, 30)))
    pull.without("main")
    assert (await pull.reviewed(write("two.txt", numbered(0, 30)))).refused == ()
    assert "judges this round alone" in caplog.text
