# ruff: noqa: E501 - one pattern a line, to be read as a table
"""What a changed file is, by its path: a repair may touch source code, tests, documents and the service's data.

What is none of these is refused. The lists of what else tools read by name cover files that look like one.
"""

import re
from pathlib import PurePosixPath

from railmend.source.files import language_of
from railmend.source.manifests import is_manifest, manifests_of

CODE = frozenset(
    {
        *(".pyi", ".pyx", ".c", ".h", ".cc", ".cpp", ".hpp", ".m", ".swift", ".dart", ".lua", ".pl", ".pm", ".r", ".jl"),
        *(".clj", ".cljs", ".hs", ".ml", ".erl", ".hrl", ".gleam", ".zig", ".nim", ".cr", ".sol", ".wat", ".razor"),
        *(".sql", ".prisma", ".graphql", ".gql", ".proto", ".mdx", ".css", ".scss", ".sass", ".less", ".html", ".htm"),
        *(".cshtml", ".erb", ".haml", ".slim", ".heex", ".eex", ".leex", ".j2", ".jinja", ".jinja2", ".hbs", ".ejs"),
        *(".pug", ".liquid", ".mustache", ".tmpl", ".gohtml", ".templ", ".twig", ".jbuilder", ".svg", ".astro", ".stub", ".markerb", ".jsp", ".xhtml", ".ftl"),
    }
)  # fmt: skip
DOCUMENTS = frozenset({".md", ".rst", ".adoc", ".txt", ".po", ".pot"})
DATA = frozenset(
    {".json", ".jsonc", ".json5", ".yml", ".yaml", ".toml", ".ini", ".properties", ".conf", ".xml", ".csv"}
)
# Data belongs to the application in a folder of such a name; elsewhere it configures a tool.
DATA_FOLDERS = frozenset(
    {
        *(
            "src",
            "app",
            "apps",
            "lib",
            "libs",
            "internal",
            "pkg",
            "web",
            "config",
            "conf",
            "settings",
            "resources",
        ),
        *(
            "public",
            "static",
            "assets",
            "data",
            "fixtures",
            "testdata",
            "seeds",
            "schema",
            "schemas",
            "templates",
        ),
        *(
            "locale",
            "locales",
            "i18n",
            "lang",
            "languages",
            "translations",
            "messages",
            "views",
            "priv",
            "docs",
        ),
    }
)
SHARED_FOLDERS = frozenset(
    {"packages", "libs", "lib", "shared", "common", "internal", "pkg", "crates", "docs", "core"}
)
# What is served or documents settings although its name begins with a dot.
HIDDEN = re.compile(r"(?:^|/)(?:\.well-known/.+|\.[\w-]*change[\w-]*/[\w./-]+\.md|\.env[\w.-]*\.(?:example|sample|template|dist))$")  # fmt: skip
SECRET = re.compile(
    r"^(?:\.env.*|.*\.(?:pem|key|p12|pfx|jks|keystore)|id_(?:rsa|dsa|ecdsa|ed25519)|\.(?:npmrc|pypirc|netrc)"
    r"|credentials(?:\.json)?|secrets?\.(?:ya?ml|json|toml))$"
)
LICENCE = re.compile(
    r"^(?:(?:licen[cs]e|copying|notice|patents)(?:[.-](?:apache|mit|bsd|gpl|lgpl|md|txt|rst|html)[\w.-]*)?|codeowners)$"
)
NAMED_DOCUMENTS = frozenset({"changes", "changelog", "readme", "news", "history", "authors", "todo"})
AGENTS = re.compile(
    r"^(?:(?:agents|claude|gemini|copilot-instructions|conventions|skill)\.md|llms.*\.txt|opencode\.jsonc?)$"
)
# Files with the suffix of code that something else than the application runs: installers, builds, CI.
HOOK = re.compile(
    r"^(?:setup\.py|build\.rs|(?:site|user)customize\.py|.*\.pth|noxfile\.py|fabfile\.py|dangerfile\.\w+|mix\.lock\.exs"
    r"|(?:gulp|grunt|jake|cake)file\.\w+|(?:renovate|commitlint|lint-staged|semantic-release|release)[\w.-]*\.[cm]?[jt]s"
    r"|settings\.gradle(?:\.kts)?|build\.zig|package\.swift|pnpmfile\.[cm]?js|hooks?\.sh)$"
)
DEPLOYMENT = re.compile(
    r"^(?:(?:docker-)?compose[\w.-]*\.ya?ml|deploy[\w.-]*\.ya?ml|(?:railway|railpack|nixpacks|vercel|netlify|fly|render|now|wrangler"
    r"|heroku|dokku)\.(?:json|jsonc|toml|ya?ml)|chart\.ya?ml|values[\w.-]*\.ya?ml|kustomization\.ya?ml|buildspec[\w.-]*\.ya?ml"
    r"|serverless\.ya?ml|cloudbuild[\w.-]*\.ya?ml|dockerfile.*|procfile.*)$"
)
CI = re.compile(
    r"^(?:jenkinsfile.*|azure-pipelines[\w.-]*\.ya?ml|bitbucket-pipelines\.ya?ml|appveyor\.ya?ml|lefthook[\w.-]*\.ya?ml|renovate\.json5?"
    r"|codecov\.ya?ml|buildkite\.ya?ml|tekton\.ya?ml|wercker\.ya?ml|earthfile|dagger\.json)$"
)
RUNNER = re.compile(
    r"^(?:pytest\.ini|tox\.ini|(?:jest|vitest|karma|playwright|cypress|ava|nyc|wallaby)\.(?:config|conf|workspace|setup)\.\w+"
    r"|phpunit\.xml(?:\.dist)?|(?:gnu)?makefile|justfile|taskfile\.ya?ml)$"
)
BUILT = frozenset({"node_modules", "vendor", "third_party", "site-packages", "dist", ".git"})

TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests?__|specs?|e2e|cypress|src/test)/|(?:^|/)(?:test_[^/]+|tests|[^/]+[._-](?:test|spec|tests|cy|e2e))\.\w+$"
    r"|(?:^|/)[A-Z]\w*(?:Tests?|Spec|IT)\.(?:java|kt|cs|php|scala|groovy|swift)$|(?:^|/)conftest\.py$"
)
MIGRATIONS = re.compile(
    r"(?:^|/)(?:migrations?|migrate|versions|alembic|drizzle|changelogs?|db)/(?P<rest>.+)$", re.I
)
MIGRATION = re.compile(
    r"(?:^|/)(?:\d{3,}|\d{1,2}[_.-]|V\d|U\d|R__|Version\d{6}|[0-9a-f]{8,}_)[^/]*|\d{10,}(?:[._-]\w+)*\.\w+$|\.(?:sql|surql)$"
    r"|(?:^|/)(?:structure\.sql|schema\.rb|_journal\.json|.*ModelSnapshot\.cs|(?:db\.)?changelog[\w.-]*\.(?:xml|ya?ml|json))$"
)
MIGRATION_TEXT = re.compile(
    r"\bmigrations\.Migration\b|\bMigrationInterface\b|ActiveRecord::Migration|Ecto\.Migration|AbstractMigration|:\s*Migration\b"
    r"|^def (?:up|down)grade\(|\bknex\.schema\b|\bqueryInterface\.|\bSchema::(?:create|table|drop)|<databaseChangeLog",
    re.M,
)  # fmt: skip


def is_test(path: str) -> bool:
    return TEST.search(path) is not None


def is_migration(path: str, text: str) -> bool:
    """Return whether it changes a database's schema. `text`: what it holds, before and after."""
    match = MIGRATIONS.search(path)
    if match is None:
        return False
    if match[0].lower().lstrip("/").startswith("db/") and "migrat" not in path.lower():
        return re.search(r"(?:^|/)(?:structure\.sql|schema\.rb|(?:db\.)?changelog.*)$", path) is not None
    return MIGRATION.search(match["rest"]) is not None or MIGRATION_TEXT.search(text) is not None


def forbidden(path: str) -> str | None:
    """Return why a person alone may touch it, plan or not; None: the plan may name it."""
    lower = path.lower()
    pure = PurePosixPath(lower)
    if any(character < " " or character == "\x7f" for character in path):
        return "its name holds control characters"
    if HIDDEN.search(path):
        return None
    if SECRET.match(pure.name):
        return "files of this name hold secrets"
    if AGENTS.match(pure.name):
        return "it instructs coding agents"
    if any(part.startswith(".") or re.match(r"git~\d", part) for part in pure.parts):
        return "hidden files steer git, CI, editors and agents"
    if CI.match(pure.name):
        return "it belongs to CI"
    if LICENCE.match(pure.name):
        return "it is a licence, or says who owns the code"
    if DEPLOYMENT.match(pure.name):
        return "it configures the build or the deployment"
    return None


def unexpected(path: str) -> str | None:
    """Return why no repair touches it unless the plan names it; None: it is what a fix is made of."""
    pure = PurePosixPath(path.lower())
    suffix, folders = pure.suffix, set(pure.parts[:-1])
    if not BUILT.isdisjoint(folders):
        return "it is built or vendored, not written here"
    if HOOK.match(pure.name):
        return "installers and builds run it"
    if RUNNER.match(pure.name):
        return "it decides how tests are run"
    if (
        HIDDEN.search(path)
        or is_manifest(path)
        or manifests_of(path)
        or suffix in CODE | DOCUMENTS
        or pure.name in NAMED_DOCUMENTS
    ):
        return None
    if is_test(path) and not {"resources"} & folders:
        return None
    language = language_of(path)
    if language and language != "config":
        return None
    if suffix in DATA and not DATA_FOLDERS.isdisjoint(folders):
        return None
    return "it is not source code, a test, a document or the application's data"


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
    return not (pure.parts[0] in SHARED_FOLDERS or beside or own or HIDDEN.search(path))
