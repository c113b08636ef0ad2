"""What several rounds of one pull request come to, in real repositories."""

from pathlib import Path

import pytest

from railmend.coding.git.commands import GitError
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.review import Plan, Round, review_rounds
from railmend.coding.settings import GuardSettings
from tests import samples
from tests.unit.test_workspace import BOT, run

BRANCH = "railmend/0123456789ab"
TEST = "def test_a():\n    assert one() == 1\n    assert two() == 2\n"


class PullRequest:
    def __init__(self, folder: Path) -> None:
        work = folder / "work"
        (work / "tests").mkdir(parents=True)
        (work / "app.py").write_text("x = 1\n")
        (work / "tests" / "test_app.py").write_text(TEST)
        run(work, "init", "-q", "-b", "main")
        run(work, "add", "-A")
        run(work, "commit", "-qm", "first")
        self.origin = folder / "origin.git"
        run(folder, "clone", "-q", "--bare", str(work), str(self.origin))
        self._folder, self._work, self._rounds = folder, work, 0

    def round(self, settings: GuardSettings | None = None, **files: str) -> tuple[str, ...]:
        """Railmend's next commit, by path with `__` for `/`; its refusals. Pushed, whatever they are."""
        self._rounds += 1
        repository = TrustedRepository(
            self._folder / f"round{self._rounds}", f"file://{self.origin}", "tok_secret"
        )
        base = repository.prepare(BRANCH if self._rounds > 1 else "main", None)
        for name, text in files.items():
            (repository.tree / name.replace("__", "/")).with_suffix(".py").write_text(text)
        tree = repository.snapshot(base)
        current = Round(
            files=repository.changed_files(tree, base),
            head=base,
            tree=tree,
            merge_base=repository.merge_base(BRANCH, "main"),
            author=BOT[1],
        )
        refused = review_rounds(repository, current, Plan(), settings or GuardSettings(max_lines=20))
        sha = repository.commit(tree, base, "round", BOT, samples.NOW)
        assert sha is not None
        repository.push(BRANCH, sha, base if self._rounds > 1 else None)
        return refused

    def person(self, **files: str) -> None:
        run(self._work, "pull", "-q", "--no-edit", str(self.origin), BRANCH)
        for name, text in files.items():
            (self._work / name.replace("__", "/")).with_suffix(".py").write_text(text)
        run(self._work, "add", "-A")
        run(self._work, "commit", "-qm", "mine")
        run(self._work, "push", "-q", str(self.origin), f"HEAD:{BRANCH}")


@pytest.fixture
def pull_request(tmp_path: Path) -> PullRequest:
    return PullRequest(tmp_path)


def lines(count: int, name: str = "v") -> str:
    return "".join(f"{name}{number} = {number}\n" for number in range(count))


def test_rounds_that_are_small_alone_are_not_small_together(pull_request: PullRequest) -> None:
    assert pull_request.round(one=lines(12)) == ()
    (said,) = pull_request.round(two=lines(12))
    assert said == "With the rounds before: The change has 24 lines; at most 20 are allowed."


def test_a_test_is_not_taken_away_piece_by_piece(pull_request: PullRequest) -> None:
    assert pull_request.round(app="x = 2\n") == ()
    (said,) = pull_request.round(tests__test_app=TEST.replace("    assert two() == 2\n", ""))
    assert said == "tests/test_app.py has 1 assertion fewer than before."


def test_what_a_round_moves_out_of_sight_is_missed_by_all_together(pull_request: PullRequest) -> None:
    doubled = TEST + "    assert three() == 3\n"
    assert pull_request.round(tests__test_app=doubled) == ()
    # Two fewer than before this round, one fewer than at the start.
    alone, together = pull_request.round(tests__test_app="def test_a():\n    assert one() == 1\n")
    assert alone == "tests/test_app.py has 2 assertions fewer than before."
    assert together == "With the rounds before: tests/test_app.py has 1 assertion fewer than before."


def test_the_work_of_a_person_is_not_held_against_the_agent(pull_request: PullRequest) -> None:
    assert pull_request.round(one=lines(12)) == ()
    # Together with the agent's lines it would be too much.
    pull_request.person(mine=lines(6), one=lines(14))
    assert pull_request.round(two=lines(3)) == ()


def test_what_reviewers_have_seen_refused_stops_no_later_round(pull_request: PullRequest) -> None:
    assert pull_request.round(one=lines(30)) != ()
    assert pull_request.round(two=lines(3)) == ()


def test_without_its_base_branch_the_round_is_judged_alone_and_the_log_says_so(
    pull_request: PullRequest, caplog: pytest.LogCaptureFixture
) -> None:
    assert pull_request.round(one=lines(12)) == ()
    run(pull_request.origin, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    run(pull_request.origin, "branch", "-D", "main")
    assert pull_request.round(two=lines(12)) == ()
    assert "judges this round of railmend/0123456789ab alone" in caplog.text


def test_a_forge_that_does_not_answer_does_not_narrow_the_guard(
    pull_request: PullRequest, tmp_path: Path
) -> None:
    assert pull_request.round(one=lines(12)) == ()
    folder = tmp_path / "follow-up"
    TrustedRepository(folder, f"file://{pull_request.origin}", None).prepare(BRANCH, None)
    with pytest.raises(GitError) as told:
        TrustedRepository(folder, "http://127.0.0.1:9/x.git", None).merge_base(BRANCH, "main")
    assert told.value.retryable
