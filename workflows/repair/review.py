"""From an open pull request to a person's decision: comments and failing checks are answered on the way."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.reviews import ReviewActivities
    from railmend.contracts.ledger import SpendingKind
    from railmend.contracts.repair import CodingRequest, PublishRequest, WorkspaceRequest
    from railmend.contracts.review import AnswersRequest, Note, PullState, ReviewQuestion, ReviewView
    from workflows.repair import coding_loop
    from workflows.repair.state import Course
    from workflows.shared import policies
    from workflows.shared.spending import Purse

# What git says when the branch is not where it was: a person has pushed meanwhile.
STALE = "stale info"


@dataclass(frozen=True)
class Answer:
    """What is said to every note. `again`: nothing is said yet, the notes are taken up at the next look."""

    commit: str | None = None
    said: str = ""
    refused: tuple[str, ...] = ()
    limit: str = ""
    again: bool = False


class Review:
    def __init__(self, course: Course, purse: Purse) -> None:
        self._course = course
        self._purse = purse

    async def until_decided(self) -> ReviewView:
        """The last look: merged, closed for good, or still open when nobody decided in time."""
        course = self._course
        while True:
            await course.pause(timedelta(seconds=course.policy.poll_seconds), "review")
            view = await self._look()
            if view.state is PullState.MERGED:
                course.note(merge=view.merge, merged_seen_at=workflow.now())
                return view
            if view.state is PullState.CLOSED:
                if self._closed_for_good():
                    return view
                continue
            course.note(closed_at=None)
            await self._answer(view)
            if workflow.now() > course.progress.opened_at + timedelta(days=course.policy.watch_days):
                return view

    def _closed_for_good(self) -> bool:
        """Somebody may open it again, by mistake closed or on second thoughts."""
        course = self._course
        since = course.progress.closed_at or workflow.now()
        course.note(closed_at=since)
        return workflow.now() >= since + timedelta(seconds=course.policy.reopen_seconds)

    async def _look(self) -> ReviewView:
        course = self._course
        return await workflow.execute_activity_method(
            ReviewActivities.poll_pull_request,
            ReviewQuestion(
                repository=course.repair.repository,
                number=course.number,
                base_branch=course.repair.base_branch,
                seen=course.progress.seen,
            ),
            summary=f"pull request {course.number}",
            **policies.LOOK,
        )

    async def _answer(self, view: ReviewView) -> None:
        course = self._course
        if view.notes:
            answer = await self._follow_up(view)
            if answer.again:
                return
            await workflow.execute_activity_method(
                ReviewActivities.reply_to_notes,
                AnswersRequest(
                    repository=course.repair.repository,
                    number=course.number,
                    notes=view.notes,
                    commit=answer.commit,
                    said=answer.said,
                    refused=answer.refused,
                    limit=answer.limit,
                ),
                **policies.TELL,
            )
        course.note(seen=view.later)

    async def _follow_up(self, view: ReviewView) -> Answer:
        """One more turn of the same session, within the bounds of rounds and money."""
        course = self._course
        if course.progress.rounds >= course.policy.rounds:
            return Answer(limit=f"{course.policy.rounds} rounds of review are all that is set")
        granted = await self._purse.reserve(SpendingKind.SESSION)
        if not granted.granted:
            return Answer(limit=f"the limit of {granted.limit} is reached")
        course.note(rounds=course.progress.rounds + 1)
        workflow.set_current_details(f"Answering the review of {course.progress.pull_request.url}")
        try:
            answer = await self._turn(view.head, view.notes)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            reason = coding_loop.reason_of(error)
            answer = Answer(again=True) if STALE in reason else Answer(refused=(reason[:500],))
        workflow.set_current_details(f"Waits for review: {course.progress.pull_request.url}")
        return answer

    async def _turn(self, head: str, notes: tuple[Note, ...]) -> Answer:
        """On top of what the branch holds now, people's commits with it; nothing is ever overwritten."""
        course, repair = self._course, self._course.repair
        workspace = await coding_loop.prepare(
            WorkspaceRequest(
                key=repair.key, repository=repair.repository, base_branch=repair.branch, commit=head
            ),
            course.progress.machine,
        )
        course.note(machine=workspace.task_queue)
        try:
            request = CodingRequest(
                workspace=workspace, repair=repair, turn=course.progress.turn + 1, notes=notes
            )
            made = await coding_loop.turns(request)
            course.note(turn=made.turn)
            await self._purse.spend(made.coding.cost_usd)
            ending = made.ending()
            refused = made.doubts or ((ending.reason,) if ending and not made.coding.text else ())
            if ending or refused:
                return Answer(said=made.coding.text, refused=refused)
            commit = await coding_loop.commit(
                PublishRequest(
                    workspace=workspace,
                    repair=repair,
                    coding=made.coding,
                    change=made.change,
                    verification=made.verification,
                    notes=notes,
                )
            )
            course.note(head=commit.sha)
            return Answer(commit=commit.sha, said=made.coding.text)
        finally:
            await coding_loop.rest(workspace)
