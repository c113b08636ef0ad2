"""Whose comment decides on a plan, and which comment does: the whole of it is one command.

A comment counts if a person wrote it who may write to the repository now, by no app, and nobody has edited
it since. Anything else than a command (a quotation, a block of code, a sentence around it) is talk.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from github import GithubException
from github.Issue import Issue
from github.IssueComment import IssueComment

from railmend.contracts.approval import PlanIssue
from railmend.contracts.notification import NotificationKind
from railmend.contracts.repair import Approval
from railmend.evidence.safe_text import MarkdownText
from railmend.publishing.comments import format_plan_answer
from railmend.publishing.github.accounts import Accounts
from railmend.publishing.github.client import GitHubClient
from railmend.publishing.github.errors import classified
from railmend.publishing.github.thread import marker_of

# Newest comments that are read at each poll, and commands among them that are looked into: each costs up to
# three requests, and anybody can comment on a public repository.
MAX_READ, MAX_COMMANDS = 300, 20
MAX_REASON = 500
# A line of a comment that means us, even if it decides nothing: one below a quotation, say.
CALL = re.compile(r"^/railmend\b", re.M)
# In the body of an issue that was opened for a plan; see `issue_marker`.
# REST's time of a change is also that of a reaction or of hiding, and is silent about the first second:
# https://docs.github.com/graphql/reference/interfaces#comment
EDITED = "query($id: ID!) { node(id: $id) { ... on IssueComment { lastEditedAt } } }"
PLAN_MARK = f"<!-- railmend:{NotificationKind.APPROVAL.value}/"
COMMAND = re.compile(r"/railmend (?:approve ([0-9a-f]{16})|reject ([0-9a-f]{16})(?:[ \n]([^\0]*))?)")


@dataclass(frozen=True)
class PlanCommand:
    """`plan`: the hash of the plan that its writer saw."""

    approved: bool
    plan: str
    reason: str = ""


def parse_command(text: str) -> PlanCommand | None:
    """Return the command that a comment is, from its first character to its last."""
    match = COMMAND.fullmatch(text.replace("\r\n", "\n").strip("\n").rstrip(" \t\n"))
    if match is None:
        return None
    approved, rejected, reason = match.groups("")
    return PlanCommand(bool(approved), approved or rejected, " ".join(reason.split())[:MAX_REASON])


def digest_of(written: Issue | IssueComment) -> str:
    return sha256((written.body or "").encode()).hexdigest()


class PlanThread:
    """The issue of a plan, read once. Every method raises `GitHubError`."""

    def __init__(self, github: GitHubClient, shown: PlanIssue) -> None:
        self._shown = shown
        self._name = f"Issue {shown.number} of {shown.repository}"
        repository = github.repository(shown.repository)
        with classified(self._name):
            self._issue: Issue = repository.get_issue(shown.number)
        self._accounts: Accounts = github.accounts(repository)

    def decision(self) -> Approval | None:
        """Return what a person decided; one who rejects outweighs all who approve.

        A command of a writer that does not count is answered once.
        """
        with classified(f"Comments on {self._name}"):
            comments = self._newest()
            decisions = [
                decision
                for comment in islice(filter(self._may_count, comments), MAX_COMMANDS)
                if (decision := self._decided_by(comment, comments)) is not None
            ]
        return min(decisions, key=lambda decision: decision.approved, default=None)

    def conclude(self, sentence: str) -> None:
        """Say once what became of the plan, and close the issue if it was opened for plans."""
        marker = marker_of(f"plan/{self._shown.plan}")
        with classified(f"Comment on {self._name}"):
            if not self._holds(self._newest(), marker):
                self._issue.create_comment(MarkdownText.joined([marker, MarkdownText(sentence)]))
            own = self._accounts.own(self._issue.user)
            if own and PLAN_MARK in (self._issue.body or "") and self._issue.state == "open":
                self._issue.edit(state="closed")

    def _newest(self) -> list[IssueComment]:
        """Return comments since the plan was shown, newest first."""
        since = self._issue.get_comments(since=self._shown.shown_at)
        newest = islice(reversed(since), MAX_READ)
        return [comment for comment in newest if comment.created_at >= self._shown.shown_at]

    def _is_shown(self, comments: list[IssueComment]) -> bool:
        """Return whether the plan still stands there as it was published."""
        posts: list[Issue | IssueComment] = [self._issue, *comments]
        shown = (post for post in posts if post.html_url == self._shown.url)
        return any(digest_of(post) == self._shown.digest for post in shown)

    def _may_count(self, comment: IssueComment) -> bool:
        user = comment.user
        return (
            user is not None
            and CALL.search(comment.body or "") is not None
            and user.type == "User"
            and not self._accounts.own(user)
        )

    def _decided_by(self, comment: IssueComment, comments: list[IssueComment]) -> Approval | None:
        answer = marker_of(f"decision/{comment.id}")
        if self._holds(comments, answer) or not self._accounts.writes(comment.user):
            return None
        command = parse_command(comment.body or "")
        obstacle = _obstacle(comment, command, self._shown.plan)
        if not obstacle and self._edited(comment):
            obstacle = "This comment was edited, and may not say what its author wrote."
        if not (obstacle or self._is_shown(comments)):
            obstacle = "The plan above is not what Railmend wrote: decide on the command line."
        if command is None or obstacle:
            text = format_plan_answer(obstacle, self._shown.plan)
            self._issue.create_comment(MarkdownText.joined([answer, text]))
            return None
        return Approval(
            by=comment.user.login,
            reason=command.reason,
            approved=command.approved,
            plan=command.plan,
            comment=comment.html_url,
        )

    def _edited(self, comment: IssueComment) -> bool:
        """Return whether somebody edited it; where GraphQL does not answer, whether it changed in any way."""
        try:
            _, answer = self._issue.requester.graphql_query(EDITED, {"id": comment.node_id})
            return answer["data"]["node"]["lastEditedAt"] is not None
        except (GithubException, LookupError, TypeError):
            return comment.updated_at != comment.created_at

    def _holds(self, comments: list[IssueComment], marker: str) -> bool:
        return any(
            (comment.body or "").startswith(marker) and self._accounts.own(comment.user)
            for comment in comments
        )


def _obstacle(comment: IssueComment, command: PlanCommand | None, plan: str) -> str:
    """Return why the command of a writer does not count; empty: it does."""
    if comment.performed_via_github_app is not None:
        return "An app wrote this for somebody."
    if command is None:
        return "This is no command of Railmend's: the whole comment has to be one line of the two below."
    if command.plan != plan:
        return f"{command.plan} is not the plan that waits now."
    return ""
