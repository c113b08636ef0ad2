"""`starter.py init` at a terminal: what it asks, tries and writes, and what it leaves alone."""

import asyncio
import os
import pty
import select
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from railyard.api import views
from railyard.api.behaviour import Gatekeeper
from railyard.api.server import graphql_app
from railyard.api.synthetic import ENVIRONMENT, PROJECT, TOKEN, Synthetic
from railyard.serving import Serving

ROOT = Path(__file__).parents[2]
ACCOUNT = "account-token-5f3a"
WORKS = {"RAILWAY_PROJECT_ID": PROJECT, "RAILWAY_ENVIRONMENT_ID": ENVIRONMENT}
ASKED, WHICH, KEEP = "(not shown): ", "Railmend watch? 1 to 121: ", "Keep it? [Y/n]: "
# The one that answers is on the second page.
BEFORE = 120


class Account(Synthetic):
    """An account with more projects than one page has; the last is the one that is there."""

    def _apiToken(self, _: Any) -> dict[str, Any]:  # noqa: N802
        return {"workspaces": [{"id": "w", "name": "w"}]}

    def _projects(self, _: Any, **paging: Any) -> dict[str, Any]:
        assert paging["workspaceId"] == "w"
        others = [views.listed_project(f"p{n}", f"other {n}", [f"e{n}"]) for n in range(BEFORE)]
        mine = views.listed_project(PROJECT, "\x1b[2Jshop", [ENVIRONMENT])
        return views.connection([*others, mine], paging["first"], paging["after"])


@pytest.fixture(scope="module")
def railway() -> Iterator[str]:
    project = Account(services=3, web=1)
    app = graphql_app(project.root, token=TOKEN, gatekeeper=Gatekeeper(), account_token=ACCOUNT)
    loop, ready = asyncio.new_event_loop(), threading.Event()
    serving = Serving(app)

    def serve() -> None:
        loop.call_soon(serving.start)
        loop.call_soon(ready.set)
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ready.wait(10)
    yield f"{serving.url}/graphql/v2"
    asyncio.run_coroutine_threadsafe(serving.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def variables(railway: str, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "RAILWAY_API_URL": railway, "TERM": "dumb", **more}


def talk(folder: Path, env: dict[str, str], *answers: tuple[str, str]) -> tuple[int, str]:
    """Type answers as their prompts come; return the exit code and all that the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, str(ROOT / "starter.py"), "init"], env)  # noqa: S606
    shown, place = "", 0
    left = list(answers)
    while select.select([terminal], [], [], 60)[0]:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            break  # it has ended
        while left and (found := shown.find(left[0][0], place)) >= 0:
            place = found + len(left[0][0])
            os.write(terminal, f"{left.pop(0)[1]}\n".encode())
    assert left == [], shown
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def test_a_project_token_is_enough_and_stays_hidden(railway: str, tmp_path: Path) -> None:
    code, shown = talk(tmp_path, variables(railway), (ASKED, "wrong"), (ASKED, TOKEN))
    assert code == 0, shown
    assert "Railway rejects it: " in shown
    assert "3 services" in shown
    assert TOKEN not in shown
    assert "at most 0.5 USD each, 25 a day" in shown
    file = tmp_path / ".env"
    assert dotenv_values(file) == {**WORKS, "RAILWAY_TOKEN": TOKEN}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_of_an_account_one_environment_is_chosen_and_what_stands_there_is_kept(
    railway: str, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\nGITHUB_TOKEN=ghp_x\nRAILWAY_TOKEN=old\n")
    file.chmod(0o600)
    answers = ((KEEP, "n"), (ASKED, ACCOUNT), (WHICH, "0"), (WHICH, str(BEFORE + 1)))
    code, shown = talk(tmp_path, variables(railway), *answers)
    assert code == 0, shown
    assert f"{BEFORE + 1}  shop / production" in shown
    assert "\x1b[2J" not in shown
    assert file.read_text().startswith("# mine\nGITHUB_TOKEN=ghp_x\n")
    assert dotenv_values(file) == {"GITHUB_TOKEN": "ghp_x", "RAILWAY_TOKEN": ACCOUNT, **WORKS}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_another_environment_is_not_replaced_without_a_yes(railway: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    before = f"RAILWAY_TOKEN={TOKEN}\nRAILWAY_PROJECT_ID=p\nRAILWAY_ENVIRONMENT_ID=e\n"
    file.write_text(before)
    file.chmod(0o600)
    code, shown = talk(tmp_path, variables(railway), (KEEP, ""), ("instead? [y/N]: ", ""))
    assert (code, "Nothing was changed." in shown) == (0, True)
    assert file.read_text() == before
    code, shown = talk(tmp_path, variables(railway), (KEEP, ""), ("instead? [y/N]: ", "y"))
    assert code == 0, shown
    assert dotenv_values(file) == {**WORKS, "RAILWAY_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("toml", "more", "said"),
    [
        (
            '[[projects]]\nname = "a"\nproject_id = "p"\nenvironment_id = "e"\n',
            {},
            "names the projects already",
        ),
        ("", {"RAILWAY_TOKEN": TOKEN}, "hides .env: unset it"),
    ],
    ids=["file", "environment"],
)
def test_what_would_not_be_read_is_not_written(
    railway: str, tmp_path: Path, toml: str, more: dict[str, str], said: str
) -> None:
    (tmp_path / "railmend.toml").write_text(toml)
    answers = ((KEEP, "n"), (ASKED, ACCOUNT), (WHICH, "1")) if more else ()
    code, shown = talk(tmp_path, variables(railway, **more), *answers)
    assert code == 2, shown
    assert said in shown
    assert not (tmp_path / ".env").exists()


def test_an_outage_is_not_the_token_s_fault(tmp_path: Path) -> None:
    code, shown = talk(tmp_path, variables("http://127.0.0.1:1/graphql/v2"), (ASKED, TOKEN))
    assert code == 2, shown
    assert "rejects it" not in shown
    assert "starter.py: " in shown
    assert not (tmp_path / ".env").exists()


def test_without_a_terminal_it_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "starter.py"), "init"],
        cwd=tmp_path, env=variables(""), input=f"{TOKEN}\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "Write .env by hand, as docs/getting-started.md says" in done.stderr
