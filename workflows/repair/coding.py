"""The work on one repository: workspace, coding session, guard, checks, commit, pull request.

Everything after the preparation runs on the machine that has the workspace.
"""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.github import GitHubActivities
from activities.measurement import MeasurementActivities
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.checks import CheckReport, Verification
from railmend.contracts.incident import Incident
from railmend.contracts.ledger import SpendingKind
from railmend.contracts.notification import outcome_notification
from railmend.contracts.repair import (
    CodingRequest,
    CodingResult,
    CodingRound,
    CodingState,
    Commit,
    PublishRequest,
    PullRequest,
    PullRequestRequest,
    RelatedComment,
    RepairOutcome,
    RepairRequest,
    RepairResult,
    Workspace,
    WorkspaceChange,
    WorkspaceRequest,
)
from railmend.contracts.review import EarlierQuestion, Related, RelatedQuestion
from railmend.contracts.status import Phase
from workflows.repair.state import PublishedFix, RepairState
from workflows.shared import details, policies, search_attributes
from workflows.shared.failures import logged, machine_is_gone, reason_of
from workflows.shared.ledger_client import LedgerClient
from workflows.shared.notifications import notify
from workflows.shared.start import CODING_QUEUE

# What the agent is told of checks that cannot be run.
MOST_UNCHECKED = 1000
CheckMethod = Callable[[CheckActivities, CodingRequest], Awaitable[CheckReport]]


