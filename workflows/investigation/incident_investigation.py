"""Investigate one affected service: evidence in parallel, then a verdict. Never waits for a person."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.deployments import DeploymentActivities
from activities.evidence import EvidenceActivities
from activities.logs import LogActivities
from activities.planning import PlanningActivities, TextActivities
from activities.providers import ProviderActivities
from activities.repository import RepositoryActivities
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import (
    CODING_VERDICTS,
    ChallengeRequest,
    Diagnosis,
    DiagnosisRequest,
    IncidentReport,
    IncidentRequest,
    PacketRequest,
    StoredFacts,
    Waiting,
)
from railmend.contracts.ledger import SpendingKind
from workflows.shared import policies, search_attributes
from workflows.shared.failures import reason_of
from workflows.shared.ledger_client import LedgerClient

# In the order in which a reader meets them in the packet.
SOURCES: tuple[tuple[Callable[..., Any], str], ...] = (
    (EvidenceActivities.finding_facts, "findings"),
    (DeploymentActivities.chart_facts, "series"),
    (DeploymentActivities.deployment_facts, "deployments"),
    (DeploymentActivities.state_facts, "state of the deployment"),
    (LogActivities.build_log_facts, "build logs"),
    (LogActivities.deploy_log_facts, "deploy logs"),
    (LogActivities.http_log_facts, "HTTP logs"),
    (RepositoryActivities.change_facts, "changes in the code"),
    (DeploymentActivities.drift_facts, "changes of the configuration"),
)


@workflow.defn
class IncidentInvestigation:
    @workflow.run
    async def run(self, request: IncidentRequest) -> IncidentReport:
        workflow.set_current_details("Collecting evidence.")
        facts = await asyncio.gather(
            self._providers(request), *(self._facts(source, name, request) for source, name in SOURCES)
        )
        packet = await workflow.execute_activity_method(
            EvidenceActivities.build_packet,
            PacketRequest(incident=request, facts=tuple(facts)),
            **policies.STORED,
        )
        workflow.set_current_details("Evidence collected; diagnosing.")
        report = await self._conclude(request, packet)
        workflow.upsert_search_attributes(search_attributes.attributes_for_diagnosis(report.diagnosis))
        workflow.set_current_details(
            await workflow.execute_activity_method(
                TextActivities.describe_incident, report, **policies.STORED
            )
        )
        return report

    async def _conclude(self, request: IncidentRequest, packet: ArtifactReference) -> IncidentReport:
        """Decide by rules; ask a model only when they cannot tell and the budget allows it."""
        question = DiagnosisRequest(incident=request, packet=packet)
        decision = await workflow.execute_activity_method(TextActivities.decide, question, **policies.STORED)
        if decision.diagnosis is not None:
            return IncidentReport(request=request, packet=packet, diagnosis=decision.diagnosis)
        ledger = LedgerClient(request.project_id)
        answer = await ledger.reserve(SpendingKind.DIAGNOSIS, request.policy, request.fingerprints)
        if not answer.granted:
            waiting = Waiting(limit=answer.limit, again_at=answer.again_at or workflow.now())
            return IncidentReport(
                request=request, packet=packet, diagnosis=waiting.as_diagnosis(), waiting=waiting
            )
        diagnosis = await self._ask(question)
        await ledger.record_spend(diagnosis.cost_usd or 0.0)
        return IncidentReport(request=request, packet=packet, diagnosis=diagnosis)

    async def _ask(self, question: DiagnosisRequest) -> Diagnosis:
        diagnosis = await workflow.execute_activity_method(
            PlanningActivities.diagnose,
            question,
            task_queue=policies.PLANNING_QUEUE,
            summary=question.incident.service.name,
            **policies.MODEL,
        )
        if diagnosis.verdict not in CODING_VERDICTS or not question.incident.policy.sceptic:
            return diagnosis
        workflow.set_current_details("Diagnosed; a second look tries to refute it.")
        return await workflow.execute_activity_method(
            PlanningActivities.refute,
            ChallengeRequest(packet=question.packet, diagnosis=diagnosis),
            task_queue=policies.PLANNING_QUEUE,
            summary=question.incident.service.name,
            **policies.MODEL,
        )

    async def _providers(self, request: IncidentRequest) -> StoredFacts:
        """As `_facts`; it reads the repository, so it may take longer than the other sources."""
        return await self._or_unseen(
            workflow.execute_activity_method(
                ProviderActivities.provider_facts, request, summary="providers", **policies.READ
            ),
            "providers",
        )

    async def _facts(self, source: Callable[..., Any], name: str, request: IncidentRequest) -> StoredFacts:
        """Return a source's facts; one that fails costs only these, and the packet says so."""
        return await self._or_unseen(
            workflow.execute_activity_method(source, request, summary=name, **policies.EVIDENCE), name
        )

    async def _or_unseen(self, work: Awaitable[StoredFacts], name: str) -> StoredFacts:
        try:
            return await work
        except ActivityError as error:
            unseen = f"The {name} could not be read: {reason_of(error)[:500]}"
            return StoredFacts(source=name, unseen=(unseen,))
