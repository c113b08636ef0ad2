"""What the guard decides of changes as git sees them, by a table."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from railmend.coding.git.diff import ChangedFile
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.review import Plan, review
from railmend.coding.settings import GuardSettings
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


# So many files are compared at a time: each comparison costs several processes, whatever it holds.
FILES, LETTERS = 60, 200_000


def _together() -> Iterator[list[int]]:
    """Yield rows whose changes git compares at once, each in a folder of its own."""
    part: list[int] = []
    files = letters = 0
    for number, change in enumerate(ROWS):
        size = sum(len(text or "") for _, *texts in change.files for text in texts)
        if part and (files + len(change.files) > FILES or letters + size > LETTERS):
            yield part
            part, files, letters = [], 0, 0
        part.append(number)
        files, letters = files + len(change.files), letters + size
    yield part


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[ChangedFile]]:
    """Return by row what git says of its change."""
    made = TrustedRepository(tmp_path_factory.mktemp("guard"), "file:///none", None)
    subprocess.run(["git", "init", "-q", "--bare", str(made.git_dir)], check=True)
    parts, stream = list(_together()), b""
    for mark, part in enumerate(parts):
        files = [(f"{number}/{path}", *texts) for number in part for path, *texts in ROWS[number].files]
        for side in (0, 1):
            stream += _commit(2 * mark + side, [(path, texts[side]) for path, *texts in files])
    command = ["git", f"--git-dir={made.git_dir}", "fast-import", "--quiet"]
    subprocess.run(command, check=True, input=stream)
    told: dict[int, list[ChangedFile]] = {}
    for mark, part in enumerate(parts):
        told |= {number: [] for number in part}
        for file in made.changed_files(f"c{2 * mark + 1}", f"c{2 * mark}"):
            number, _, path = file.path.partition("/")
            told[int(number)].append(replace(file, path=path))
    return told


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_the_guard_decides_as_the_table_says(compared: dict[int, list[ChangedFile]], number: int) -> None:
    change: Change = ROWS[number]
    files = compared[number]
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
