"""`starter.py approve` and `reject`: answer a plan that waits for a person."""

from typing import Annotated

import typer

from commands.options import JsonOption, emit, run

RepairArgument = Annotated[
    str, typer.Argument(metavar="REPAIR", help="The repair's workflow ID: repair/<owner>/<repository>/<key>.")
]


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
    user = run(_send(repair, approved=approved, reason=reason, plan=plan))
    decision = "approved" if approved else "rejected"
    emit({"id": repair, "decision": decision, "by": user}) if as_json else typer.echo(
        f"{repair}: {decision} by {user}."
    )


async def _send(workflow_id: str, *, approved: bool, reason: str, plan: str) -> str:
    """Return who decided. Raises `ConfigurationError` when nothing waits under this ID, or another plan."""
    import getpass

    from temporalio.client import WorkflowUpdateFailedError
    from temporalio.service import RPCError

    from hosting import clients
    from railmend.contracts.repair import Approval
    from railmend.settings import ConfigurationError
    from railmend.settings_file import load_settings
    from workflows.actions.approved_action import ApprovedAction
    from workflows.repair.repository_repair import RepositoryRepair

    client = await clients.temporal(load_settings(), tries=1)
    handle = client.get_workflow_handle(workflow_id)
    workflow = ApprovedAction if workflow_id.startswith("action/") else RepositoryRepair
    if plan and workflow is ApprovedAction:
        raise ConfigurationError(f"{workflow_id} is an action, which has no plan: leave --plan out.")
    approval = Approval(by=getpass.getuser(), reason=reason, plan=plan)
    try:
        await handle.execute_update(workflow.approve if approved else workflow.reject, approval)
    except WorkflowUpdateFailedError as error:
        raise ConfigurationError(f"{workflow_id}: {error.cause}") from error
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing waits under {workflow_id} ({error.message}). `starter.py incidents --open`, the report "
            "of a scan and the comments on its pull requests name the IDs."
        ) from error
    return approval.by
