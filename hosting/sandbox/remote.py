"""The sandbox `remote`: agents run in another container, started there by `remote_daemon.py`.

The volume that both share is hostile once an agent has run: nothing of it is read while something runs there,
and afterwards its folders belong to the worker again.
"""

import subprocess
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from hosting.sandbox.common import InitCommand, ResourceLimits, Toolbox, kill_group, spawn
from hosting.sandbox.remote_daemon import REPAIRS, SOCKET, ask
from railmend.coding.sandbox.foreign_files import keep_private
from railmend.coding.sandbox.interface import RepairPaths, SandboxCommand, SandboxError
from railmend.coding.sandbox.resource_usage import ResourceUsage, measure

PROXY = Path(__file__).with_name("remote_proxy.py")
# A container engine needs this long to start it again; asked once a second.
RETURN_SECONDS = 20
ANSWER_SECONDS = 60.0


class RemoteSandbox:
    """A sandbox in another container. `shared`: the volume's folder, the same path in both containers.

    `patience`: seconds in which the other container may come back.
    """

    name = "remote"
    patience: float = RETURN_SECONDS

    def __init__(self, shared: Path, toolbox: Toolbox, limits: ResourceLimits | None = None) -> None:
        self._shared = shared
        self._toolbox = toolbox
        self._limits = limits or ResourceLimits()

    def paths(self, root: Path) -> RepairPaths:
        return RepairPaths(root, self._shared / REPAIRS / root.name)

    def hand_over(self, paths: RepairPaths) -> None:
        """Close tree and home to others; the daemon gives them away when something starts."""
        self.end(paths, None)
        for folder in (*paths.foreign, *paths.withheld):
            keep_private(folder)

    def start(self, launch: SandboxCommand, output: int) -> subprocess.Popen[bytes]:
        request = {
            "key": launch.paths.root.name,
            "limits": self._limits.rlimits(),
            "serve": launch.serve,
            "outward": {str(port): name for port, name in (launch.outward or {}).items()},
            "directory": str(launch.directory),
            "home": launch.paths.home.name,
            "command": list(launch.command),
        }
        config: dict[str, object] = {
            "socket": str(self._shared / SOCKET),
            "listen": launch.listen.fileno() if launch.listen else None,
            "request": request,
        }
        return spawn((), InitCommand(self._toolbox.interpreter(), PROXY, config), launch, output)

    def end(self, paths: RepairPaths, pid: int | None) -> None:
        """Kill what runs. Raise a retryable `SandboxError` when the daemon does not come back."""
        if pid is not None:
            kill_group(pid)
        if paths.shared is not None and paths.shared.is_dir():
            self._ask(op="end", key=paths.root.name)

    def tools_path(self) -> str:
        return str(self._ask(op="hello")["path"])

    def ports(self, count: int) -> list[int]:
        return [int(port) for port in self._ask(op="ports", count=count)["ports"]]

    def usage(self, paths: RepairPaths, pid: int | None) -> ResourceUsage:
        answer = self._ask(op="usage", key=paths.root.name)
        # Another version of the daemon may tell more, or less.
        known = {each.name for each in fields(ResourceUsage)} & answer.keys()
        there = ResourceUsage(**{name: answer[name] for name in known})
        here = measure((paths.run,), ())  # its log
        return replace(there, size=there.size + here.size, free=min(there.free, here.free))

    def _ask(self, **request: Any) -> dict[str, Any]:
        until = time.monotonic() + self.patience
        while True:
            try:
                answer = ask(self._shared, request, ANSWER_SECONDS)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise SandboxError(
                        f"The daemon of coding agents does not answer at {self._shared / SOCKET} "
                        f"({error.strerror or error}): start the container that runs `python -m "
                        "hosting.sandbox.remote_daemon`, and mount one volume at the same path in both, see "
                        "docs/operations.md.",
                        retryable=True,
                    ) from error
                time.sleep(1)
        if "error" in answer:
            raise SandboxError(f"The daemon of coding agents: {answer['error']}", retryable=True)
        return answer
