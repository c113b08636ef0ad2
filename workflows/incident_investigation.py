"""One service in trouble: collect the evidence in parallel, then a verdict. Never waits for a person."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.logs import EvidenceActivities
    from activities.planning import PlanningActivities
    from railmend.contracts.incident import (
        DiagnosisRequest,
        Facts,
        IncidentReport,
        IncidentRequest,
        PacketRequest,
    )
    from workflows import policies


Source = Callable[[EvidenceActivities, IncidentRequest], Awaitable[Facts]]


@workflow.defn
class IncidentInvestigation:
    @workflow.run
    async def run(self, request: IncidentRequest) -> IncidentReport:
        sources = (
            (EvidenceActivities.finding_facts, "findings"),
            (EvidenceActivities.deployment_facts, "deployments"),
            (EvidenceActivities.deploy_log_facts, "deploy logs"),
            (EvidenceActivities.http_log_facts, "HTTP logs"),
        )
        facts = await asyncio.gather(*(self._facts(source, name, request) for source, name in sources))
        packet = await workflow.execute_activity_method(
            EvidenceActivities.build_packet,
            PacketRequest(incident=request, facts=tuple(facts)),
            **policies.TEXT,
        )
        workflow.set_current_details("Evidence collected; diagnosing.")
        diagnosis = await workflow.execute_activity_method(
            PlanningActivities.diagnose,
            DiagnosisRequest(incident=request, packet=packet),
            summary=request.service.name,
            **policies.MODEL,
        )
        report = IncidentReport(request=request, packet=packet, diagnosis=diagnosis)
        workflow.set_current_details(
            await workflow.execute_activity_method(
                PlanningActivities.describe_incident, report, **policies.TEXT
            )
        )
        return report

    async def _facts(self, source: Source, name: str, request: IncidentRequest) -> Facts:
        """One source may fail alone: what it could not say is said."""
        try:
            return await workflow.execute_activity_method(source, request, summary=name, **policies.EVIDENCE)
        except ActivityError as error:
            reason = getattr(error.cause, "message", None) or str(error.cause or error)
            return Facts(items=(), unseen=(f"The {name} could not be read: {reason}",))
