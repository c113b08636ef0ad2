"""From a merge to what production shows: is the fix deployed, and does it hold?"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.github import GitHubActivities
from activities.measurement import MeasurementActivities
from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.incident import IncidentReport
from railmend.contracts.measurement import (
    DeploymentQuestion,
    DeploymentView,
    DeployState,
    MeasurementResult,
    MeasurementStatus,
    MeasureRequest,
    overall_status,
)
from railmend.contracts.repair import PullRequest, RepairOutcome
from railmend.contracts.review import RevertRequest
from railmend.contracts.status import Phase
from workflows.actions.offer import offer
from workflows.repair.state import RepairState
from workflows.shared import details, policies
from workflows.shared.failures import attempted, reason_of
from workflows.shared.ledger_client import LedgerClient

NOT_SERVING = {DeployState.FAILED: "failed", DeployState.CRASHED: "crashed"}
Results = tuple[MeasurementResult, ...]


async def wait_for_deployment(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase DEPLOYMENT: wait until every service of the repair runs the merge, or one of them cannot.

    One that Railway skips, or makes no deployment for, gets the merge with a later deployment, if at all.
    """
    fix, incidents = state.published, state.request.incidents
    merged_at = fix.merged_seen_at or workflow.now()
    state.show(f"The merge is {fix.merged.sha[:12]}.")
    while True:
        views = await asyncio.gather(*(_find_deployment(state, incident) for incident in incidents))
        for incident, view in zip(incidents, views, strict=True):
            if view.state in NOT_SERVING:
                return await _not_deployed(state, ledger, incident, view, NOT_SERVING[view.state])
        if all(view.state is DeployState.UP for view in views):
            fix.live_since = _live_since(views)
            fix.deployed = tuple(view.deployment_id for view in views)
            return Phase.MEASUREMENT
        since = workflow.now() - merged_at
        skipped = [pair for pair in zip(incidents, views, strict=True) if _is_skipped(pair[1])]
        absent = [pair for pair in zip(incidents, views, strict=True) if pair[1].state is not DeployState.UP]
        late = since > policies.DEPLOYED_WITHIN
        if skipped or late:
            waits = workflow.patched(policies.PATCH_MERGE_RIDES_LATER)
            within = policies.RIDES_WITHIN if waits else policies.DEPLOYED_WITHIN
            incident, view = (skipped or absent)[0]
            if since > within:
                what = f"is not up after {_spelled(within)}"
                return await _not_deployed(state, ledger, incident, view, what)
            if waits and not fix.delay_told:
                what = "was skipped by Railway" if skipped else f"is not up after {_spelled(since)}"
                await _tell_not_deployed(state, ledger, incident, view, what, merged_at + within)
                fix.delay_told = True
        poll = min(policies.DEPLOYMENT_POLL, timedelta(seconds=state.policy.poll_seconds))
        await state.pause(policies.RIDES_POLL if fix.delay_told else poll, "deployment")


def _is_skipped(view: DeploymentView) -> bool:
    return view.state is DeployState.SKIPPED


def _spelled(length: timedelta) -> str:
    return f"{length.days} days" if length.days > 1 else f"{length.total_seconds() / 3600:.0f} hours"


def _live_since(views: Sequence[DeploymentView]) -> datetime:
    """Return since when the merge serves: now, but where a repair that began anew finds it up for long."""
    now = workflow.now()
    created = max((view.at for view in views if view.at is not None), default=now)
    return created if now - created > policies.DEPLOYED_WITHIN else now


