"""Verdicts: rules first, model second."""

from temporalio import activity

from activities.errors import translated
from railmend.contracts.incident import Diagnosis, DiagnosisRequest, IncidentReport
from railmend.contracts.scan import HealthReport
from railmend.diagnosis.model import ModelSettings, diagnose
from railmend.diagnosis.router import decide_by_rule
from railmend.evidence.packet import render
from railmend.publishing.text import incident_markdown, report_markdown


class PlanningActivities:
    def __init__(self, model: ModelSettings) -> None:
        self._model = model

    @activity.defn
    async def diagnose(self, request: DiagnosisRequest) -> Diagnosis:
        decided = decide_by_rule(request.incident, request.packet)
        if decided is not None:
            return decided
        with translated():
            return await diagnose(request.packet, render(request.packet), self._model)

    @activity.defn
    async def describe_report(self, report: HealthReport) -> str:
        """A scan's end as Markdown for the Web UI."""
        return report_markdown(report)

    @activity.defn
    async def describe_incident(self, report: IncidentReport) -> str:
        """The diagnosis as Markdown for the Web UI."""
        return incident_markdown(report)
