"""The docs name commands and files that exist, and what they show offline runs."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from typer.main import get_command

from starter import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
COMMAND = re.compile(r"starter\.py ((?:schedule |ledger )?[a-z]+)([^`#\n]*)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
COMMAND_LINE = get_command(app)


def options(name: str) -> set[str]:
    """Every option of a command, as its help names them. Fails for a command that does not exist."""
    told = CliRunner().invoke(COMMAND_LINE, [*name.split(), "--help"])
    assert told.exit_code == 0, f"there is no `starter.py {name}`"
    return set(re.findall(r"--[a-z-]+", told.output))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    for name, rest in COMMAND.findall(page.read_text()):
        used = {word.partition("=")[0] for word in shlex.split(rest, posix=False) if word.startswith("--")}
        assert used <= options(name.strip()), f"starter.py {name}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


# Pages for contributors name files and what is in them: `path/file.py` (`Class.method`, `CONSTANT`).
MAPS = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs/architecture.md",
    ROOT / "docs/releasing.md",
    *sorted((ROOT / "docs/decisions").glob("*.md")),
]
FILE_NAME = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|toml|json|lock|ts|sh|yml)))`")
SYMBOLS = re.compile(r"`([\w/]+\.py)`\s+\((`[\w.]+`(?:,\s+`[\w.]+`)*)\)")


def definitions(file: Path) -> set[str]:
    """Return the names that a module defines: `NAME`, `function`, `Class`, `Class.member`."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        names |= set(defined(node))
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for member in node.body for name in defined(member)}
    return names


def defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    places = (ROOT, ROOT / "docs", page.parent)
    named = set(FILE_NAME.findall(page.read_text()))
    assert [name for name in sorted(named) if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)
def test_what_a_page_says_is_in_a_file_is_there(page: Path) -> None:
    missing = [
        f"{file}: {symbol}"
        for file, symbols in SYMBOLS.findall(page.read_text())
        for symbol in re.findall(r"`([\w.]+)`", symbols)
        if symbol not in definitions(ROOT / file)
    ]
    assert missing == []


def security_tables() -> list[list[list[str]]]:
    """The tables of the page as rows of cells, their heads first."""
    page = (ROOT / "docs/security.md").read_text()
    blocks = re.findall(r"(?:^\|.*\|\n)+", page, re.M)
    return [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in block.splitlines()]
        for block in blocks
    ]


def test_each_line_of_the_security_page_is_enforced_by_a_test_that_exists_or_says_that_it_is_not() -> None:
    rows = [row for table in security_tables() if table[0][-1] == "" for row in table[2:]]
    assert len(rows) > 60
    tests = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    for what, state in rows:
        named = re.findall(r"`(test_\w+)`", state)
        assert re.match(r"enforced|asked for|not covered|measured", state), what
        assert bool(named) == state.startswith("enforced"), what
        assert set(named) <= tests, what


def test_the_security_page_says_nothing_of_what_is_enforced_beside_its_tables() -> None:
    lines = (ROOT / "docs/security.md").read_text().splitlines()
    assert [line for line in lines if re.match(r"(- )?(Enforced|Asked for|Not covered)\b", line)] == []


def test_each_line_about_the_sandboxes_has_one_that_names_its_test() -> None:
    kinds, *tables = (table for table in security_tables() if table[0][0] == "the agent tries to")
    assert {row[0] for row in kinds[2:]} - {row[0] for row in tables[0][2:]} == set()
