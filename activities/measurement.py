"""The deployment that carries a merge, and one service's numbers before and after it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import activity

from activities.heartbeat import working
from railmend.artifacts import ArtifactStore
from railmend.assessment.rules import assess
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import Incident
from railmend.contracts.measurement import (
    DeploymentQuestion,
    DeploymentView,
    DeployState,
    MeasurementInput,
    MeasurementResult,
    MeasurementStatus,
    MeasureRequest,
)
from railmend.measurement import evaluate, matched_windows, window_metrics
from railmend.publishing.github import GitHubClient
from railmend.railway.model import DeploymentRecord
from railmend.railway.pool import RailwayPool

# In a monorepo each push leaves a record, most of them skipped: the merge's own must not be pushed out.
HISTORY = 50
UP = frozenset({"SUCCESS", "SLEEPING"})
FAILED = {"FAILED": DeployState.FAILED, "CRASHED": DeployState.CRASHED}
# It served and was replaced, or it was given up for a later one.
ENDED = frozenset({"REMOVED", "REMOVING"})
SERVED = UP | {"REMOVED"}
NEVER_AGAIN = (
    "Railway does not try it again by itself. Deploy the newest commit there (Deploy Latest Commit), or push "
    "another one."
)
NO_RECORD = (
    "Railway lists no deployment that contains the merge. It makes none where automatic deployments are off, "
    f"where the service follows another branch, or where GitHub's message was lost. {NEVER_AGAIN}"
)


class MeasurementActivities:
    """`settle_seconds`: samples of the newest stretch of time arrive late and are left out."""

    def __init__(
        self, railway: RailwayPool, github: GitHubClient, artifacts: ArtifactStore, settle_seconds: int
    ) -> None:
        self._railway = railway
        self._artifacts = artifacts
        self._settle = timedelta(seconds=settle_seconds)
        self._github = github

    @activity.defn
    async def find_deployment(self, question: DeploymentQuestion) -> DeploymentView:
        """Find the newest deployment of the service whose commit is the merge, or came after it."""
        async with working():
            client = await self._railway.client_for(question.environment_id)
            records = await client.deployments(
                question.project_id, question.environment_id, question.service_id, HISTORY
            )
            own = next((record for record in records if record.commit == question.commit), None)
            later = await self._later(question, records)
        view = deployment_view(own, later)
        before = (r for r in records if r.created_at < question.merged_at and r.status in SERVED)
        previous = next(before, None)
        return view.model_copy(update={"previous": previous.id if previous else None})

    async def _later(
        self, question: DeploymentQuestion, records: Sequence[DeploymentRecord]
    ) -> list[DeploymentRecord]:
        """Return the deployments of later commits that contain the merge, newest first.

        Skipped ones tell nothing, and what is older than one that is up decides nothing.
        """
        carrying: dict[str, bool] = {question.commit: True}
        later = []
        for record in records:
            if record.commit is None or record.status == "SKIPPED":
                continue
            if record.created_at < question.merged_at and record.commit != question.commit:
                continue
            if record.commit not in carrying:
                carrying[record.commit] = await asyncio.to_thread(
                    self._github.carries, question.repository, record.commit, question.commit
                )
            if carrying[record.commit]:
                later.append(record)
                if record.status in UP:
                    break
        return later

    @activity.defn
    async def measure_incident(self, incident: Incident) -> ArtifactReference:
        """Measure the incident's own window, for the charts of the pull request; return it, stored."""
        async with working():
            client = await self._railway.client_for(incident.environment_id)
            detailed, _ = await client.surveyor.fetch_detailed(
                incident.environment_id, (incident.service,), incident.window
            )
            return await self._artifacts.put_model(window_metrics(detailed[0].slice, incident.window))

    @activity.defn
    async def measure_service(self, request: MeasureRequest) -> MeasurementResult:
        """Measure over matched windows before and after; the status is made of these numbers alone."""
        now = request.at - self._settle
        windows = matched_windows(request.window, request.up_since, now)
        service = request.service
        if windows is None:
            sentence = f"The fix of {service.name} has not been live long enough to be measured."
            return MeasurementResult(
                status=MeasurementStatus.CANNOT_TELL, sentence=sentence, service_name=service.name
            )
        async with working():
            client = await self._railway.client_for(request.environment_id)
            detailed = [
                (await client.surveyor.fetch_detailed(request.environment_id, (service,), window))[0][0]
                for window in windows
            ]
        before, after = (
            window_metrics(each.slice, window) for each, window in zip(detailed, windows, strict=True)
        )
        # The deployment's own states were looked at before; here only its series count.
        states = {"latest_status": "SUCCESS", "active_status": "SUCCESS", "instances": (), "runs": ()}
        running = service.model_copy(update={**states, "asleep": False})
        again = tuple(
            assess(
                detailed[1].slice, running, environment_id=request.environment_id, history=detailed[1].history
            )
        )
        return evaluate(
            MeasurementInput(
                service_name=service.name,
                findings=request.findings,
                criteria=request.criteria,
                before=before,
                after=after,
                again=again,
                minutes_up=(now - request.up_since).total_seconds() / 60,
                last=request.last,
            )
        )


def deployment_view(own: DeploymentRecord | None, carriers: Sequence[DeploymentRecord]) -> DeploymentView:
    """Return how far a merge is deployed. `own`: its newest deployment; `carriers`: all that contain it.

    What fails after it, or instead of it, is another push's: only its own failure is said to be the fix's.
    """
    up = next((record for record in carriers if record.status in UP), None)
    if up is not None:
        return _view(DeployState.UP, up, up.reason or "")
    if own is not None and own.status in FAILED:
        return _view(FAILED[own.status], own, own.reason or "")
    coming = next((r for r in carriers if r.status not in FAILED and r.status not in ENDED), None)
    if coming is not None:
        return _view(DeployState.WAITING, coming, f"It is {coming.status}.")
    failed = next((record for record in carriers if record.status in FAILED), None)
    after = f" A later one, {failed.id}, is {failed.status}; that need not be the fix's." if failed else ""
    if own is not None and own.status == "SKIPPED":
        why = f"Railway's reason: {own.reason}. " if own.reason else ""
        return _view(DeployState.SKIPPED, own, f"{why}{NEVER_AGAIN}{after}")
    if own is not None:
        return _view(DeployState.WAITING, own, f"It is {own.status}.{after}")
    if failed is not None:
        return DeploymentView(
            state=DeployState.WAITING, detail=f"No deployment of the merge itself is listed.{after}"
        )
    return DeploymentView(state=DeployState.WAITING, detail=NO_RECORD)


def _view(state: DeployState, record: DeploymentRecord, detail: str) -> DeploymentView:
    return DeploymentView(state=state, deployment_id=record.id, at=record.created_at, detail=detail[:500])
