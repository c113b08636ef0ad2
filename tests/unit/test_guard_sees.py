"""What the guard sees of a change is what git says of it, by path, whatever lies in the trees."""

import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from railmend.coding.git import changes
from railmend.coding.git.diff import ChangedFile
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.review import Plan, never_published, review
from railmend.coding.settings import GuardSettings
from tests.unit.guard_changes import GITHUB

NAMES = st.sampled_from(
    ["a", "b.py", "test_a.py", 'qu"ote', "new\nline", "tab\t", "back\\slash", "spa ce", "ü", "日本", " a/b"]
)
LINES = st.sampled_from(
    ["x", "+x", "-x", "@@ -1 +1 @@", "diff --git a/a b/a", "--- a/a", "", "\\ No", "ü", "\r"]
)
TEXT = st.tuples(st.lists(LINES, max_size=5), st.booleans()).map(
    lambda made: ("\n".join(made[0]) + ("\n" if made[1] else "")).encode()
)
FILE = st.one_of(
    st.tuples(st.sampled_from(["100644", "100755"]), TEXT),
    st.tuples(st.just("120000"), st.sampled_from([b"a", b"/etc/passwd", b"x\ny"])),
    st.tuples(st.just("100644"), st.just(bytes(range(256)))),
)
TREES = st.dictionaries(st.tuples(st.sampled_from(["", "d/", "d e/"]), NAMES).map("".join), FILE, max_size=7)


def lay_out(folder: Path, tree: dict[str, tuple[str, bytes]]) -> None:
    for path, (mode, content) in tree.items():
        place = os.path.join(os.fsencode(folder), os.fsencode(path))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if mode == "120000":
            os.symlink(content, place)
            continue
        with open(place, "wb") as file:
            file.write(content)
        os.chmod(place, 0o755 if mode == "100755" else 0o644)


def git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-c", "user.name=d", "-c", "user.email=d@example.invalid", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


def between(
    folder: Path, old: dict[str, tuple[str, bytes]], new: dict[str, tuple[str, bytes]]
) -> list[ChangedFile]:
    work = folder / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    lay_out(work, old)
    git(work, "add", "-A")
    git(work, "commit", "-qm", "base", "--allow-empty")
    repository = TrustedRepository(folder / "repair", f"file://{work}", None)
    base = repository.prepare("main", None)
    for path in old:
        os.unlink(os.path.join(os.fsencode(repository.tree), os.fsencode(path)))
    lay_out(repository.tree, new)
    taken = repository.take(base)
    return repository.changed_files(taken.tree, base, taken.oversized)


