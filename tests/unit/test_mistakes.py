"""Forty mistakes of a person: each has its own sentence, its next step and exit code 2; none a traceback."""

import ast
import asyncio
import os
import shlex
import shutil
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from typer.main import get_command

from commands.checks import check
from commands.checks import temporal as temporal_checks
from commands.checks.check import Check, CheckResult, CheckStatus, ok, results_of
from commands.ready import problem
from hosting import dev_server
from railmend.settings import ConfigurationError
from starter import app

ROOT = Path(__file__).parents[2]

NOBODY = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
PROJECT = {
    **NOBODY,
    "RAILWAY_PROJECT_ID": "p",
    "RAILWAY_ENVIRONMENT_ID": "e",
    "RAILWAY_TOKEN": "t0ken-0f-railway",
}
# What was typed, the settings besides those of a project, the mistake's own words, and the next step.
MISTAKES: tuple[tuple[str, dict[str, str], str, str], ...] = (
    ("stauts", {}, "No such command 'stauts'", "Did you mean 'status'?"),
    ("show", {}, "Missing argument 'SERVICE|ID'", "--help"),
    ("show x --jsn", {}, "No such option: --jsn", "--json"),
    ("report", {}, "Missing option '--html'", "--help"),
    ("scan", {}, "No Temporal server answers at 127.0.0.1:1", "python worker.py --dev"),
    ("status", {}, "No Temporal server answers", "TEMPORAL_ADDRESS"),
    ("scan", {"RAILWAY_PROJECT_ID": ""}, "Not set: RAILWAY_PROJECT_ID", "docs/getting-started.md"),
    ("status", {"RAILWAY_ENVIRONMENT_ID": ""}, "RAILWAY_ENVIRONMENT_ID", ".env"),
    ("scan --window soon", {}, "--window 'soon' is not an interval", "write 90s, 10m"),
    ("scan --window 0s", {}, "--window '0s' is not an interval", "write 90s, 10m"),
    ("scan --project nope", {}, "--project nope is not among the projects", "default"),
    ("scan --autonomy full", {}, "'full' is not one of", "'draft'"),
    ("schedule create --every 5s", {}, "--every 5s is too short", "the minimum is 1m"),
    ("schedule create --every ten", {}, "--every 'ten' is not an interval", "write 90s, 10m"),
    ("reject checkout", {}, "Say why", "--reason 'TEXT'"),
    ("reject checkout --reason ' '", {}, "Say why", "--reason 'TEXT'"),
    ("approve incident/e/s", {}, "incident/e/s is of kind incident", "kind repair or action"),
    ("approve scan/e/x", {}, "scan/e/x is of kind scan", "`starter.py incidents`"),
    ("approve acme/checkout", {}, "acme/checkout is not a workflow ID", "takes a service"),
    ("approve action/a/b --plan 12", {}, "an action, which has no plan", "leave --plan out"),
    ("show ledger/p", {}, "ledger/p is Railmend's memory", "`starter.py ledger`"),
    ("cancel ledger/p", {}, "stays open", "kind repair, incident, scan or action"),
    ("rerun ledger/p", {}, "ledger/p is Railmend's memory", "`starter.py ledger`"),
    ("evidence repair/a/b/c", {}, "is of kind repair", "kind incident"),
    ("backtest /nowhere.jsonl", {}, "/nowhere.jsonl cannot be read", "No such file"),
    ("redact /nowhere", {}, "/nowhere cannot be read", "No such file"),
    ("condense /nowhere", {}, "/nowhere cannot be read", "No such file"),
    ("diagnose /nowhere", {}, "/nowhere cannot be read", "No such file"),
    ("diagnose text.txt", {}, "not an exported evidence packet", "text.txt"),
    ("replay text.txt", {}, "is not a recorded history", "temporal workflow show --output json"),
    ("ledger import /nowhere", {}, "'/nowhere' does not exist", "--help"),
    ("ledger import text.txt", {}, "is not an export of a ledger", "`starter.py ledger export FILE`"),
    ("ledger release nowhere/s/x", {}, "belongs to no project of the settings", "`starter.py ledger show`"),
    ("ledger suppress e/s/x --for forever", {}, "--for 'forever' is not an interval", "write 90s, 10m"),
    ("status", {"RAILMEND_AUTONOMY": "full"}, "RAILMEND_AUTONOMY", "'report', 'plan', 'draft'"),
    ("status", {"RAILMEND_WINDOW_SECONDS": "abc"}, "RAILMEND_WINDOW_SECONDS", "a valid integer"),
    ("status", {"RAILMEND_WINDOW_SECONDS": "-5"}, "RAILMEND_WINDOW_SECONDS", "greater than or equal to 10"),
    (
        "status",
        {"TEMPORAL_TLS_CLIENT_CERT_PATH": "/no.pem", "TEMPORAL_TLS_CLIENT_KEY_PATH": "/no.key"},
        "/no.pem",
        "No such file",
    ),
    ("status", {"RAILMEND_ENCRYPTION_STRICT": "1"}, "needs RAILMEND_ENCRYPTION_KEYS", "set both"),
    ("status", {"RAILMEND_ENCRYPTION_KEYS": "a:zzz"}, "entry 1 is not ID:KEY", "--new-key ID"),
    ("status", {"RAILWAY_TOKEN_FILE": "/nowhere"}, "are both set", "keep one of them"),
    ("status", {"RAILMEND_CONFIG": "/nowhere.toml"}, "RAILMEND_CONFIG=/nowhere.toml", "is not a file"),
)
# No value of a setting is in any answer.
CANARIES = {
    "RAILWAY_TOKEN": "canary-railway-4be1c7",
    "GITHUB_TOKEN": "canary-github-9d20aa",
    "MODEL_API_KEY": "canary-model-77f3e2",
    "TEMPORAL_API_KEY": "canary-temporal-05c8d1",
}


