"""Write the table of calls into docs/github.md: `python -m tools.github_reference`."""

import sys
from pathlib import Path
from typing import NamedTuple

REPO = "/repos/{owner}/{repo}"
ENDS = "the repair ends, and says why"
UNDELIVERED = "the message is not delivered"
ON_COMMAND_LINE = "plans are decided on the command line"
TOLD = "checked before a session is paid for"
UNSAID = "it is logged, and the repair goes on"
META, READ, WRITE = "Metadata: read", "Contents: read", "Contents: write"
PULLS, PULLS_WRITE = "Pull requests: read", "Pull requests: write"
ISSUES, ISSUES_WRITE = "Issues: read", "Issues: write"
CHECKS, STATUS = "Checks: write", "a commit status says it"
FILE = Path(__file__).resolve().parent.parent / "docs" / "github.md"
BEGIN, END = "<!-- calls -->", "<!-- end of calls -->"


class GitHubCall(NamedTuple):
    """`token`, `app`: the permission of a fine-grained token and of an app.

    Empty: it cannot have one; `-`: it makes no such call.
    """

    method: str
    path: str
    purpose: str
    token: str
    app: str
    without: str


def _both(method: str, path: str, purpose: str, permission: str, without: str = ENDS) -> GitHubCall:
    return GitHubCall(method, REPO + path, purpose, permission, permission, without)


def _of_app(method: str, path: str, purpose: str, permission: str, without: str = ENDS) -> GitHubCall:
    return GitHubCall(method, path, purpose, "-", permission, without)


CALLS = (
    GitHubCall("GET", "/user", "own account", "none", "", "an app asks for `/users/{login}`"),
    GitHubCall("GET", "/users/{login}", "own account", "none", "none", ENDS),
    _of_app("GET", "/app", "own name", "its key"),
    _of_app("GET", f"{REPO}/installation", "where it is installed", "its key"),
    _of_app("POST", "/app/installations/{id}/access_tokens", "a token for one repository", "its key"),
    _both("GET", "", "the repository", META),
    _both("GET", "/rules/branches/{branch}", "rules for our branch", META, "rules are met at the push"),
    _both("GET", "/rulesets/{id}", "may we bypass a rule?", META, "known only from the push"),
    _both("GET", "/collaborators/{login}/permission", "who may write", META),
    GitHubCall("GIT", "fetch", "clone, fetch", READ, READ, ENDS),
    GitHubCall("GIT", "push", "branches `railmend/*`", WRITE, WRITE, TOLD),
    _of_app("GET", f"{REPO}/git/commits/{{sha}}", "signed commits", READ),
    _of_app("POST", f"{REPO}/git/blobs", "the same", WRITE, TOLD),
    _of_app("POST", f"{REPO}/git/trees", "the same", WRITE, TOLD),
    _of_app("POST", f"{REPO}/git/commits", "the same", WRITE, TOLD),
    _of_app("GET", f"{REPO}/git/ref/{{ref}}", "the same", READ),
    _of_app("POST", f"{REPO}/git/refs", "the same", WRITE, TOLD),
    _of_app("PATCH", f"{REPO}/git/refs/{{ref}}", "the same", WRITE, TOLD),
    _both("GET", "/git/trees/{ref}", "do suspected files exist?", READ),
    _both("GET", "/contents/{file}", "the same, in a tree over 100,000 entries", READ),
    _both("GET", "/branches/{branch}", "newest commit of the base", READ),
    _both("GET", "/commits/{ref}", "one commit", READ),
    _both("GET", "/compare/{spec}", "what a deployment changed", READ),
    GitHubCall("GET", f"{REPO}/commits/{{ref}}/check-runs", "checks", "", "Checks: read", "jobs are read"),
    GitHubCall("GET", f"{REPO}/actions/runs", "checks", "Actions: read", "", "not seen, and said once"),
    GitHubCall("GET", f"{REPO}/actions/runs/{{id}}/jobs", "checks", "Actions: read", "", "the same"),
    _both("GET", "/commits/{ref}/status", "checks", "Commit statuses: read", "not seen, and said once"),
    _of_app("POST", f"{REPO}/check-runs", "what the proof came to; tried without content", CHECKS, STATUS),
    _of_app("PATCH", f"{REPO}/check-runs/{{check_run_id}}", "the same, after a review", CHECKS, STATUS),
    _both("GET", "/statuses/{sha}", "is it said already?", "Commit statuses: read", "nothing is said"),
    _both(
        "POST",
        "/statuses/{sha}",
        "without check runs: the proof",
        "Commit statuses: write",
        "nothing is said",
    ),
    _both("GET", "/pulls", "find pull requests", PULLS),
    _both("POST", "/pulls", "open one; tried without content before a session", PULLS_WRITE, TOLD),
    _both("GET", "/pulls/{n}", "its state", PULLS),
    _both("GET", "/pulls/{n}/files", "what it changes", PULLS),
    _both("GET", "/pulls/{n}/commits", "its commits", PULLS),
    _both("GET", "/pulls/{n}/reviews", "reviews", PULLS),
    _both("GET", "/pulls/{n}/comments", "line comments", PULLS),
    _both("GET", "/pulls/comments/{id}", "one of them", PULLS),
    _both("POST", "/pulls/{n}/comments/{id}/replies", "answer in a thread", PULLS_WRITE, "a comment instead"),
    _both("POST", "/pulls/{n}/requested_reviewers", "ask reviewers", PULLS_WRITE, UNSAID),
    GitHubCall("POST", "/graphql", "resolved threads", PULLS, PULLS, "resolved threads are answered, too"),
    GitHubCall("POST", "/graphql", "does protection require signatures?", READ, "-", "nothing is reported"),
    _both("GET", "/issues/{n}/comments", "comments", ISSUES),
    _both("POST", "/issues/{n}/comments", "answer, report", ISSUES_WRITE, UNSAID),
    _both("PATCH", "/issues/comments/{id}", "bring a comment up to date", ISSUES_WRITE, "a new comment"),
    _both("POST", "/issues/{n}/labels", "labels", ISSUES_WRITE, UNSAID),
    _both("GET", "/issues", "incidents as issues, if set", ISSUES, UNDELIVERED),
    _both("POST", "/issues", "the same; `doctor` tries it without content", ISSUES_WRITE, UNDELIVERED),
    _both("GET", "/issues/{n}", "a plan's issue, if set", ISSUES, ON_COMMAND_LINE),
    _both("PATCH", "/issues/{n}", "close and open it", ISSUES_WRITE, "it stays as it is"),
)


def table() -> str:
    """Return the calls as a table in Markdown."""
    rows = []
    for call in CALLS:
        name = f"`{call.method} {call.path.removeprefix(REPO) or REPO}`"
        cells = (name, call.purpose, call.token or "**never**", call.app or "-", call.without)
        rows.append(f"| {' | '.join(cells)} |")
    head = "| call | for | fine-grained token | app | without it |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *rows])


def updated(text: str) -> str:
    """Return the page with the table between its two marks."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    FILE.write_text(updated(FILE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    main()
