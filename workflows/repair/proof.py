"""Before a change is published: whether it is shown to fix what was diagnosed."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.logs import LogActivities
from activities.proof import ProofActivities
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.ledger import SpendingKind
from railmend.contracts.proof import Proof, ProofRow, ProofVerdict
from railmend.contracts.repair import CodingRequest, CodingRound
from railmend.contracts.status import Phase
from workflows.repair import coding
from workflows.repair.state import RepairState
from workflows.shared import policies
from workflows.shared.failures import logged, machine_is_gone, reason_of
from workflows.shared.ledger_client import LedgerClient

REGRESSION_TEST = "regression test"


async def prove(state: RepairState, ledger: LedgerClient) -> Phase:
    """Phase PROOF: measure base and change. A failed proof goes back to the session once; then it is said."""
    if state.workspace is None or state.round is None:
        raise ValueError(f"The repair {state.request.key} has nothing to prove.")
    request = CodingRequest(workspace=state.workspace, repair=state.request, turn=state.round.turn)
    state.round = await _proved(state, request, state.round)
    failed = state.round.proof.failed if state.round.proof else ()
    if failed:
        state.round = await _mended(state, ledger, request, state.round, failed)
    return Phase.PUBLISHING


async def _mended(
    state: RepairState,
    ledger: LedgerClient,
    request: CodingRequest,
    shown: CodingRound,
    failed: tuple[ProofRow, ...],
) -> CodingRound:
    """Send what failed back once, within the budget; return the new round where it is no worse."""
    answer = await ledger.reserve(SpendingKind.SESSION, request.repair.policy, request.repair.fingerprints)
    if not answer.granted:
        return shown
    again = coding.go_back(request, tuple(map(_complaint, failed)))
    mended = await coding.take_turn(state, again, shown.verification.before, ledger)
    state.next_turn = mended.turn + 1
    await ledger.record_spend(mended.coding.cost_usd)
    if mended.unpublishable() is not None or len(mended.doubts) > len(shown.doubts):
        return shown
    return await _proved(state, again, mended)


async def _proved(state: RepairState, request: CodingRequest, coding_round: CodingRound) -> CodingRound:
    return coding_round.model_copy(update={"proof": await run_proofs(state, request, coding_round)})


async def run_proofs(state: RepairState, request: CodingRequest, coding_round: CodingRound) -> Proof:
    """Measure the base, and what is to be published. That this cannot be done is said, and ends nothing."""
    if coding_round.change.refused:
        return _not_had("The guard refused the change, so it was not run.")
    requests = await _sample(request) if workflow.patched(policies.PATCH_PROOF_REQUESTS) else None
    state.show("A regression test runs on the base and on the change.")
    told = {"text": coding_round.coding.text, "complaints": (), "notes": (), "requests": requests}
    request = request.model_copy(update={"reviewed": coding_round.change.tree, **told})
    queue = request.workspace.task_queue
    try:
        on_base = await workflow.execute_activity_method(
            ProofActivities.reproduce_on_base, request, task_queue=queue, **policies.PROOF
        )
        return await workflow.execute_activity_method(
            ProofActivities.prove_change,
            request.model_copy(update={"on_base": on_base}),
            task_queue=queue,
            **policies.PROOF,
        )
    except ActivityError as error:
        if is_cancelled_exception(error) or machine_is_gone(error):
            raise
        return _not_had(f"The proof could not be run: {reason_of(error)[:300]}")


async def _sample(request: CodingRequest) -> ArtifactReference | None:
    """Have requests of the worst incident's service read; a proof can do without them."""
    reading = workflow.execute_activity_method(
        LogActivities.sample_requests, request.repair.incidents[0].request, **policies.EVIDENCE
    )
    return await logged("no requests to ask", reading)


def _not_had(reason: str) -> Proof:
    row = ProofRow(what=REGRESSION_TEST, base="-", change="-", verdict=ProofVerdict.NOT_HAD, reason=reason)
    return Proof(rows=(row,))


def _complaint(row: ProofRow) -> str:
    """Return what the session is told of a failed proof."""
    seen = f"without your change it {row.base}, with it {row.change}"
    return f"Railmend's proof failed, {row.what}: {seen}. {row.reason}"
