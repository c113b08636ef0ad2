"""What the guard does with what it finds: drafts, settings, and words that hold no secret."""

import difflib

import pytest

from railmend.coding.git.diff import ChangedFile
from railmend.coding.guard.review import Plan, never_published, review
from railmend.coding.settings import GuardSettings
from tests.growth import assert_linear
from tests.unit.guard_changes import GITHUB


def edit(path: str, before: str | None, after: str | None, mode: str = "100644") -> ChangedFile:
    """As git would tell it."""
    old, new = (before or "").splitlines(), (after or "").splitlines()
    added: list[tuple[int, str]] = []
    removed: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            removed += old[a:b]
            added += list(enumerate(new[c:d], start=c + 1))
    status = "added" if before is None else "deleted" if after is None else "modified"
    return ChangedFile(
        path=path,
        status=status,
        mode=mode,
        before=before,
        after=after,
        added=tuple(added),
        removed=tuple(removed),
        additions=len(added),
        deletions=len(removed),
    )


def add(path: str, text: str = "x = 1\n", mode: str = "100644") -> ChangedFile:
    return edit(path, None, text, mode)


def many(count: int) -> list[ChangedFile]:
    return [edit(f"f{number}.py", "a\n", "b\n") for number in range(count)]


@pytest.mark.parametrize(
    ("file", "harmful"),
    [
        (add(".github/workflows/ci.yml"), True),
        (add("app.py", f"token = '{GITHUB}'\n"), True),
        (add("link", "/etc/passwd", "120000"), True),
        (add(".env.production", "A=1\n"), True),
        (add("test_a.py", "@pytest.mark.skip\ndef test_a(): pass\n"), False),
        (add("shop/migrations/0002_index.py"), False),
        (add("app.py", "x\n" * 801), False),
    ],
)
def test_what_a_push_alone_would_spoil_becomes_no_draft(file: ChangedFile, harmful: bool) -> None:
    assert review([file], Plan(), GuardSettings()) or not harmful
    assert never_published([file]) is harmful


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (add("link.py", "/etc/passwd", "120000"), "link.py is a symbolic link."),
        (add("vendor", "", "160000"), "vendor is a submodule."),
        (ChangedFile("logo.png", "added", -1, -1), "logo.png is a binary file."),
    ],
)
def test_what_is_no_text_is_refused(file: ChangedFile, said: str) -> None:
    assert said in review([file], Plan(), GuardSettings())


def test_all_secrets_of_a_file_are_told_at_once_and_none_is_repeated() -> None:
    other = GITHUB.replace("a1B2", "z8Y7")
    refused = review([add("app.py", f"a = '{GITHUB}'\nb = 1\nc = '{other}'\n")], Plan(), GuardSettings())
    assert refused == ("app.py adds what looks like a secret (github-token, line 1, github-token, line 3).",)


def test_settings_widen_and_narrow() -> None:
    migration = [add("app/migrations/0002.py")]
    assert review(migration, Plan(), GuardSettings(allow_migrations=True)) == ()
    settings = GuardSettings(also_forbidden=("legacy/*",))
    legacy = [edit("legacy/lib.py", "a\n", "b\n")]
    assert review(legacy, Plan(), settings) == ("legacy/lib.py may not be touched: forbidden by setting.",)
    assert review(many(3), Plan(), GuardSettings(max_files=2)) != ()


# Of each: how it begins, and what follows again and again.
HOSTILE = {
    "newlines": ("", "\n"),
    "spaces": ("'", " "),
    "quotes": ("", "'\"`"),
    "assertions": ("", "assert"),
    "letters": ("", "a"),
    "tokens": ("", "ghp_"),
    "addresses": ("", "https://"),
    "brackets": ("", "expect("),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_made_to_be_slow_is_judged_in_a_time_that_grows_with_it_alone(name: str) -> None:
    head, piece = HOSTILE[name]
    paths = ("tests/test_a.py", "requirements.txt", "src/a.java", "yarn.lock")

    def judge(letters: int) -> None:
        text = head + piece * (letters // len(piece))
        refused = review([edit(path, "x\n", text) for path in paths], Plan(), GuardSettings())
        assert "yarn.lock is a lock file that changed without a manifest." in refused

    assert_linear(judge, 50_000)
