"""Architecture and measurements over Railway's API, condensed to findings where they are read."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.heartbeat import working
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.assessment.coverage import why_unknown
from railmend.assessment.deaths import FILTER, deaths, leaves_open
from railmend.assessment.rules import assess
from railmend.assessment.screening import is_candidate
from railmend.assessment.settings import AssessmentRules
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.scan import (
    PAGE,
    Assessment,
    CandidatePage,
    CandidatePages,
    CandidatesRequest,
    DownstreamEffects,
    Finding,
    FindingKind,
    ScanRequest,
    Screening,
    ScreenRequest,
    Service,
    ServiceKind,
    Severity,
    UnknownServices,
    Window,
)
from railmend.contracts.status import listed
from railmend.diagnosis.platform import blamed
from railmend.diagnosis.root_causes import downstream_effects
from railmend.evidence.redact import redact
from railmend.railway.errors import RailwayError
from railmend.railway.pool import RailwayPool
from railmend.railway.survey import Row, Survey

DEFAULTS = AssessmentRules()
# No team could read more.
MAX_CANDIDATES = 60
TOO_MANY = (
    f"it may be in trouble, but only the {MAX_CANDIDATES} that look worst are examined in one scan. "
    "Fix those, or watch the project in parts."
)
DOWN = frozenset({FindingKind.OUTAGE, FindingKind.CRASH_LOOP})
# Sentences about what could not be seen; the rest is counted. Of the reasons why services are unknown, so
# many are told apart, each with so many characters.
MAX_UNSEEN, MAX_REASONS, MAX_REASON = 40, 20, 400
# Services of one reading whose logs are searched for deaths.
MOST_SEARCHED = 4
# Services that are named because candidates need them.
MOST_NEEDED = 50
# Of the time that all attempts have, what the last one may take.
RESERVED = timedelta(minutes=3)
OTHER_REASONS = "there are other reasons: run `starter.py doctor`."


@dataclass
class RailwayActivities:
    """`rules_of`: thresholds and what to ignore, by environment id."""

    railway: RailwayPool
    artifacts: ArtifactStore
    rules_of: Callable[[str], AssessmentRules] = lambda _: DEFAULTS

    @activity.defn
    async def screen(self, request: ScreenRequest) -> Screening:
        """Survey the environment at a coarse step; a small one is read finely at once, and decided."""
        scan = request.scan
        async with working():
            try:
                client = await self.railway.client_for(scan.environment_id)
                survey = await client.surveyor.survey(scan.project_id, scan.environment_id, request.window)
            except RailwayError as error:
                if _is_worth_retrying(error):
                    raise
                return await self._unlisted(scan, error)
        if survey.ephemeral and not request.pull_request_environment:
            return _left_alone(survey)
        rules = self.rules_of(scan.environment_id)
        found = _assess(survey.rows, scan.environment_id, rules)
        if survey.fine:
            async with working():
                recalled = await self._recall(survey, found, scan.environment_id)
                died = await self._search_logs(
                    survey.rows, found, survey.unseen, scan.environment_id, survey.window
                )
            if recalled or died:
                found = _assess(survey.rows, scan.environment_id, rules)
        suspects = _worst_first(_suspects(survey, found, rules), found)
        findings = found if survey.fine else ()
        screening = _screening(survey, suspects, findings, rules)
        pages = paged(suspects[:MAX_CANDIDATES], findings)
        async with working():
            more = [await self.artifacts.put_model(page) for page in pages[1:]]
        first = pages[0] if pages else CandidatePage(services=(), findings=())
        return screening.model_copy(
            update={"candidates": first.services, "findings": first.findings, "more": tuple(more)}
        )

    async def _recall(self, survey: Survey, found: Sequence[Finding], environment_id: str) -> bool:
        """Give suspects their longer past and requests, as those of a large project have them.

        The past of others stays a day. Return whether anything was added.
        """
        ids = {finding.service_id for finding in found}
        slow = {finding.service_id for finding in found if finding.kind is FindingKind.LATENCY}
        suspects = [service for service in survey.services if service.service_id in ids]
        if not suspects:
            return False
        suspects.sort(key=lambda service: service.service_id not in slow)  # their routes are compared
        client = await self.railway.client_for(environment_id)
        pasts, requests = await client.surveyor.recall(environment_id, suspects, survey.window)
        longer = {past.service_id: past for past in pasts if past.sampled}
        survey.history = [longer.get(day.service_id, day) for day in survey.history]
        for series in survey.slices:
            series.requests = requests.get(series.service_id)
        return bool(longer or requests)

    async def _search_logs(
        self,
        rows: Sequence[Row],
        found: Sequence[Finding],
        unseen: list[str],
        environment_id: str,
        window: Window,
    ) -> bool:
        """Search the logs of services whose memory fell unexplained for deaths, and note them in the slices.

        Takes 1 request a service, of at most `MOST_SEARCHED`. Logs can only add a finding. Return whether any
        death was noted.
        """
        client = await self.railway.client_for(environment_id)
        doubtful = [
            (service, series)
            for service, series, _ in rows
            if service.kind is not ServiceKind.CRON
            and not service.asleep
            and leaves_open(series, [each for each in found if each.service_id == service.service_id])
        ]
        for service, series in doubtful[:MOST_SEARCHED]:
            filter = f"@service:{service.service_id} AND ({FILTER})"
            try:
                lines = await client.environment_logs(environment_id, window.start, window.end, filter)
            except RailwayError as error:
                unseen.append(f"Logs of {service.name} could not be searched for crashes. {error}")
            else:
                series.deaths = tuple(deaths(lines))
        return any(series.deaths for _, series in doubtful)

    async def _unlisted(self, scan: ScanRequest, error: RailwayError) -> Screening:
        """Report that nothing can be read: all that was seen before is unknown; a scan always reports."""
        reason = f"The list of services could not be read. {error}"[:MAX_REASON]
        known = self.railway.last_seen(scan.environment_id)
        return Screening(
            project_name=known.project_name or scan.project_id,
            environment_name=known.environment_name or scan.environment_id,
            candidates=(),
            decided=True,
            unknown=_unknown((service.name, reason) for service in known.services),
            unlisted=reason,
        )

    @activity.defn
    async def read_candidates(self, reference: ArtifactReference) -> CandidatePage:
        """Return one further page of candidates. Raise `ArtifactGone` where it is lost."""
        async with working():
            return await self.artifacts.get_model(reference, CandidatePage)

    @activity.defn
    async def link_downstream(self, request: CandidatePages) -> DownstreamEffects:
        """Find downstream effects among the services of all pages; a page that is lost explains nothing."""
        services: list[Service] = []
        findings: list[Finding] = []
        async with working():
            for reference in request.pages:
                with suppress(ArtifactGone):
                    page = await self.artifacts.get_model(reference, CandidatePage)
                    services += page.services
                    findings += page.findings
        return DownstreamEffects(effects=downstream_effects(services, findings))

    @activity.defn
    async def assess_candidates(self, request: CandidatesRequest) -> Assessment:
        """Assess the candidates at the window's own step; this decides. What cannot be read is unknown."""
        async with working():
            client = await self.railway.client_for(request.environment_id)
            details = await client.surveyor.examine(request.environment_id, request.services, request.window)
        rows = [
            (service, pair.slice, pair.history)
            for service, pair in zip(request.services, details.services, strict=True)
        ]
        rules = self.rules_of(request.environment_id)
        findings = _assess(rows, request.environment_id, rules)
        unseen: list[str] = []
        async with working():
            died = await self._search_logs(rows, findings, unseen, request.environment_id, request.window)
        if died:
            findings = _assess(rows, request.environment_id, rules)
        affected = {finding.service_id for finding in findings}
        reasons = _reasons(rows, details.unread, rules, without=affected)
        troubled = [service for service in request.services if service.service_id in affected]
        async with working():
            page = await self.artifacts.put_model(CandidatePage(services=request.services, findings=findings))
        return Assessment(
            findings=findings,
            page=page,
            downstream_effects=downstream_effects(request.services, findings),
            blamed=blamed(request.platform, request.services, findings),
            unknown=_unknown(reasons),
            unseen=_bounded([*_unread_of(troubled, details.unread), *unseen]),
        )


