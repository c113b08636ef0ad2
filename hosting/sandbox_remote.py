"""The launcher `remote`: agents run in a container of their own, beside `hosting/launcher.py`.

The volume that both share is hostile once an agent has run: nothing of it is read while something runs there,
and afterwards its folders belong to the worker again.
"""

import subprocess
import time
from pathlib import Path
from typing import Any

from hosting.launcher import REPAIRS, SOCKET, ask
from hosting.sandbox_parts import Caps, Inside, Toolbox, kill_group, spawn
from railmend.coding.fence import FenceError, Launch, Place
from railmend.coding.measure import Use

LINE = Path(__file__).with_name("sandbox_line.py")
# A container engine needs this long to start it again; asked once a second.
RETURN_SECONDS = 20
ANSWER_SECONDS = 60.0


class RemoteFence:
    """`shared`: the volume's folder, the same path in both containers. `patience`: seconds in which the other
    one may come back.
    """

    name = "remote"
    patience: float = RETURN_SECONDS

    def __init__(self, shared: Path, toolbox: Toolbox, caps: Caps | None = None) -> None:
        self._shared = shared
        self._toolbox = toolbox
        self._caps = caps or Caps()

    def place(self, root: Path) -> Place:
        return Place(root, self._shared / REPAIRS / root.name)

    def admit(self, place: Place) -> None:
        """They change hands when something starts; until then nobody else may look."""
        self.end(place, None)
        for folder in (place.tree, place.home):
            folder.chmod(0o700)

    def start(self, launch: Launch, output: int) -> subprocess.Popen[bytes]:
        request = {
            "key": launch.place.root.name,
            "limits": self._caps.limits(),
            "serve": launch.serve,
            "outward": {str(port): name for port, name in (launch.outward or {}).items()},
            "directory": str(launch.directory),
            "command": list(launch.command),
        }
        config: dict[str, object] = {
            "door": str(self._shared / SOCKET),
            "listen": launch.listen.fileno() if launch.listen else None,
            "request": request,
        }
        return spawn((), Inside(self._toolbox.interpreter(), LINE, config), launch, output)

    def end(self, place: Place, pid: int | None) -> None:
        """Raises `FenceError`, which may be retried, when the launcher does not come back."""
        if pid is not None:
            kill_group(pid)
        if place.shared is not None and place.shared.is_dir():
            self._ask(op="end", key=place.root.name)

    def tools_path(self) -> str:
        return str(self._ask(op="hello")["path"])

    def ports(self, count: int) -> list[int]:
        return [int(port) for port in self._ask(op="ports", count=count)["ports"]]

    def use(self, place: Place, pid: int | None) -> Use:
        return Use(**self._ask(op="use", key=place.root.name))

    def _ask(self, **request: Any) -> dict[str, Any]:
        until = time.monotonic() + self.patience
        while True:
            try:
                answer = ask(self._shared, request, ANSWER_SECONDS)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise FenceError(
                        f"The launcher of coding agents does not answer at {self._shared / SOCKET} "
                        f"({error.strerror or error}): start the container that runs `python -m "
                        "hosting.launcher`, and mount one volume at the same path in both, see "
                        "docs/operations.md.",
                        retryable=True,
                    ) from error
                time.sleep(1)
        if "error" in answer:
            raise FenceError(f"The launcher of coding agents: {answer['error']}", retryable=True)
        return answer
