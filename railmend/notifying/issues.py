"""One GitHub issue per incident, one comment per further notice: found by a marker, or created. Blocking."""

from github.Issue import Issue

from railmend.contracts.notification import Notification
from railmend.notifying.text import headline, markdown
from railmend.publishing.github import GitHubClient

LABEL = "railmend-incident"
# Newest first; an older thread is started anew.
LOOKED_THROUGH = 300


def marker(what: str) -> str:
    """Invisible in the rendered issue."""
    return f"<!-- railmend:{what} -->"


def tell(github: GitHubClient, repository: str, notification: Notification, url: str) -> None:
    """Safe to repeat: what stands there already is not written again. Raises `GitHubError`."""
    body = f"{markdown(notification, url)}\n\n{marker(notification.notification_id)}"
    with github.issues(repository) as issues:
        for thread in dict.fromkeys(notification.threads):
            known = issues.find(LABEL, marker(f"thread {thread}"), LOOKED_THROUGH)
            if known is None:
                issues.create(headline(notification), f"{body}\n{marker(f'thread {thread}')}", LABEL)
            elif not _said(known, marker(notification.notification_id)):
                known.create_comment(body)


def _said(issue: Issue, mark: str) -> bool:
    return mark in (issue.body or "") or any(mark in (one.body or "") for one in issue.get_comments())
