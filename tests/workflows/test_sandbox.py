"""No module of workflows/ may read the clock, draw random numbers or touch files while a workflow runs."""

import shutil
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import _runner
from temporalio.worker.workflow_sandbox._importer import Importer

from tests.workflows.probe import Probe

WORKFLOWS = Path(__file__).parents[2] / "workflows"
MODULES = sorted(file.relative_to(WORKFLOWS.parent) for file in WORKFLOWS.rglob("*.py"))
# They configure client and worker; no workflow imports them.
NOT_IN_WORKFLOWS = ("workflows.shared.plugin", "workflows.shared.converter")
VIOLATIONS = """

import random as _random
import time as _time


def probe_clock():
    _time.time()


def probe_random():
    _random.random()


def probe_file():
    open("/dev/null", "w").close()


def probe_nothing():
    pass
"""


@pytest.fixture
def violating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of all workflow modules with forbidden functions, found only by an import that is made anew."""
    shutil.copytree(WORKFLOWS, tmp_path / "workflows", ignore=shutil.ignore_patterns("__pycache__"))
    for module in MODULES:
        with (tmp_path / module).open("a") as file:
            file.write(VIOLATIONS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_runner, "Importer", Importer)


@pytest.mark.usefixtures("violating")
async def test_no_module_of_workflows_escapes_the_sandbox(temporal: WorkflowEnvironment) -> None:
    queue = f"probe-{uuid.uuid4().hex[:8]}"
    names = [".".join(module.with_suffix("").parts).removesuffix(".__init__") for module in MODULES]
    modules = [name for name in names if name not in NOT_IN_WORKFLOWS]
    expected = {"clock": "refused", "random": "refused", "file": "refused", "nothing": "allowed"}
    async with Worker(temporal.client, task_queue=queue, workflows=[Probe]):
        answers = await temporal.client.execute_workflow(
            Probe.run,
            args=[modules, [f"probe_{probe}" for probe in expected]],
            id=queue,
            task_queue=queue,
            execution_timeout=timedelta(minutes=1),
        )
    assert answers == {
        f"{module}.probe_{probe}": answer for module in modules for probe, answer in expected.items()
    }
