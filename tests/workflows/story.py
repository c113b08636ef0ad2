"""One environment's story, from scan to pull request, with the real worker, sandbox, plugin and ledger."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from hosting.workers import WORKFLOWS
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.ledger import LedgerState
from railmend.contracts.repair import RepairResult
from railmend.contracts.scan import (
    HealthReport,
    ScanRequest,
    ScanSettings,
    Service,
)
from tests import samples
from tests.workflows.stand_ins import World
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.start import CODING_QUEUE, PLANNING_QUEUE


class Stage:
    """One environment of its own per test: ids never meet those of another test."""

    def __init__(self, client: Client, world: World, environment_id: str) -> None:
        self.client = client
        self.world = world
        self.environment_id = environment_id
        self.scans: list[str] = []
        self._delay = timedelta(0)

    def later(self, time: timedelta) -> None:
        """The next scans look so much later; the server skips the time."""
        self._delay += time

    async def scan(self, autonomy: Autonomy = Autonomy.PULL_REQUEST, **more: Any) -> HealthReport:
        self.world.settings = ScanSettings(autonomy=autonomy, **more)
        request = ScanRequest(project_id=self.environment_id, environment_id=self.environment_id)
        self.scans.append(f"scan/{self.environment_id}/{uuid.uuid4()}")
        return await self.client.execute_workflow(
            HealthScan.run,
            request,
            id=self.scans[-1],
            task_queue=self.world.queue,
            start_delay=self._delay or None,
        )

    async def repair(self, workflow_id: str) -> RepairResult:
        return await self.client.get_workflow_handle_for(RepositoryRepair.run, workflow_id).result()

    async def ledger(self) -> LedgerState:
        handle = self.client.get_workflow_handle_for(Ledger.run, f"ledger/{self.environment_id}")
        return await handle.query(Ledger.state)


Make = Callable[..., "asyncio.Future[Stage]"]


@asynccontextmanager
async def stage(temporal: WorkflowEnvironment, *services: Service, **world: object) -> AsyncIterator[Stage]:
    environment_id = f"env-{uuid.uuid4().hex[:8]}"
    queue = f"railmend-{environment_id}"
    mine = tuple(s.model_copy(update={"repository": f"{environment_id}/{s.name}"}) for s in services)
    findings = tuple(
        samples.finding(s.name).model_copy(update={"environment_id": environment_id})
        for s in services
        if s.name != "healthy"
    )
    built = World(
        queue=queue,
        services=mine,
        findings=findings,
        **world,  # type: ignore[arg-type]
    )
    client = temporal.client
    async with AsyncExitStack() as stack:
        work = built.orchestration(client)
        await stack.enter_async_context(
            Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=work)  # type: ignore[arg-type]
        )
        await stack.enter_async_context(
            Worker(client, task_queue=CODING_QUEUE, activities=[built.prepare_workspace])
        )
        await stack.enter_async_context(
            Worker(client, task_queue=PLANNING_QUEUE, activities=[built.take_turn])
        )
        yield Stage(client, built, environment_id)


def row_of(report: HealthReport, name: str):  # type: ignore[no-untyped-def]
    return next(row for row in report.rows if row.name == name)
