"""Architecture and measurements over Railway's API, condensed to findings where they are read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from temporalio import activity

from activities.heartbeat import working
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.assessment import AssessmentRules, assess, is_candidate
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.scan import (
    PAGE,
    Assessment,
    CandidatePage,
    CandidatePages,
    CandidatesRequest,
    DownstreamEffects,
    Finding,
    Screening,
    ScreenRequest,
    Service,
)
from railmend.diagnosis.root_causes import downstream_effects
from railmend.railway.model import Slice
from railmend.railway.pool import RailwayPool
from railmend.railway.survey import Survey

DEFAULTS = AssessmentRules()
# No team could read more.
MAX_CANDIDATES = 60
# Sentences about what could not be seen; the rest is counted.
MAX_UNSEEN = 40


class RailwayActivities:
    def __init__(
        self,
        railway: RailwayPool,
        artifacts: ArtifactStore,
        rules_of: Callable[[str], AssessmentRules] = lambda _: DEFAULTS,
    ) -> None:
        """`rules_of`: thresholds and what to ignore, by environment id."""
        self._railway = railway
        self._artifacts = artifacts
        self._rules_of = rules_of

    @activity.defn
    async def screen(self, request: ScreenRequest) -> Screening:
        """Survey the environment at a coarse step; a small one is read finely at once, and decided."""
        scan = request.scan
        async with working():
            client = await self._railway.client_for(scan.environment_id)
            survey = await client.survey(scan.project_id, scan.environment_id, request.window)
        if survey.ephemeral and not request.pull_request_environment:
            return _left_alone(survey)
        rules = self._rules_of(scan.environment_id)
        findings = _survey_findings(survey, scan.environment_id, rules) if survey.fine else ()
        suspects = _suspects(survey, findings, rules)
        screening = _screening(survey, suspects, findings)
        pages = paged(suspects[:MAX_CANDIDATES], findings)
        async with working():
            more = [await self._artifacts.put_model(page) for page in pages[1:]]
        first = pages[0] if pages else CandidatePage(services=(), findings=())
        return screening.model_copy(
            update={"candidates": first.services, "findings": first.findings, "more": tuple(more)}
        )

    @activity.defn
    async def read_candidates(self, reference: ArtifactReference) -> CandidatePage:
        """Return one further page of candidates. Raise `ArtifactGone` where it is lost."""
        async with working():
            return await self._artifacts.get_model(reference, CandidatePage)

    @activity.defn
    async def link_downstream(self, request: CandidatePages) -> DownstreamEffects:
        """Find downstream effects among the services of all pages; a page that is lost explains nothing."""
        services: list[Service] = []
        findings: list[Finding] = []
        async with working():
            for reference in request.pages:
                with suppress(ArtifactGone):
                    page = await self._artifacts.get_model(reference, CandidatePage)
                    services += page.services
                    findings += page.findings
        return DownstreamEffects(effects=downstream_effects(services, findings))

    @activity.defn
    async def assess_candidates(self, request: CandidatesRequest) -> Assessment:
        """Assess the candidates at the window's own step; this decides."""
        async with working():
            client = await self._railway.client_for(request.environment_id)
            detailed, unseen = await client.fetch_detailed(
                request.environment_id, request.services, request.window
            )
        slices = {pair.slice.service_id: pair.slice for pair in detailed}
        history = {pair.history.service_id: pair.history for pair in detailed}
        rules = self._rules_of(request.environment_id)
        findings = _assess(request.services, slices, history, request.environment_id, rules)
        async with working():
            page = await self._artifacts.put_model(
                CandidatePage(services=request.services, findings=findings)
            )
        return Assessment(
            findings=findings,
            page=page,
            downstream_effects=downstream_effects(request.services, findings),
            unseen=_bounded(unseen),
        )


def _survey_findings(survey: Survey, environment_id: str, rules: AssessmentRules) -> tuple[Finding, ...]:
    slices = {series.service_id: series for series in survey.slices}
    history = {series.service_id: series for series in survey.history}
    return _assess(survey.services, slices, history, environment_id, rules)


def _suspects(survey: Survey, findings: Sequence[Finding], rules: AssessmentRules) -> list[Service]:
    """Return the services with findings; after a coarse survey, those that look as if they had some."""
    if survey.fine:
        affected = {finding.service_id for finding in findings}
        return [service for service in survey.services if service.service_id in affected]
    slices = {series.service_id: series for series in survey.slices}
    return [
        service
        for service in survey.services
        if is_candidate(slices[service.service_id], service, rules.settings_for(service))
    ]


def paged(services: Sequence[Service], findings: Sequence[Finding]) -> list[CandidatePage]:
    pages = []
    for start in range(0, len(services), PAGE):
        chosen = tuple(services[start : start + PAGE])
        ids = {service.service_id for service in chosen}
        own = tuple(finding for finding in findings if finding.service_id in ids)
        pages.append(CandidatePage(services=chosen, findings=own))
    return pages


def _screening(survey: Survey, candidates: list[Service], findings: Sequence[Finding]) -> Screening:
    unseen = list(survey.unseen)
    if len(candidates) > MAX_CANDIDATES:
        unseen.append(f"{len(candidates)} services look troubled; only {MAX_CANDIDATES} are examined now.")
    candidate_ids = {service.service_id for service in candidates}
    quiet = [service for service in survey.services if service.service_id not in candidate_ids]
    return Screening(
        project_name=survey.project_name,
        environment_name=survey.environment_name,
        healthy=tuple(service.name for service in quiet if not service.asleep),
        asleep=tuple(service.name for service in quiet if service.asleep),
        candidates=(),
        decided=survey.fine,
        downstream_effects=downstream_effects(candidates, findings),
        platform_incident=survey.platform_incident,
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
        candidates=(),
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
