"""One service in trouble: collect the evidence in parallel, then a verdict. Never waits for a person."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.deployments import DeploymentActivities
    from activities.evidence import EvidenceActivities
    from activities.logs import LogActivities
    from activities.planning import PlanningActivities
    from activities.repository import RepositoryActivities
    from railmend.contracts.incident import (
        DiagnosisRequest,
        Facts,
        IncidentReport,
        IncidentRequest,
        PacketRequest,
    )
    from workflows import policies


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
        facts = await asyncio.gather(*(self._facts(source, name, request) for source, name in SOURCES))
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

    async def _facts(self, source: Callable[..., Any], name: str, request: IncidentRequest) -> Facts:
        """One source may fail alone: what it could not say is said."""
        try:
            facts: Facts = await workflow.execute_activity_method(
                source, request, summary=name, **policies.EVIDENCE
            )
        except ActivityError as error:
            reason = getattr(error.cause, "message", None) or str(error.cause or error)
            return Facts(items=(), unseen=(f"The {name} could not be read: {reason}",))
        return facts
