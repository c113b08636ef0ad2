"""Investigate one affected service: evidence in parallel, then a verdict. Never waits for a person."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState
from temporalio.workflow import ParentClosePolicy

from activities.by_reference import EvidenceActivities
from activities.deployments import DeploymentActivities
from activities.ledger import LedgerActivities
from activities.logs import LogActivities
from activities.planning import PlanningActivities, TextActivities
from activities.providers import ProviderActivities
from activities.repository import RepositoryActivities
from activities.tools import ToolActivities
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import (
    CODING_VERDICTS,
    ChallengeRequest,
    CodeRequest,
    Diagnosis,
    DiagnosisRequest,
    EvidenceSource,
    IncidentReport,
    IncidentRequest,
    PacketRequest,
    StoredFacts,
    Verdict,
    Waiting,
)
from railmend.contracts.investigation import EvidenceCall, EvidenceResult, ToolRequest, Turn, TurnRequest
from railmend.contracts.ledger import PAUSED_ERROR, RunReference, SpendingKind
from railmend.contracts.scan import ScanRequest
from workflows.shared import details, policies, search_attributes
from workflows.shared.failures import attempted, ledger_is_away, reason_of, type_of
from workflows.shared.ledger_client import LedgerClient
from workflows.shared.start import PLANNING_QUEUE, SCAN_TIMEOUT

ACTIVITIES: dict[EvidenceSource, Callable[..., Any]] = {
    EvidenceSource.PROVIDERS: ProviderActivities.provider_facts,
    EvidenceSource.FINDINGS: EvidenceActivities.finding_facts,
    EvidenceSource.SERIES: DeploymentActivities.chart_facts,
    EvidenceSource.DEPLOYMENTS: DeploymentActivities.deployment_facts,
    EvidenceSource.DEPLOYMENT_STATE: DeploymentActivities.state_facts,
    EvidenceSource.BUILD_LOGS: LogActivities.build_log_facts,
    EvidenceSource.DEPLOY_LOGS: LogActivities.deploy_log_facts,
    EvidenceSource.HTTP_LOGS: LogActivities.http_log_facts,
    EvidenceSource.CODE_CHANGES: RepositoryActivities.change_facts,
    EvidenceSource.CONFIGURATION_CHANGES: DeploymentActivities.drift_facts,
}
# These fetch a commit, so they may take longer than the others.
READS_REPOSITORY = (EvidenceSource.PROVIDERS, EvidenceSource.CODE_CHANGES)


@workflow.defn
class IncidentInvestigation:
    @workflow.run
    async def run(self, request: IncidentRequest) -> IncidentReport:
        """Diagnose for the scan that waits for it; started by hand, leave it to a scan that can act on it."""
        if not await _scan_waits():
            return await _hand_to_a_scan(request)
        workflow.set_current_details("Collecting evidence.")
        facts = await self._collect(request)
        packet = await workflow.execute_activity_method(
            EvidenceActivities.build_packet,
            PacketRequest(incident=request, facts=tuple(facts)),
            **policies.STORED,
        )
        workflow.set_current_details("Evidence collected; diagnosing.")
        report = await self._conclude(request, packet)
        workflow.upsert_search_attributes(search_attributes.attributes_for_diagnosis(report))
        workflow.set_current_details(
            await workflow.execute_activity_method(
                TextActivities.describe_incident, report, **policies.STORED
            )
        )
        return report

    async def _collect(self, request: IncidentRequest) -> list[StoredFacts]:
        """Read all sources; the code last, because the others name what of it matters."""
        if not workflow.patched(policies.PATCH_CODE_AFTER_LOGS):
            return await asyncio.gather(*(self._facts(source, request) for source in EvidenceSource))
        others = [source for source in EvidenceSource if source is not EvidenceSource.CODE_CHANGES]
        facts = await asyncio.gather(*(self._facts(source, request) for source in others))
        asked = CodeRequest(**dict(request), facts=tuple(facts))
        facts.append(await self._facts(EvidenceSource.CODE_CHANGES, asked))
        order = list(EvidenceSource)
        return sorted(facts, key=lambda stored: order.index(stored.source))

    async def _conclude(self, request: IncidentRequest, packet: ArtifactReference) -> IncidentReport:
        """Decide by rules; ask a model only when they cannot tell and the budget allows it."""
        question = DiagnosisRequest(incident=request, packet=packet)
        decision = await workflow.execute_activity_method(TextActivities.decide, question, **policies.STORED)
        if decision.diagnosis is not None:
            return IncidentReport(request=request, packet=packet, diagnosis=decision.diagnosis)
        ledger = LedgerClient(request.project_id, policies.LEDGER_BRIEFLY)
        try:
            answer = await ledger.reserve(SpendingKind.DIAGNOSIS, request.policy, request.fingerprints)
            if not answer.granted:
                return _waiting(
                    question, Waiting(limit=answer.limit, again_at=answer.again_at or workflow.now())
                )
            if workflow.patched(policies.PATCH_TOOLS):
                packet, diagnosis = await self._investigate(question, ledger)
            else:
                diagnosis = await self._ask(question, ledger)
        except ActivityError as error:
            if (reason := _waits_for(error)) is None:
                raise
            return _waiting(question, Waiting(reason=reason, again_at=workflow.now()))
        await _record_spend(ledger, diagnosis.cost_usd or 0.0)
        return IncidentReport(request=request, packet=packet, diagnosis=diagnosis)

    async def _investigate(
        self, question: DiagnosisRequest, ledger: LedgerClient
    ) -> tuple[ArtifactReference, Diagnosis]:
        """Return the diagnosis, after a second look where code shall change, and the evidence it cites."""
        packet, diagnosis = await self._turns(question, None)
        if diagnosis.verdict not in CODING_VERDICTS or not question.incident.policy.sceptic:
            return packet, diagnosis
        await ledger.confirm(())  # a pause that began meanwhile
        workflow.set_current_details("Diagnosed; a second look tries to refute it.")
        return await self._turns(question.model_copy(update={"packet": packet}), diagnosis)

    async def _turns(
        self, question: DiagnosisRequest, doubted: Diagnosis | None
    ) -> tuple[ArtifactReference, Diagnosis]:
        """Let a model answer, and make the calls it asks for, until it concludes."""
        project_id = question.incident.project_id
        request = TurnRequest(project_id=project_id, at=workflow.now(), question=question, doubted=doubted)
        for _ in range(policies.MOST_TURNS):
            turn = await workflow.execute_activity_method(
                PlanningActivities.take_turn,
                request,
                task_queue=PLANNING_QUEUE,
                summary=details.line(question.incident.service.name),
                **policies.TURN,
            )
            if turn.diagnosis is not None:
                return turn.packet or question.packet, turn.diagnosis
            if turn.calls:
                details.show("Looks at {}.", ", ".join(call.text for call in turn.calls))
            results = await asyncio.gather(*(self._use_tool(turn, call) for call in turn.calls))
            request = TurnRequest(
                project_id=project_id,
                at=workflow.now(),
                doubted=doubted,
                conversation=turn.conversation,
                results=tuple(results),
            )
        raise ApplicationError("The model came to no conclusion.", type="NoConclusion", non_retryable=True)

    async def _use_tool(self, turn: Turn, call: EvidenceCall) -> EvidenceResult:
        """Make one call; one that fails tells the model why."""
        if turn.incident is None:
            return EvidenceResult(call_id=call.id, unseen="The evidence is lost.")
        using = workflow.execute_activity_method(
            ToolActivities.use_tool,
            ToolRequest(incident=turn.incident, call=call),
            summary=details.line(call.text),
            **policies.EVIDENCE,
        )
        found = await attempted(using)
        if isinstance(found, ActivityError):
            return EvidenceResult(call_id=call.id, unseen=f"It could not be read: {reason_of(found)[:500]}")
        return found

    async def _ask(self, question: DiagnosisRequest, ledger: LedgerClient) -> Diagnosis:
        diagnosis = await workflow.execute_activity_method(
            PlanningActivities.diagnose,
            question,
            task_queue=PLANNING_QUEUE,
            summary=details.line(question.incident.service.name),
            **policies.MODEL,
        )
        if diagnosis.verdict not in CODING_VERDICTS or not question.incident.policy.sceptic:
            return diagnosis
        await ledger.confirm(())  # a pause that began meanwhile
        workflow.set_current_details("Diagnosed; a second look tries to refute it.")
        return await workflow.execute_activity_method(
            PlanningActivities.refute,
            ChallengeRequest(
                packet=question.packet, diagnosis=diagnosis, project_id=question.incident.project_id
            ),
            task_queue=PLANNING_QUEUE,
            summary=details.line(question.incident.service.name),
            **policies.MODEL,
        )

    async def _facts(self, source: EvidenceSource, request: IncidentRequest) -> StoredFacts:
        """Return a source's facts. One that fails is read once more where that may help, then left out."""
        found = await attempted(self._read(source, request))
        if isinstance(found, ActivityError) and found.retry_state is not RetryState.NON_RETRYABLE_FAILURE:
            await workflow.sleep(policies.READ_AGAIN_AFTER, summary=f"{source.value} again")
            found = await attempted(self._read(source, request))
        return _unread(source, found) if isinstance(found, ActivityError) else found

    async def _read(self, source: EvidenceSource, request: IncidentRequest) -> StoredFacts:
        policy = policies.READ if source in READS_REPOSITORY else policies.EVIDENCE
        facts: ArtifactReference = await workflow.execute_activity_method(
            ACTIVITIES[source], request, summary=source.value, **policy
        )
        return StoredFacts(source=source, facts=facts)


