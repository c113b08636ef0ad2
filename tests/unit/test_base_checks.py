"""A change is checked with the base's tests, settings and commands, and with its own dependencies."""

import json
import tomllib
from pathlib import Path

import pytest

from railmend.coding.checks.base_checks import checked_tree, merge_package, merge_pyproject, merge_setup
from railmend.coding.git.repository import TrustedRepository
from tests.unit.test_workspace import run

BASE = {
    "app.py": "VALUE = 1\n",
    "tests/test_app.py": "assert 1\n",
    "pytest.ini": "[pytest]\n",
    "package.json": json.dumps({"scripts": {"test": "jest"}, "dependencies": {"a": "1"}}),
}


@pytest.fixture
def repository(tmp_path: Path) -> TrustedRepository:
    work = tmp_path / "work"
    for name, text in BASE.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    return TrustedRepository(tmp_path / "repair", f"file://{work}", None)


def test_tests_and_settings_are_the_bases_and_the_rest_is_the_changes(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    tree = repository.tree
    (tree / "app.py").write_text("VALUE = 2\n")
    (tree / "tests" / "test_app.py").write_text("pass\n")
    (tree / "tests" / "__init__.py").write_text("import os; os._exit(0)\n")
    (tree / "conftest.py").write_text("import os; os._exit(0)\n")
    (tree / "pytest.py").write_text("print('9 passed in 0.1s')\n")
    (tree / "pytest.ini").unlink()
    changed = {
        "scripts": {"test": "true", "pretest": "x"},
        "jest": {"x": 1},
        "dependencies": {"a": "1", "b": "2"},
    }
    (tree / "package.json").write_text(json.dumps(changed))
    reviewed = repository.snapshot(base)
    laid, own = checked_tree(repository, base, reviewed)
    assert set(repository.paths(laid)) == set(BASE)
    assert repository.text(laid, "app.py") == "VALUE = 2\n"
    assert repository.text(laid, "tests/test_app.py") == "assert 1\n"
    assert json.loads(repository.text(laid, "package.json") or "") == {
        "scripts": {"test": "jest"},
        "dependencies": {"a": "1", "b": "2"},
    }
    assert own == ("conftest.py", "pytest.py", "tests/__init__.py", "tests/test_app.py")


def test_a_change_of_code_alone_is_checked_as_it_is(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("VALUE = 2\n")
    reviewed = repository.snapshot(base)
    assert checked_tree(repository, base, reviewed) == (reviewed, ())


def test_a_folder_in_the_place_of_a_test_makes_room_for_it(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "pytest.ini").unlink()
    (repository.tree / "pytest.ini").mkdir()
    (repository.tree / "pytest.ini" / "test_x.py").write_text("x")
    laid, own = checked_tree(repository, base, repository.snapshot(base))
    assert set(repository.paths(laid)) == set(BASE)
    assert own == ("pytest.ini/test_x.py",)


OLD = '[project]\ndependencies = ["a"]\n\n[tool.pytest.ini_options]\naddopts = "-q"\n'


def test_settings_of_pytest_are_the_bases_and_dependencies_the_changes() -> None:
    new = OLD.replace('"a"]', '"a", "b"]').replace("-q", "-k nothing") + "[tool.x]\ny = 1\n"
    made = tomllib.loads(merge_pyproject(OLD, new))
    assert made == {
        "project": {"dependencies": ["a", "b"]},
        "tool": {"pytest": {"ini_options": {"addopts": "-q"}}, "x": {"y": 1}},
    }


@pytest.mark.parametrize(
    "new",
    [
        'tool.pytest.ini_options.addopts = "-k nothing"\n',
        '[project]\ndescription = """\n[tool.pytest.x]\n"""\n',
        '[tool]\npytest = {ini_options = {addopts = "-k nothing"}}\n',
        "no toml at all",
    ],
)
def test_what_cannot_be_taken_apart_is_the_bases_altogether(new: str) -> None:
    assert merge_pyproject(OLD, new) == OLD


def test_no_form_of_package_or_setup_chooses_what_runs() -> None:
    assert merge_package('{"scripts": {}}', "[]") == '{"scripts": {}}'
    old, new = (
        "[metadata]\nname = a\n[tool:pytest]\naddopts = -q\n",
        "[metadata]\nname = b\n[tool:pytest]\naddopts = -x\n",
    )
    assert merge_setup(old, new) == "[metadata]\nname = b\n[tool:pytest]\naddopts = -q\n"
