"""Removes the workspaces of repairs that are over: their workflow could not, or was terminated."""

import asyncio
import time

import structlog
from temporalio.client import Client

from activities.coding_environment import CodingEnvironment
from railmend.coding.sandbox import SandboxError
from workflows.repair.repository_repair import RepositoryRepair

log = structlog.get_logger(__name__)

# The server's list of running workflows lags; a younger repair may be missing from it.
MIN_AGE_SECONDS = 3600
RUNNING = f'WorkflowType = "{RepositoryRepair.__name__}" AND ExecutionStatus = "Running"'


async def remove_abandoned_workspaces(client: Client, environment: CodingEnvironment) -> list[str]:
    """Remove the workspaces without a running repair and return their keys.

    A repair's workflow ID ends with its key.
    """
    keys = await asyncio.to_thread(environment.keys)
    if not keys:
        return []
    running = {execution.id.rpartition("/")[2] async for execution in client.list_workflows(RUNNING)}
    removed = []
    for key in sorted(keys):
        if key not in running and time.time() - environment.changed_at(key) > MIN_AGE_SECONDS:
            try:
                await asyncio.to_thread(environment.remove, key)
                removed.append(key)
            except SandboxError as error:  # of no use to those who wait for this worker
                log.warning("a workspace stays", key=key, reason=str(error))
    if removed:
        log.info("workspaces removed", keys=removed)
    return removed
