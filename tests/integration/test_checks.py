"""A repository's own checks, run in the fence as the worker runs them."""

import socket
import textwrap
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.workbench import Workbench
from hosting.egress import egress
from hosting.sandbox import build
from hosting.sandbox_parts import Toolbox
from railmend.coding.checks import CheckSettings
from railmend.coding.fence import Place
from railmend.coding.guard import GuardSettings
from railmend.coding.metering import Limits
from railmend.coding.quota import Quota
from railmend.coding.server import RunningServer
from railmend.contracts.repair import CheckReport, CodingRequest, Workspace, WorkspaceRequest
from railmend.publishing.github import GitHubClient
from tests import samples
from tests.unit.test_workspace import run

pytestmark = pytest.mark.integration

TEST = """\
import os, pathlib, unittest
import app

class Value(unittest.TestCase):
    def test_value(self):
        pathlib.Path("report.txt").write_text("left behind")
        self.assertEqual(app.VALUE, 1)

    def test_environment(self):
        self.assertNotIn("GITHUB_TOKEN", os.environ)
"""


class LocalGitHub:
    """Repositories in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def clone_url(self, full_name: str) -> str:
        return f"file://{self._folder / full_name}"

    def default_branch(self, full_name: str) -> str:
        return "main"


class Room:
    def __init__(self, folder: Path, files: dict[str, str], settings: CheckSettings | None = None) -> None:
        work = folder / "acme" / "checkout"
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        run(work, "init", "-q", "-b", "main")
        run(work, "add", "-A")
        run(work, "commit", "-qm", "first")
        self.bench = Workbench(
            github=cast(GitHubClient, LocalGitHub(folder)),
            github_token="ghp_secret",
            state_dir=folder / "repairs",
            fence=build("bwrap", Toolbox({}), unsafe=False),
            quota=Quota(),
        )
        by_name = {"acme/checkout": settings} if settings else {}
        self.hosts: list[str] = []
        self.checks = CheckActivities(self.bench, by_name, self._egress)
        self.coding = CodingActivities(
            self.bench,
            task_queue="q",
            server_for=lambda _: RunningServer("http://127.0.0.1:9", None),
            limits=Limits(),
            guard=GuardSettings(),
        )
        self.environment = ActivityEnvironment()
        self.request: CodingRequest | None = None

    def _egress(self, place: Place) -> AbstractAsyncContextManager[None]:
        return egress(place, self.hosts)

    async def prepare(self) -> CheckReport:
        request = WorkspaceRequest(
            key="0123456789ab", repository="acme/checkout", base_branch="main", commit=None
        )
        workspace: Workspace = await self.environment.run(self.coding.prepare_workspace, request)
        self.request = CodingRequest(workspace=workspace, repair=samples.repair())
        return await self.environment.run(self.checks.prepare_checks, self.request)

    async def after(self) -> CheckReport:
        assert self.request is not None
        return await self.environment.run(self.checks.run_checks, self.request)

    async def changed(self) -> list[str]:
        assert self.request is not None
        change = await self.environment.run(self.coding.review_change, self.request)
        return [file.path for file in change.files]

    @property
    def tree(self) -> Path:
        return self.bench.place("0123456789ab").tree


async def test_checks_run_before_and_after_and_leave_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")
    room = Room(tmp_path, {"app.py": "VALUE = 1\n", "tests/__init__.py": "", "tests/test_app.py": TEST})
    (before,) = (await room.prepare()).runs
    assert (before.command, before.passed) == ("python3 -m unittest discover -s tests -t .", True)
    assert "Ran 2 tests" in before.output
    assert await room.changed() == []
    (room.tree / "app.py").write_text("VALUE = 2\n")
    (after,) = (await room.after()).runs
    assert after.passed is False
    assert "AssertionError: 2 != 1" in after.output
    assert await room.changed() == ["app.py"]
    assert (room.tree / "app.py").read_text() == "VALUE = 2\n"
    assert not (room.tree / "report.txt").exists()


async def test_a_change_does_not_choose_how_it_is_checked(tmp_path: Path) -> None:
    room = Room(tmp_path, {"app.py": "VALUE = 1\n", "tests/__init__.py": "", "tests/test_app.py": TEST})
    await room.prepare()
    (room.tree / "pytest.ini").write_text("[pytest]\n")
    (after,) = (await room.after()).runs
    assert after.command == "python3 -m unittest discover -s tests -t ."


async def test_without_checks_there_is_a_sentence(tmp_path: Path) -> None:
    room = Room(tmp_path, {"app.py": "VALUE = 1\n"})
    assert (await room.prepare()).unverified == "No checks were found in the repository's files."


async def test_installing_reaches_what_is_listed_and_not_this_machine(tmp_path: Path) -> None:
    """A registry behind the proxy, and a server on loopback as Temporal is one."""
    temporal = socket.create_server(("127.0.0.1", 0))
    port = temporal.getsockname()[1]
    script = textwrap.dedent(f"""
        import os, socket, urllib.parse
        try:
            socket.create_connection(("127.0.0.1", {port}), 2)
            print("REACHED")
        except OSError:
            print("refused")
        proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
        for target in ("localhost:{port}", "127.0.0.1:{port}"):
            with socket.create_connection((proxy.hostname, proxy.port)) as tunnel:
                tunnel.sendall(f"CONNECT {{target}} HTTP/1.1\\r\\n\\r\\n".encode())
                print(target, tunnel.recv(100).split()[1].decode())
        assert "ghp_secret" not in str(os.environ)
        open("installed", "w").write("x")
        raise SystemExit(3)
    """)
    settings = CheckSettings(prepare=("python3 install.py",), checks=("true",))
    room = Room(tmp_path, {"install.py": script}, settings)
    room.hosts = [f"localhost:{port}"]
    said = (await room.prepare()).unverified or ""
    temporal.close()
    assert said.startswith("What the checks need could not be installed: `python3 install.py` (exit code 3).")
    assert said.splitlines()[1:] == ["refused", f"localhost:{port} 200", f"127.0.0.1:{port} 403"]
    assert await room.changed() == [], "what a failed installation left is gone"


async def test_a_check_has_no_network_and_ends_in_time(tmp_path: Path) -> None:
    command = (
        "env | grep -i proxy; python3 -c \"import socket; socket.create_connection(('1.1.1.1', 443), 2)\""
    )
    settings = CheckSettings(checks=(command, "no-such-tool --version", "sleep 60"), seconds=3)
    room = Room(tmp_path, {"app.py": ""}, settings)
    network, missing, slow = (await room.prepare()).runs
    assert network.passed is False
    assert "Network is unreachable" in network.output
    assert "PROXY" not in network.output.upper().replace("GREP -I PROXY", "")
    assert missing.passed is None
    assert slow.passed is False
    assert slow.output.endswith("[ended: time: longer than 3 s]")
