"""GitHub: the token, and what it may do in each repository that a watched service is built from."""

import asyncio

from commands.doctor.check import Check, CheckFailed, CheckResult, CheckStatus, ok, warning
from commands.doctor.railway import repositories
from hosting import clients
from railmend.publishing.github import GitHubClient, GitHubError
from railmend.settings import ConfigurationError, Settings

MEND = "the token needs write access to contents and pull requests, and issues for labels"


def checks(settings: Settings) -> tuple[Check, ...]:
    return (Check("github", lambda: _github(settings)),)


async def _github(settings: Settings) -> list[CheckResult]:
    try:
        github = clients.github(settings)
    except ConfigurationError as error:
        raise CheckFailed(
            "GITHUB_TOKEN is not set", "make a fine-grained token; docs/getting-started.md"
        ) from error
    found = set(await repositories(settings))
    if settings.notify_github_repository:
        found.add(settings.notify_github_repository)
    if not found:
        return warning("github", "no repository is known", "it is read from the services that Railway shows")
    return [await asyncio.to_thread(_rights, github, name) for name in sorted(found)]


def _rights(github: GitHubClient, repository: str) -> CheckResult:
    name = f"github, {repository}"
    try:
        allowed = github.may_push(repository)
    except GitHubError as error:
        return CheckResult(name=name, status=CheckStatus.BAD, said=str(error))
    if allowed is False:
        return CheckResult(
            name=name, status=CheckStatus.BAD, said="the token may read but not push", mend=MEND
        )
    if allowed is None:
        mend = "give GITHUB_TOKEN write access to contents, pull requests and issues; only a push would tell"
        return warning(name, "the token reads it, and GitHub does not say whether it may push", mend)[0]
    return ok(name, "the token's owner may push")[0]
