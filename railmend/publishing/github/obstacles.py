"""What makes a repository refuse Railmend's branch, found before any money is spent on a session."""

import re
from typing import Any

from github import GithubException
from github.Repository import Repository

# Rules that a push of Railmend's branch cannot keep: https://docs.github.com/rest/repos/rules
FORBID = {
    "creation": "a rule lets nobody create the branch {branch}",
    "update": "a rule lets nobody push to the branch {branch}",
    "required_signatures": "a rule requires signed commits on {branch}, and Railmend's are not",
}
BYPASS = ("always", "exempt")


def find_obstacle(repository: Repository, branch: str, base: str, author: tuple[str, str]) -> str:
    """Return why nothing can be published, with what to do; empty: nothing is known to forbid it.

    Raise PyGithub's errors.
    """
    if repository.archived:
        return "it is archived; unarchive it, or build the service from another repository"
    name = base or repository.default_branch
    try:
        repository.get_branch(name)
    except GithubException as error:
        if error.status != 404:
            raise
        return f"it has no branch {name} any more; set the branch of the service in Railway"
    message = f"service: what was wrong\n\nSigned-off-by: {author[0]} <{author[1]}>"
    values = {
        "branch_name_pattern": ("branch names", branch),
        "commit_author_email_pattern": ("addresses of authors", author[1]),
        "committer_email_pattern": ("addresses of committers", author[1]),
        "commit_message_pattern": ("commit messages", message),
    }
    for rule in _rules(repository, branch):
        why = FORBID.get(rule["type"], "").format(branch=branch)
        if (value := values.get(rule["type"])) and not _matches(rule.get("parameters") or {}, value[1]):
            why = f"a rule for {value[0]} does not allow {value[1]!r}"
        if why and not _may_bypass(repository, rule):
            return f"{why}; let Railmend's account bypass the ruleset, or leave out railmend/*"
    return ""


def _rules(repository: Repository, branch: str) -> list[dict[str, Any]]:
    """Return the active rules for a branch that may not exist yet; none where there are no rulesets."""
    try:
        _, rules = repository.requester.requestJsonAndCheck(
            "GET", f"{repository.url}/rules/branches/{branch}"
        )
    except GithubException as error:
        if error.status in (403, 404):
            return []
        raise
    return rules if isinstance(rules, list) else []


def _may_bypass(repository: Repository, rule: dict[str, Any]) -> bool:
    try:
        url = f"{repository.url}/rulesets/{rule['ruleset_id']}"
        _, ruleset = repository.requester.requestJsonAndCheck("GET", url)
    except GithubException as error:
        if error.status in (403, 404):  # of the organization: the push itself will tell
            return True
        raise
    return bool(ruleset.get("current_user_can_bypass") in BYPASS)


def _matches(parameters: dict[str, Any], value: str) -> bool:
    pattern = str(parameters.get("pattern", ""))
    operator = parameters.get("operator")
    try:
        found = {
            "starts_with": value.startswith(pattern),
            "ends_with": value.endswith(pattern),
            "contains": pattern in value,
            "regex": operator == "regex" and bool(re.search(pattern, value)),
        }.get(str(operator), True)
    except re.error:
        return True
    return found is not bool(parameters.get("negate"))
