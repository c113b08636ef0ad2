"""What a command imports before it does anything, for a person waits for it: modules, not seconds."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Hundreds of milliseconds each, or together with what they bring.
HEAVY = (
    *(
        "asyncio",
        "importlib.resources",
        "temporalio",
        "temporalio.worker",
        "pydantic",
        "pydantic_settings",
        "rich",
        "rich.traceback",
        "rich.markdown",
        "structlog",
    ),
    *("httpx", "gql", "graphql", "github", "jinja2", "litellm", "openai", "numpy", "cryptography", "obstore"),
    *(
        "yaml",
        "tree_sitter",
        "dns",
        "activities.ledger",
        "workflows.repair",
        "workflows.ledger",
        "hosting.workers",
    ),
    *("railmend.railway.client", "railmend.coding.checks.suites", "railmend.publishing.github"),
)
RUN = {"asyncio", "importlib.resources"}
TEMPORAL = RUN | {"temporalio", "pydantic", "pydantic_settings"}
TABLES = TEMPORAL | {"rich"}
RAILWAY = TABLES | {"railmend.railway.client", "gql", "graphql", "httpx"}
# By what is typed: all that it may import, as far as it gets without a server.
ALLOWED = {
    "condense text.txt": RUN | {"pydantic"},
    "redact text.txt": RUN | {"pydantic"},
    "status": TABLES,
    "incidents": TABLES,
    "incidents --stats": TABLES,
    "show x": TABLES,
    "scan": TABLES,
    "ledger show": TABLES,
    "approve x": TEMPORAL,
    "reject x --reason y": TEMPORAL,
    "cancel x": TEMPORAL,
    "rerun x": TEMPORAL,
    "evidence x": TEMPORAL,
    "pause": TEMPORAL,
    "resume": TEMPORAL,
    "schedule show": TEMPORAL,
    "schedule create": TEMPORAL,
    "ledger release e/s/latency": TEMPORAL,
    "accept x latency": RAILWAY,
    "record -": RAILWAY | {"numpy"},
}
SETTINGS = {
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
    "RAILWAY_API_URL": "http://127.0.0.1:1",
    "RAILWAY_PROJECT_ID": "p",
    "RAILWAY_ENVIRONMENT_ID": "e",
    "RAILWAY_TOKEN": "t",
}
# One process imports what most commands share and forks: each child pays for its own alone.
SCRIPT = """
import atexit, gc, json, os, sys
atexit.register(lambda: print(json.dumps(["exit", 0, ["frozen"] if gc.get_freeze_count() else []])))
import starter
from click.testing import CliRunner
from typer.main import get_command

heavy, wanted = json.loads(sys.argv[1]), json.loads(sys.argv[2])
app = get_command(starter.app)
print(json.dumps(["", 0, [name for name in heavy if name in sys.modules]]), flush=True)
for typed, words in wanted:
    if not typed.endswith(".txt"):
        import commands.runs
    if os.fork() == 0:
        result = CliRunner().invoke(app, words)
        found = [name for name in heavy if name in sys.modules]
        print(json.dumps([typed, result.exit_code, found]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, set[str]]]:
    """Return exit code and heavy modules by what was typed; empty: of the command line before any command."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "text.txt").write_text("hello")
    wanted = json.dumps([(typed, shlex.split(typed)) for typed in ALLOWED])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(HEAVY), wanted],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **SETTINGS},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (json.loads(line) for line in done.stdout.splitlines())
    return {typed: (code, set(found)) for typed, code, found in rows}


def test_building_the_command_line_imports_nothing_heavy(imported: dict[str, tuple[int, set[str]]]) -> None:
    """--help, --version and completion wait for these imports at every keystroke."""
    assert imported[""] == (0, set())


def test_nothing_is_searched_for_garbage_at_the_end(imported: dict[str, tuple[int, set[str]]]) -> None:
    assert imported["exit"] == (0, {"frozen"})


@pytest.mark.parametrize("typed", ALLOWED)
def test_a_command_imports_what_it_needs(imported: dict[str, tuple[int, set[str]]], typed: str) -> None:
    code, found = imported[typed]
    assert found <= ALLOWED[typed]
    # It got as far as the server that is not there, or to its end.
    assert code == (0 if typed == "redact text.txt" else 2)
