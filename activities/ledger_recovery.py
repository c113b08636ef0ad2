"""With what a ledger begins that is not open: what the run before it knew, never less."""

from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.runs import described, input_of
from railmend.contracts.ledger import OPEN, LedgerEntry, LedgerState, Pause
from railmend.contracts.ledger_parts import merge, split

REPAIRS = 'WorkflowType = "RepositoryRepair" AND ExecutionStatus = "Running"'
# The names under which the memo of a repair says what it holds.
MEMO_PROJECT, MEMO_FINGERPRINTS = "project", "fingerprints"
ANSWER_WITHIN = timedelta(seconds=10)
LOST = (
    "its earlier state cannot be read: `starter.py ledger import FILE` takes an export, `starter.py resume` "
    "begins without earlier spending and cool-downs"
)


async def recovered(client: Client, project_id: str) -> list[LedgerState]:
    """Return the state, in parts, with which the ledger of a project begins.

    It is that of the last run: asked, because a closed run still answers, or else as it began. Claims of
    repairs that run are added; a list of runs may lag, so it takes nothing away. Where nothing of an earlier
    run can be read the ledger begins paused: no money is spent until a person has seen it.
    """
    state = await _earlier(client, project_id)
    return split(await _with_running_repairs(client, state))


async def _earlier(client: Client, project_id: str) -> LedgerState:
    run = await described(client, f"ledger/{project_id}")
    if run is None:
        return LedgerState(project_id=project_id)  # the first of this project
    last = client.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        state: LedgerState = await last.query("state", result_type=LedgerState, rpc_timeout=ANSWER_WITHIN)
        return state
    except (RPCError, WorkflowQueryFailedError) as error:
        _warn("an earlier ledger does not answer", run.id, error)
    try:
        return await _began_with(client, last)
    except (RPCError, ValueError, TypeError, RuntimeError) as error:
        _warn("an earlier ledger cannot be read", run.id, error)
    return LedgerState(project_id=project_id, paused=Pause(by="Railmend", since=_now(), reason=LOST))


async def _began_with(client: Client, run: WorkflowHandle[Any, Any]) -> LedgerState:
    """Return the input of a run: what it was told since is missing, what it took over is not."""
    return merge(await client.data_converter.decode(await input_of(run)))


async def _with_running_repairs(client: Client, state: LedgerState) -> LedgerState:
    now = _now()
    known = {entry.fingerprint: entry for entry in state.entries}
    grants = state.grants
    async for run in client.list_workflows(REPAIRS):
        memo = await run.memo()
        if memo.get(MEMO_PROJECT) != state.project_id:
            continue
        grants += 1
        for fingerprint in memo.get(MEMO_FINGERPRINTS, ()):
            if fingerprint in known and known[fingerprint].alive(now):
                continue
            known[fingerprint] = LedgerEntry(
                fingerprint=fingerprint,
                holder=run.id,
                first_run_id=run.raw_info.first_run_id,
                grant=grants,
                state=OPEN,
                since=run.start_time,
            )
    return state.model_copy(update={"entries": tuple(known.values()), "grants": grants})


def _now() -> datetime:
    """Return the server's time: a worker's clock may be wrong, and a cool-down would seem over, or not."""
    return activity.info().started_time if activity.in_activity() else datetime.now(UTC)


def _warn(event: str, ledger: str, error: Exception) -> None:
    """Log it. The logger is imported late: `starter.py pause` rarely needs it, and waits for its imports."""
    import structlog

    structlog.get_logger(__name__).warning(event, ledger=ledger, reason=str(error)[:300])