def lines_of(kind: tuple[str, bytes] | None) -> list[str]:
    text = kind[1].decode(errors="surrogateescape") if kind else ""
    return text.removesuffix("\n").split("\n") if text else []


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(old=TREES, new=TREES)
def test_the_guard_sees_each_file_with_its_own_lines(
    old: dict[str, tuple[str, bytes]], new: dict[str, tuple[str, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        seen = {file.path: file for file in between(Path(name), old, new)}
    assert set(seen) == {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    for path, file in seen.items():
        before, after = old.get(path), new.get(path)
        assert file.mode == (after[0] if after else "000000")
        assert file.unread is None
        if file.additions < 0:
            assert any(kind and b"\0" in kind[1] for kind in (before, after))
            continue
        assert all(lines_of(after)[number - 1] == line for number, line in file.added)
        left = Counter(lines_of(before)) - Counter(file.removed) + Counter(line for _, line in file.added)
        assert left == Counter(lines_of(after))


def test_a_link_in_the_base_hides_neither_a_secret_nor_a_lost_assertion(tmp_path: Path) -> None:
    """One raw row and two sections of the diff: the files after it were judged by their neighbours' lines."""
    test = b"def test_a():\n    assert 1\n    assert 2\n    assert 3\n"
    old = {"a_link": ("120000", b"b.py"), "b.py": ("100644", b"x\n"), "test_c.py": ("100644", test)}
    new = {
        "a_link": ("100644", b"x\n"),
        "b.py": ("100644", f'TOKEN = "{GITHUB}"\n'.encode()),
        "test_c.py": ("100644", b"def test_a():\n    assert 1\n"),
    }
    files = between(tmp_path, old, new)
    refused = " ".join(review(files, Plan(), GuardSettings()))
    assert "b.py adds what looks like a secret" in refused
    assert "test_c.py has 2 assertions fewer than before." in refused
    assert never_published(files)


def test_what_is_too_large_to_be_read_is_refused_for_its_size(tmp_path: Path) -> None:
    lines = b"an ordinary line of text\n" * 80_000
    old = {"kept.txt": ("100644", b"y\n" + lines), "data.txt": ("100644", b"y\n")}
    new = {**old, "data.txt": ("100644", lines), "new.txt": ("100644", lines[:-1])}
    files = between(tmp_path, old, new)
    assert [(file.path, file.added, file.after) for file in files] == [
        ("data.txt", (), None),
        ("new.txt", (), None),
    ]
    refused = review(files, Plan(), GuardSettings())
    assert "data.txt cannot be judged: its 2.0 MB are more than the 1 MB that are read." in refused
    assert never_published(files)


@pytest.mark.parametrize(("bound", "most"), [("MAX_TEXTS", 2), ("MAX_ALL_TEXTS_BYTES", 45), ("MAX_LINES", 2)])
def test_a_change_of_more_than_is_read_is_refused_for_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(changes, bound, most)
    new = {f"{name}.py": ("100644", f"value = {name!r}  # a line\n".encode()) for name in "abc"}
    files = between(tmp_path, {}, new)
    assert [file.path for file in files if file.unread] == ["c.py"]
    assert never_published(files)


def test_a_file_of_a_gigabyte_is_refused_without_being_read(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    git(work, "commit", "-qm", "base", "--allow-empty")
    repository = TrustedRepository(tmp_path / "repair", f"file://{work}", None)
    base = repository.prepare("main", None)
    with (repository.tree / "sparse").open("wb") as file:
        file.truncate(2**40)
    (repository.tree / ".gitignore").write_bytes(b"#\n" * 600_000)
    os.mkfifo(repository.tree / "pipe")
    (repository.tree / "loop").symlink_to("loop")
    taken = repository.take(base)
    files = repository.changed_files(taken.tree, base, taken.oversized)
    assert [(file.path, file.mode) for file in files] == [
        (".gitignore", "100644"),
        ("loop", "120000"),
        ("sparse", "100644"),
    ]
    assert any(
        "sparse cannot be judged: its 1099511.6 MB" in each for each in review(files, Plan(), GuardSettings())
    )


def test_a_text_of_many_lines_costs_no_memory_of_the_worker(tmp_path: Path) -> None:
    new = {f"{number}.txt": ("100644", b"\n" * 900_000) for number in range(12)}
    files = between(tmp_path, {}, new)
    assert sum(len(file.added) for file in files) == 0
    assert all(file.unread == "the whole change is too large to be read" for file in files)


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore"])
def test_a_link_in_the_place_of_gits_own_files_is_seen_and_not_followed(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("*.py\n")
    files = between(tmp_path, {}, {name: ("120000", os.fsencode(outside)), "a.py": ("100644", b"x\n")})
    assert {file.path for file in files} == {name, "a.py"}


def test_a_repository_in_the_tree_is_seen_as_such_unless_it_is_ignored(tmp_path: Path) -> None:
    tree = {
        ".gitignore": ("100644", b"vendor/\n"),
        "inner/.git/HEAD": ("100644", b"ref: refs/heads/main\n"),
        "inner/code.py": ("100644", b"x\n"),
        "vendor/a/.git/HEAD": ("100644", b"ref: refs/heads/main\n"),
    }
    files = between(tmp_path, {}, tree)
    assert [(file.path, file.mode) for file in files] == [(".gitignore", "100644"), ("inner", "160000")]
    assert "inner is a submodule." in review(files, Plan(), GuardSettings())
