"""`starter.py approve` and `reject`: answer a plan that waits for a person."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, answer, name_argument, run

if TYPE_CHECKING:
    from temporalio.client import Client

    from railmend.contracts.repair import Approval

NO_REASON = "Say why you reject it (on the command line: --reason 'TEXT'): the reason is kept and shown."
RepairArgument = Annotated[str, name_argument("The service, or the workflow ID of its repair or action.")]
ANSWER_SECONDS = 30
PlanOption = Annotated[
    str,
    typer.Option(metavar="HASH", help="Only if the plan that waits is this one: the hash shown with it."),
]


def approve(repair: RepairArgument, plan: PlanOption = "", as_json: JsonOption = False) -> None:
    """Let a plan that waits for a person go ahead."""
    _decide(repair, approved=True, reason="", plan=plan, as_json=as_json)


def reject(
    repair: RepairArgument,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the repair.")] = "",
    plan: PlanOption = "",
    as_json: JsonOption = False,
) -> None:
    """Drop a plan that waits for a person."""
    _decide(repair, approved=False, reason=reason, plan=plan, as_json=as_json)


def _decide(repair: str, *, approved: bool, reason: str, plan: str, as_json: bool) -> None:
    workflow_id, user = run(_send(repair, approved=approved, reason=reason, plan=plan))
    decision = "approved" if approved else "rejected"
    follow = [f"Follow it: starter.py show {workflow_id}"] if approved else []
    data = {"id": workflow_id, "decision": decision, "by": user}
    answer(data, f"{workflow_id}: {decision} by {user}.", *follow, as_json=as_json)


async def _send(name: str, *, approved: bool, reason: str, plan: str) -> tuple[str, str]:
    """Return what was decided on, and who decided.

    Raises `ConfigurationError` when nothing waits under this name, or another plan does.
    """
    import getpass

    from commands.runs import connected, find_waiting
    from railmend.contracts.repair import Approval

    approval = Approval(by=getpass.getuser(), reason=reason, plan=plan, approved=approved)
    check_decision(name, approval)
    _, client = await connected()
    workflow_id = await find_waiting(client, name)
    check_decision(workflow_id, approval)
    await decide(client, workflow_id, approval)
    return workflow_id, approval.by


def check_decision(name: str, approval: "Approval") -> None:
    """Raise `ConfigurationError` for a decision that no repair or action accepts."""
    from commands.runs import check_kind, kind_of
    from railmend.settings import ConfigurationError

    check_kind(name, "repair", "action")
    if approval.plan and kind_of(name) == "action":
        raise ConfigurationError(f"{name} is an action, which has no plan: leave --plan out.")
    if not approval.approved and not approval.reason.strip():
        raise ConfigurationError(NO_REASON)


async def decide(client: "Client", workflow_id: str, approval: "Approval") -> None:
    """Approve or reject what waits under an ID, as the command line and the page both do it.

    Raises `ConfigurationError` when nothing waits there, another plan does, or no worker answers.
    """
    import asyncio

    from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
    from temporalio.service import RPCError

    from railmend.settings import ConfigurationError

    handle = client.get_workflow_handle(workflow_id)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await handle.execute_update("approve" if approval.approved else "reject", approval)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise ConfigurationError(
            f"{workflow_id}: no worker took the decision within {ANSWER_SECONDS} s. It may still arrive: "
            "look at `starter.py status` before you decide again."
        ) from error
    except WorkflowUpdateFailedError as error:
        raise ConfigurationError(f"{workflow_id}: {getattr(error.cause, 'message', error.cause)}") from error
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing waits under {workflow_id} ({error.message}). `starter.py status` lists what waits "
            "for you."
        ) from error
