"""A worker of its own process, so that it can be stopped: real workflows, ledger and model calls.

`python -m tests.chaos.phases_worker FOLDER ADDRESS MODEL_URL`. The rest of the world is that of the
workflows' tests. `hold/<environment>` in the folder names where an environment is held, as long as the file
says so: "before", "in" or "after", and an activity; `held/<environment>` tells that it is, and `log` has a
line for each activity that was carried out.
"""

import commands.ready  # before what it quickens the import of

# isort: split
import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)

from activities.planning import PlanningActivities
from hosting.workers import HEARTBEAT_THROTTLE, WORKFLOWS, drain, stop_signal
from railmend.artifacts import folder_store
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.measurement import MeasurementStatus
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.scan import ScanRequest, ScanSettings, Screening, ScreenRequest
from railmend.diagnosis.model import ModelSettings
from tests import samples, shared_sandbox
from tests.workflows.review_stage import MERGED, ReviewStage
from tests.workflows.stand_ins import World
from workflows.shared.plugin import railmend_plugin
from workflows.shared.start import CODING_QUEUE, ORCHESTRATION_QUEUE, PLANNING_QUEUE

SOON = Policy(sceptic=False, follow_up=FollowUp(poll_seconds=1, outcome_seconds=(1,)))
PRICE_USD = 10.0  # for a million tokens: each call is seen in the ledger, and a diagnosis can pay several
# What is held at its end is handed back, and what is let go meanwhile is finished.
GRACE = timedelta(seconds=1)
APPROVED = "approval"  # ends the names of the environments whose plans a person approves


class AnyEnvironment(World):
    """Every environment has one service in trouble, of a repository of its own."""

    def settings_of(self, request: ScanRequest) -> ScanSettings:
        planned = request.environment_id.endswith(APPROVED)
        return ScanSettings(policy=SOON, autonomy=Autonomy.PLAN if planned else Autonomy.PULL_REQUEST)

    async def screen(self, request: ScreenRequest) -> Screening:
        environment = request.scan.environment_id
        return Screening(
            project_name="acme",
            environment_name=environment,
            candidates=(samples.service(environment, repository=f"{environment}/shop"),),
            findings=(samples.finding(environment).model_copy(update={"environment_id": environment}),),
            decided=True,
        )


class Held(Interceptor):
    """Holds activities at the points that the folder names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _HeldActivity(super().intercept_activity(next), self.folder)


class _HeldActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, folder: Path) -> None:
        super().__init__(next)
        self._folder = folder
        self._details: tuple[Any, ...] = ()

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        remembered = outbound.heartbeat

        def heartbeat(*details: Any) -> None:
            self._details = details
            remembered(*details)

        outbound.heartbeat = heartbeat  # type: ignore[method-assign]
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        environment = (info.workflow_id or "").split("/")[1]
        await self._hold(environment, f"before {info.activity_type}")
        with (self._folder / "log").open("a") as log:
            log.write(f"{environment} {info.activity_type}\n")
        await self._hold(environment, f"in {info.activity_type}")
        result = await super().execute_activity(input)
        await self._hold(environment, f"after {info.activity_type}")
        return result

    async def _hold(self, environment: str, point: str) -> None:
        hold = self._folder / "hold" / environment
        while hold.exists() and hold.read_text() == point:
            (self._folder / "held" / environment).touch()
            activity.heartbeat(*self._details)  # it is alive until it is killed
            await asyncio.sleep(0.2)


class NoGitHub:
    """Has every file."""

    def missing_files(self, *_: object) -> list[str]:
        return []


async def main(folder: Path, address: str, model_url: str) -> None:
    client = await Client.connect(address, plugins=[railmend_plugin()])
    world = AnyEnvironment(
        queue=ORCHESTRATION_QUEUE,
        services=(),
        findings=(),
        artifacts=folder_store(folder / "artifacts"),
        after_pull_request=ReviewStage(views=[MERGED], statuses=[MeasurementStatus.HELD]),
    )
    model = ModelSettings(
        model="openai/test",
        base_url=model_url,
        api_key=SecretStr("k"),
        input_usd=PRICE_USD,
        output_usd=PRICE_USD,
    )
    planning = PlanningActivities(model, model, NoGitHub(), world.artifacts)  # type: ignore[arg-type]
    held, activities = [Held(folder)], world.orchestration(client)
    stop = stop_signal()
    workers = [
        Worker(
            client,
            task_queue=ORCHESTRATION_QUEUE,
            workflows=WORKFLOWS,
            activities=activities,  # type: ignore[arg-type]
            interceptors=held,
            graceful_shutdown_timeout=GRACE,
        ),
        Worker(
            client,
            task_queue=CODING_QUEUE,
            activities=[world.prepare_workspace],
            interceptors=held,
            graceful_shutdown_timeout=GRACE,
        ),
        Worker(
            client,
            task_queue=PLANNING_QUEUE,
            activities=[planning.take_turn],
            interceptors=held,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=GRACE,
        ),
    ]
    async with AsyncExitStack() as serving:
        for worker in workers:
            await serving.enter_async_context(worker)
        (folder / "ready").touch()
        await stop.wait()
        await drain(workers)


if __name__ == "__main__":
    commands.ready.imported()
    shared_sandbox.share()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
