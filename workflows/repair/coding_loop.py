"""The work on one repository: workspace, coding session, guard, checks, commits.

Everything after the preparation runs on the machine that has the workspace.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutError, TimeoutType, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckActivities
    from activities.coding import CodingActivities
    from railmend.contracts.repair import (
        CheckReport,
        CheckRun,
        CodingRequest,
        CodingResult,
        CodingState,
        Commit,
        PublishRequest,
        RepairOutcome,
        RepairResult,
        Verification,
        Workspace,
        WorkspaceChange,
        WorkspaceRequest,
    )
    from workflows.shared import policies

CODING_QUEUE = "railmend-coding"
CheckMethod = Callable[[CheckActivities, CodingRequest], Awaitable[CheckReport]]
# Of a failing check's output the agent gets this much.
MAX_COMPLAINT = 1500
NOTHING = WorkspaceChange(files=())
NOT_RUN = Verification(before=CheckReport(), after=CheckReport())


def machine_is_gone(error: BaseException) -> bool:
    """Nobody took the task from the workspace's own queue: its machine no longer answers."""
    cause = error.__cause__
    return isinstance(cause, TimeoutError) and cause.type == TimeoutType.SCHEDULE_TO_START


def reason_of(error: BaseException) -> str:
    """What a person can use: an activity's error says only that it failed, its cause says why."""
    return getattr(error.__cause__, "message", None) or str(error.__cause__ or error)


def complaint(run: CheckRun) -> str:
    """What the agent is told of a check that passed without its change."""
    fence = "`" * 5
    return f"`{run.name}` passed before and fails now:\n{fence}\n{run.output[-MAX_COMPLAINT:]}\n{fence}"


@dataclass(frozen=True)
class Made:
    """What one or more turns of the session left. `turn`: the last one."""

    turn: int
    coding: CodingResult
    change: WorkspaceChange = NOTHING
    verification: Verification = NOT_RUN
    doubts: tuple[str, ...] = ()

    def ending(self) -> RepairResult | None:
        """Why there is nothing to publish; None: there is."""
        coding, change = self.coding, self.change
        if coding.state is not CodingState.DONE:
            reason = f"The coding session ended early: {coding.reason}"
            return RepairResult(outcome=RepairOutcome.FAILED, reason=reason, coding=coding)
        if coding.declined or not change.files:
            return RepairResult(outcome=RepairOutcome.NO_CHANGE, reason=coding.text, coding=coding)
        if change.refused and not change.draft_allowed:
            reason = "The guard refused the change: " + " ".join(change.refused)
            return RepairResult(outcome=RepairOutcome.REFUSED, reason=reason, coding=coding)
        return None


async def prepare(request: WorkspaceRequest, machine: str | None = None) -> Workspace:
    """`machine`: where the session of an earlier turn is; when it is gone, another one takes over."""
    if machine is not None:
        try:
            return await workflow.execute_activity_method(
                CodingActivities.prepare_workspace,
                request,
                task_queue=machine,
                schedule_to_start_timeout=policies.MACHINE_PATIENCE,
                summary=request.repository,
                **policies.WORKSPACE,
            )
        except ActivityError as error:
            if not machine_is_gone(error):
                raise
    return await workflow.execute_activity_method(
        CodingActivities.prepare_workspace,
        request,
        task_queue=CODING_QUEUE,
        summary=request.repository,
        **policies.WORKSPACE,
    )


async def turns(request: CodingRequest) -> Made:
    """The session's answer to the request; refused or breaking a check, it goes back once."""
    workflow.set_current_details("Installing what the repository's checks need, and running them.")
    before = await _checks(CheckActivities.prepare_checks, request)
    for again in range(policies.FOLLOW_UPS + 1):
        coding = await _session(request)
        if coding.state is not CodingState.DONE:
            return Made(request.turn, coding)
        change = await workflow.execute_activity_method(
            CodingActivities.review_change,
            request,
            task_queue=request.workspace.task_queue,
            **policies.WORKSPACE,
        )
        if coding.declined or not change.files:
            return Made(request.turn, coding, change)
        verification = await _verify(request, before, change)
        doubts = (*change.refused, *(f"`{run.name}` fails with it." for run in verification.regressions))
        made = Made(request.turn, coding, change, verification, doubts)
        if not doubts or again == policies.FOLLOW_UPS:
            break
        complaints = (*change.refused, *map(complaint, verification.regressions))
        request = request.model_copy(
            update={"turn": request.turn + 1, "complaints": complaints, "notes": (), "judgements": ()}
        )
    return made


async def commit(publish: PublishRequest) -> Commit:
    return await workflow.execute_activity_method(
        CodingActivities.commit_and_push,
        publish,
        task_queue=publish.workspace.task_queue,
        **policies.PUBLISH,
    )


async def rest(workspace: Workspace) -> None:
    """While people review, only the session stays on its machine."""
    await _tidy(CodingActivities.trim_workspace, workspace)


async def remove(workspace: Workspace) -> None:
    await _tidy(CodingActivities.delete_workspace, workspace)


async def _tidy(
    method: Callable[[CodingActivities, Workspace], Awaitable[None]], workspace: Workspace
) -> None:
    """A workspace that cannot be removed now is swept when its machine starts again."""
    try:
        await workflow.execute_activity_method(
            method, workspace, task_queue=workspace.task_queue, **policies.TIDY
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("workspace not removed: %s", error.cause)


async def _session(request: CodingRequest) -> CodingResult:
    name = request.repair.repository
    again = " again: " + " ".join(request.complaints)[:300] if request.complaints else ""
    workflow.set_current_details(f"A coding session works on `{name}`{again}.")
    return await workflow.execute_activity_method(
        CodingActivities.run_session,
        request,
        task_queue=request.workspace.task_queue,
        summary=name,
        **policies.SESSION,
    )


async def _verify(request: CodingRequest, before: CheckReport, change: WorkspaceChange) -> Verification:
    """A change that the guard refused is not run, and without a before there is no after."""
    if change.refused or not before.runs:
        why = before.unverified or "The guard refused the change, so it was not run."
        return Verification(before=before, after=CheckReport(unverified=why))
    workflow.set_current_details("Running the repository's checks with the change.")
    return Verification(before=before, after=await _checks(CheckActivities.run_checks, request))


async def _checks(method: CheckMethod, request: CodingRequest) -> CheckReport:
    """Checks that cannot be run are no reason to give the repair up: the pull request says so."""
    try:
        return await workflow.execute_activity_method(
            method, request, task_queue=request.workspace.task_queue, **policies.CHECKS
        )
    except ActivityError as error:
        if is_cancelled_exception(error) or machine_is_gone(error):
            raise
        return CheckReport(unverified=f"The checks could not be run: {reason_of(error)[:500]}")