def typed(words: str, settings: dict[str, str], folder: Path) -> Result:
    (folder / "text.txt").write_text("hello")
    environment = dict.fromkeys((name for name in os.environ if name.startswith(("RAIL", "TEMPORAL"))), None)
    return CliRunner().invoke(
        get_command(app), shlex.split(words), env={**environment, **PROJECT, **CANARIES, **NOBODY, **settings}
    )


@pytest.mark.parametrize(
    ("words", "settings", "mistake", "step"), MISTAKES, ids=lambda value: str(value)[:40]
)
def test_each_mistake_has_its_own_sentence_a_next_step_and_code_2(
    words: str,
    settings: dict[str, str],
    mistake: str,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "TEMPORAL_TLS_CLIENT_CERT_PATH" not in settings:
        settings = {**settings, "TEMPORAL_API_KEY": ""}
    result = typed(words, settings, tmp_path)
    said = " ".join(result.output.split())
    assert isinstance(result.exception, SystemExit), f"a traceback: {result.exception!r}"
    assert (result.exit_code, mistake in said, step in said) == (2, True, True), said
    assert not [value for value in CANARIES.values() if value in said]


def test_every_misspelt_name_of_a_file_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("RAILMEND_WINDOWS_SECONDS=60\nRAILMEND_AUTONOMI=plan\n")
    result = typed("status", {"TEMPORAL_API_KEY": ""}, tmp_path)
    assert result.exit_code == 2
    assert "RAILMEND_WINDOW_SECONDS" in result.output
    assert "RAILMEND_AUTONOMY" in result.output


@pytest.mark.parametrize(
    ("version", "installed", "own", "step"),
    [
        ((3, 9, 18), False, "/nowhere", "make setup PYTHON=python3.11"),
        ((3, 11, 7), False, "/nowhere", "make setup"),
        ((3, 9, 18), False, sys.executable, sys.executable),
        ((3, 11, 7), False, sys.executable, sys.executable),
        ((3, 11, 7), True, sys.executable, ""),
    ],
)
def test_before_set_up_the_next_step_is_said(
    version: tuple[int, ...], installed: bool, own: str, step: str
) -> None:
    said = problem(version, installed, own)
    assert step in said
    assert bool(said) is bool(step)


@pytest.mark.parametrize("program", ["starter.py", "worker.py"])
def test_a_python_without_railmend_s_packages_ends_with_a_sentence(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / program)],
        capture_output=True,
        text=True,
        env={"PATH": ""},
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"{program}: " in done.stderr


