"""Removes workspaces of repairs that are over (their workflow could not), and artifacts that are too old."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from activities.coding_environment import CodingEnvironment
from railmend.artifacts import ArtifactError, ArtifactStore
from railmend.coding.sandbox.interface import SandboxError
from railmend.contracts.policy import Policy
from workflows.repair.repository_repair import RepositoryRepair

log = structlog.get_logger(__name__)

# The server's list of running workflows lags; a younger repair may be missing from it.
MIN_AGE_SECONDS = 3600
# Younger artifacts stay, however short repairs may live by the settings: those that run have older ones.
KEPT = timedelta(days=120)
# A repair that is terminated cleans nothing up, and its worker may run for months.
EVERY_SECONDS = 3600
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


async def remove_old_artifacts(artifacts: ArtifactStore, policy: Policy) -> int:
    """Remove artifacts that no repair can still need; return how many. Only log a store that fails."""
    try:
        removed = await artifacts.sweep(max(policy.longest_repair(), KEPT))
    except ArtifactError as error:
        log.warning("old artifacts stay", reason=str(error))
        return 0
    if removed:
        log.info("artifacts removed", count=removed)
    return removed


@contextlib.asynccontextmanager
async def removing_abandoned_workspaces(
    client: Client, environment: CodingEnvironment, every_seconds: float = EVERY_SECONDS
) -> AsyncIterator[None]:
    """Remove abandoned workspaces at once, and again and again while the context lasts."""
    await remove_abandoned_workspaces(client, environment)

    async def again() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await remove_abandoned_workspaces(client, environment)
            except (RPCError, OSError) as error:
                log.warning("workspaces not removed", reason=str(error))

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
