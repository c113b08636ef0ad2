"""The doctor against the miniature Railway, each thing broken in turn: named, and hiding nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from temporalio.testing import WorkflowEnvironment

from commands.checks.check import CheckResult, CheckStatus
from commands.doctor import run_checks
from hosting import search_attributes
from railmend.coding.session.opencode import VERSION
from railmend.publishing.github import GitHubClient
from workflows.shared.search_attributes import REGISTRY

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
NAMES = {
    *("settings", "temporal", "railway, project default", "github, acme/checkout", "model", "price"),
    *("opencode", "opencode provider", "git", "disk", "artifacts", "sandbox"),
}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of a working installation on this machine, all but a Temporal server."""
    state = tmp_path_factory.mktemp("yard")
    process = subprocess.Popen(
        [sys.executable, "-m", "railyard", "--state", str(state), "--service", "checkout"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(state)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ready = state / "railyard.json"
        until = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < until:
            time.sleep(0.1)
        told = json.loads(ready.read_text())
        yield {
            **told,
            "MODEL": "openai/rehearsal",
            "MODEL_BASE_URL": told["REHEARSAL_URL"],
            "MODEL_API_KEY": "sk-rehearsal-key",
            "MODEL_INPUT_USD": "1",
            "MODEL_OUTPUT_USD": "2",
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
            "RAILMEND_STATE_DIR": str(state / "worker"),
            "RAILMEND_ARTIFACTS": str(state / "artifacts"),
        }
    finally:
        process.terminate()
        process.wait(20)


def program(folder: Path, name: str, says: str) -> Path:
    """One that only tells its version."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho {says}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def installed(yard: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """All set but for OpenCode: it takes more than a second of CPU to tell its version."""
    monkeypatch.chdir(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, value in {**yard, "OPENCODE_BIN": str(program(tools, "opencode", VERSION))}.items():
        monkeypatch.setenv(name, value)
    return yard


async def examine(*, ask_model: bool = True) -> tuple[dict[str, CheckResult], str]:
    """Results by name, and what a person read."""
    out = StringIO()
    results = await run_checks(Console(file=out, width=300), ask_model=ask_model)
    return {one.name: one for one in results}, out.getvalue()


def bad(results: dict[str, CheckResult]) -> set[str]:
    return {name for name, one in results.items() if one.status is CheckStatus.BAD}


@pytest.mark.parametrize(("setting", "check"), [("GITHUB_TOKEN", "github"), ("MODEL_API_KEY", "model")])
async def test_what_only_repairs_need_is_told_and_not_demanded(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch, setting: str, check: str
) -> None:
    monkeypatch.delenv(setting)
    results, _ = await examine()
    assert check not in bad(results)
    assert setting in results[check].message
    assert "only measure and report" in results[check].message


@pytest.mark.parametrize(
    ("setting", "value", "broken", "said"),
    [
        ("RAILWAY_TOKEN", "wrong", "railway, project default", "Not Authorized"),
        ("RAILWAY_TOKEN", None, "railway, project default", "RAILWAY_TOKEN is not set"),
        ("RAILWAY_ENVIRONMENT_ID", "other", "railway, project default", "environment"),
        ("RAILWAY_API_URL", "http://127.0.0.1:1", "railway, project default", "Railway"),
        ("GITHUB_TOKEN", "ghp_wrong", "github, acme/checkout", "Check GITHUB_TOKEN"),
        ("MODEL_BASE_URL", "http://127.0.0.1:1/v1", "model", "openai/rehearsal"),
        ("OPENCODE_BIN", "/nowhere/opencode", "opencode", "is not a file"),
        ("OPENCODE_URL", "http://127.0.0.1:1", "opencode", "No OpenCode server answers"),
        ("RAILMEND_STATE_DIR", "/proc/nowhere", "disk", "cannot be written"),
        ("RAILMEND_ARTIFACTS", "/proc/nowhere", "artifacts", "RAILMEND_ARTIFACTS=/proc/nowhere"),
        ("RAILMEND_SANDBOX", "none", "sandbox", "RAILMEND_UNSAFE_AGENT"),
        ("RAILMEND_SANDBOX", "remote", "sandbox", "python -m hosting.sandbox.remote_daemon"),
    ],
)
async def test_what_is_broken_is_named_and_hides_no_other_check(
    installed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str | None,
    broken: str,
    said: str,
) -> None:
    if value is None:
        monkeypatch.delenv(setting)
    else:
        monkeypatch.setenv(setting, value)
    results, text = await examine()
    assert {"temporal", broken} <= bad(results)
    assert said in f"{results[broken].message} {results[broken].hint}"
    asked = {name.partition(",")[0] for name in results}
    assert asked >= {name.partition(",")[0] for name in NAMES}
    for name in ("RAILWAY_TOKEN", "GITHUB_TOKEN", "MODEL_API_KEY"):
        assert installed[name] not in text


async def test_everything_broken_at_once_is_all_told(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path, "git", "git version 2.20.1")
    (tmp_path / "railmend.toml").write_text(
        "".join(
            f"[[projects]]\nname = '{name}'\nproject_id = '{installed['RAILWAY_PROJECT_ID']}'\n"
            f"environment_id = '{environment}'\ntoken_env = '{name.upper()}_TOKEN'\n"
            for name, environment in (
                ("shop", installed["RAILWAY_ENVIRONMENT_ID"]),
                ("blog", "e"),
                ("wiki", "w"),
            )
        )
    )
    for name, value in {
        "SHOP_TOKEN": installed["RAILWAY_TOKEN"],
        "BLOG_TOKEN": "rw_wrong",
        "GITHUB_TOKEN": "ghp_wrong",
        "MODEL": "stranger/model",
        "OPENCODE_BIN": str(program(tmp_path, "opencode", "0.1.0")),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "RAILMEND_STATE_DIR": "/proc/nowhere",
        "RAILMEND_SANDBOX": "none",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("MODEL_BASE_URL", "MODEL_INPUT_USD", "MODEL_OUTPUT_USD"):
        monkeypatch.delenv(name)
    results, text = await examine()
    assert bad(results) == {
        *("temporal", "railway, project blog", "railway, project wiki", "github, acme/checkout", "model"),
        *("opencode provider", "git", "disk", "sandbox"),
    }
    assert {name for name, one in results.items() if one.status is CheckStatus.WARNING} == {
        "price",
        "opencode",
    }
    assert results["railway, project shop"].status is CheckStatus.OK
    assert "WIKI_TOKEN" in results["railway, project wiki"].message
    assert "2.20.1 is too old" in results["git"].message
    assert "0.1.0" in results["opencode"].message
    for secret in ("rw_wrong", "ghp_wrong", installed["RAILWAY_TOKEN"], installed["MODEL_API_KEY"]):
        assert secret not in text


async def test_a_token_that_only_reads_is_told(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GitHubClient, "may_push", lambda _, name: False)
    results, _ = await examine(ask_model=False)
    result = results["github, acme/checkout"]
    assert result.status is CheckStatus.BAD
    assert "may not push" in result.message
    assert "docs/github.md" in result.hint


async def test_issues_are_tried_where_plans_are_decided_on_them(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GitHubClient, "_may_create", lambda _, __, kind: kind != "issues")
    assert (await examine(ask_model=False))[0]["github, acme/checkout"].status is CheckStatus.WARNING
    monkeypatch.setenv("RAILMEND_APPROVE_BY_COMMENT", "1")
    result = (await examine(ask_model=False))[0]["github, acme/checkout"]
    assert result.status is CheckStatus.BAD
    assert "may open no issue" in result.message


async def test_checks_that_the_token_may_not_read_are_told(installed: dict[str, str]) -> None:
    """The practice yard's token is a fine-grained one, as docs/getting-started.md asks for."""
    results, _ = await examine(ask_model=False)
    result = results["github, acme/checkout"]
    assert result.status is CheckStatus.WARNING
    assert "not seen: Check runs" in result.message


async def test_too_little_disk_is_told(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAILMEND_DISK_MIB", "1000000000")
    results, _ = await examine(ask_model=False)
    assert results["disk"].status is CheckStatus.WARNING
    assert "lower RAILMEND_DISK_MIB" in results["disk"].hint


async def test_all_is_well_but_temporal(installed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCODE_BIN")  # OpenCode itself
    results, _ = await examine()
    assert VERSION in results["opencode"].message
    assert set(results) == NAMES
    assert bad(results) <= {"temporal", "sandbox"}  # a container may forbid the sandbox
    assert "127.0.0.1:1" in results["temporal"].message
    assert "worker.py --dev" in results["temporal"].hint


async def test_wrong_settings_are_all_told(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "railmend.toml").write_text("modle = 'x'\n")
    monkeypatch.setenv("RAILMEND_DISK_MIB", "0")
    out = await run_checks(None, ask_model=False)
    assert [one.status for one in out] == [CheckStatus.BAD, CheckStatus.BAD]
    assert "railmend.toml:1" in out[0].message
    assert "RAILMEND_DISK_MIB" in out[1].message


async def test_a_bare_temporal_server_gets_its_attributes_and_its_short_memory_is_told(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = str(Path(sys.executable).with_name("temporal"))
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=server) as temporal:
        address = temporal.client.service_client.config.target_host
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        results, _ = await examine()
        assert results["temporal"].status is CheckStatus.OK
        assert results["retention"].status is CheckStatus.WARNING
        assert "--retention 30d" in results["retention"].hint
        assert all(key.name in results["search attributes"].message for key in REGISTRY)
        assert await search_attributes.missing(temporal.client) == {}
        assert results["workers"].status is CheckStatus.BAD