def test_the_check_before_set_up_is_written_for_an_old_python() -> None:
    ast.parse((ROOT / "commands" / "ready.py").read_text(), feature_version=(3, 7))


def test_make_without_node_says_what_to_install(tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "Makefile"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "make"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    done = subprocess.run(
        ["make", "node_modules/.railmend-ready"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "install Node.js 20 or newer" in done.stderr


async def test_a_port_that_another_program_holds_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} is held by another program"):
            await dev_server.start_or_adopt(tmp_path, port)


async def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = type("Usage", (), {"free": 3 * 2**20})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(ConfigurationError, match=r"is full: 3 MiB are free.*RAILMEND_STATE_DIR"):
        await dev_server.start_or_adopt(tmp_path)


@pytest.mark.parametrize(
    ("served", "status"),
    [
        (("railmend", "railmend-planning", "railmend-coding"), CheckStatus.OK),
        (("railmend",), CheckStatus.WARNING),
        ((), CheckStatus.BAD),
    ],
)
async def test_doctor_fails_where_no_worker_runs(
    monkeypatch: pytest.MonkeyPatch, served: tuple[str, ...], status: CheckStatus
) -> None:
    async def polled(_: object, queue: str) -> bool:
        return queue in served

    monkeypatch.setattr(temporal_checks, "_polled", polled)
    (result,) = await temporal_checks._workers(None)  # type: ignore[arg-type]
    assert result.status is status


async def test_the_doctor_checks_side_by_side_and_names_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check, "PATIENCE_SECONDS", 0.01)
    quick, said = asyncio.Event(), asyncio.Event()

    class Screen(StringIO):
        def write(self, text: str) -> int:
            if "waiting for" in text:
                said.set()
            return super().write(text)

    out = Screen()

    async def answers_last() -> list[CheckResult]:
        await quick.wait()  # the later check has run meanwhile
        await said.wait()
        return ok("first", "answers")

    async def answers_first() -> list[CheckResult]:
        quick.set()
        return ok("second", "answers")

    checks = (Check("first", answers_last), Check("second", answers_first))
    results = await results_of(checks, Console(file=out, width=80))
    assert [result.name for result in results] == ["first", "second"]
    lines = ["waiting for first", "ok      first: answers", "ok      second: answers"]
    assert out.getvalue().splitlines() == lines


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_an_env_file_as_windows_writes_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, codec: str
) -> None:
    """Notepad's mark hides the first name; what PowerShell's `>` wrote was a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("RAILWAY_TOKEN=t\n# Größe\n".encode(codec))
    result = CliRunner().invoke(get_command(app), ["status"])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert ".env is not plain UTF-8: save it as UTF-8, without a byte order mark." in result.output


def test_a_character_that_the_locale_lacks_is_replaced(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Größe", encoding="utf-8")
    result = CliRunner(charset="ascii").invoke(get_command(app), ["redact", str(text)])
    assert (result.exit_code, result.output) == (0, "Gr??e")


def test_output_that_a_full_disk_does_not_take_ends_with_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, str(ROOT / "starter.py"), "--version"], stdout=full, stderr=-1)
    said = "starter.py: the output could not be written: No space left on device.\n"
    assert (done.returncode, done.stderr.decode()) == (2, said)
