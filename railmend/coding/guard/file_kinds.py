"""What a changed file is, by its path: a repair touches source code, tests, documents and the service's data.

What is none of these is refused.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from railmend.coding.guard.tables import pattern, reasons, words
from railmend.source.files import language_of
from railmend.source.manifests import is_manifest, manifests_of

SOURCE, DOCUMENTS, DATA = (words("suffixes", key) for key in ("source", "documents", "data"))
DATA_FOLDERS, SHARED, BUILT = (words("folders", key) for key in ("data", "shared", "built"))
NEVER, UNLESS_NAMED = reasons("never"), reasons("unless_named")
# What is served, or documents settings and changes, although its name begins with a dot.
HIDDEN = re.compile(
    r"(?:^|/)(?:\.well-known/.+|\.[\w-]*change[\w-]*/[\w./-]+\.md|\.env[\w.-]*\.(?:example|sample|template|dist))$"
)
NAMED_DOCUMENTS, MIGRATION_TEXT = words("names", "documents"), pattern("migration_text")
TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests?__|specs?|e2e|cypress)/|(?:^|/)(?:test_[^/]+|tests|[^/]+[._-](?:test|spec|tests|cy|e2e))\.\w+$"
    r"|(?:^|/)[A-Z]\w*(?:Tests?|Spec|IT)\.(?:java|kt|cs|php|scala|groovy|swift)$|(?:^|/)conftest\.py$"
)
MIGRATIONS = re.compile(
    r"(?:^|/)(?P<folder>\w*migrations?|migrate|versions|alembic|drizzle|changelogs?)/(?P<rest>.+)$", re.I
)
# Migrations have a number, a date or a hash in front; the state that they come to is written by tools.
MIGRATION = re.compile(
    r"(?:^|/)(?:\d{3,}|\d{1,2}[_.-]|V\d|U\d|R__|Version\d{6}|[0-9a-f]{8,}_)[^/]*|\d{10,}(?:[._-]\w+)*\.\w+$|\.(?:sql|surql)$"
)
SCHEMA = re.compile(
    r"(?:^|/)(?:db/(?:structure\.sql|schema\.rb)|.*ModelSnapshot\.cs|drizzle/.*_journal\.json"
    r"|(?:db\.)?changelog[\w.-]*\.(?:xml|ya?ml|json|sql))$"
)


def is_test(path: str) -> bool:
    return TEST.search(path) is not None


def is_migration(path: str, text: str) -> bool:
    """Return whether it changes a database's schema. `text`: what it holds, before and after."""
    if SCHEMA.search(path):
        return True
    match = MIGRATIONS.search(path)
    return match is not None and bool(MIGRATION.search(match["rest"]) or MIGRATION_TEXT.search(text))


def forbidden(path: str) -> str | None:
    """Return why a person alone may touch it, plan or not; None: the plan may name it."""
    pure = PurePosixPath(path.lower())
    if any(character < " " or character == "\x7f" for character in path):
        return "its name holds control characters"
    if HIDDEN.search(path):
        return None
    if any(part.startswith(".") or re.match(r"git~\d", part) for part in pure.parts):
        return "hidden files steer git, CI, editors and agents, or hold secrets"
    return None if _is_source(pure) else _why(NEVER, pure.name)


def unexpected(path: str) -> str | None:
    """Return why no repair touches it unless the plan names it; None: it is what a fix is made of."""
    pure = PurePosixPath(path.lower())
    suffix, folders = pure.suffix, set(pure.parts[:-1])
    if not BUILT.isdisjoint(folders):
        return "it is built or vendored, not written here"
    if why := _why(UNLESS_NAMED, pure.name):
        return why
    if (
        _is_source(pure)
        or suffix in DOCUMENTS
        or pure.name in NAMED_DOCUMENTS
        or (suffix in DATA and not DATA_FOLDERS.isdisjoint(folders))
        or (is_test(path) and "resources" not in folders)
        or HIDDEN.search(path)
        or is_manifest(path)
        or manifests_of(path)
    ):
        return None
    return "it is not source code, a test, a document or the application's data"


def _is_source(pure: PurePosixPath) -> bool:
    return pure.suffix in SOURCE or language_of(pure.name) not in (None, "config")


def _why(patterns: Mapping[str, re.Pattern[str]], name: str) -> str | None:
    return next((why for why, pattern in patterns.items() if pattern.match(name)), None)


def is_outside(path: str, roots: tuple[str, ...]) -> bool:
    """Return whether it belongs to another service. Shared code, tests, documents and lock files do not.

    No root directory, or one that is empty, means the whole repository.
    """
    cleaned = [root.strip("/") for root in roots]
    if not cleaned or any(not root or path.startswith(root + "/") for root in cleaned):
        return False
    pure = PurePosixPath(path)
    beside = is_test(path) and pure.parts[0] in ("test", "tests", "e2e", "spec")
    own = (
        pure.suffix.lower() in DOCUMENTS or manifests_of(path) or (is_manifest(path) and len(pure.parts) == 1)
    )
    return not (pure.parts[0] in SHARED or beside or own or HIDDEN.search(path))
