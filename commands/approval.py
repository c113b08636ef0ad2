"""`starter.py approve` and `reject`: a person's word on a plan or an action that waits."""

import getpass

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from hosting import clients
from railmend.contracts.repair import Approval
from railmend.settings import ConfigurationError, Settings
from workflows.approved_action import ApprovedAction
from workflows.repository_repair import RepositoryRepair


async def decide(workflow_id: str, *, approved: bool, reason: str) -> str:
    """Returns what was done. Raises `ConfigurationError` when nothing waits under this ID."""
    client = await clients.temporal(Settings())
    handle = client.get_workflow_handle(workflow_id)
    of = ApprovedAction if workflow_id.startswith("action/") else RepositoryRepair
    approval = Approval(by=getpass.getuser(), reason=reason)
    try:
        await handle.execute_update(of.approve if approved else of.reject, approval)
    except WorkflowUpdateFailedError as error:
        raise ConfigurationError(f"{workflow_id}: {error.cause}") from error
    except RPCError as error:
        raise ConfigurationError(
            f"Nothing waits under {workflow_id} ({error.message}). The report of a scan and the comments on "
            "its pull requests name the IDs."
        ) from error
    return f"{workflow_id}: {'approved' if approved else 'rejected'} by {approval.by}."
