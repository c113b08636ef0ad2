"""GitHub: the token, and what it may do in each repository that a watched service is built from."""

import asyncio

from commands.checks.check import Check, CheckResult, bad, ok, warning
from commands.checks.railway import repositories
from hosting import clients
from railmend.publishing.github import GitHubClient, GitHubError
from railmend.settings import ConfigurationError, Settings

HINT = "the token needs write access to contents and pull requests, and issues for labels"


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
    return [result for name in sorted(names) for result in await asyncio.to_thread(_rights, github, name)]


def _rights(github: GitHubClient, repository: str) -> list[CheckResult]:
    name = f"github, {repository}"
    try:
        allowed = github.may_push(repository)
    except GitHubError as error:
        return bad(name, str(error))
    if allowed is False:
        return bad(name, "the token may read but not push", HINT)
    if allowed is None:
        hint = "give GITHUB_TOKEN write access to contents, pull requests and issues; only a push would tell"
        return warning(name, "the token reads it, and GitHub does not say whether it may push", hint)
    return ok(name, "the token's owner may push")
