"""Paths that no repair may touch, by what they are."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

# Folders at the root of the repository, then names anywhere.
CI_FOLDERS = (".github/", ".gitlab/", ".circleci/", ".buildkite/", ".husky/", ".woodpecker/", ".forgejo/")
CI_NAMES = frozenset(
    {
        *(".gitlab-ci.yml", "jenkinsfile", "azure-pipelines.yml", "bitbucket-pipelines.yml", ".travis.yml"),
        *(".drone.yml", "appveyor.yml", ".pre-commit-config.yaml", "cloudbuild.yaml", "codeowners"),
    }
)
GIT_NAMES = frozenset({".gitattributes", ".gitmodules", ".gitignore", ".git"})
# They tell the next agent what to do.
AGENT_NAMES = frozenset({"agents.md", "claude.md", "gemini.md", ".cursorrules", ".mcp.json"})
# Railway's configuration as code: build and start commands, resources, regions.
RAILWAY_NAMES = frozenset({"railway.json", "railway.toml"})
SECRET_NAME = re.compile(
    r"^(?:\.env(?!\.(?:example|sample|template)$)(?:\..*)?|.*\.(?:pem|key|p12|pfx|jks|keystore)|id_(?:rsa|dsa|ecdsa|ed25519)"
    r"|\.npmrc|\.pypirc|\.netrc|credentials(?:\.json)?|secrets?\.(?:ya?ml|json|toml))$"
)
LICENCE_NAME = re.compile(r"^(?:licen[cs]e|copying|notice|patents)(?:[.-].*)?$")
MIGRATION = re.compile(
    r"(?:^|/)(?:migrations?|migrate|versions)/(?!__init__\.py$)[^/]+\.(?:py|sql|rb|js|ts|go|php)$"
)


def forbidden(path: str) -> str | None:
    """Why nobody but a person may touch it; None: it may be touched."""
    lower = path.lower()
    name = PurePosixPath(lower).name
    if lower.startswith(CI_FOLDERS) or name in CI_NAMES:
        return "it belongs to CI"
    if name in GIT_NAMES or ".git" in PurePosixPath(lower).parts:
        return "it steers git"
    if name in AGENT_NAMES:
        return "it instructs coding agents"
    if name in RAILWAY_NAMES:
        return "it configures the deployment"
    if SECRET_NAME.match(name):
        return "files of this name hold secrets"
    if LICENCE_NAME.match(name) and not name.endswith((".py", ".js", ".ts", ".go", ".rs")):
        return "it is a licence"
    return None


def is_migration(path: str) -> bool:
    return MIGRATION.search(path) is not None


def outside(path: str, roots: Sequence[str]) -> bool:
    """No root directory, or one that is empty, means the whole repository."""
    cleaned = [root.strip("/") for root in roots]
    return bool(cleaned) and all(root and not path.startswith(root + "/") for root in cleaned)