async def measure(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase MEASUREMENT: at each set time; bad news ends it early, good news only at the last time."""
    fix = state.published
    while True:
        due = _due(state, fix.measurements)
        state.show(f"The next measurement is made at {due:%Y-%m-%d %H:%M} UTC.")
        await state.pause_until(due, "measurement")
        incidents = state.request.incidents
        results = tuple(await asyncio.gather(*(_measure(state, incident) for incident in incidents)))
        status = overall_status(results)
        fix.measurements += 1
        await ledger.confirm(state.request.fingerprints)
        if status in (MeasurementStatus.WORSE, MeasurementStatus.NOT_HELD) or _enough(state, status):
            return await _conclude(state, status, results)
        await _comment(state, status, results, again_at=_due(state, fix.measurements))


async def _find_deployment(state: RepairState, incident: IncidentReport) -> DeploymentView:
    request, merge = incident.request, state.published.merged
    return await workflow.execute_activity_method(
        MeasurementActivities.find_deployment,
        DeploymentQuestion(
            project_id=request.project_id,
            environment_id=request.environment_id,
            service_id=request.service.service_id,
            repository=state.request.repository,
            commit=merge.sha,
            merged_at=merge.at,
        ),
        summary=details.line(request.service.name),
        **policies.POLL,
    )


async def _not_deployed(
    state: RepairState, ledger: LedgerClient, incident: IncidentReport, view: DeploymentView, what: str
) -> Phase:
    """End with a comment; nothing else is done. `what`: how a sentence about the deployment goes on."""
    name = incident.request.service.name
    await _tell_not_deployed(state, ledger, incident, view, what, None)
    return state.end(RepairOutcome.NOT_DEPLOYED, f"The deployment of {name} {what}. {view.detail}".strip())


async def _tell_not_deployed(
    state: RepairState,
    ledger: LedgerClient,
    incident: IncidentReport,
    view: DeploymentView,
    what: str,
    waits_until: datetime | None,
) -> None:
    """Say on the pull request, and in the details of the run, that the merge is not in production."""
    name = incident.request.service.name
    until = f" Waits until {waits_until:%Y-%m-%d %H:%M} UTC for a later one." if waits_until else ""
    state.show(f"The deployment of {name} {what}. {view.detail}{until}")
    await ledger.confirm(state.request.fingerprints)
    await workflow.execute_activity_method(
        GitHubActivities.comment_not_deployed,
        NotDeployedComment(
            repository=state.request.repository,
            number=state.published.pull_request.number,
            service_name=name,
            what=what,
            detail=view.detail,
            deployment_id=view.deployment_id,
            waits_until=waits_until,
        ),
        **policies.COMMENT,
    )


def _due(state: RepairState, number: int) -> datetime:
    """Return when measurement `number` is made; those after the last are as far apart as the last two."""
    seconds, since = state.policy.outcome_seconds, state.published.live_since or workflow.now()
    apart = seconds[-1] - (seconds[-2] if len(seconds) > 1 else 0)
    extra = max(number - len(seconds) + 1, 0) * max(apart, 1)
    return since + timedelta(seconds=seconds[min(number, len(seconds) - 1)] + extra)


def _enough(state: RepairState, status: MeasurementStatus) -> bool:
    """Whether this was the last one; where nothing can be told, some more are made before that is said."""
    extra = policies.EXTRA_CHECKS if status is MeasurementStatus.CANNOT_TELL else 0
    return state.published.measurements >= len(state.policy.outcome_seconds) + extra


async def _measure(state: RepairState, incident: IncidentReport) -> MeasurementResult:
    request = incident.request
    return await workflow.execute_activity_method(
        MeasurementActivities.measure_service,
        MeasureRequest(
            environment_id=request.environment_id,
            service=request.service,
            findings=request.findings,
            criteria=incident.diagnosis.criteria,
            window=request.window,
            up_since=state.published.live_since or workflow.now(),
            at=workflow.now(),
            last=state.published.measurements + 1 >= len(state.policy.outcome_seconds),
        ),
        summary=details.line(request.service.name),
        **policies.POLL,
    )


async def _conclude(state: RepairState, status: MeasurementStatus, results: Results) -> Phase:
    """Comment the result; undo what made things worse, and begin another fix where this one did not hold."""
    revert: PullRequest | None = None
    action = obstacle = ""
    if status is MeasurementStatus.WORSE:
        worse = next(i for i, result in enumerate(results) if result.status is MeasurementStatus.WORSE)
        revert, obstacle = await _revert(state, results[worse].sentence)
        deployed = state.published.deployed[worse] if state.published.deployed else None
        action = await offer(
            state.request.incidents[worse].request,
            results[worse].sentence,
            deployment_id=deployed,
            notified=state.request.policy.notify,
        )
    retried = status is MeasurementStatus.NOT_HELD and state.retries_left
    await _comment(
        state,
        status,
        results,
        retried=retried,
        revert=revert.url if revert else "",
        action=action,
        obstacle=obstacle,
    )
    phase = state.end(RepairOutcome(status.value), " ".join(result.sentence for result in results))
    if state.result is not None:
        kept = tuple(result.without_series() for result in results)
        update = {"measurements": kept, "revert": revert, "action": action}
        state.result = state.result.model_copy(update=update)
    return state.next_fix() if retried else phase


async def _revert(state: RepairState, reason: str) -> tuple[PullRequest | None, str]:
    """Open the pull request that undoes the merge; or return why there is none."""
    repair, fix = state.request, state.published
    opening = workflow.execute_activity_method(
        GitHubActivities.open_revert,
        RevertRequest(
            repository=repair.repository,
            key=repair.branch.rpartition("/")[2],
            number=fix.pull_request.number,
            base_branch=repair.base_branch,
            merge=fix.merged,
            title=repair.incidents[0].diagnosis.headline[:200],
            reason=reason,
            requested_at=repair.requested_at,
        ),
        **policies.PUBLISH,
    )
    opened = await attempted(opening)
    return (None, reason_of(opened)[:500]) if isinstance(opened, ActivityError) else (opened, "")


async def say_that_no_other_fix_came(state: RepairState, ledger: LedgerClient) -> None:
    """Rewrite the last comment on the measurement: the fix that it announces was not published."""
    result = state.result
    if result is None or result.merge is None or result.pull_request is None:
        raise ValueError(f"The repair {state.request.key} has announced no other fix.")
    await ledger.confirm(state.request.fingerprints)
    await workflow.execute_activity_method(
        GitHubActivities.comment_measurement,
        MeasurementComment(
            repository=state.request.repository,
            number=result.pull_request.number,
            status=MeasurementStatus(result.outcome.value),
            measurements=result.measurements,
            merge=result.merge,
            edited=result.edited,
            no_other_fix=result.reason,
        ),
        **policies.COMMENT,
    )


async def _comment(state: RepairState, status: MeasurementStatus, results: Results, **more: Any) -> None:
    """Write the newest result on the pull request. `more`: other fields of `MeasurementComment`."""
    fix = state.published
    await workflow.execute_activity_method(
        GitHubActivities.comment_measurement,
        MeasurementComment(
            repository=state.request.repository,
            number=fix.pull_request.number,
            status=status,
            measurements=results,
            merge=fix.merged,
            edited=fix.edited,
            proof=fix.proof_of_merge,
            **more,
        ),
        **policies.COMMENT,
    )
