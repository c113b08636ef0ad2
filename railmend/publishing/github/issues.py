"""Railmend's own issues of one repository."""

from itertools import islice

from github.Issue import Issue
from github.IssueComment import IssueComment
from github.Repository import Repository

from railmend.evidence.safe_text import MarkdownText, PlainText
from railmend.publishing.github.accounts import Accounts


class Issues:
    """See `GitHubAccess.issues`."""

    def __init__(self, repository: Repository, accounts: Accounts) -> None:
        self._repository = repository
        self._accounts = accounts

    def find(self, label: str, mark: str, most: int) -> Issue | None:
        """Return the newest of the `most` newest issues with this label that holds `mark` and is our own."""
        newest = self._repository.get_issues(state="all", labels=[label], sort="created", direction="desc")
        return next((issue for issue in islice(newest, most) if self._marked(issue, mark)), None)

    def create(self, title: PlainText, body: MarkdownText, label: str) -> Issue:
        return self._repository.create_issue(title=title, body=body, labels=[label])

    def written(self, issue: Issue, mark: str) -> Issue | IssueComment | None:
        """Return what holds `mark`: an issue of our own, or a comment of ours on it."""
        if self._marked(issue, mark):
            return issue
        return next((comment for comment in issue.get_comments() if self._marked(comment, mark)), None)

    def _marked(self, written: Issue | IssueComment, mark: str) -> bool:
        return mark in (written.body or "") and self._accounts.own(written.user)