async def _scan_waits() -> bool:
    """Tell whether a scan acts on the diagnosis: it does not if this was started, or reset, by hand."""
    info = workflow.info()
    if info.parent is None:
        return False
    if info.run_id == info.first_execution_run_id:
        return True
    parent = RunReference(workflow_id=info.parent.workflow_id, run_id=info.parent.run_id)
    return await workflow.execute_activity_method(LedgerActivities.run_is_open, parent, **policies.LEDGER)


async def _hand_to_a_scan(request: IncidentRequest) -> IncidentReport:
    """Start a scan that takes up this service alone, and acts on what it finds."""
    scan = ScanRequest(
        project_id=request.project_id,
        environment_id=request.environment_id,
        again=(request.service.service_id,),
    )
    workflow_id = f"scan/{request.environment_id}/again-{workflow.info().run_id}"
    await workflow.start_child_workflow(
        "HealthScan",
        scan,
        id=workflow_id,
        parent_close_policy=ParentClosePolicy.ABANDON,
        execution_timeout=SCAN_TIMEOUT,
        static_summary=details.line(f"{request.service.name} again"),
    )
    summary = f"Started again by hand: {workflow_id} looks at {request.service.name} now."
    details.show("{}", summary)
    return IncidentReport(
        request=request,
        packet=ArtifactReference(sha256="", size=0),
        diagnosis=Diagnosis(summary=summary, verdict=Verdict.UNCLEAR, confidence=0.0),
    )


def _waits_for(error: ActivityError) -> str | None:
    """Return what has to end before a model can be asked; None where it failed for another reason."""
    if type_of(error) == PAUSED_ERROR:
        return f"no model is asked while {reason_of(error)}"
    if ledger_is_away(error):
        return f"the ledger did not answer ({reason_of(error)}), and nothing is spent without it"
    return None


async def _record_spend(ledger: LedgerClient, usd: float) -> None:
    """Where the ledger is away the reserved sum stays in its books: the diagnosis is paid and is kept."""
    try:
        await ledger.record_spend(usd)
    except ActivityError as error:
        if not ledger_is_away(error):
            raise


def _waiting(question: DiagnosisRequest, waiting: Waiting) -> IncidentReport:
    return IncidentReport(
        request=question.incident,
        packet=question.packet,
        diagnosis=waiting.as_diagnosis(),
        waiting=waiting,
    )


def _unread(source: EvidenceSource, error: ActivityError) -> StoredFacts:
    unseen = (f"The {source.value} could not be read: {reason_of(error)[:500]}",)
    return StoredFacts(source=source, unseen=unseen)
