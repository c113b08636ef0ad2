"""What a scan begins with, and its report; candidates come in pages, each one payload."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.planning import TextActivities
from activities.railway import RailwayActivities
from activities.settings import SettingsActivities
from railmend.contracts.scan import (
    PAGE,
    Assessment,
    CandidatePages,
    CandidatesRequest,
    DownstreamEffect,
    HealthReport,
    ScanBeginning,
    ScanRequest,
    ScanSettings,
    Screening,
    ScreenRequest,
    Window,
)
from railmend.publishing.report import report_markdown
from workflows.shared import details, policies, search_attributes
from workflows.shared.failures import attempted, reason_of


@dataclass(frozen=True)
class Look:
    """What a scan begins with. `in_steps`: by an activity for each part, as scans did before 0.2.0.

    The first answer says which, and so which commands follow: a patch would be billed in every scan.
    """

    settings: ScanSettings
    screening: Screening
    window: Window
    in_steps: bool


async def look(request: ScanRequest) -> Look:
    """Read the settings of this scan, and what they let it see."""
    began = workflow.now()
    settings = await workflow.execute_activity_method(
        SettingsActivities.read_scan_settings, ScanBeginning(**dict(request), at=began), **policies.READ
    )
    window = settings.window(began)
    screening = settings.screening
    if screening is None:
        asked = ScreenRequest(
            scan=request, window=window, pull_request_environment=settings.pull_request_environment
        )
        screening = await workflow.execute_activity_method(RailwayActivities.screen, asked, **policies.READ)
        workflow.upsert_search_attributes(search_attributes.attributes_for_scan(screening))
    # Earlier than what was asked for, where Railway's samples are late.
    return Look(settings, screening, screening.window or window, in_steps=settings.screening is None)


async def read_all(screening: Screening) -> Screening:
    """Return the screening with the candidates of all pages; a page that cannot be read is unseen."""
    services, findings, unseen = list(screening.candidates), list(screening.findings), list(screening.unseen)
    for reference in screening.more:
        reading = workflow.execute_activity_method(
            RailwayActivities.read_candidates, reference, summary="candidates", **policies.STORED
        )
        page = await attempted(reading)
        if isinstance(page, ActivityError):
            unseen.append(f"Up to {PAGE} services that look troubled are lost: {reason_of(page)[:500]}")
            continue
        services += page.services
        findings += page.findings
    return screening.model_copy(
        update={"candidates": tuple(services), "findings": tuple(findings), "unseen": tuple(unseen)}
    )


async def assess(screening: Screening, environment_id: str, window: Window) -> Assessment:
    """Assess the candidates in detail; a small project is decided by its screening."""
    services = screening.candidates
    if screening.decided or not services:
        return Assessment(
            findings=screening.findings,
            downstream_effects=screening.downstream_effects,
            blamed=screening.blamed,
        )
    assessments = [
        await workflow.execute_activity_method(
            RailwayActivities.assess_candidates,
            CandidatesRequest(
                environment_id=environment_id,
                services=services[start : start + PAGE],
                window=window,
                platform=screening.platform,
            ),
            **policies.READ,
        )
        for start in range(0, len(services), PAGE)
    ]
    return Assessment(
        findings=tuple(finding for each in assessments for finding in each.findings),
        downstream_effects=await _downstream(assessments),
        blamed={service_id: words for each in assessments for service_id, words in each.blamed.items()},
        unknown=tuple(group for each in assessments for group in each.unknown),
        unseen=tuple(dict.fromkeys(sentence for each in assessments for sentence in each.unseen)),
    )


async def _downstream(assessments: Sequence[Assessment]) -> tuple[DownstreamEffect, ...]:
    """Return the effects; a root cause may stand on another page than what suffers from it."""
    if len(assessments) == 1:
        return assessments[0].downstream_effects
    found = await workflow.execute_activity_method(
        RailwayActivities.link_downstream,
        CandidatePages(pages=tuple(each.page for each in assessments if each.page)),
        **policies.STORED,
    )
    return found.effects


async def show_report(report: HealthReport, *, by_activity: bool) -> None:
    """Show a scan's report; scans that began before 0.2.0 have an activity make its text."""
    if not by_activity:
        details.show_markdown(report_markdown(report))
        return
    workflow.set_current_details(
        await workflow.execute_activity_method(TextActivities.describe_report, report, **policies.STORED)
    )
