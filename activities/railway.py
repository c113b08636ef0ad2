"""Architecture and measurements over Railway's API, condensed to findings where they are read."""

from collections.abc import Iterable, Mapping

from temporalio import activity

from activities.errors import translated
from railmend.assessment import AssessmentRules, assess, suspect
from railmend.contracts.scan import (
    Assessment,
    Finding,
    Screening,
    ScreenRequest,
    Service,
    SuspectsRequest,
)
from railmend.diagnosis.root_causes import downstream_effects
from railmend.railway.model import Slice
from railmend.railway.pool import RailwayPool
from railmend.railway.survey import Survey

DEFAULTS = AssessmentRules()
# More suspects than these would not fit a payload, and no team could read them.
MAX_SUSPECTS = 60
# Sentences about what could not be seen; the rest is counted.
MAX_UNSEEN = 40


class RailwayActivities:
    def __init__(self, railway: RailwayPool, rules: Mapping[str, AssessmentRules] | None = None) -> None:
        """`rules`: thresholds and what to ignore, by environment id; the defaults where there are none."""
        self._railway = railway
        self._rules = rules or {}

    @activity.defn
    async def screen(self, request: ScreenRequest) -> Screening:
        """Everything at a coarse step; a small project is read finely at once, and decided."""
        scan = request.scan
        with translated():
            client = await self._railway.client_for(scan.environment_id)
            survey = await client.survey(scan.project_id, scan.environment_id, request.window)
        if survey.ephemeral and not scan.pull_request_environment:
            return _left_alone(survey)
        slices = {one.service_id: one for one in survey.slices}
        rules = self._rules.get(scan.environment_id, DEFAULTS)
        findings: tuple[Finding, ...] = ()
        if survey.fine:
            history = {one.service_id: one for one in survey.history}
            findings = _assess(survey.services, slices, history, scan.environment_id, rules)
            found = {finding.service_id for finding in findings}
            suspects = [service for service in survey.services if service.service_id in found]
        else:
            suspects = [
                service
                for service in survey.services
                if suspect(slices[service.service_id], service, rules.settings_for(service))
            ]
        troubled = {service.service_id for service in suspects}
        unseen = list(survey.unseen)
        if len(suspects) > MAX_SUSPECTS:
            unseen.append(f"{len(suspects)} services look troubled; only {MAX_SUSPECTS} are examined now.")
        kept = {service.service_id for service in suspects[:MAX_SUSPECTS]}
        return Screening(
            project_name=survey.project_name,
            environment_name=survey.environment_name,
            healthy=tuple(s.name for s in survey.services if not s.asleep and s.service_id not in troubled),
            asleep=tuple(s.name for s in survey.services if s.asleep and s.service_id not in troubled),
            suspects=tuple(suspects[:MAX_SUSPECTS]),
            decided=survey.fine,
            findings=tuple(finding for finding in findings if finding.service_id in kept),
            downstream_effects=downstream_effects(suspects, findings),
            platform_incident=survey.platform_incident,
            unseen=_bounded(unseen),
        )

    @activity.defn
    async def assess_suspects(self, request: SuspectsRequest) -> Assessment:
        """The suspects at the window's own step; this decides."""
        with translated():
            client = await self._railway.client_for(request.environment_id)
            close, unseen = await client.fetch_detailed(
                request.environment_id, request.services, request.window
            )
        slices = {one.slice.service_id: one.slice for one in close}
        history = {one.history.service_id: one.history for one in close}
        rules = self._rules.get(request.environment_id, DEFAULTS)
        findings = _assess(request.services, slices, history, request.environment_id, rules)
        return Assessment(
            findings=findings,
            downstream_effects=downstream_effects(request.services, findings),
            unseen=_bounded(unseen),
        )


def _bounded(unseen: list[str]) -> tuple[str, ...]:
    more = len(unseen) - MAX_UNSEEN
    return (*unseen[:MAX_UNSEEN], *((f"{more} more values could not be had.",) if more > 0 else ()))


def _left_alone(survey: Survey) -> Screening:
    """Railway made the environment for a pull request: what fails there is its author's to see."""
    reason = (
        f"{survey.environment_name} is the environment of a pull request and is not looked at; "
        "set pull_request_environment = true for it to be."
    )
    return Screening(
        project_name=survey.project_name,
        environment_name=survey.environment_name,
        suspects=(),
        decided=True,
        unseen=(reason,),
    )


def _assess(
    services: Iterable[Service],
    slices: Mapping[str, Slice],
    history: Mapping[str, Slice],
    environment_id: str,
    rules: AssessmentRules,
) -> tuple[Finding, ...]:
    return tuple(
        finding
        for service in services
        for finding in assess(
            slices[service.service_id],
            service,
            environment_id=environment_id,
            history=history.get(service.service_id),
            settings=rules,
        )
    )