def _is_worth_retrying(error: RailwayError) -> bool:
    """Return whether Temporal will try again, and in time: the last attempt reports instead of failing."""
    if not error.retryable or not activity.in_activity():
        return False
    info = activity.info()
    most = info.retry_policy.maximum_attempts if info.retry_policy else 0
    left = info.schedule_to_close_timeout or timedelta.max
    used = info.started_time - info.scheduled_time
    return info.attempt != most and timedelta(seconds=error.retry_after or 0) < left - used - RESERVED


def _assess(rows: Iterable[Row], environment_id: str, rules: AssessmentRules) -> tuple[Finding, ...]:
    """Return what the series show; coarse ones tell only which services look worst."""
    return tuple(
        finding
        for service, series, history in rows
        for finding in assess(series, service, environment_id=environment_id, history=history, settings=rules)
    )


def _reasons(
    rows: Iterable[Row], unread: Mapping[str, Sequence[str]], rules: AssessmentRules, without: Collection[str]
) -> list[tuple[str, str | None]]:
    """Return names, and why those services are unknown, None for what is well. `without`: ids left out."""
    return [
        (
            service.name,
            why_unknown(series, service, unread.get(service.service_id, ()), rules.settings_for(service)),
        )
        for service, series, _ in rows
        if service.service_id not in without
    ]


