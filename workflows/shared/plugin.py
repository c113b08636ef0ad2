"""The one plugin (converter, sandbox) for client, worker, tests and Replayer alike.

No plain exception is declared as one that fails a workflow: only Temporal's own failures do, which is what
domain errors are raised as. A bug fails the workflow's task, so that the run goes on once a worker has the
fix.
"""

import dataclasses
from collections.abc import Sequence

import temporalio.client
import temporalio.worker
from temporalio.converter import PayloadCodec
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.shared.converter import converter

# Passed through, so outside the sandbox's guards: pydantic and the contracts, whose re-import for each run
# costs twice the time and memory; activities, which workflows only name; and the escaping of details and the
# text of reports, which are pure. Modules of workflows/ never are.
PASSED_THROUGH = (
    *("pydantic", "pydantic_core", "railmend.contracts", "railmend.evidence", "railmend.publishing.report"),
    "activities",
)

Interceptor = temporalio.client.Interceptor | temporalio.worker.Interceptor


def _runner(existing: WorkflowRunner | None) -> WorkflowRunner:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    if isinstance(existing, SandboxedWorkflowRunner):
        return dataclasses.replace(existing, restrictions=restrictions)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def railmend_plugin(
    codec: PayloadCodec | None = None, interceptors: Sequence[Interceptor] = ()
) -> SimplePlugin:
    """Return a new plugin; every client, worker and replayer takes one.

    `codec`: encrypts payloads, see `hosting.codec`. `interceptors`: for logs and traces; none of them may
    change what a workflow does, so that a replay needs none.
    """
    return SimplePlugin(
        "railmend",
        data_converter=converter(codec),
        interceptors=list(interceptors),
        workflow_runner=_runner,
    )
