"""Verdicts: rules first, model second, and a sceptic before any code."""

import asyncio
from collections.abc import Sequence

from temporalio import activity

from activities.by_reference import packet_or_none
from activities.errors import translated
from activities.heartbeat import Heartbeat, working
from activities.ledger import refuse_a_retry_while_paused
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import (
    ChallengeRequest,
    Decision,
    Diagnosis,
    DiagnosisRequest,
    EvidencePacket,
    Facts,
    Incident,
    IncidentReport,
)
from railmend.contracts.investigation import Conversation, EvidenceResult, Turn, TurnRequest
from railmend.contracts.scan import HealthReport
from railmend.diagnosis.conversation import FindMissing, begin, take_turn, with_results
from railmend.diagnosis.diagnose import challenge, diagnose, task_of, unconfirmed, without_evidence
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
    """Asks models. `sceptic` may be a cheaper one than `model`.

    `take_turn` asks for one answer; `diagnose` and `refute` are for runs that 0.1.0 began.
    """

    def __init__(
        self, model: ModelSettings, sceptic: ModelSettings, github: GitHubClient, artifacts: ArtifactStore
    ) -> None:
        self._artifacts = artifacts
        self._model = model
        self._sceptic = sceptic
        self._github = github

    @activity.defn
    async def take_turn(self, request: TurnRequest) -> Turn:
        """Ask for one answer: calls of tools, or the diagnosis. `unclear` where what was said is gone."""
        await refuse_a_retry_while_paused(request.project_id)
        before = _spent_before()
        async with working(before) as beat:
            try:
                conversation = await self._conversation(request)
            except ArtifactGone as error:
                return _lost(request, error, before)
            conversation = conversation.model_copy(update={"usd": conversation.usd + before})
            settings = self._model if conversation.doubted is None else self._sceptic
            conversation, diagnosis = await take_turn(
                conversation,
                task_of(conversation),
                settings,
                _usage(before, beat),
                self._find_missing(conversation.incident),
                request.at,
            )
            if diagnosis is not None:
                return Turn(diagnosis=diagnosis, packet=await self._artifacts.put_model(conversation.packet))
            return Turn(
                conversation=await self._artifacts.put_model(conversation),
                incident=await self._incident(conversation) if conversation.pending else None,
                calls=conversation.pending,
            )

    async def _conversation(self, request: TurnRequest) -> Conversation:
        """Return the conversation, begun, or with the results of its calls. Raise `ArtifactGone`."""
        if request.question is not None:
            packet = await self._artifacts.get_model(request.question.packet, EvidencePacket)
            return begin(request.question.incident, packet, request.at, request.doubted)
        if request.conversation is None:
            raise ArtifactGone("The request names no conversation.")
        conversation = await self._artifacts.get_model(request.conversation, Conversation)
        given = [(result.call_id, await self._given(result)) for result in request.results]
        return with_results(conversation, task_of(conversation), given)

    async def _given(self, result: EvidenceResult) -> Facts | str:
        try:
            return await self._artifacts.get_model(result.facts, Facts) if result.facts else result.unseen
        except ArtifactGone as error:
            return f"The result is lost. {error}"

    async def _incident(self, conversation: Conversation) -> ArtifactReference | None:
        incident = conversation.incident
        return await self._artifacts.put_model(incident) if incident is not None else None

    def _find_missing(self, incident: Incident | None) -> FindMissing:
        service = incident.service if incident else None
        repository = service.repository if service else None
        reference = (service.commit or service.branch) if service else None

        async def missing(paths: Sequence[str]) -> list[str]:
            if service is None or repository is None or reference is None:
                return list(paths)
            return await asyncio.to_thread(
                self._github.missing_files, repository, reference, service.root_directory, list(paths)
            )

        return missing

    @activity.defn
    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        """Ask the model; `unclear`, and nobody is asked, where the evidence is gone."""
        await refuse_a_retry_while_paused(request.incident.project_id)
        before = _spent_before()
        async with working(before) as beat:
            try:
                packet = await self._artifacts.get_model(request.packet, EvidencePacket)
            except ArtifactGone as error:
                return without_evidence(error, before)
            missing = self._find_missing(request.incident)
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
                return _unconfirmed(request.diagnosis, error, before)
            return await challenge(packet, request.diagnosis, self._sceptic, _usage(before, beat))


def _lost(request: TurnRequest, error: ArtifactGone, spent: float) -> Turn:
    """Return what is concluded when the evidence, or what was said of it, is gone."""
    if request.doubted is not None:
        return Turn(diagnosis=_unconfirmed(request.doubted, error, spent))
    return Turn(diagnosis=without_evidence(error, spent))


def _unconfirmed(diagnosis: Diagnosis, error: ArtifactGone, spent: float) -> Diagnosis:
    paid = diagnosis.model_copy(update={"cost_usd": (diagnosis.cost_usd or 0.0) + spent})
    return unconfirmed(paid, f"The evidence could not be read again. {error}")


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
