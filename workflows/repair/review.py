"""From an open pull request to a person's decision: comments and failing checks are answered on the way."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.github import GitHubActivities
from railmend.contracts.ledger import SpendingKind
from railmend.contracts.proof import Proof
from railmend.contracts.repair import (
    CodingRequest,
    PublishRequest,
    RepairOutcome,
    WorkspaceRequest,
)
from railmend.contracts.review import AnswersRequest, Note, PullState, ReviewQuestion, ReviewView
from railmend.contracts.status import Phase
from workflows.repair import coding
from workflows.repair.proof import run_proofs
from workflows.repair.state import PublishedFix, RepairState
from workflows.shared import policies
from workflows.shared.failures import ENDING, logged, reason_of, type_of
from workflows.shared.ledger_client import LedgerClient

# The type of the error when the branch is not where it was: a person has pushed meanwhile.
BRANCH_MOVED = "BranchMoved"


@dataclass(frozen=True)
class ReviewAnswer:
    """The answer to every note. `later`: there is none yet, the notes are taken up at the next poll.

    `proof`: of the commit; None: none was made.
    """

    commit: str | None = None
    proof: Proof | None = None
    text: str = ""
    refused: tuple[str, ...] = ()
    limit: str = ""
    later: bool = False


async def review(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase REVIEW: poll the pull request until it is merged, closed for good, or nobody decided in time."""
    try:
        return await _watch(state, ledger)
    except ENDING:
        await _settle_check(state)
        raise


async def _watch(state: RepairState, ledger: LedgerClient) -> Phase:
    fix, policy = state.published, state.policy
    while True:
        quiet = workflow.now() - (fix.moved_at or fix.opened_at)
        await state.pause(next_look(quiet, timedelta(seconds=policy.poll_seconds)), "review")
        view = await _poll(state, fix)
        if view.notes or (view.state, view.head) != (fix.looked_state, fix.looked_head):
            fix.moved_at, fix.looked_state, fix.looked_head = workflow.now(), view.state, view.head
        if view.state is PullState.MERGED:
            fix.merge, fix.merged_seen_at = view.merge, workflow.now()
            return Phase.DEPLOYMENT
        if view.state is PullState.CLOSED:
            fix.closed_at = fix.closed_at or workflow.now()
            until = fix.closed_at + timedelta(seconds=policy.reopen_seconds)
            state.show(f"It is closed, and can be reopened until {until:%Y-%m-%d %H:%M} UTC.")
            # Somebody may open it again, by mistake closed or on second thoughts.
            if workflow.now() >= until:
                reason = view.closing or "Closed without a merge; nobody said why."
                return state.end(RepairOutcome.CLOSED, reason)
            continue
        if fix.closed_at:
            fix.closed_at = None
            state.show("")
        await _answer(state, fix, ledger, view)
        if view.unseen:
            state.show(f"Not seen: {' '.join(view.unseen)}")
        if workflow.now() > fix.opened_at + timedelta(days=policy.watch_days):
            return state.end(RepairOutcome.PULL_REQUEST, f"Nobody decided within {policy.watch_days} days.")


def next_look(quiet: timedelta, shortest: timedelta) -> timedelta:
    """Return how long to wait for the next look at a pull request at which nothing moved for `quiet`."""
    if quiet < policies.QUIET_AFTER:
        return shortest
    return max(shortest, min(quiet * policies.QUIET_SHARE, policies.SLOWEST_POLL))


async def _poll(state: RepairState, fix: PublishedFix) -> ReviewView:
    return await workflow.execute_activity_method(
        GitHubActivities.poll_pull_request,
        ReviewQuestion(
            repository=state.request.repository,
            number=fix.pull_request.number,
            base_branch=state.request.base_branch,
            seen=fix.seen,
        ),
        summary=f"pull request {fix.pull_request.number}",
        **policies.POLL,
    )


