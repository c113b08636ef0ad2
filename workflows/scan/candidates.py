"""The candidates of a scan, page by page: a wide incident does not fit one payload."""

from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.railway import RailwayActivities
from railmend.contracts.scan import (
    PAGE,
    Assessment,
    CandidatePages,
    CandidatesRequest,
    DownstreamEffect,
    Screening,
    Window,
)
from workflows.shared import policies
from workflows.shared.failures import reason_of


async def read_all(screening: Screening) -> Screening:
    """Return the screening with the candidates of all pages; a page that cannot be read is unseen."""
    services, findings, unseen = list(screening.candidates), list(screening.findings), list(screening.unseen)
    for reference in screening.more:
        try:
            page = await workflow.execute_activity_method(
                RailwayActivities.read_candidates, reference, summary="candidates", **policies.STORED
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            unseen.append(f"Up to {PAGE} services that look troubled are lost: {reason_of(error)[:500]}")
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
