"""`/healthz` (the process answers) and `/readyz` (Temporal is reached and the workers poll), as JSON."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

CHECK_TIMEOUT = timedelta(seconds=3)


def application(client: Client, workers: Sequence[Worker], stopping: asyncio.Event) -> Starlette:
    """Build the application. `stopping` turns readiness off before the workers drain."""

    async def healthz(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> JSONResponse:
        reason = await _reason(client, workers, stopping)
        queues = [worker.task_queue for worker in workers]
        if reason:
            return JSONResponse({"status": "not ready", "reason": reason, "queues": queues}, 503)
        return JSONResponse({"status": "ready", "queues": queues})

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz)])


async def _reason(client: Client, workers: Sequence[Worker], stopping: asyncio.Event) -> str:
    """Return why this process takes no work now; empty: it does."""
    if stopping.is_set():
        return "stopping"
    idle = [worker.task_queue for worker in workers if not worker.is_running]
    if idle:
        return f"not polling: {', '.join(idle)}"
    try:
        serving = await client.service_client.check_health(timeout=CHECK_TIMEOUT)
    except RPCError as error:
        return f"Temporal does not answer: {error.status.name}"
    return "" if serving else "Temporal says that it is not serving"
