"""The outside after a pull request is open: reviewers, merges, deployments, measurements. From memory."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from railmend.contracts.action import (
    ActionKind,
    ActionOrder,
    ActionRequest,
    ActionResult,
    ActionState,
    RollbackOffer,
    RollbackQuestion,
)
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.incident import Incident
from railmend.contracts.measurement import (
    DeploymentQuestion,
    DeploymentView,
    DeployState,
    MeasurementResult,
    MeasurementStatus,
    MeasureRequest,
)
from railmend.contracts.repair import PullRequest, RelatedComment, Workspace
from railmend.contracts.review import (
    AnswersRequest,
    Earlier,
    EarlierPullRequest,
    EarlierQuestion,
    Merge,
    MergeMethod,
    Note,
    NoteKind,
    PullState,
    Related,
    RelatedQuestion,
    RevertRequest,
    ReviewQuestion,
    ReviewView,
    SeenNotes,
)
from tests import samples

HEAD = "a" * 40
MERGE = Merge(
    sha="f" * 40, head=HEAD, method=MergeMethod.SQUASH, at=datetime(2026, 11, 24, tzinfo=UTC), by="ada"
)
MERGED = ReviewView(state=PullState.MERGED, head=HEAD, merge=MERGE)
OPEN = ReviewView(state=PullState.OPEN, head=HEAD)
CLOSED = ReviewView(state=PullState.CLOSED, head=HEAD, closing="We drop this feature.")
UP = DeploymentView(state=DeployState.UP, deployment_id="d2", previous="d1")


def commented(number: int, text: str = "Use an LRU instead.") -> ReviewView:
    note = Note(kind=NoteKind.COMMENT, id=number, author="ada", text=text)
    return OPEN.model_copy(update={"notes": (note,)})


@dataclass
class ReviewStage:
    """`views`: one per look, the last for ever; `again`: notes that were not taken up are shown once more."""

    views: list[ReviewView] = field(default_factory=lambda: [MERGED])
    deployments: list[DeploymentView] = field(default_factory=lambda: [UP])
    statuses: list[MeasurementStatus] = field(default_factory=lambda: [MeasurementStatus.HELD])
    related: Related = field(default_factory=Related)
    same_incident: bool = False
    revert_conflict: bool = False
    on_poll: Callable[[int], ReviewView] | None = None
    opened: dict[str, EarlierPullRequest] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    answers: list[AnswersRequest] = field(default_factory=list)
    comments: list[MeasurementComment] = field(default_factory=list)
    not_deployed: list[NotDeployedComment] = field(default_factory=list)
    orders: list[ActionOrder] = field(default_factory=list)
    measured_at: list[datetime] = field(default_factory=list)
    measured_last: list[bool] = field(default_factory=list)
    polled_at: list[datetime] = field(default_factory=list)
    # Measurements wait until it is set.
    may_measure: asyncio.Event | None = None

    def waits(self) -> list[timedelta]:
        """Between two looks at the pull request."""
        return [b - a for a, b in zip(self.polled_at, self.polled_at[1:], strict=False)]

    def _next(self, name: str, rows: list) -> object:  # type: ignore[type-arg]
        self.seen[name] += 1
        return rows[min(self.seen[name], len(rows)) - 1]

    @activity.defn
    async def poll_pull_request(self, question: ReviewQuestion) -> ReviewView:
        self.polled_at.append(activity.info().scheduled_time)
        view = self._next("poll_pull_request", self.views)
        assert isinstance(view, ReviewView)
        if self.on_poll is not None:
            view = self.on_poll(self.seen["poll_pull_request"])
        fresh = tuple(note for note in view.notes if note.name not in question.seen.names)
        names = (*question.seen.names, *(note.name for note in fresh))
        return view.model_copy(update={"notes": fresh, "later": SeenNotes(names=names)})

    @activity.defn
    async def find_earlier(self, question: EarlierQuestion) -> Earlier:
        """As on GitHub: what the same repair has opened is found by its branch."""
        found = self.opened.get(question.branch)
        return Earlier(pull_request=found if found and found.opened_at > question.requested_at else None)

    @activity.defn
    async def reply_to_notes(self, request: AnswersRequest) -> None:
        self.answers.append(request)
        names = tuple(note.name for note in request.notes)
        for branch, pull in self.opened.items():
            seen = SeenNotes(names=(*pull.seen.names, *names))
            self.opened[branch] = pull.model_copy(update={"seen": seen})

    @activity.defn
    async def find_related(self, question: RelatedQuestion) -> Related:
        """By the same incident at any time, or once the changed files are known."""
        return self.related if question.files or self.same_incident else Related()

    @activity.defn
    async def comment_on_related(self, request: RelatedComment) -> str:
        return f"http://forge/pull/{request.number}#comment"

    @activity.defn
    async def comment_measurement(self, notice: MeasurementComment) -> None:
        self.comments.append(notice)

    @activity.defn
    async def comment_not_deployed(self, notice: NotDeployedComment) -> None:
        self.not_deployed.append(notice)

    @activity.defn
    async def open_revert(self, request: RevertRequest) -> PullRequest:
        if self.revert_conflict:
            raise ApplicationError("later commits changed the same lines", non_retryable=True)
        return PullRequest(number=2, url="http://forge/acme/checkout/pull/2", head="e" * 40)

    @activity.defn
    async def find_deployment(self, question: DeploymentQuestion) -> DeploymentView:
        view = self._next("find_deployment", self.deployments)
        assert isinstance(view, DeploymentView)
        return view

    @activity.defn
    async def measure_incident(self, incident: Incident) -> ArtifactReference:
        return samples.packet_reference()

    @activity.defn
    async def measure_service(self, request: MeasureRequest) -> MeasurementResult:
        if self.may_measure is not None:
            await self.may_measure.wait()
        self.measured_at.append(activity.info().scheduled_time)
        self.measured_last.append(request.last)
        status = self._next("measure_service", self.statuses)
        assert isinstance(status, MeasurementStatus)
        return MeasurementResult(status=status, sentence=f"It is {status.value}.")

    @activity.defn
    async def find_rollback(self, question: RollbackQuestion) -> RollbackOffer:
        action = ActionRequest(
            kind=ActionKind.ROLLBACK,
            environment_id=question.environment_id,
            service_id=f"{question.environment_id}-{question.service_id}",
            service_name=question.service_name,
            deployment_id="d1",
            reason=question.reason,
        )
        return RollbackOffer(request=action)

    @activity.defn
    async def find_restart(self, question: RollbackQuestion) -> RollbackOffer:
        offer = await self.find_rollback(question)
        assert offer.request is not None
        action = offer.request.model_copy(update={"kind": ActionKind.RESTART})
        return RollbackOffer(request=action)

    @activity.defn
    async def perform(self, order: ActionOrder) -> ActionResult:
        self.orders.append(order)
        return ActionResult(state=ActionState.DONE, detail="Rolled back.", deployment_id="d3")

    @activity.defn
    async def trim_workspace(self, workspace: Workspace) -> None:
        self.seen["trim_workspace"] += 1

    def activities(self) -> list[object]:
        return [
            self.poll_pull_request,
            self.find_earlier,
            self.reply_to_notes,
            self.find_related,
            self.comment_on_related,
            self.comment_measurement,
            self.comment_not_deployed,
            self.open_revert,
            self.find_deployment,
            self.measure_incident,
            self.measure_service,
            self.find_rollback,
            self.find_restart,
            self.perform,
            self.trim_workspace,
        ]
