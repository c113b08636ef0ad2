"""The thread of one pull request: notes of people and checks, Railmend's replies, and how it ended.

Only people with write access to the repository are heard. Bots are ignored, and so is what Railmend wrote:
its account wrote it, and it begins with a hidden marker. Neither alone is enough.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from github.GitAuthor import GitAuthor
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest as GithubPull
from github.PullRequestComment import PullRequestComment
from github.PullRequestReview import PullRequestReview
from github.Repository import Repository

from railmend.contracts.review import (
    MAX_HUNK,
    MAX_NOTE,
    MAX_NOTES,
    EarlierPullRequest,
    Merge,
    MergeMethod,
    Note,
    NoteKind,
    NoteReply,
    PullState,
    ReviewView,
    SeenNotes,
)
from railmend.evidence.safe_text import MarkdownText
from railmend.publishing.github.accounts import Accounts, User
from railmend.publishing.github.checks import CheckOutcome, read_checks
from railmend.publishing.github.client import GitHubClient
from railmend.publishing.github.errors import classified, unless_refused
from railmend.publishing.text import BOT

OWN = "<!-- railmend"
# A comment up to this long before the closing, or after it, gives the reason.
CLOSING = timedelta(minutes=10)
# Enough for any pull request; each is about 20 bytes of history.
MAX_SEEN = 1000
ANSWERED = re.compile(r'<!-- railmend \{"comment": "answer/([a-z]+/\d+(?:@\d+)?)"\} -->')
HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
# REST does not tell which threads are resolved: https://docs.github.com/graphql/reference/objects#pullrequestreviewthread
RESOLVED = """query($owner: String!, $repo: String!, $n: Int!) { repository(owner: $owner, name: $repo) {
pullRequest(number: $n) { reviewThreads(last: 100) { nodes { isResolved comments(first: 1) {
nodes { databaseId } } } } } } }"""


def marker_of(name: str) -> MarkdownText:
    return MarkdownText.comment("railmend", json.dumps({"comment": name}))


class PullRequestThread:
    """One pull request, read once. Every method raises `GitHubError`."""

    def __init__(self, github: GitHubClient, repository: str, number: int) -> None:
        self._name = f"Pull request {number} of {repository}"
        self._repo: Repository = github.repository(repository)
        with classified(self._name):
            self._pull: GithubPull = self._repo.get_pull(number)
        self._accounts: Accounts = github.accounts(self._repo)
        self._lines: dict[int, PullRequestComment] = {}

    @property
    def url(self) -> str:
        return self._pull.html_url

    def answered(self, commit: str | None) -> str:
        """Return the head that notes were about: the commit before their answer, where one was made."""
        with classified(self._name):
            return self._repo.get_commit(commit).parents[0].sha if commit else self._pull.head.sha

    def view(self, base_branch: str, seen: SeenNotes) -> ReviewView:
        """Return the state, and the notes that are new since `seen`."""
        pull = self._pull
        if pull.merged:
            return ReviewView(state=PullState.MERGED, head=pull.head.sha, later=seen, merge=self._merge())
        if pull.state == "closed":
            return ReviewView(state=PullState.CLOSED, head=pull.head.sha, later=seen, closing=self._closing())
        notes, later = self._new(seen)
        failing, unseen = self._failing(base_branch, seen)
        names = (*later.names, *(note.name for note in failing))[-MAX_SEEN:]
        return ReviewView(
            state=PullState.OPEN,
            head=pull.head.sha,
            draft=pull.draft,
            notes=(*notes, *failing),
            later=later.model_copy(update={"names": names, "versions": True}),
            unseen=unseen,
        )

    def earlier(self) -> EarlierPullRequest:
        """Return what a repair that begins anew has to know of the pull request it opened in another run."""
        with classified(self._name):
            own = [commit for commit in self._pull.get_commits() if self._committed(commit.commit.author)]
            comments = [*self._pull.get_issue_comments(), *self._pull.get_review_comments()]
        answered = [
            match[1]
            for comment in comments
            if (match := ANSWERED.match(comment.body or "")) and self._accounts.own(comment.user)
        ]
        return EarlierPullRequest(
            number=self._pull.number,
            url=self.url,
            head=own[-1].sha if own else self._pull.head.sha,
            draft=self._pull.draft,
            opened_at=self._pull.created_at,
            rounds=max(len(own) - 1, 0),
            seen=SeenNotes(names=tuple(answered[-MAX_SEEN:])),
        )

    def comment(self, name: str, text: MarkdownText, labels: Sequence[str] = ()) -> str:
        """Edit Railmend's own comment of this name, or create it; return its address."""
        with classified(f"Comment on {self._name}"):
            marker = marker_of(name)
            comments = self._pull.get_issue_comments()
            comment = next((comment for comment in comments if self._is_own(comment, marker)), None)
            # First in the body, so that truncation keeps it.
            body = MarkdownText.joined([marker, MarkdownText(text)])
            if comment is None or not (comment.body == body or self._edited(comment, body)):
                comment = self._pull.create_issue_comment(body)
        self.label(labels)
        return comment.html_url

    def label(self, labels: Sequence[str]) -> None:
        """Add labels; they help people to find it, so that a refusal is only logged."""
        if labels:
            unless_refused(f"Labels of {self._name}", lambda: self._pull.add_to_labels(*labels), None)

    def _edited(self, comment: IssueComment, body: MarkdownText) -> bool:
        """Edit a comment of our own; False: that is refused, because a former account wrote it."""

        def edit() -> bool:
            comment.edit(body)
            return True

        return unless_refused(f"Comment on {self._name}", edit, False)

    def answer(self, reply: NoteReply) -> None:
        """Reply once: in the thread of a line note where it takes one, else as a comment quoting the note."""
        note, name, text = reply.note, f"answer/{reply.note.name}", MarkdownText(reply.text)
        reply_in_thread = partial(self._replied, note.id, marker_of(name), text)
        in_thread = note.kind is NoteKind.LINE
        if not (in_thread and unless_refused(f"Answer on {self._name}", reply_in_thread, False)):
            self.comment(name, MarkdownText.joined([_quoted(note), text]))

    def _replied(self, number: int, marker: MarkdownText, text: MarkdownText) -> bool:
        """Reply in a thread; False: the comment is gone. GitHub takes replies to its first comment alone."""
        comments = list(self._pull.get_review_comments())
        if any(self._is_own(comment, marker) for comment in comments):
            return True
        top = next((c.in_reply_to_id or c.id for c in comments if c.id == number), None)
        if top is not None:
            self._pull.create_review_comment_reply(top, MarkdownText.joined([marker, text]))
        return top is not None

    def _committed(self, author: GitAuthor) -> bool:
        """Return whether a commit is Railmend's; where a person lends it the account, the name tells.

        What GitHub commits for an app bears the app's name; no person's has brackets.
        """
        number = author.email.partition("+")[0]
        own = author.email == BOT[1] or (number.isdigit() and self._accounts.has_id(int(number)))
        return own and (author.name == BOT[0] or author.name.endswith("[bot]"))

    def _is_own(self, comment: IssueComment | PullRequestComment, marker: str = OWN) -> bool:
        return (comment.body or "").startswith(marker) and self._accounts.own(comment.user)

    def _new(self, seen: SeenNotes) -> tuple[list[Note], SeenNotes]:
        """Return new notes that request something, and all that was read; excess ones wait."""
        earlier, read = frozenset(seen.names), list(seen.names)
        asking: list[Note] = []
        with classified(f"Comments on {self._name}"):
            for note, user, asks in self._notes_by_author():
                if note.name in earlier:
                    continue
                if not seen.versions and note.unedited_name in earlier:
                    read.append(note.name)  # edited before edits were noticed
                    continue
                if asks and self._asks(user, note.text):
                    if len(asking) == MAX_NOTES:
                        continue
                    note = self._placed(note)
                    if note.thread is None or note.thread not in self._resolved:
                        asking.append(note)
                read.append(note.name)
        return asking, seen.model_copy(update={"names": tuple(read[-MAX_SEEN:])})

    def _notes_by_author(self) -> Iterable[tuple[Note, User | None, bool]]:
        """Yield every note with its author and whether its kind can request anything."""
        for comment in self._pull.get_issue_comments():
            yield _note(NoteKind.COMMENT, comment), comment.user, True
        for line in self._pull.get_review_comments():
            self._lines[line.id] = line
            yield _note(NoteKind.LINE, line), line.user, True
        for review in self._pull.get_reviews():
            # An approval requests nothing, whatever its text.
            asks = review.state in ("CHANGES_REQUESTED", "COMMENTED")
            yield _note(NoteKind.REVIEW, review), review.user, asks

    def _placed(self, note: Note) -> Note:
        """Return a line note with its place: a reply stands where the first comment of its thread does."""
        line = self._lines.get(note.id) if note.kind is NoteKind.LINE else None
        if line is None:
            return note
        # Only replies have the field; asking another comment for it costs a call.
        first = self._lines.get(line.in_reply_to_id, line)
        outdated = first.line is None
        update = {
            "path": line.path,
            "line": first.original_line if outdated else first.line,
            "start_line": first.original_start_line if outdated else first.start_line,
            "outdated": outdated and first.original_line is not None,
            "hunk": (first.diff_hunk or "")[-MAX_HUNK:],
            "thread": first.id,
        }
        return note.model_copy(update=update)

    @cached_property
    def _resolved(self) -> frozenset[int]:
        """The first comments of the threads that people have closed."""
        variables = {"owner": self._repo.owner.login, "repo": self._repo.name, "n": self._pull.number}
        ask = partial(self._pull.requester.graphql_query, RESOLVED, variables)
        answer: Any = unless_refused(f"Threads of {self._name}", lambda: ask()[1]["data"], None)
        return frozenset(
            comment["databaseId"]
            for thread in (answer["repository"]["pullRequest"]["reviewThreads"]["nodes"] if answer else ())
            if thread["isResolved"]
            for comment in thread["comments"]["nodes"]
        )

    def _asks(self, user: User | None, body: str | None) -> bool:
        """Return whether a writer requests something; a review without text only carries line comments."""
        text = body or ""
        if user is None or user.type == "Bot" or (text.startswith(OWN) and self._accounts.own(user)):
            return False
        return bool(HIDDEN.sub("", text).strip()) and self._accounts.writes(user)

    def _failing(self, base_branch: str, seen: SeenNotes) -> tuple[list[Note], tuple[str, ...]]:
        """Return checks that fail here but not on the base branch, and what may not be read of them."""
        head = self._pull.head.sha
        with classified(f"Checks of {self._name}"):
            checks = read_checks(self._repo, head)
            failed = [check for check in checks.failed(datetime.now(UTC)) if seen.checked != head]
            notes = {
                check.name: note
                for check in failed
                if (note := _check_note(check, head)).name not in seen.names
            }
            if notes:
                base = read_checks(self._repo, self._repo.get_branch(base_branch).commit.sha)
                for check in base.outcomes:
                    if check.failed:
                        notes.pop(check.name, None)
        return list(notes.values())[:MAX_NOTES], checks.unseen

    def _merge(self) -> Merge:
        """Describe the merge. A rebase keeps author, date and message of the last commit."""
        pull, repo = self._pull, self._repo
        with classified(self._name):
            merged = repo.get_commit(pull.merge_commit_sha or pull.head.sha)
            last = repo.get_commit(pull.head.sha).commit
            same = (merged.commit.author.date, merged.commit.message) == (last.author.date, last.message)
            method = MergeMethod.REBASE if same else MergeMethod.SQUASH
            if len(merged.parents) > 1:
                method = MergeMethod.MERGE
        return Merge(
            sha=merged.sha,
            head=pull.head.sha,
            method=method,
            at=pull.merged_at or datetime.now(UTC),
            by=pull.merged_by.login if pull.merged_by else "",
        )

    def _closing(self) -> str:
        since = (self._pull.closed_at or datetime.now(UTC)) - CLOSING
        with classified(f"Comments on {self._name}"):
            reasons = [
                comment.body
                for comment in self._pull.get_issue_comments()
                if comment.created_at >= since and self._asks(comment.user, comment.body)
            ]
        return reasons[-1][:MAX_NOTE] if reasons else ""


