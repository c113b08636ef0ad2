"""GitHub: pull requests, what people say of them, plans on issues, reverts of what made things worse."""

import asyncio
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.by_reference import material_of
from activities.heartbeat import in_thread, working
from railmend.artifacts import ArtifactStore
from railmend.coding.git.revert import RevertingRepository
from railmend.contracts.approval import PlanDecided, PlanIssue, PlanIssueRequest
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.repair import Approval, PullRequest, PullRequestRequest, RelatedComment
from railmend.contracts.review import (
    AnswersRequest,
    CommentRequest,
    Earlier,
    EarlierQuestion,
    NoteReply,
    Related,
    RelatedQuestion,
    RevertRequest,
    ReviewQuestion,
    ReviewView,
)
from railmend.evidence.safe_text import MarkdownText
from railmend.notifying.delivery import post_plan
from railmend.publishing.comments import (
    format_measurement_comment,
    format_not_deployed_comment,
    format_related_comment,
    format_reply,
    format_revert_body,
    label_of,
)
from railmend.publishing.github import GitHubClient, NewPullRequest, PullRequestThread
from railmend.publishing.github.decision import PlanThread
from railmend.publishing.github.errors import unless_refused
from railmend.publishing.proof import head_check, is_draft, labels, marked, running
from railmend.publishing.text import body, marker, revert_message, revert_title, title

# With any other autonomy, one that a later version added too, the pull request is a draft.
OPENS_READY = (Autonomy.PLAN, Autonomy.PULL_REQUEST)