async def make_change(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase CODING: within the budget, have a session carry the plan out, or make a further fix.

    A run that was reset, or started again, may have published it already: then it goes on from there. Where
    an open pull request is about the same incident, of a ledger that was lost or of a person, none is spent.
    """
    if await resume_review(state):
        return Phase.REVIEW
    related = await _find_related(state.request, files=())
    if related.number is not None:
        return state.end(RepairOutcome.RELATED, related.why)
    refused = await _reserve(state, ledger)
    if refused:
        return state.end(RepairOutcome.NOT_ALLOWED, refused)
    repair = state.request
    state.show("The workspace is being prepared.")
    state.workspace = await prepare(
        WorkspaceRequest(
            key=repair.key,
            repository=repair.repository,
            base_branch=repair.base_branch,
            commit=repair.commit,
        ),
        state.machine,
    )
    # What a merged fix came to is told to the session that makes the next one.
    measurements = state.result.measurements if state.result else ()
    request = CodingRequest(
        workspace=state.workspace, repair=repair, turn=state.next_turn, measurements=measurements
    )
    state.round = await run_turns(state, request, ledger)
    state.next_turn = state.round.turn + 1
    await ledger.record_spend(state.round.coding.cost_usd)
    unpublishable = state.round.unpublishable()
    if unpublishable is not None:
        return state.end_with(unpublishable)
    return Phase.PROOF if workflow.patched(policies.PATCH_PROOF) else Phase.PUBLISHING


async def publish(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase PUBLISHING: open the pull request, or comment where an open one is about the same."""
    repair, workspace, coding_round = state.request, state.workspace, state.round
    if workspace is None or coding_round is None:
        raise ValueError(f"The repair {repair.key} has nothing to publish.")
    request = PublishRequest(
        workspace=workspace,
        repair=repair,
        coding=coding_round.coding,
        change=coding_round.change,
        verification=coding_round.verification,
        doubts=coding_round.doubts,
        measured=await _window_metrics(repair),
        proof=coding_round.proof,
    )
    related = await _comment_on_related(request, ledger)
    if related is not None:
        return state.end_with(related)
    pushed = await commit(request, ledger)
    await ledger.confirm(repair.fingerprints)
    pull_request = await workflow.execute_activity_method(
        GitHubActivities.open_pull_request,
        PullRequestRequest(publish=request, commit=pushed),
        **policies.PUBLISH,
    )
    await trim_workspace(workspace)
    state.fix = PublishedFix(
        pull_request=pull_request,
        head=pull_request.head,
        opened_at=workflow.now(),
        proof=coding_round.proof.outcome.value if coding_round.proof else "",
    )
    state.result = RepairResult(
        outcome=RepairOutcome.PULL_REQUEST,
        reason=coding_round.coding.text,
        pull_request=pull_request,
        coding=coding_round.coding,
    )
    state.opened = state.opened or state.result
    state.round = None
    workflow.upsert_search_attributes(search_attributes.attributes_for_result(repair, state.result))
    info = workflow.info()
    notification = outcome_notification(
        *(repair, state.result.outcome.value, pull_request.url, info.workflow_id, info.run_id),
        proof=state.fix.proof,
    )
    await notify(repair.policy, [notification])
    return Phase.REVIEW


async def resume_review(state: RepairState) -> bool:
    """Take over the pull request that an earlier run of this repair opened; False: there is none."""
    repair = state.request
    earlier = await workflow.execute_activity_method(
        GitHubActivities.find_earlier,
        EarlierQuestion(
            repository=repair.repository,
            key=repair.key,
            branch=repair.branch,
            base_branch=repair.base_branch,
            requested_at=repair.requested_at,
        ),
        **policies.PUBLISH,
    )
    found = earlier.pull_request
    if found is None:
        return False
    pull_request = PullRequest(
        number=found.number, url=found.url, head=found.head, draft=found.draft, existed=True
    )
    state.fix = PublishedFix(
        pull_request=pull_request,
        head=found.head,
        opened_at=found.opened_at,
        seen=found.seen,
        rounds=found.rounds,
    )
    state.result = RepairResult(
        outcome=RepairOutcome.PULL_REQUEST,
        reason="Continues with the pull request of an earlier run.",
        pull_request=pull_request,
    )
    state.opened = state.opened or state.result
    return True


def start_over(state: RepairState) -> Phase:
    """Return to a new workspace: a machine that goes away is no reason to give up, unless it does so again.

    The machine collects the old workspace when it comes back.
    """
    state.machines_lost += 1
    state.workspace = state.round = None
    if state.machines_lost < policies.WORKSPACE_ROUNDS:
        return Phase.CODING
    return state.end(
        RepairOutcome.FAILED,
        "The machine that held the workspace went away twice; check that a coding worker is running.",
    )


async def _reserve(state: RepairState, ledger: LedgerClient) -> str:
    """Reserve a session; return why there is none. Only the first fix waits for its budget."""
    repair = state.request
    budget = SpendingKind.SESSION, repair.policy, repair.fingerprints
    if ledger.has_reservation:
        return ""
    if repair.fix_number == 1:
        await ledger.wait_and_reserve(*budget)
        return ""
    answer = await ledger.reserve(*budget)
    return "" if answer.granted else f"No second fix is tried: the limit of {answer.limit} is reached."


async def prepare(request: WorkspaceRequest, machine: str | None) -> Workspace:
    """Clone on `machine`, which keeps the session of an earlier turn; another one where it is gone."""
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


async def run_turns(state: RepairState, request: CodingRequest, ledger: LedgerClient) -> CodingRound:
    """Send the request to the session; a change that is refused or breaks a check goes back once."""
    state.show("The repository's checks run without the change.")
    before = await _run_checks(CheckActivities.prepare_checks, request)
    request = request.model_copy(
        update={
            "checks": tuple(run.account for run in before.runs),
            "unchecked": (before.unverified or "")[:MOST_UNCHECKED],
        }
    )
    for follow_up in range(policies.FOLLOW_UPS + 1):
        coding_round = await take_turn(state, request, before, ledger)
        if not coding_round.doubts or follow_up == policies.FOLLOW_UPS:
            break
        failing = coding_round.verification.regressions
        complaints = (*coding_round.change.refused, *(run.complaint for run in failing))
        request = go_back(request, complaints)
    return coding_round


def go_back(request: CodingRequest, complaints: tuple[str, ...]) -> CodingRequest:
    """Return the session's next turn, in which it mends what its last one left."""
    update = {"turn": request.turn + 1, "complaints": complaints, "notes": (), "measurements": ()}
    return request.model_copy(update=update)


async def take_turn(
    state: RepairState, request: CodingRequest, before: CheckReport, ledger: LedgerClient
) -> CodingRound:
    """Let the session work once, and look at what it left. Doubts: it may be sent back."""
    await ledger.confirm(request.repair.fingerprints)
    coding = await _run_session(state, request)
    if coding.state is not CodingState.DONE:
        return CodingRound(turn=request.turn, coding=coding)
    change = await workflow.execute_activity_method(
        CodingActivities.review_change,
        request,
        task_queue=request.workspace.task_queue,
        **policies.WORKSPACE,
    )
    if coding.declined or not change.files:
        return CodingRound(turn=request.turn, coding=coding, change=change)
    verification = await _verify(state, request, before, change)
    return CodingRound(
        turn=request.turn,
        coding=coding,
        change=change,
        verification=verification,
        doubts=(*change.refused, *(run.doubt for run in verification.regressions)),
    )


async def _run_session(state: RepairState, request: CodingRequest) -> CodingResult:
    name = request.repair.repository
    again = f" again: {' '.join(request.complaints)[:300]}" if request.complaints else "."
    state.show(f"A coding session works on {name}{again}")
    return await workflow.execute_activity_method(
        CodingActivities.run_session,
        request,
        task_queue=request.workspace.task_queue,
        summary=name,
        **policies.SESSION,
    )


async def _verify(
    state: RepairState, request: CodingRequest, before: CheckReport, change: WorkspaceChange
) -> Verification:
    """Run the checks with the change; not where the guard refused it, or there is no run without it."""
    if change.refused or not before.runs:
        why = before.unverified or "The guard refused the change, so it was not run."
        return Verification(before=before, after=CheckReport(unverified=why))
    state.show("The repository's checks run with the change.")
    request = request.model_copy(update={"reviewed": change.tree})
    return Verification(before=before, after=await _run_checks(CheckActivities.run_checks, request))


async def _run_checks(method: CheckMethod, request: CodingRequest) -> CheckReport:
    """Run checks. That they cannot be run is no reason to give the repair up: the pull request says so."""
    try:
        return await workflow.execute_activity_method(
            method, request, task_queue=request.workspace.task_queue, **policies.CHECKS
        )
    except ActivityError as error:
        if is_cancelled_exception(error) or machine_is_gone(error):
            raise
        return CheckReport(unverified=f"The checks could not be run: {reason_of(error)[:500]}")


async def commit(request: PublishRequest, ledger: LedgerClient) -> Commit:
    await ledger.confirm(request.repair.fingerprints)
    return await workflow.execute_activity_method(
        CodingActivities.commit_and_push,
        request,
        task_queue=request.workspace.task_queue,
        **policies.PUBLISH,
    )


async def _find_related(repair: RepairRequest, files: tuple[str, ...]) -> Related:
    """Find an open pull request that is about the same incident, or changes the same files."""
    return await workflow.execute_activity_method(
        GitHubActivities.find_related,
        RelatedQuestion(
            repository=repair.repository,
            branch=repair.branch,
            base_branch=repair.base_branch,
            fingerprints=repair.fingerprints,
            files=files,
        ),
        **policies.PUBLISH,
    )


async def _comment_on_related(request: PublishRequest, ledger: LedgerClient) -> RepairResult | None:
    """Comment on an open pull request about the same files or incident, instead of opening a rival."""
    repair = request.repair
    related = await _find_related(repair, tuple(file.path for file in request.change.files))
    if related.number is None:
        return None
    await ledger.confirm(repair.fingerprints)
    url = await workflow.execute_activity_method(
        GitHubActivities.comment_on_related,
        RelatedComment(publish=request, number=related.number, why=related.why),
        **policies.PUBLISH,
    )
    return RepairResult(
        outcome=RepairOutcome.RELATED, reason=f"{related.why} Commented: {url}", coding=request.coding
    )


async def _window_metrics(repair: RepairRequest) -> tuple[ArtifactReference, ...]:
    """Measure each incident's window, for the charts; a pull request can do without them."""
    measuring = asyncio.gather(*(_measure(incident.request) for incident in repair.incidents))
    return tuple(await logged("no charts", measuring) or ())


async def _measure(incident: Incident) -> ArtifactReference:
    return await workflow.execute_activity_method(
        MeasurementActivities.measure_incident,
        incident,
        summary=details.line(incident.service.name),
        **policies.EVIDENCE,
    )


async def trim_workspace(workspace: Workspace) -> None:
    """Keep only the session on its machine while people review."""
    await _clean_up(CodingActivities.trim_workspace, workspace)


async def delete_workspace(workspace: Workspace) -> None:
    await _clean_up(CodingActivities.delete_workspace, workspace)


async def _clean_up(
    method: Callable[[CodingActivities, Workspace], Awaitable[None]], workspace: Workspace
) -> None:
    """Clean up; what cannot be removed now is collected when the machine starts again."""
    cleaning = workflow.execute_activity_method(
        method, workspace, task_queue=workspace.task_queue, **policies.CLEAN_UP
    )
    await logged("workspace not removed", cleaning)