def _note(kind: NoteKind, written: IssueComment | PullRequestComment | PullRequestReview) -> Note:
    user = written.user
    return Note(
        kind=kind,
        id=written.id,
        author=user.login if user else "ghost",
        text=(written.body or "")[:MAX_NOTE],
        version=_version(written),
    )


def _version(written: IssueComment | PullRequestComment | PullRequestReview) -> int:
    """Return when it was edited, in seconds of the epoch; 0: never, or GitHub does not tell."""
    if isinstance(written, PullRequestReview) or written.updated_at <= written.created_at:
        return 0
    return int(written.updated_at.timestamp())


def _check_note(check: CheckOutcome, sha: str) -> Note:
    text = f"The check {check.name} ended with {check.conclusion}.\n{check.details}".strip()
    return Note(kind=NoteKind.CHECK, id=check.number(sha), author=check.name[:100], text=text[:MAX_NOTE])


def _quoted(note: Note) -> MarkdownText:
    first, *more = note.text.strip().splitlines()[:6] or [""]
    who = MarkdownText.of("{}: ", note.author) if note.kind is not NoteKind.CHECK else MarkdownText()
    head = MarkdownText.of("> {}{}", who, first)
    return MarkdownText.joined([head, *(MarkdownText.of("> {}", line) for line in more)], "\n")
