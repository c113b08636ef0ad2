"""What an agent's change may and may not hold."""

import pytest

from railmend.coding.guard import review
from railmend.contracts.repair import FileChange


def change(path: str, status: str = "modified", additions: int = 3, deletions: int = 1) -> FileChange:
    return FileChange(path=path, status=status, additions=additions, deletions=deletions)


@pytest.mark.parametrize(
    ("files", "diff", "roots", "modes", "said"),
    [
        ([change("app.py")], "+x = 1", [], {"app.py": "100644"}, None),
        ([change("api/app.py")], "+x = 1", ["api"], {}, None),
        ([change("tests/test_app.py", additions=9)], "+def test", [], {}, None),
        (
            [change(".github/workflows/ci.yml", "added")],
            "",
            [],
            {},
            ".github/workflows/ci.yml may not be touched.",
        ),
        ([change("src/.gitattributes", "added")], "", [], {}, "src/.gitattributes may not be touched."),
        ([change(".gitmodules", "added")], "", [], {}, ".gitmodules may not be touched."),
        ([change("link", "added")], "", [], {"link": "120000"}, "link is a symbolic link."),
        ([change("vendor", "added")], "", [], {"vendor": "160000"}, "vendor is a submodule."),
        ([change("web/app.py")], "", ["api"], {}, "web/app.py lies outside the service's directory (api)."),
        ([change("apiary/app.py")], "", ["api"], {}, "lies outside the service's directory"),
        ([change("logo.png", "added", -1, -1)], "", [], {}, "logo.png is a binary file."),
        ([change("tests/test_app.py", "deleted")], "", [], {}, "is a test and was deleted."),
        ([change("web/cart.spec.ts", "deleted")], "", [], {}, "is a test and was deleted."),
        ([change(f"f{n}.py") for n in range(21)], "", [], {}, "touches 21 files; at most 20"),
        ([change("app.py", additions=801, deletions=0)], "", [], {}, "has 801 lines; at most 800"),
        ([change("app.py")], "+token = 'ghp_" + "a" * 36 + "'", [], {}, "looks like a secret"),
        ([change("app.py")], "-token = 'ghp_" + "a" * 36 + "'", [], {}, None),
    ],
)
def test_each_change_gets_its_answer(
    files: list[FileChange], diff: str, roots: list[str], modes: dict[str, str], said: str | None
) -> None:
    refused = review(files, diff, root_directories=roots, modes=modes)
    assert (said is None) == (refused == ())
    assert said is None or said in " ".join(refused)
