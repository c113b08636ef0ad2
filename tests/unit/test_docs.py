"""The docs name commands and files that exist, and what they show offline runs."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from typer.main import get_command

from starter import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(r"starter\.py ((?:schedule )?[a-z]+)([^`#\n]*)")
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
