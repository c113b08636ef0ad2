"""Grammars by file name, and for each the queries (`queries/`) that find definitions, calls and imports.

C# is missing on purpose: on 50 kB of `a<` its grammar (0.23.5) takes gigabytes, then ends the process. That
and other languages of braces are read by `plain_reader`.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tree_sitter import Language, Query

_QUERIES = Path(__file__).with_name("queries")
_INHERITS = "; inherits: "


class Grammar(NamedTuple):
    """A grammar with the query for its definitions, calls and imports."""

    language: Language
    query: Query


# Suffixes, the package of the grammar, the function that gives it, and the key of its queries.
_GRAMMARS = (
    ((".py", ".pyi"), "tree_sitter_python", "language", "python"),
    ((".js", ".mjs", ".cjs", ".jsx"), "tree_sitter_javascript", "language", "javascript"),
    (
        (".ts", ".mts", ".cts", ".vue", ".svelte"),
        "tree_sitter_typescript",
        "language_typescript",
        "typescript",
    ),
    ((".tsx",), "tree_sitter_typescript", "language_tsx", "typescript"),
    ((".go",), "tree_sitter_go", "language", "go"),
    ((".rb", ".rake", ".ru"), "tree_sitter_ruby", "language", "ruby"),
    ((".rs",), "tree_sitter_rust", "language", "rust"),
    ((".java",), "tree_sitter_java", "language", "java"),
    ((".php",), "tree_sitter_php", "language_php", "php"),
    ((".ex", ".exs"), "tree_sitter_elixir", "language", "elixir"),
)
# Read by `plain_reader`.
PLAIN = frozenset((".cs", ".kt", ".kts", ".scala", ".groovy"))
_BY_SUFFIX = {suffix: row[1:] for row in _GRAMMARS for suffix in row[0]}


def can_read(path: str) -> bool:
    """Return whether files of this name are read as code."""
    return PurePosixPath(path).suffix.lower() in _BY_SUFFIX or is_plain(path)


def is_plain(path: str) -> bool:
    """Return whether files of this name are read without a grammar."""
    return PurePosixPath(path).suffix.lower() in PLAIN


def grammar_of(path: str) -> Grammar | None:
    """Return the grammar for a file of this name, None if there is none."""
    row = _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())
    return _load(*row) if row else None


@cache
def _load(package: str, function: str, key: str) -> Grammar:
    """Load a grammar when the first file of its language is read."""
    make: Callable[[], object] = getattr(import_module(package), function)
    language = Language(make())
    return Grammar(language, Query(language, _queries(key)))


def _queries(key: str) -> str:
    text = (_QUERIES / f"{key}.scm").read_text(encoding="utf-8")
    head, _, rest = text.partition("\n")
    return _queries(head.removeprefix(_INHERITS)) + rest if head.startswith(_INHERITS) else text
