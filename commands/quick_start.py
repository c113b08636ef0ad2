"""What makes a command start sooner: parts of Temporal's client that are run only when they are used.

Only a process that is one command does this. A worker needs nearly all of it anyway.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from importlib.abc import Loader  # to import it brings a tenth of `--help`

# What Temporal's client imports for workers, for workflows and for Temporal Cloud's own API.
DEFERRED = frozenset({
    "temporalio.workflow",
    "temporalio.bridge.proto",
    "temporalio.bridge.proto.health",
    "temporalio.bridge.proto.health.v1",
    "temporalio.api.cloud.cloudservice",
    "temporalio.api.cloud.cloudservice.v1",
})  # fmt: skip


class _Deferred:
    """Runs a module when one of its names is asked for; its place in `sys.modules` is taken at once.

    The standard library's `LazyLoader` runs it as soon as a module inside it is imported, so at once here.
    """

    def __init__(self, loader: "Loader") -> None:
        self._loader = loader
        self._lock = RLock()
        self._waits = True

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def load(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            with self._lock:
                if self._waits:
                    self._waits = False
                    del module.__dict__["__getattr__"]
                    self._loader.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = load


class _Finder:
    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in DEFERRED else None
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _Deferred(spec.loader))
        return spec


def defer() -> None:
    """Put off modules that no command needs to connect."""
    sys.meta_path.insert(0, _Finder)
