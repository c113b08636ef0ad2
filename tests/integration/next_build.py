"""The repair as a later release may change it: a new command in each phase, guarded by a patch."""

from datetime import timedelta

from temporalio import workflow

from railmend.contracts.repair import RepairResult
from workflows.repair.repository_repair import RepositoryRepair
from workflows.repair.state import Phase, RepairState

PATCH_REHEARSED = "rehearsed"


@workflow.defn(name=RepositoryRepair.__name__)
class NextRepair(RepositoryRepair):
    @workflow.init
    def __init__(self, state: RepairState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, state: RepairState) -> RepairResult:
        return await super().run(state)

    async def _step(self) -> Phase:
        if workflow.patched(PATCH_REHEARSED):
            await workflow.sleep(timedelta(milliseconds=10), summary="what the next release does first")
        return await super()._step()
