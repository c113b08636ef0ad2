"""`starter.py approve`, `reject`, `cancel`: a person's word on what runs or waits."""

import getpass

from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RPCError

from hosting import clients
from railmend.contracts.repair import Approval
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings
from workflows.actions.approved_action import ApprovedAction
from workflows.repair.repository_repair import RepositoryRepair


async def decide(workflow_id: str, *, approved: bool, reason: str) -> str:
    """Returns who decided. Raises `ConfigurationError` when nothing waits under this ID."""
    client = await clients.temporal(load_settings(), tries=1)
    handle = client.get_workflow_handle(workflow_id)
    of = ApprovedAction if workflow_id.startswith("action/") else RepositoryRepair
    approval = Approval(by=getpass.getuser(), reason=reason)
    try:
        await handle.execute_update(of.approve if approved else of.reject, approval)
    except WorkflowUpdateFailedError as error:
        raise ConfigurationError(f"{workflow_id}: {error.cause}") from error
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing waits under {workflow_id} ({error.message}). `starter.py incidents --open`, the report "
            "of a scan and the comments on its pull requests name the IDs."
        ) from error
    return approval.by


async def cancel(workflow_id: str) -> None:
    """Raises `ConfigurationError` where nothing runs under this ID, and for the ledger."""
    if workflow_id.startswith("ledger/"):
        raise ConfigurationError(
            f"{workflow_id} is Railmend's memory and must stay open: cancel a scan, incident or repair."
        )
    client = await clients.temporal(load_settings(), tries=1)
    handle = client.get_workflow_handle(workflow_id)
    try:
        status = (await handle.describe()).status
        if status is not WorkflowExecutionStatus.RUNNING:
            raise ConfigurationError(f"{workflow_id} has already ended.")
        await handle.cancel()
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing runs as {workflow_id} ({error.message}). `starter.py incidents --open` lists what does."
        ) from error
