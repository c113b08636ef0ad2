"""Verdicts: rules first, model second, and a sceptic before any code."""

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.by_reference import packet_or_none
from activities.errors import translated
from activities.heartbeat import Heartbeat, working
from activities.ledger import refuse_a_retry_while_paused
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.incident import (
    ChallengeRequest,
    Decision,
    Diagnosis,
    DiagnosisRequest,
    EvidencePacket,
    IncidentReport,
)
from railmend.contracts.scan import HealthReport
from railmend.diagnosis.diagnose import challenge, diagnose, unconfirmed, without_evidence
from railmend.diagnosis.model import ModelSettings, ModelUsage
from railmend.diagnosis.router import decide_by_rule
from railmend.publishing.github import GitHubClient
from railmend.publishing.report import report_markdown
from railmend.publishing.text import incident_markdown


class TextActivities:
    """Quick; no outside system is asked, but where artifacts are kept."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    @activity.defn
    async def decide(self, request: DiagnosisRequest) -> Decision:
        """Diagnose by rules, which need no model: `unclear` where the evidence is gone."""
        with translated():
            try:
                packet = await self._artifacts.get_model(request.packet, EvidencePacket)
            except ArtifactGone as error:
                return Decision(diagnosis=without_evidence(error))
        return Decision(diagnosis=decide_by_rule(request.incident, packet))

    @activity.defn
    async def describe_report(self, report: HealthReport) -> str:
        """Render a scan's report for the Web UI, as scans did that began before 0.2.0."""
        return report_markdown(report)

    @activity.defn
    async def describe_incident(self, report: IncidentReport) -> str:
        """Render the diagnosis as Markdown for the Web UI; without evidence where it is gone."""
        with translated():
            return incident_markdown(report, await packet_or_none(self._artifacts, report.packet))


class PlanningActivities:
    """Asks models. `sceptic` may be a cheaper one than `model`."""

    def __init__(
        self, model: ModelSettings, sceptic: ModelSettings, github: GitHubClient, artifacts: ArtifactStore
    ) -> None:
        self._artifacts = artifacts
        self._model = model
        self._sceptic = sceptic
        self._github = github

    @activity.defn
    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        """Ask the model; `unclear`, and nobody is asked, where the evidence is gone."""
        service = request.incident.service
        repository, reference = service.repository, service.commit or service.branch

        async def missing(paths: Sequence[str]) -> list[str]:
            if repository is None or reference is None:
                return list(paths)
            return await asyncio.to_thread(
                self._github.missing_files, repository, reference, service.root_directory, list(paths)
            )

        await refuse_a_retry_while_paused(request.incident.project_id)
        before = _spent_before()
        async with working(before) as beat:
            try:
                packet = await self._artifacts.get_model(request.packet, EvidencePacket)
            except ArtifactGone as error:
                return without_evidence(error, before)
            return await diagnose(packet, self._model, missing, _usage(before, beat))

    @activity.defn
    async def refute(self, request: ChallengeRequest) -> Diagnosis:
        """Return the diagnosis after the sceptic's pass: as it was, or `unclear`."""
        await refuse_a_retry_while_paused(request.project_id)
        before = _spent_before()
        async with working(before) as beat:
            try:
                packet = await self._artifacts.get_model(request.packet, EvidencePacket)
            except ArtifactGone as error:
                cost = (request.diagnosis.cost_usd or 0.0) + before
                diagnosis = request.diagnosis.model_copy(update={"cost_usd": cost})
                return unconfirmed(diagnosis, f"The evidence could not be read again. {error}")
            return await challenge(packet, request.diagnosis, self._sceptic, _usage(before, beat))


def _spent_before() -> float:
    """Return what earlier attempts of this activity spent, in USD: a worker was killed in mid-call."""
    details = activity.info().heartbeat_details if activity.in_activity() else ()
    return float(details[0]) if details else 0.0


def _usage(before: float, beat: Heartbeat) -> ModelUsage:
    """Return the count of what is spent, kept by the server: a new attempt goes on from it."""

    def keep(usd: float) -> None:
        beat.state = usd
        beat.send()

    return ModelUsage(before, keep)
