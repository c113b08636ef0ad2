"""The tables of `tables.toml`: what the guard knows by name."""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import translate
from pathlib import Path
from typing import Any

TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def words(section: str, key: str) -> frozenset[str]:
    """Return the words of a table, to look them up."""
    return frozenset(TABLES[section][key].split())


def reasons(section: str) -> Mapping[str, re.Pattern[str]]:
    """Return by reason a pattern for the names of files that it goes for."""
    return {
        why: re.compile("|".join(map(translate, names.split()))) for why, names in TABLES[section].items()
    }


def pattern(key: str) -> re.Pattern[str]:
    """Return a table of alternatives as one pattern, `^` and `$` for lines."""
    return re.compile("|".join(TABLES["patterns"][key]), re.M)
