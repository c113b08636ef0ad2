"""GitHub: the token, and what it may do in each repository that a watched service is built from."""

import asyncio
from collections.abc import Sequence

from commands.checks.check import Check, CheckResult, bad, ok, warning
from commands.checks.railway import repositories
from hosting import clients
from railmend.publishing.github import GitHubClient, GitHubError
from railmend.settings import ConfigurationError, Settings

UNAUTHORIZED = 401
HINT = "what the token needs for each call: docs/github.md"


def checks(settings: Settings) -> tuple[Check, ...]:
    return (Check("github", lambda: _github(settings)),)


async def _github(settings: Settings) -> list[CheckResult]:
    try:
        github = clients.github(settings)
    except ConfigurationError:
        return warning(
            "github",
            "GITHUB_TOKEN is not set: scans only measure and report",
            "for diagnoses and repairs make a fine-grained token; docs/getting-started.md",
        )
    names = await repositories(settings)
    if settings.notify_github_repository:
        names.add(settings.notify_github_repository)
    if not names:
        return warning("github", "no repository is known", "it is read from the services that Railway shows")
    return await asyncio.to_thread(_rights_of_all, github, sorted(names))


def _rights_of_all(github: GitHubClient, names: Sequence[str]) -> list[CheckResult]:
    """Return a line for each repository; what is wrong with GitHub or the token itself is one line."""
    results: list[CheckResult] = []
    for number, name in enumerate(names):
        try:
            results += _rights(github, name)
        except GitHubError as error:
            if not error.retryable and error.status != UNAUTHORIZED:
                results += bad(f"github, {name}", str(error), HINT)
                continue
            left = len(names) - number - 1
            others = f" {left} more of the repositories were not asked for." if left else ""
            hint = "see https://www.githubstatus.com, and run this again" if error.retryable else ""
            return results + bad("github" if left else f"github, {name}", f"{error}{others}", hint)
    return results


def _rights(github: GitHubClient, repository: str) -> list[CheckResult]:
    """Try what a repair does there, up to the point where something would be written."""
    name = f"github, {repository}"
    github.check_publishable(repository, "railmend/doctor", "")
    unseen = github.unseen_checks(repository, github.default_branch(repository))
    if unseen:
        return warning(name, f"it takes a push; not seen: {' '.join(unseen)}", "docs/github.md")
    return ok(name, "it takes a push, and its checks can be read")
