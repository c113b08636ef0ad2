"""A workflow that calls functions of the modules of workflows/, as the sandbox sees them."""

import sys

from temporalio import workflow
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError

import workflows.scan.health_scan  # brings in all modules but those below

import workflows.ledger.ledger  # isort: skip
import workflows.scan.alarm  # isort: skip

ENTRY_POINTS = (workflows.scan.health_scan, workflows.ledger.ledger, workflows.scan.alarm)


@workflow.defn
class Probe:
    """Returns, by `module.function`, what became of the call."""

    @workflow.run
    async def run(self, modules: list[str], functions: list[str]) -> dict[str, str]:
        return {f"{module}.{name}": _call(module, name) for module in modules for name in functions}


def _call(module: str, name: str) -> str:
    function = getattr(sys.modules.get(module), name, None)
    if function is None:
        return "not imported in the sandbox"
    try:
        function()
    except RestrictedWorkflowAccessError:
        return "refused"
    return "allowed"
