"""The agents' container as docker-compose.yml builds it, without an engine: what the image would not have is
not there, no network, five capabilities, one volume.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hosting.clients import toolbox
from hosting.sandbox.bubblewrap import View, bubblewrap
from hosting.sandbox.common import MIB
from hosting.sandbox.remote_daemon import CAPABILITIES, SOCKET
from railmend.settings import Settings

ROOT = Path(__file__).parents[2]
# What the stage `agent` copies.
PARTS = [
    part
    for row in re.findall(r"^COPY (.*\.py) [a-z/]*/$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    for part in row.split()
]
START_SECONDS = 20


def _view(programs: Mapping[Path, Path], writable: Sequence[Path], python: Path) -> list[str]:
    """`programs`: what is seen where, read-only, besides the system."""
    view = View()
    view.system()
    view.memory(Path("/tmp"), 64 * MIB)
    for target, source in programs.items():
        view.read_only(source, target)
    if not python.is_relative_to("/usr"):
        view.read_only(python, python)
    for folder in writable:
        view.writable(folder)
    return [*view.arguments, "--remount-ro", "/"]


def worker_command(writable: Sequence[Path], *arguments: object) -> list[str]:
    """Python with this checkout's packages in a container of the worker's, started as root without rights."""
    packages = Path(sys.prefix).resolve()
    box = toolbox(Settings())
    command: list[object] = [
        bubblewrap(),
        "--die-with-parent",
        "--clearenv",
        "--unshare-pid",
        "--unshare-net",
    ]
    command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    command += ["--setenv", "PATH", "/usr/bin:/bin"]
    command += _view({packages: packages, ROOT: ROOT}, writable, box.python)
    command += ["--chdir", ROOT, Path(sys.executable), "-B", *arguments]
    return list(map(str, command))


def start(shared: Path, worker: int = 0) -> subprocess.Popen[bytes]:
    """Ready when this returns. Needs root, as a container engine does."""
    box = toolbox(Settings())
    command: list[object] = [bubblewrap(), "--die-with-parent", "--new-session", "--clearenv"]
    command += [f"--unshare-{kind}" for kind in ("pid", "net", "ipc", "uts", "cgroup-try")]
    command += [
        "--cap-drop",
        "ALL",
        *(part for each in CAPABILITIES for part in ("--cap-add", f"CAP_{each}")),
    ]
    command += ["--setenv", "PATH", f"/opt/railmend:{box.python}/bin:/usr/bin:/bin"]
    programs = {Path("/app", part): ROOT / part for part in PARTS}
    programs |= {Path("/opt/railmend", name): program for name, program in box.programs.items()}
    command += _view(programs, (shared,), box.python)
    command += ["--chdir", "/app", box.interpreter(), "-B", "-m", "hosting.sandbox.remote_daemon"]
    command += ["--shared", shared, "--worker", worker]
    (shared / SOCKET).unlink(missing_ok=True)
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=sys.stderr)
    until = time.monotonic() + START_SECONDS
    while not (shared / SOCKET).exists():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < until, "it is not ready"
        time.sleep(0.02)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@contextmanager
def agents_container(shared: Path, worker: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    process = start(shared, worker)
    try:
        yield process
    finally:
        stop(process)