def _suspects(survey: Survey, findings: Sequence[Finding], rules: AssessmentRules) -> list[Service]:
    """Return the services with findings; after a coarse survey, those that look as if they had some."""
    affected = {finding.service_id for finding in findings}
    return [
        service
        for service, series, _ in survey.rows
        if (
            service.service_id in affected
            if survey.fine
            else is_candidate(series, service, rules.settings_for(service))
        )
    ]


def _worst_first(services: Iterable[Service], findings: Iterable[Finding]) -> list[Service]:
    by_service: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_service[finding.service_id].append(finding)

    def rank(service: Service) -> tuple[bool, int, int, str]:
        own = by_service[service.service_id]
        critical = sum(finding.severity is Severity.CRITICAL for finding in own)
        return not any(finding.kind in DOWN for finding in own), -critical, -len(own), service.name

    return sorted(services, key=rank)


def _redacted(service: Service) -> Service:
    """Return the service as it may be kept: a command may hold what belongs into a variable."""
    names = ("start_command", "pre_deploy_command")
    commands = {name: said for name in names if (said := getattr(service, name))}
    return service.model_copy(update={name: redact(said) for name, said in commands.items()})


def paged(services: Sequence[Service], findings: Sequence[Finding]) -> list[CandidatePage]:
    pages = []
    for start in range(0, len(services), PAGE):
        chosen = tuple(map(_redacted, services[start : start + PAGE]))
        ids = {service.service_id for service in chosen}
        own = tuple(finding for finding in findings if finding.service_id in ids)
        pages.append(CandidatePage(services=chosen, findings=own))
    return pages


def _screening(
    survey: Survey, candidates: list[Service], findings: Sequence[Finding], rules: AssessmentRules
) -> Screening:
    examined, left_out = candidates[:MAX_CANDIDATES], candidates[MAX_CANDIDATES:]
    suspected = {service.service_id for service in candidates}
    asleep = [s for s in survey.services if s.asleep and not s.unread and s.service_id not in suspected]
    without = suspected | {service.service_id for service in asleep}
    reasons: list[tuple[str, str | None]] = [(service.name, TOO_MANY) for service in left_out]
    reasons += _reasons(survey.rows, survey.unread, rules, without)
    unseen = [*survey.unseen, *_private(survey.services)]
    if survey.fine:
        unseen += _unread_of(examined, survey.unread)
    names = {service.service_id: service.name for service in survey.services}
    wanted = sorted({id for service in examined for id in service.depends_on if id in names} - suspected)
    return Screening(
        needed={id: names[id] for id in wanted[:MOST_NEEDED]},
        project_name=survey.project_name,
        environment_name=survey.environment_name,
        healthy=tuple(name for name, reason in reasons if reason is None),
        asleep=tuple(service.name for service in asleep),
        unknown=_unknown(reasons),
        candidates=(),
        decided=survey.fine,
        downstream_effects=downstream_effects(candidates, findings),
        blamed=blamed(survey.platform, candidates, findings),
        platform=survey.platform,
        window=survey.window,
        unseen=_bounded(unseen),
    )


def _unknown(reasons: Iterable[tuple[str, str | None]]) -> tuple[UnknownServices, ...]:
    """Group the services, given with why they are unknown, by reason: many share one."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, reason in reasons:
        if reason is not None:
            text = reason[:MAX_REASON]
            groups[text if text in groups or len(groups) < MAX_REASONS else OTHER_REASONS].append(name)
    return tuple(UnknownServices(reason=reason, services=tuple(names)) for reason, names in groups.items())


def _unread_of(services: Iterable[Service], unread: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what could not be read of services that are affected anyway."""
    return [
        f"{service.name}: {reason}"
        for service in services
        for reason in dict.fromkeys((*service.unread, *unread.get(service.service_id, ())))
    ]


def _private(services: Iterable[Service]) -> list[str]:
    """Say whose requests nobody measures: Railway counts those that come through a domain."""
    silent = [s for s in services if not s.serves_http and not s.asleep]
    groups = {
        "Requests within the private network": [s.name for s in silent if s.health_check and not s.tcp],
        "TCP traffic": [s.name for s in silent if s.tcp],
    }
    return [
        f"{what}: Railway measures none of it, so errors and latency of "
        f"{listed(names, 5)} are not seen, only CPU, memory and whether they run."
        for what, names in groups.items()
        if names
    ]


def _bounded(unseen: list[str]) -> tuple[str, ...]:
    more = len(unseen) - MAX_UNSEEN
    return (*unseen[:MAX_UNSEEN], *((f"{more} more values could not be read.",) if more > 0 else ()))


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
