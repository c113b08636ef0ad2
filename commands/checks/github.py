"""GitHub: the token, and what it may do in each repository that a watched service is built from."""

import asyncio
from collections.abc import Collection, Sequence

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
    built = await repositories(settings)
    told = {settings.notify_github_repository} if settings.notify_github_repository else set()
    if not built | told:
        return warning(
            "github", "no repository is known", "repositories are read from the services that Railway lists"
        )
    issues = told | (built if settings.railmend_approve_by_comment else set())
    return await asyncio.to_thread(_rights_of_all, github, sorted(built | told), built, issues)


def _rights_of_all(
    github: GitHubClient, names: Sequence[str], built: Collection[str], issues: Collection[str]
) -> list[CheckResult]:
    """Return a line for each repository; what is wrong with GitHub or the token itself is one line.

    `built`: where services are built from, and repairs are published. `issues`: where issues are opened.
    """
    results: list[CheckResult] = []
    for number, name in enumerate(names):
        try:
            if name in issues:
                github.check_issues(name)
            results += (
                _rights(github, name) if name in built else ok(f"github, {name}", "issues can be opened")
            )
        except GitHubError as error:
            if not error.retryable and error.status != UNAUTHORIZED:
                results += bad(f"github, {name}", str(error), HINT)
                continue
            left = len(names) - number - 1
            others = f" {left} more repositories were not checked." if left else ""
            hint = "see https://www.githubstatus.com, and run this again" if error.retryable else ""
            return results + bad("github" if left else f"github, {name}", f"{error}{others}", hint)
    return results


def _rights(github: GitHubClient, repository: str) -> list[CheckResult]:
    """Try what a repair does there: each write is asked for in a way that writes nothing."""
    name = f"github, {repository}"
    github.check_publishable(repository, "railmend/doctor", "")
    unseen = github.unseen_checks(repository, github.default_branch(repository))
    lacking = [f"not seen: {' '.join(unseen)}"] if unseen else []
    check_runs = github.may_create_check_runs(repository)
    if not check_runs and not github.may_set_status(repository):
        wanted = "Commit statuses" if check_runs is None else "Checks"
        lacking.append(f"a proof's result cannot be shown as a check: grant {wanted} (read and write)")
    elif check_runs is False:
        lacking.append(
            "a commit status stands for the proof's check run: grant the app Checks (read and write)"
        )
    if lacking:
        return warning(name, f"branches can be pushed and pull requests opened; {'; '.join(lacking)}", HINT)
    return ok(name, "branches can be pushed and pull requests opened, and its checks can be read")
