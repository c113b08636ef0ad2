"""What makes a repository refuse Railmend's change, found before any money is spent on a session."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from github import GithubException
from github.Repository import Repository

from railmend.publishing.github.errors import unless_refused
from railmend.publishing.text import Author

# Rules that a push of Railmend's branch cannot keep: https://docs.github.com/rest/repos/rules
FORBID = {
    "creation": "a rule lets nobody create the branch {}",
    "update": "a rule lets nobody push to the branch {}",
}
SIGNED = "required_signatures"
UNSIGNED = (
    "signed commits are required on the branch {}, and what git pushes is not signed; sign in as a GitHub "
    "app, whose commits GitHub signs (docs/github.md)"
)
BYPASS = ("always", "exempt")
# Rules of branch protection are no rulesets; only this shows them to those who are no admins.
PROTECTION = """query($owner: String!, $repo: String!, $ref: String!) {
repository(owner: $owner, name: $repo) {
ref(qualifiedName: $ref) { refUpdateRule { requiresSignatures } } } }"""


@dataclass(frozen=True)
class Publication:
    """What is to be published. `signed`: GitHub signs the commits."""

    repository: str
    branch: str
    base: str
    author: Author
    signed: bool


def find_obstacle(repository: Repository, wanted: Publication) -> str:
    """Return why nothing can be published, with what to do; empty: nothing is known to forbid it.

    Raise PyGithub's errors.
    """
    return next(_obstacles(repository, wanted), "")


def _obstacles(repository: Repository, wanted: Publication) -> Iterator[str]:
    if repository.full_name.lower() != wanted.repository.lower():
        yield f"it is {repository.full_name} now; choose that one as the source of the service in Railway"
    if repository.archived:
        yield "it is archived; unarchive it, or build the service from another repository"
    if repository.raw_data.get("has_pull_requests") is False:
        yield "pull requests are disabled in it; enable them (Settings, General, Features)"
    base = wanted.base or repository.default_branch
    try:
        repository.get_branch(base)
    except GithubException as error:
        if error.status != 404:
            raise
        yield f"it has no branch {base} any more; set the branch of the service in Railway"
    yield from _forbidden(repository, wanted)
    if not wanted.signed and _signatures_required(repository, base):
        yield UNSIGNED.format(base)


def _forbidden(repository: Repository, wanted: Publication) -> Iterator[str]:
    """Yield what rules do not allow of a push."""
    name, mail = wanted.author
    values = {
        "branch_name_pattern": ("branch names", wanted.branch),
        "commit_author_email_pattern": ("addresses of authors", mail),
        "committer_email_pattern": ("addresses of committers", mail),
        "commit_message_pattern": (
            "commit messages",
            f"service: what was wrong\n\nSigned-off-by: {name} <{mail}>",
        ),
    }
    for rule in _rules(repository, wanted.branch):
        why = FORBID.get(rule["type"], "").format(wanted.branch)
        if rule["type"] == SIGNED and not wanted.signed:
            why = UNSIGNED.format(wanted.branch)
        if (value := values.get(rule["type"])) and not _matches(rule.get("parameters") or {}, value[1]):
            why = f"a rule for {value[0]} does not allow {value[1]!r}"
        if why and not _may_bypass(repository, rule):
            yield f"{why}; let Railmend's account bypass the ruleset, or leave out railmend/*"


def _signatures_required(repository: Repository, base: str) -> bool:
    """Return whether no pull request with unsigned commits can be merged, by a ruleset or protection."""
    if any(rule["type"] == SIGNED for rule in _rules(repository, base)):
        return True
    variables = {"owner": repository.owner.login, "repo": repository.name, "ref": f"refs/heads/{base}"}
    ask = partial(repository.requester.graphql_query, PROTECTION, variables)
    answer: Any = unless_refused("Protection", lambda: ask()[1]["data"], None, logging.DEBUG)
    found = answer and answer["repository"]["ref"]
    return bool(found and found["refUpdateRule"] and found["refUpdateRule"]["requiresSignatures"])


def _rules(repository: Repository, branch: str) -> list[dict[str, Any]]:
    """Return the active rules for a branch that may not exist yet; none where there are no rulesets."""
    rules = _get(repository, f"rules/branches/{branch}")
    return rules if isinstance(rules, list) else []


def _may_bypass(repository: Repository, rule: dict[str, Any]) -> bool:
    """Return whether Railmend may, or it is not told: of an organization's rule the push will tell."""
    ruleset = _get(repository, f"rulesets/{rule['ruleset_id']}")
    return ruleset is None or ruleset.get("current_user_can_bypass") in BYPASS


def _get(repository: Repository, path: str) -> Any:
    """Return what GitHub answers; None where it is refused."""
    get = repository.requester.requestJsonAndCheck
    return unless_refused(path, lambda: get("GET", f"{repository.url}/{path}")[1], None, logging.DEBUG)


def _matches(parameters: dict[str, Any], value: str) -> bool:
    """Return whether a pattern allows a value; what is not understood forbids nothing."""
    pattern, operator = str(parameters.get("pattern", "")), str(parameters.get("operator"))
    try:
        found = {
            "starts_with": value.startswith(pattern),
            "ends_with": value.endswith(pattern),
            "contains": pattern in value,
            "regex": operator == "regex" and bool(re.search(pattern, value)),
        }.get(operator)
    except re.error:
        found = None
    return found is None or found is not bool(parameters.get("negate"))
