"""Which files of a repository ship, and their text without comments.

A small scanner, not a lexer library: it only removes comments and docstrings, in languages of many versions,
and must take linear time on text written by others.
"""

import re
from pathlib import PurePosixPath

# Folders of what others wrote.
THIRD_PARTY = frozenset({"node_modules", "vendor", "site-packages", "venv", "third_party"})
# Folders whose files do not run in production, anywhere in the path.
NOT_SHIPPED = frozenset(
    {
        *("test", "tests", "spec", "specs", "__tests__", "__mocks__", "__fixtures__", "mocks", "testdata"),
        *("fixtures", "testing", "e2e", "cypress", "playwright", "benches", "bench", "benchmarks"),
        *("doc", "docs", "documentation", "stories", "coverage"),
        *("dist", "build", "target", "obj"),
        *THIRD_PARTY,
    }
)
# The same, except where folders are packages, as in com.example.demo.
SAMPLES = frozenset({"example", "examples", "sample", "samples", "demo", "demos"})
NOT_SHIPPED_NAME = re.compile(
    r"(?i)^(?:test_.*\.py|.*_test\.(?:py|go|rb|exs)|.*_spec\.rb|conftest\.py|setup\.py|noxfile\.py"
    r"|.*[.-](?:test|spec|stories|mock)\.[cm]?[jt]sx?|.*Tests?\.(?:java|kt|cs|php)|.*IT\.java"
    r"|gulpfile\..*|.*\.min\.js|(?:.*[.-])?compose[\w.-]*\.ya?ml|mkdocs\.yml|pnpm-lock\.yaml|(?:pytest|tox)\.ini"
    r"|(?:openapi|swagger)\.(?:json|ya?ml)"
    r"|(?:jest|vitest|cypress|playwright|webpack|rollup|eslint|commitlint)\.config\..*)$"
)
LANGUAGES = {
    "python": (".py",),
    "javascript": (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"),
    "component": (".vue", ".svelte", ".astro"),
    "go": (".go",),
    "ruby": (".rb", ".ru", ".rake"),
    "rust": (".rs",),
    "php": (".php",),
    "java": (".java", ".kt", ".kts", ".scala", ".groovy"),
    "csharp": (".cs", ".fs", ".vb"),
    "elixir": (".ex", ".exs"),
    "config": (".yml", ".yaml", ".toml", ".ini", ".properties", ".conf", ".json"),
}
LANGUAGE_OF = {suffix: language for language, suffixes in LANGUAGES.items() for suffix in suffixes}
HASH_COMMENTS = frozenset({"python", "ruby", "elixir", "config"})

# So far to the right a docstring begins at most.
INDENTED = 200

# Strings are matched so that comment signs within them are ignored. An unclosed string or comment ends with
# its line or the file: failing there would mean trying again at each sign, in quadratic time.
_STRINGS = r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"
_BLOCK = r"/\*.*?(?:\*/|\Z)"
_DOC = r"[rRbBuUfF]{0,2}(?:\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z))"
_HASH = re.compile(rf"(?P<doc>{_DOC})|{_STRINGS}|(?P<comment>#[^\n]*)", re.S)
_RUBY = re.compile(rf"{_STRINGS}|(?P<comment>^=begin\b.*?(?:^=end\b|\Z)|#[^\n]*)", re.S | re.M)
_SLASH = re.compile(rf"{_STRINGS}|`(?:\\.|[^`\\])*(?:`|\\?\Z)|(?P<comment>//[^\n]*|{_BLOCK})", re.S)
_PHP = re.compile(rf"{_STRINGS}|(?P<comment>//[^\n]*|{_BLOCK}|#(?!\[)[^\n]*)", re.S)
_RUST = re.compile(rf"\"(?:\\.|[^\"\\])*(?:\"|\\?\Z)|'(?:\\.|[^'\\\n])'|(?P<comment>//[^\n]*|{_BLOCK})", re.S)
_MARKUP = re.compile(r"<!--.*?(?:-->|\Z)", re.S)


def language_of(path: str) -> str | None:
    """Return a key of `LANGUAGES`, None for a file that is not read as code."""
    return LANGUAGE_OF.get(PurePosixPath(path).suffix.lower())


def ships(path: str) -> bool:
    """Return whether a file may be part of the running service, unlike tests, samples, docs, hidden files."""
    parts = PurePosixPath(path).parts
    folders = [part.lower() for part in parts[:-1]]
    samples = folders[:1] if language_of(path) == "java" else folders
    if not NOT_SHIPPED.isdisjoint(folders) or not SAMPLES.isdisjoint(samples):
        return False
    return not any(part.startswith(".") and part != ".." for part in parts) and not NOT_SHIPPED_NAME.match(
        parts[-1]
    )


SCANNERS = {"ruby": _RUBY, "php": _PHP, "rust": _RUST, **dict.fromkeys(HASH_COMMENTS - {"ruby"}, _HASH)}


def without_comments(text: str, language: str) -> str:
    """Return the text with comments and docstrings blanked, its lines unchanged."""
    if language == "component":
        text = without_markup_comments(text)
    scanner = SCANNERS.get(language, _SLASH)
    return scanner.sub(lambda match: _keep_or_blank(match, text), text)


def without_markup_comments(text: str) -> str:
    """Return XML or HTML with comments blanked, its lines unchanged."""
    return _MARKUP.sub(lambda match: _blank(match[0]), text)


def _keep_or_blank(match: re.Match[str], text: str) -> str:
    comment = match.lastgroup == "comment" or (
        match.lastgroup == "doc" and _stands_alone(text, match.start())
    )
    return _blank(match[0]) if comment else match[0]


def _stands_alone(text: str, start: int) -> bool:
    """Tell whether a string literal starts its line: a docstring. Elixir's have an attribute."""
    near = text[max(start - INDENTED, 0) : start]  # of a line that may be as long as the file
    if len(near) == INDENTED and "\n" not in near:
        return False
    before = near.rpartition("\n")[2].strip()
    return not before or before in ("@doc", "@moduledoc", "@typedoc")


def _blank(text: str) -> str:
    return "\n" * text.count("\n")
