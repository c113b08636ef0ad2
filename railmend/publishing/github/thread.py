"""The thread of one pull request: notes of people and checks, Railmend's replies, and how it ended.

Only people with write access to the repository are heard. Bots are ignored, and so is what Railmend wrote:
its account wrote it, and it begins with a hidden marker. Neither alone is enough.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from github.IssueComment import IssueComment
from github.PullRequest import PullRequest as GithubPull
from github.PullRequestComment import PullRequestComment
from github.Repository import Repository

from railmend.contracts.review import (
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
from railmend.publishing.github.client import GitHubClient
from railmend.publishing.github.errors import classified
from railmend.publishing.text import BOT

OWN = "<!-- railmend"
FAILED = frozenset({"failure", "timed_out", "startup_failure"})
# A comment up to this long before the closing, or after it, gives the reason.
CLOSING = timedelta(minutes=10)
# Enough for any pull request; each is about 20 bytes of history.
MAX_SEEN = 1000
ANSWERED = re.compile(r'<!-- railmend \{"comment": "answer/([a-z]+/\d+)"\} -->')
HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)", re.S)


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

    def view(self, base_branch: str, seen: SeenNotes) -> ReviewView:
        """Return the state, and the notes that are new since `seen`."""
        pull = self._pull
        if pull.merged:
            return ReviewView(state=PullState.MERGED, head=pull.head.sha, later=seen, merge=self._merge())
        if pull.state == "closed":
            return ReviewView(state=PullState.CLOSED, head=pull.head.sha, later=seen, closing=self._closing())
        notes, later = self._new(seen)
        if seen.checked != pull.head.sha and (failing := self._failing(base_branch)) is not None:
            later = later.model_copy(update={"checked": pull.head.sha})
            notes += [note for note in failing if note.name not in seen.names]
        return ReviewView(
            state=PullState.OPEN, head=pull.head.sha, draft=pull.draft, notes=tuple(notes), later=later
        )

    def earlier(self) -> EarlierPullRequest:
        """Return what a repair that begins anew has to know of the pull request it opened in another run."""
        with classified(self._name):
            own = [commit for commit in self._pull.get_commits() if commit.commit.author.email == BOT[1]]
            comments = [*self._pull.get_issue_comments(), *self._pull.get_review_comments()]
        answered = [
            match[1]
            for comment in comments
            if (match := ANSWERED.match(comment.body or "")) and self._accounts.own(comment.user)
        ]
        return EarlierPullRequest(
            number=self._pull.number,
            url=self._pull.html_url,
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
            if comment is None:
                comment = self._pull.create_issue_comment(body)
            elif comment.body != body:
                comment.edit(body)
            if labels:
                self._pull.add_to_labels(*labels)
            return comment.html_url

    def answer(self, reply: NoteReply) -> None:
        """Reply once: in the thread of a line note, otherwise as a comment that quotes the note."""
        note, name, text = reply.note, f"answer/{reply.note.name}", MarkdownText(reply.text)
        if note.kind is not NoteKind.LINE:
            self.comment(name, MarkdownText.joined([_quoted(note), text]))
            return
        with classified(f"Answer on {self._name}"):
            marker = marker_of(name)
            if not any(self._is_own(comment, marker) for comment in self._pull.get_review_comments()):
                self._pull.create_review_comment_reply(note.id, MarkdownText.joined([marker, text]))

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
                if asks and self._asks(user, note.text):
                    if len(asking) == MAX_NOTES:
                        continue
                    asking.append(note)
                read.append(note.name)
        return asking, seen.model_copy(update={"names": tuple(read[-MAX_SEEN:])})

    def _notes_by_author(self) -> Iterable[tuple[Note, User | None, bool]]:
        """Yield every note with its author and whether its kind can request anything."""
        for comment in self._pull.get_issue_comments():
            yield _note(NoteKind.COMMENT, comment.id, comment.user, comment.body), comment.user, True
        for line in self._pull.get_review_comments():
            note = _note(NoteKind.LINE, line.id, line.user, line.body)
            yield note.model_copy(update={"path": line.path, "line": line.line}), line.user, True
        for review in self._pull.get_reviews():
            # An approval requests nothing, whatever its text.
            asks = review.state in ("CHANGES_REQUESTED", "COMMENTED")
            yield _note(NoteKind.REVIEW, review.id, review.user, review.body), review.user, asks

    def _asks(self, user: User | None, body: str | None) -> bool:
        """Return whether a writer requests something; a review without text only carries line comments."""
        text = body or ""
        if user is None or user.type == "Bot" or (text.startswith(OWN) and self._accounts.own(user)):
            return False
        return bool(HIDDEN.sub("", text).strip()) and self._accounts.writes(user)

    def _failing(self, base_branch: str) -> list[Note] | None:
        """Return checks that fail here but not on the base branch; None without checks, or while one runs."""
        with classified(f"Checks of {self._name}"):
            runs = list(self._repo.get_commit(self._pull.head.sha).get_check_runs())
            if not runs or any(run.status != "completed" for run in runs):
                return None
            failed = [run for run in runs if run.conclusion in FAILED]
            if not failed:
                return []
            base = self._repo.get_commit(self._repo.get_branch(base_branch).commit.sha)
            failing_on_base = {run.name for run in base.get_check_runs() if run.conclusion in FAILED}
        notes = []
        for run in failed:
            if run.name in failing_on_base:
                continue
            output = run.output
            details = "\n".join(filter(None, (output.title, output.summary, output.text))) if output else ""
            text = f"The check {run.name} ended with {run.conclusion}.\n{details}".strip()
            notes.append(Note(kind=NoteKind.CHECK, id=run.id, author=run.name[:100], text=text[:MAX_NOTE]))
        return notes[:MAX_NOTES]

    def _merge(self) -> Merge:
        pull, repo = self._pull, self._repo
        with classified(self._name):
            merged = repo.get_commit(pull.merge_commit_sha or pull.head.sha)
            commits = list(pull.get_commits())
            method, count = MergeMethod.SQUASH, 1
            if len(merged.parents) > 1:
                method = MergeMethod.MERGE
            elif commits and merged.commit.message == commits[-1].commit.message:
                # A rebase keeps each message; a squash adds the pull request's number.
                method, count = MergeMethod.REBASE, len(commits)
        return Merge(
            sha=merged.sha,
            head=pull.head.sha,
            method=method,
            at=pull.merged_at or datetime.now(UTC),
            by=pull.merged_by.login if pull.merged_by else "",
            commits=count,
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


def _note(kind: NoteKind, number: int, user: User | None, text: str | None) -> Note:
    return Note(kind=kind, id=number, author=user.login if user else "ghost", text=(text or "")[:MAX_NOTE])


def _quoted(note: Note) -> MarkdownText:
    first, *more = note.text.strip().splitlines()[:6] or [""]
    who = MarkdownText.of("{}: ", note.author) if note.kind is not NoteKind.CHECK else MarkdownText()
    head = MarkdownText.of("> {}{}", who, first)
    return MarkdownText.joined([head, *(MarkdownText.of("> {}", line) for line in more)], "\n")
