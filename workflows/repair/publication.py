"""From a reviewed change to a pull request, or to a comment where somebody was first."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.measurement import MeasurementActivities
    from activities.pull_requests import PullRequestActivities
    from activities.reviews import ReviewActivities
    from railmend.contracts.incident import IncidentRequest
    from railmend.contracts.measurement import WindowMetrics
    from railmend.contracts.repair import (
        PublishRequest,
        PullRequestRequest,
        RelatedComment,
        RepairOutcome,
        RepairRequest,
        RepairResult,
        Workspace,
    )
    from railmend.contracts.review import RelatedQuestion
    from workflows.repair import coding_loop
    from workflows.repair.coding_loop import Made
    from workflows.shared import policies


async def publish(repair: RepairRequest, workspace: Workspace, made: Made) -> RepairResult:
    workflow.set_current_details("Publishing the change.")
    request = PublishRequest(
        workspace=workspace,
        repair=repair,
        coding=made.coding,
        change=made.change,
        verification=made.verification,
        doubts=made.doubts,
        measured=await _measured(repair),
    )
    related = await _comment_on_related(request)
    if related is not None:
        return related
    commit = await coding_loop.commit(request)
    pull_request = await workflow.execute_activity_method(
        PullRequestActivities.open_pull_request,
        PullRequestRequest(publish=request, commit=commit),
        **policies.PUBLISH,
    )
    return RepairResult(
        outcome=RepairOutcome.PULL_REQUEST,
        reason=made.coding.text,
        pull_request=pull_request,
        coding=made.coding,
    )


async def _comment_on_related(request: PublishRequest) -> RepairResult | None:
    """An open pull request about the same files or incident gets what was found, instead of a rival."""
    repair = request.repair
    related = await workflow.execute_activity_method(
        ReviewActivities.find_related,
        RelatedQuestion(
            repository=repair.repository,
            branch=repair.branch,
            base_branch=repair.base_branch,
            fingerprints=repair.fingerprints,
            files=tuple(file.path for file in request.change.files),
        ),
        **policies.PUBLISH,
    )
    if related.number is None:
        return None
    url = await workflow.execute_activity_method(
        ReviewActivities.comment_on_related,
        RelatedComment(publish=request, number=related.number, why=related.why),
        **policies.PUBLISH,
    )
    return RepairResult(
        outcome=RepairOutcome.RELATED, reason=f"{related.why} Commented: {url}", coding=request.coding
    )


async def _measured(repair: RepairRequest) -> tuple[WindowMetrics, ...]:
    """For the charts; without them a pull request is as good as it can be."""
    try:
        return tuple(await asyncio.gather(*(_of(incident.request) for incident in repair.incidents)))
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("no charts: %s", coding_loop.reason_of(error))
        return ()


async def _of(incident: IncidentRequest) -> WindowMetrics:
    return await workflow.execute_activity_method(
        MeasurementActivities.measure_incident, incident, summary=incident.service.name, **policies.EVIDENCE
    )
