"""Whether an open pull request is about the same trouble already."""

from collections.abc import Collection
from pathlib import PurePosixPath

from railmend.contracts.review import Related, RelatedQuestion
from railmend.publishing.github import GitHubClient
from railmend.publishing.github.errors import classified

# Touched by nearly every change: to share one of them says nothing.
SHARED_BY_ALL = frozenset(
    {
        *("changelog.md", "changes.md", "readme.md", "package.json", "package-lock.json", "pnpm-lock.yaml"),
        *("yarn.lock", "poetry.lock", "uv.lock", "pyproject.toml", "go.mod", "go.sum", "cargo.lock"),
        *("cargo.toml", "gemfile.lock", "composer.lock", "requirements.txt"),
    }
)


def find_related(github: GitHubClient, question: RelatedQuestion) -> Related:
    """The newest open pull request, of anyone, that names the incident or touches the same files."""
    wanted = _telling(question.files)
    for pull in github.open_pull_requests(question.repository, question.base_branch):
        if pull.head.ref == question.branch:
            continue
        named = [one for one in question.fingerprints if one in (pull.body or "")]
        if named:
            why = f"Pull request {pull.number} is about the same incident."
            return Related(number=pull.number, url=pull.html_url, why=why)
        with classified(f"Files of pull request {pull.number}"):
            touched = sorted(wanted & {file.filename for file in pull.get_files()})
        if touched:
            why = f"Pull request {pull.number} changes {', '.join(touched[:3])}, which the fix needs, too."
            return Related(number=pull.number, url=pull.html_url, why=why)
    return Related()


def _telling(files: Collection[str]) -> set[str]:
    return {file for file in files if PurePosixPath(file).name.lower() not in SHARED_BY_ALL}
