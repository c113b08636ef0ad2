"""The tables of words in `words.toml`."""

import tomllib
from pathlib import Path
from typing import Any

TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def table(name: str) -> tuple[str, ...]:
    """Return a table's words in order; a dot stands between the names of a section and of its table."""
    section, _, key = name.rpartition(".")
    text: str = (TABLES[section] if section else TABLES)[key]
    return tuple(text.split())


def words(name: str) -> frozenset[str]:
    """Return the words of a table, as `table` does, to look them up."""
    return frozenset(table(name))
