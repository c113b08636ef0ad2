"""Folders of repairs that are over: their workflow could not remove them, or was terminated."""

import asyncio
import time
from pathlib import Path

import structlog
from temporalio.client import Client

from activities.coding_environment import CodingEnvironment
from workflows.repair.repository_repair import RepositoryRepair

log = structlog.get_logger(__name__)

# The server's list of running workflows lags; a repair younger than this is not in it for sure.
YOUNG_SECONDS = 3600
RUNNING = f'WorkflowType = "{RepositoryRepair.__name__}" AND ExecutionStatus = "Running"'


async def sweep(client: Client, bench: CodingEnvironment) -> list[str]:
    """Remove them; returns their keys. A repair's workflow ID ends with its key."""
    keys = await asyncio.to_thread(bench.keys)
    if not keys:
        return []
    running = {each.id.rpartition("/")[2] async for each in client.list_workflows(RUNNING)}
    swept = []
    for key in sorted(keys):
        paths = bench.paths(key)
        folders = filter(Path.is_dir, (paths.root, paths.home.parent))
        changed = max(folder.stat().st_mtime for folder in folders)
        if key not in running and time.time() - changed > YOUNG_SECONDS:
            await asyncio.to_thread(paths.remove)
            swept.append(key)
    if swept:
        log.info("workspaces swept", keys=swept)
    return swept
