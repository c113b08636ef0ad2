"""One import of the workflows' modules for all runs of a test process, under the sandbox's guards as ever.

The sandbox imports them anew for each run, which is half of what a workflow's test costs. That is as ever
where real workers run, and in `tests/workflows/test_sandbox`.
"""

import threading

from temporalio.worker.workflow_sandbox import SandboxRestrictions, _runner
from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext


class ThreadContext(RestrictionContext):
    """Whether a workflow runs, told for each thread: several run at once, each in its own."""

    def __init__(self) -> None:
        self._own = threading.local()

    @property
    def is_runtime(self) -> bool:
        return bool(getattr(self._own, "is_runtime", False))

    @is_runtime.setter
    def is_runtime(self, value: bool) -> None:
        self._own.is_runtime = value

    @property
    def in_activation(self) -> bool:
        return bool(getattr(self._own, "in_activation", False))

    @in_activation.setter
    def in_activation(self, value: bool) -> None:
        self._own.in_activation = value


_IMPORTERS: dict[tuple[frozenset[str], str], Importer] = {}


def shared(restrictions: SandboxRestrictions, _: RestrictionContext, workflow_module_name: str) -> Importer:
    """Return what has imported this workflow's module already, or the first that does."""
    key = (frozenset(restrictions.passthrough_modules), workflow_module_name)
    if key not in _IMPORTERS:
        _IMPORTERS[key] = Importer(restrictions, ThreadContext(), workflow_module_name=workflow_module_name)
    return _IMPORTERS[key]


def share() -> None:
    """Share from here on; `setattr(_runner, "Importer", Importer)` ends it."""
    vars(_runner)["Importer"] = shared
