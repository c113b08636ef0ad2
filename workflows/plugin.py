"""The one plugin (converter, sandbox, failure types) for client, worker, tests and Replayer alike."""

import dataclasses

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

# Passed through: pydantic models are compared by identity, and re-importing them for each run costs
# twice the time and memory; activities are only named in workflows, never run there.
PASSED_THROUGH = ("pydantic", "pydantic_core", "railmend", "activities")


def _runner(existing: WorkflowRunner | None) -> WorkflowRunner:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    if isinstance(existing, SandboxedWorkflowRunner):
        return dataclasses.replace(existing, restrictions=restrictions)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def railmend_plugin() -> SimplePlugin:
    """A new plugin object; every client, worker and replayer takes one."""
    return SimplePlugin(
        "railmend",
        data_converter=pydantic_data_converter,
        workflow_runner=_runner,
        # A plain exception in workflow code would wedge the run in endless retries; a failure is honest.
        workflow_failure_exception_types=[ValueError, TypeError, KeyError, AssertionError],
    )
