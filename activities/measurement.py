"""The deployment that carries a merge, and one service's numbers before and after it."""

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.heartbeat import working
from railmend.artifacts import ArtifactStore
from railmend.assessment import assess
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

HISTORY = 20
STATES = {
    "SUCCESS": DeployState.UP,
    "SLEEPING": DeployState.UP,
    "FAILED": DeployState.FAILED,
    "CRASHED": DeployState.CRASHED,
}
SERVED = frozenset({"SUCCESS", "REMOVED", "SLEEPING"})


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
            carrier = await self._carrier(question, records)
        if carrier is None:
            return DeploymentView(state=DeployState.WAITING, detail="No deployment carries the merge yet.")
        before = (r for r in records if r.created_at < question.merged_at and r.status in SERVED)
        previous = next(before, None)
        return DeploymentView(
            state=STATES.get(carrier.status, DeployState.WAITING),
            deployment_id=carrier.id,
            at=carrier.created_at,
            previous=previous.id if previous else None,
            detail=(carrier.reason or "")[:500],
        )

    async def _carrier(
        self, question: DeploymentQuestion, records: list[DeploymentRecord]
    ) -> DeploymentRecord | None:
        for record in records:
            if record.commit == question.commit:
                return record
            if record.commit is None or record.created_at < question.merged_at:
                continue
            if await asyncio.to_thread(
                self._github.carries, question.repository, record.commit, question.commit
            ):
                return record
        return None

    @activity.defn
    async def measure_incident(self, incident: Incident) -> ArtifactReference:
        """Measure the incident's own window, for the charts of the pull request; return it, stored."""
        async with working():
            client = await self._railway.client_for(incident.environment_id)
            detailed, _ = await client.fetch_detailed(
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
            sentence = f"The fix of {service.name} is up for too short a time to be measured."
            return MeasurementResult(
                status=MeasurementStatus.CANNOT_TELL, sentence=sentence, service_name=service.name
            )
        async with working():
            client = await self._railway.client_for(request.environment_id)
            detailed = [
                (await client.fetch_detailed(request.environment_id, (service,), window))[0][0]
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
            )
        )
