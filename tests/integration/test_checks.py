"""A repository's own checks, run in the sandbox as the worker runs them."""

import socket
import textwrap
from pathlib import Path

import pytest

from railmend.coding.settings import CheckSettings
from railmend.contracts.checks import Verification
from tests.integration.coding_stage import CodingRoom

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


async def test_checks_run_before_and_after_and_leave_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")
    room = CodingRoom(tmp_path, {"app.py": "VALUE = 1\n", "tests/__init__.py": "", "tests/test_app.py": TEST})
    (before,) = (await room.before()).runs
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
    room = CodingRoom(tmp_path, {"app.py": "VALUE = 1\n", "tests/__init__.py": "", "tests/test_app.py": TEST})
    await room.before()
    (room.tree / "pytest.ini").write_text("[pytest]\n")
    (after,) = (await room.after()).runs
    assert after.command == "python3 -m unittest discover -s tests -t ."


async def test_without_checks_there_is_a_sentence(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, {"app.py": "VALUE = 1\n"})
    assert (await room.before()).unverified == "No checks were found in the repository's files."


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
    room = CodingRoom(tmp_path, {"install.py": script}, settings=settings)
    room.hosts = [f"localhost:{port}"]
    said = (await room.before()).unverified or ""
    temporal.close()
    assert said.startswith("What the checks need could not be installed: `python3 install.py` (exit code 3).")
    assert said.splitlines()[1:] == ["refused", f"localhost:{port} 200", f"127.0.0.1:{port} 403"]
    assert await room.changed() == [], "what a failed installation left is gone"


async def test_a_check_has_no_network_and_ends_in_time(tmp_path: Path) -> None:
    command = (
        "env | grep -i proxy; python3 -c \"import socket; socket.create_connection(('1.1.1.1', 443), 2)\""
    )
    settings = CheckSettings(checks=(command, "no-such-tool --version", "sleep 60"), seconds=8)
    room = CodingRoom(tmp_path, {"app.py": ""}, settings=settings)
    network, missing, slow = (await room.before()).runs
    assert network.passed is False
    assert "Network is unreachable" in network.output
    assert "PROXY" not in network.output.upper().replace("GREP -I PROXY", "")
    assert missing.passed is None
    assert slow.passed is False
    assert slow.output.endswith("[ended: time: longer than 8 s]")


WORKFLOW = """\
on: push
jobs:
  unit:
    steps:
      - run: python -m unittest discover -s tests
  pages:
    steps:
      - run: npx playwright test
  jobs:
    defaults: {run: {working-directory: jobs}}
    steps:
      - run: npm ci
      - run: node --test
  slow:
    defaults: {run: {working-directory: slow}}
    steps:
      - run: python -m unittest
"""


async def test_one_suite_that_cannot_be_run_leaves_the_others_verified(tmp_path: Path) -> None:
    """A browser, a failed installation, a service that does not answer: told, and blamed on nobody."""
    slow = "import socket; socket.create_connection(('127.0.0.1', 5432))"
    files = {**BROKEN, ".github/workflows/ci.yml": WORKFLOW, "jobs/a.py": "", "slow/test_a.py": slow}
    room = CodingRoom(tmp_path, files)
    before = await room.before()
    told = {(run.directory, run.command): (run.passed, run.not_run) for run in before.runs}
    assert told.pop(("", "python -m unittest discover -s tests")) == (True, None)
    browser, install, service = (told[key] for key in sorted(told))
    assert browser == (None, "It needs a browser, which Railmend's sandbox does not have.")
    assert install == (
        None,
        "What the checks need could not be installed: `npm ci` (exit code 1).",
    )
    assert service[0] is None
    assert "needs a database or another service that answers" in str(service[1])
    assert Verification(before=before, after=await room.after()).verified
    (room.tree / "app.py").write_text("VALUE = 2\n")
    verification = Verification(before=before, after=await room.after())
    assert [run.directory for run in verification.regressions] == [""]


async def test_no_test_at_all_is_no_pass(tmp_path: Path) -> None:
    files = {".github/workflows/ci.yml": "on: push\njobs: {t: {steps: [{run: node --test}]}}", "a.py": ""}
    room = CodingRoom(tmp_path, {**files, "package.json": "{}"})
    said = (await room.before()).unverified or ""
    assert said.startswith(
        "`node --test` could not be run in Railmend's sandbox: it ended before a test ran."
    )