async def _answer(state: RepairState, fix: PublishedFix, ledger: LedgerClient, view: ReviewView) -> None:
    if view.notes:
        answer = await _follow_up(state, fix, ledger, view)
        if answer.later:
            await _settle_check(state)
            return
        await ledger.confirm(state.request.fingerprints)
        request = AnswersRequest(
            repository=state.request.repository,
            number=fix.pull_request.number,
            notes=view.notes,
            head=view.head,
            commit=answer.commit,
            proof=answer.proof,
            agent_summary=answer.text,
            refused=answer.refused,
            limit=answer.limit,
        )
        await workflow.execute_activity_method(GitHubActivities.reply_to_notes, request, **policies.COMMENT)
    fix.seen = view.later


async def _settle_check(state: RepairState) -> None:
    """End what a look at the pull request began: the check that says an answer is on its way."""
    fix = state.published
    if not (fix.looked_head and workflow.patched(policies.PATCH_SETTLE_CHECK)):
        return
    request = AnswersRequest(
        repository=state.request.repository,
        number=fix.pull_request.number,
        notes=(),
        head=fix.looked_head,
    )
    settling = workflow.execute_activity_method(
        GitHubActivities.reply_to_notes, request, summary="settle the check", **policies.CLEAN_UP
    )
    await logged("check not settled", settling)


async def _follow_up(
    state: RepairState, fix: PublishedFix, ledger: LedgerClient, view: ReviewView
) -> ReviewAnswer:
    """Take one more turn of the same session, within the bounds of rounds and money."""
    repair = state.request
    if fix.rounds >= state.policy.rounds:
        return ReviewAnswer(limit=f"{state.policy.rounds} rounds of review is the limit")
    answer = await ledger.reserve(SpendingKind.SESSION, repair.policy, repair.fingerprints)
    if not answer.granted:
        return ReviewAnswer(limit=f"the limit of {answer.limit} is reached")
    fix.rounds += 1
    state.show("The review is being answered.")
    try:
        return await _turn(state, fix, ledger, view.head, view.notes)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        if type_of(error) == BRANCH_MOVED:
            return ReviewAnswer(later=True)
        return ReviewAnswer(refused=(reason_of(error)[:500],))
    finally:
        state.show("")


async def _turn(
    state: RepairState, fix: PublishedFix, ledger: LedgerClient, head: str, notes: tuple[Note, ...]
) -> ReviewAnswer:
    """On top of what the branch holds now, people's commits with it; nothing is ever overwritten."""
    repair = state.request
    workspace = state.workspace = await coding.prepare(
        WorkspaceRequest(
            key=repair.key, repository=repair.repository, base_branch=repair.branch, commit=head
        ),
        state.machine,
    )
    try:
        request = CodingRequest(workspace=workspace, repair=repair, turn=state.next_turn, notes=notes)
        coding_round = await coding.run_turns(state, request, ledger)
        state.next_turn = coding_round.turn + 1
        await ledger.record_spend(coding_round.coding.cost_usd)
        unpublishable, text = coding_round.unpublishable(), coding_round.coding.text
        refused = coding_round.doubts or ((unpublishable.reason,) if unpublishable and not text else ())
        if unpublishable or refused:
            return ReviewAnswer(text=text, refused=refused)
        again = workflow.patched(policies.PATCH_PROOF_AGAIN)
        proof = await run_proofs(state, request, coding_round) if again else None
        commit = await coding.commit(
            PublishRequest(
                workspace=workspace,
                repair=repair,
                coding=coding_round.coding,
                change=coding_round.change,
                verification=coding_round.verification,
                # The message names their authors; what they wrote was for the session.
                notes=tuple(note.model_copy(update={"text": "", "hunk": ""}) for note in notes),
            ),
            ledger,
        )
        fix.head, fix.proof = commit.sha, proof.outcome.value if proof else ""
        return ReviewAnswer(commit=commit.sha, text=text, proof=proof)
    finally:
        await coding.trim_workspace(workspace)
