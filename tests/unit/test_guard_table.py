"""What the guard decides of changes as git sees them, by a table."""

import os
import subprocess

import pytest

from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.review import Plan, review
from railmend.coding.guard.settings import GuardSettings
from tests.unit.guard_attacks import ATTACKS
from tests.unit.guard_changes import CHANGES, PASSES, Change

ROWS = (*CHANGES, *ATTACKS)


def _quoted(path: str) -> bytes:
    return b'"' + os.fsencode(path).replace(b"\n", b"\\n") + b'"'


def _commit(mark: int, texts: list[tuple[str, str | None]]) -> bytes:
    """Return a commit of git fast-import(1) on a branch of its own."""
    out = b"commit refs/heads/c%d\ncommitter a <a@example.invalid> 0 +0000\ndata 0\ndeleteall\n" % mark
    for path, text in texts:
        if text is not None:
            data = text.encode()
            out += b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(data), data)
    return out


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> TrustedRepository:
    """Return a repository with two branches for each change: before and after it."""
    made = TrustedRepository(tmp_path_factory.mktemp("guard"), "file:///none", None)
    subprocess.run(["git", "init", "-q", "--bare", str(made.git_dir)], check=True)
    stream = b""
    for number, change in enumerate(ROWS):
        stream += _commit(2 * number, [(path, before) for path, before, _ in change.files])
        stream += _commit(2 * number + 1, [(path, after) for path, _, after in change.files])
    command = ["git", f"--git-dir={made.git_dir}", "fast-import", "--quiet"]
    subprocess.run(command, check=True, input=stream)
    return made


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_the_guard_decides_as_the_table_says(repository: TrustedRepository, number: int) -> None:
    change: Change = ROWS[number]
    files = repository.changed_files(f"c{2 * number + 1}", f"c{2 * number}")
    assert len(files) == len(change.files), change
    plan = Plan(text=change.plan, files=change.named, root_directories=change.roots)
    refused = review(files, plan, GuardSettings())
    told = [file.change().model_dump_json() for file in files]  # names that are no text among them
    assert all(told)
    if change.said == PASSES:
        assert refused == ()
    else:
        assert change.said in " ".join(refused)
        assert len(refused) <= 2, "one fault is told once"