async def test_what_cannot_be_compiled_without_what_ci_makes_first_is_no_failure_of_theirs(
    tmp_path: Path,
) -> None:
    """As in ntfy, which embeds documents that its CI builds."""
    said = "--- PASS: TestA (0.00s)\\nok  \\tacme/a\\t0.1s\\nFAIL\\tacme/web [setup failed]\\n"
    recipe = f"test:\n\t@printf -- '{said}'; exit 1 # pytest\n"
    workflow = "on: push\njobs: {t: {steps: [{run: make test}]}}"
    room = CodingRoom(tmp_path, {".github/workflows/ci.yml": workflow, "Makefile": recipe})
    told = (await room.before()).unverified or ""
    assert told.startswith("`make test` could not be run in Railmend's sandbox: not all of it could be")


GREEN = """\
import unittest, app
class A(unittest.TestCase):
    def test_a(self): self.assertEqual(app.VALUE, 1)
"""
BROKEN = {"app.py": "VALUE = 1\n", "tests/__init__.py": "", "tests/test_app.py": GREEN}
FAKE = "#!/bin/sh\necho 'Ran 1 test in 0.1s'; echo; echo OK\n"


async def test_the_runs_say_how_many_tests_ran(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, BROKEN)
    before = await room.before()
    assert [(run.passed, run.ran, run.failed) for run in before.runs] == [(True, 1, 0)]
    (room.tree / "app.py").write_text("VALUE = 2\n")
    after = await room.after()
    assert [(run.passed, run.ran, run.failed) for run in after.runs] == [(False, 1, 1)]


async def test_what_was_left_in_a_home_does_not_turn_a_broken_change_green(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, BROKEN)
    before = await room.before()
    (room.tree / "app.py").write_text("VALUE = 2\n")
    paths = room.environment.paths(room.tree.parent.name)
    for home in (paths.home, paths.installed):
        site = home / ".local/lib/python3.11/site-packages"
        for folder in (home / "venv/bin", site):
            folder.mkdir(parents=True)
        (home / "venv/bin/python3").write_text(FAKE)
        (home / "venv/bin/python3").chmod(0o755)
        (site / "usercustomize.py").write_text(
            "print('Ran 1 test in 0.1s\\n\\nOK'); import os; os._exit(0)\n"
        )
    room.sandbox.hand_over(paths)
    verification = Verification(before=before, after=await room.after())
    assert not verification.verified
    assert [run.ran for run in verification.regressions] == [1]


@pytest.mark.parametrize("said", ["", "print('OK');"])
async def test_a_test_package_that_ends_the_run_is_no_pass(tmp_path: Path, said: str) -> None:
    room = CodingRoom(tmp_path, BROKEN)
    before = await room.before()
    (room.tree / "app.py").write_text("VALUE = 2\n")
    (room.tree / "tests/__init__.py").write_text(f"{said} import os; os._exit(0)\n")
    verification = Verification(before=before, after=await room.after())
    assert not verification.verified
    assert verification.regressions


async def test_code_that_ends_the_run_is_no_pass_either(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, BROKEN)
    before = await room.before()
    (room.tree / "app.py").write_text("import os; os._exit(0)\n")
    verification = Verification(before=before, after=await room.after())
    assert verification.regressions
    assert verification.after.runs[0].output.endswith("did not say how many tests it ran]")


async def test_a_changes_own_tests_run_apart(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, BROKEN)
    before = await room.before()
    (room.tree / "app.py").write_text("VALUE = 1\nMORE = 2\n")
    more = GREEN.replace("VALUE, 1", "MORE, 2")
    (room.tree / "tests/test_more.py").write_text(more)
    verification = Verification(before=before, after=await room.after())
    assert [(run.added, run.passed, run.ran) for run in verification.after.runs] == [
        (False, True, 1),
        (True, True, 2),
    ]
    assert verification.verified
    (room.tree / "tests/test_more.py").write_text(more.replace("2)", "3)"))
    verification = Verification(before=before, after=await room.after())
    assert not verification.verified
    assert verification.regressions == ()


async def test_nothing_of_a_checkout_stays(tmp_path: Path) -> None:
    room = CodingRoom(tmp_path, BROKEN)
    await room.before()
    await room.after()
    assert [each.name for each in (tmp_path / "repairs").iterdir()] == [room.tree.parent.name]
