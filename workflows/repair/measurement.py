"""From a merge to the verdict: is it in production, and did it hold there?"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.actions import ActionActivities
    from activities.measurement import MeasurementActivities
    from activities.reviews import ReviewActivities
    from railmend.contracts.action import RollbackQuestion
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
    from railmend.contracts.repair import PullRequest, RepairOutcome, RepairResult
    from railmend.contracts.review import Merge, RevertRequest
    from workflows.actions.approved_action import ApprovedAction
    from workflows.repair.coding_loop import reason_of
    from workflows.repair.state import Course
    from workflows.shared import policies

DOWN = {DeployState.FAILED: "failed", DeployState.CRASHED: "crashed"}


async def offer_rollback(question: RollbackQuestion) -> str:
    """Workflow ID of the action that now waits for a person; empty where there is nothing to go back to."""
    try:
        offer = await workflow.execute_activity_method(
            ActionActivities.find_rollback, question, summary=question.service_name, **policies.READ
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("no rollback can be offered: %s", reason_of(error))
        return ""
    if offer.request is None:
        return ""
    action = offer.request
    try:
        await workflow.start_child_workflow(
            ApprovedAction.run,
            action,
            id=action.workflow_id,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"{action.kind.value} {action.service_name}: {action.reason[:120]}",
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("%s is offered already", action.workflow_id)
    return action.workflow_id


class Aftermath:
    """Of one merged pull request. What it learns is kept in the course, so that a new run goes on."""

    def __init__(self, course: Course, merge: Merge) -> None:
        self._course = course
        self._merge = merge

    async def verdict(self) -> RepairResult:
        if self._course.progress.up_since is None:
            undeployed = await self._until_up()
            if undeployed is not None:
                return undeployed
        return await self._measured()

    async def _until_up(self) -> RepairResult | None:
        """None: every service of the repair runs the merge. Else why not: told, and nothing else is done."""
        course, repair = self._course, self._course.repair
        merged = course.progress.merged_seen_at or workflow.now()
        poll = min(policies.DEPLOYMENT_POLL, timedelta(seconds=course.policy.poll_seconds))
        workflow.set_current_details(f"Merged as `{self._merge.sha[:12]}`; waits for its deployment.")
        while True:
            views = await asyncio.gather(*(self._deployment(incident) for incident in repair.incidents))
            for incident, view in zip(repair.incidents, views, strict=True):
                if view.state in DOWN:
                    return await self._undeployed(incident, view, DOWN[view.state])
            if all(view.state is DeployState.UP for view in views):
                course.note(
                    up_since=workflow.now(),
                    deployed=tuple(view.deployment_id for view in views),
                    previous=tuple(view.previous for view in views),
                )
                return None
            if workflow.now() > merged + policies.DEPLOYED_WITHIN:
                pairs = zip(repair.incidents, views, strict=True)
                incident, view = next(pair for pair in pairs if pair[1].state is not DeployState.UP)
                hours = policies.DEPLOYED_WITHIN.total_seconds() / 3600
                return await self._undeployed(incident, view, f"is not up after {hours:.0f} hours")
            await course.pause(poll, "deployment")

    async def _deployment(self, incident: IncidentReport) -> DeploymentView:
        request = incident.request
        return await workflow.execute_activity_method(
            MeasurementActivities.find_deployment,
            DeploymentQuestion(
                project_id=request.project_id,
                environment_id=request.environment_id,
                service_id=request.service.service_id,
                repository=self._course.repair.repository,
                commit=self._merge.sha,
                merged_at=self._merge.at,
            ),
            summary=request.service.name,
            **policies.LOOK,
        )

    async def _undeployed(self, incident: IncidentReport, view: DeploymentView, what: str) -> RepairResult:
        course, name = self._course, incident.request.service.name
        await workflow.execute_activity_method(
            ReviewActivities.comment_not_deployed,
            NotDeployedComment(
                repository=course.repair.repository,
                number=course.number,
                service_name=name,
                what=what,
                detail=view.detail,
                deployment_id=view.deployment_id,
            ),
            **policies.TELL,
        )
        return self._course.ended(
            RepairOutcome.NOT_DEPLOYED, f"The deployment of {name} {what}. {view.detail}".strip()
        )

    async def _measured(self) -> RepairResult:
        """At each time that is set; bad news ends it early, good news only at the last time."""
        course = self._course
        while True:
            due = self._due(course.progress.checks)
            workflow.set_current_details(f"In production; measured at {due:%Y-%m-%d %H:%M} UTC.")
            await course.until(due, "outcome")
            measurements = await asyncio.gather(*(self._measure(one) for one in course.repair.incidents))
            outcome = overall_status(measurements)
            course.note(checks=course.progress.checks + 1)
            if outcome in (MeasurementStatus.WORSE, MeasurementStatus.NOT_HELD) or self._enough(outcome):
                return await self._conclude(outcome, tuple(measurements))
            await self._tell(outcome, tuple(measurements), again_at=self._due(course.progress.checks))

    def _due(self, checks: int) -> datetime:
        """When measurement number `checks` is made; those after the last are as far apart as the last two."""
        seconds, since = self._course.policy.outcome_seconds, self._course.progress.up_since or workflow.now()
        apart = seconds[-1] - (seconds[-2] if len(seconds) > 1 else 0)
        extra = max(checks - len(seconds) + 1, 0) * max(apart, 1)
        return since + timedelta(seconds=seconds[min(checks, len(seconds) - 1)] + extra)

    def _enough(self, outcome: MeasurementStatus) -> bool:
        """Where it cannot be told, it is waited longer, and then said."""
        more = policies.EXTRA_CHECKS if outcome is MeasurementStatus.CANNOT_TELL else 0
        return self._course.progress.checks >= len(self._course.policy.outcome_seconds) + more

    async def _measure(self, incident: IncidentReport) -> MeasurementResult:
        request = incident.request
        return await workflow.execute_activity_method(
            MeasurementActivities.measure_service,
            MeasureRequest(
                environment_id=request.environment_id,
                service=request.service,
                findings=request.findings,
                criteria=incident.diagnosis.criteria,
                window=request.window,
                up_since=self._course.progress.up_since or workflow.now(),
            ),
            summary=request.service.name,
            **policies.LOOK,
        )

    async def _conclude(
        self, outcome: MeasurementStatus, measurements: tuple[MeasurementResult, ...]
    ) -> RepairResult:
        revert: PullRequest | None = None
        action = obstacle = ""
        if outcome is MeasurementStatus.WORSE:
            bad = next(i for i, one in enumerate(measurements) if one.outcome is MeasurementStatus.WORSE)
            revert, obstacle = await self._revert(measurements[bad].sentence)
            action = await self._offer(bad, measurements[bad].sentence)
        retried = outcome is MeasurementStatus.NOT_HELD and self._course.retries_left
        await self._tell(
            outcome,
            measurements,
            retried=retried,
            revert=revert.url if revert else "",
            action=action,
            obstacle=obstacle,
        )
        sentences = " ".join(one.sentence for one in measurements)
        return self._course.ended(RepairOutcome(outcome.value), sentences).model_copy(
            update={"judgements": measurements, "revert": revert, "action": action}
        )

    async def _revert(self, reason: str) -> tuple[PullRequest | None, str]:
        """The pull request that undoes the merge, or why there is none."""
        course, repair = self._course, self._course.repair
        try:
            made = await workflow.execute_activity_method(
                ReviewActivities.open_revert,
                RevertRequest(
                    repository=repair.repository,
                    key=repair.branch.rpartition("/")[2],
                    number=course.number,
                    base_branch=repair.base_branch,
                    merge=self._merge,
                    title=repair.incidents[0].diagnosis.summary.split("\n")[0][:200],
                    reason=reason,
                    requested_at=repair.requested_at,
                ),
                **policies.PUBLISH,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None, reason_of(error)[:500]
        return made, ""

    async def _offer(self, incident: int, reason: str) -> str:
        request, deployed = self._course.repair.incidents[incident].request, self._course.progress.deployed
        return await offer_rollback(
            RollbackQuestion(
                project_id=request.project_id,
                environment_id=request.environment_id,
                service_id=request.service.service_id,
                service_name=request.service.name,
                deployment_id=deployed[incident] if deployed else None,
                reason=reason[:500],
            )
        )

    async def _tell(
        self, outcome: MeasurementStatus, measurements: tuple[MeasurementResult, ...], **more: Any
    ) -> None:
        """`more`: what else an `MeasurementComment` holds."""
        course = self._course
        await workflow.execute_activity_method(
            ReviewActivities.comment_measurement,
            MeasurementComment(
                repository=course.repair.repository,
                number=course.number,
                outcome=outcome,
                measurements=measurements,
                merge=self._merge,
                edited=course.progress.edited,
                **more,
            ),
            **policies.TELL,
        )