class GitHubActivities:
    """GitHub's client blocks, so it is called in threads."""

    def __init__(self, github: GitHubClient, artifacts: ArtifactStore) -> None:
        self._github = github
        self._artifacts = artifacts

    @activity.defn
    async def poll_pull_request(self, question: ReviewQuestion) -> ReviewView:
        """Return state, merge, and what writers and checks said since the last poll.

        What asks for an answer gets one: the head's check runs until `reply_to_notes` ends it.
        """
        since = activity.info().scheduled_time

        def work() -> ReviewView:
            thread = self._thread(question.repository, question.number)
            base = question.base_branch or self._github.default_branch(question.repository)
            view = thread.view(base, question.seen)
            if view.notes:
                checks = self._github.head_checks(question.repository)
                checks.show(view.head, running(since), thread.url)
            return view

        return await in_thread(work)

    @activity.defn
    async def find_earlier(self, question: EarlierQuestion) -> Earlier:
        """Find the pull request that an earlier run of the same repair opened: by branch and marker."""
        return await in_thread(self._earlier, question)

    def _earlier(self, question: EarlierQuestion) -> Earlier:
        base = question.base_branch or self._github.default_branch(question.repository)
        found = self._github.find_pull_request(
            question.repository, question.branch, base, question.requested_at
        )
        if found is None or not found.is_of(question.key):
            return Earlier()
        return Earlier(pull_request=self._thread(question.repository, found.pull_request.number).earlier())

    @activity.defn
    async def reply_to_notes(self, request: AnswersRequest) -> None:
        """Reply to each note once, however often it is tried. A locked conversation stays unanswered.

        The check of the head that the notes were about ends; a new commit says what its proof came to.
        """
        text = format_reply(request)

        def work() -> None:
            thread = self._thread(request.repository, request.number)
            checks = self._github.head_checks(request.repository)
            checks.settle(request.head or thread.answered(request.commit))
            check = head_check(request.proof)
            if request.commit and check:
                checks.show(request.commit, check, thread.url)
            for note in request.notes:
                answer = partial(thread.answer, NoteReply(note=note, text=text))
                unless_refused("Not answered", answer, None)

        await in_thread(work)

    @activity.defn
    async def find_related(self, question: RelatedQuestion) -> Related:
        """Find it. Before the session (no files yet), raise where nothing could be published."""

        def work() -> Related:
            if not question.files:
                self._github.check_publishable(question.repository, question.branch, question.base_branch)
            return self._github.find_related(question)

        return await in_thread(work)

    @activity.defn
    async def comment_on_related(self, request: RelatedComment) -> str:
        """Comment, and return the comment's URL."""
        repair = request.publish.repair
        async with working():
            material = await material_of(request.publish, self._artifacts)
            comment = CommentRequest(
                repository=repair.repository,
                number=request.number,
                name=f"related/{repair.key}",
                text=format_related_comment(request, material),
            )
            return await asyncio.to_thread(self._comment, comment)

    @activity.defn
    async def comment_measurement(self, notice: MeasurementComment) -> None:
        """Write or rewrite the one comment on the measurement, and label its status."""
        await self._comment_outcome(notice, format_measurement_comment(notice), label_of(notice.status))

    @activity.defn
    async def comment_not_deployed(self, notice: NotDeployedComment) -> None:
        ended = notice.waits_until is None
        labels = ("railmend: not deployed",) if ended else ()
        await self._comment_outcome(notice, format_not_deployed_comment(notice), *labels)

    @activity.defn
    async def open_revert(self, request: RevertRequest) -> PullRequest:
        """Return the pull request that reverts a merge, made where there is none. Raise `RevertConflict`."""
        return await in_thread(self._revert, request)

    def _revert(self, request: RevertRequest) -> PullRequest:
        base = request.base_branch or self._github.default_branch(request.repository)
        branch = f"railmend/{request.key}-revert"
        author = self._github.author(request.repository)
        with tempfile.TemporaryDirectory(prefix="railmend-revert-") as folder:
            repository = RevertingRepository(
                Path(folder),
                self._github.clone_url(request.repository),
                self._github.git_token(request.repository),
                signer=self._github.signer(request.repository),
            )
            repository.revert(
                base_branch=base,
                merged=request.merge.sha,
                head=request.merge.head,
                pull=f"refs/pull/{request.number}/head",
                branch=branch,
                message=revert_message(request.title, request.merge.sha, request.reason, author),
                author=author,
                when=request.requested_at,
            )
        return self._github.open_pull_request(
            request.repository,
            NewPullRequest(
                branch=branch,
                base=base,
                title=revert_title(request.title),
                body=MarkdownText.joined(
                    [format_revert_body(request.number, request.reason), marker(request.key, "")]
                ),
                draft=False,
                labels=("railmend",),
            ),
        )

    async def _comment_outcome(
        self, notice: MeasurementComment | NotDeployedComment, text: MarkdownText, *labels: str
    ) -> None:
        request = CommentRequest(
            repository=notice.repository, number=notice.number, name="outcome", text=text, labels=labels
        )
        await in_thread(self._comment, request)

    def _comment(self, request: CommentRequest) -> str:
        """Comment, and return the address; none where GitHub refuses it, which ends no repair."""
        thread = self._thread(request.repository, request.number)
        comment = partial(thread.comment, request.name, MarkdownText(request.text), request.labels)
        return unless_refused("Not said on GitHub", comment, "")

    def _thread(self, repository: str, number: int) -> PullRequestThread:
        return PullRequestThread(self._github, repository, number)

    @activity.defn
    async def open_pull_request(self, request: PullRequestRequest) -> PullRequest:
        """Return the pull request, created where an earlier attempt left none; its commit says its proof."""
        publish = request.publish
        repair = publish.repair
        async with working():
            base = repair.base_branch or await asyncio.to_thread(
                self._github.default_branch, repair.repository
            )
            unseen = await asyncio.to_thread(self._github.unseen_checks, repair.repository, base)
            material = replace(await material_of(publish, self._artifacts), unseen=unseen)
            pull_request = await asyncio.to_thread(
                self._github.open_pull_request,
                repair.repository,
                NewPullRequest(
                    branch=request.commit.branch,
                    base=base,
                    title=marked(title(repair), publish),
                    body=body(publish, material),
                    draft=repair.autonomy not in OPENS_READY or is_draft(publish),
                    labels=labels(publish),
                    reviewers=repair.policy.follow_up.reviewers,
                    since=repair.requested_at,
                ),
            )
            if (check := head_check(publish.proof, publish.doubts)) is not None:
                checks = await asyncio.to_thread(self._github.head_checks, repair.repository)
                await asyncio.to_thread(checks.show, request.commit.sha, check, pull_request.url)
            return pull_request

    @activity.defn
    async def open_plan_issue(self, request: PlanIssueRequest) -> PlanIssue:
        """Return where the plan is shown; it is shown once, however often it is tried."""
        return await in_thread(post_plan, self._github, request)

    @activity.defn
    async def find_decision(self, issue: PlanIssue) -> Approval:
        """Return what a person decided. While nobody has, fail and be tried again: that is the polling.

        A retry is one action of Temporal's and no event, where a timer and an activity are two and ten.
        """
        decision = await in_thread(lambda: PlanThread(self._github, issue).decision())
        if decision is None:
            raise ApplicationError(
                "Nobody has decided yet.", type="Undecided", category=ApplicationErrorCategory.BENIGN
            )
        return decision

    @activity.defn
    async def close_plan_issue(self, decided: PlanDecided) -> None:
        await in_thread(lambda: PlanThread(self._github, decided.issue).conclude(decided.sentence))
