"""The scripts of the images, with stand-ins for the tools that they call."""

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/temporal/schema.sh"
TOOL = """#!/bin/sh
echo "$SQL_PASSWORD $*" >> "{log}"
case "$*" in *{failing}*) exit 1 ;; esac
"""


def run(folder: Path, failing: str) -> tuple[int, list[str]]:
    log, tool = folder / "log", folder / "temporal-sql-tool"
    tool.write_text(TOOL.format(log=log, failing=failing))
    tool.chmod(0o755)
    (folder / "password").write_text("from-file\n")
    done = subprocess.run(
        [SCRIPT],
        env={
            "PATH": f"{folder}:/usr/bin:/bin",
            "POSTGRES_SEEDS": "postgres",
            "POSTGRES_USER": "temporal",
            "SQL_PASSWORD_FILE": str(folder / "password"),
        },
        check=False,
    )
    return done.returncode, log.read_text().splitlines()


def test_both_databases_are_brought_up_to_date_with_the_password_from_its_file(tmp_path: Path) -> None:
    code, calls = run(tmp_path, "nothing")
    assert code == 0
    updated = [call for call in calls if "update-schema" in call]
    assert [call.rpartition("/v12/")[2] for call in updated] == ["temporal/versioned", "visibility/versioned"]
    assert all(call.startswith("from-file --plugin postgres12 --ep postgres") for call in calls)


@pytest.mark.parametrize("failing", ["create", "update-schema"])
def test_a_step_that_fails_fails_the_job(tmp_path: Path, failing: str) -> None:
    code, calls = run(tmp_path, failing)
    assert code != 0
    assert not any("temporal_visibility" in call for call in calls)


STEPS = Path(__file__).parents[2] / "deploy/steps"
DIGEST = "sha256:" + "ab" * 32
FILES = {
    "deploy/Dockerfile": "FROM a/python:3.11-slim AS python\nFROM a/python:3.11-slim AS agent\nFROM python\n",
    "deploy/temporal/Dockerfile": f"FROM server:1.2@sha256:{'0' * 64}\n",
    "docker-compose.yml": "  a:\n    image: a/python:3.11-slim-more\n  b:\n    image: railmend-agent\n",
}


def stand_in(folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def step(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "ROOT": str(folder)}
    return subprocess.run(
        [STEPS / name, *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_images_are_pinned_by_digest_in_one_step_and_what_is_not_is_named(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = step("images.sh", tmp_path, "check")
    assert found.returncode == 1
    assert found.stderr.split(": ")[1].split() == ["a/python:3.11-slim", "a/python:3.11-slim-more"]
    stand_in(tmp_path, "docker", "echo nothing to see here")
    assert step("images.sh", tmp_path, "pin").returncode == 1, "an answer that is no digest"
    stand_in(tmp_path, "docker", f"echo {DIGEST}")
    for _ in range(2):
        assert step("images.sh", tmp_path, "pin").returncode == 0
    assert step("images.sh", tmp_path, "check").returncode == 0
    pinned = f"a/python:3.11-slim@{DIGEST}"
    assert (tmp_path / "deploy/Dockerfile").read_text() == (
        f"FROM {pinned} AS python\nFROM {pinned} AS agent\nFROM python\n"
    )
    assert f"server:1.2@{DIGEST}\n" in (tmp_path / "deploy/temporal/Dockerfile").read_text()
    assert f"a/python:3.11-slim-more@{DIGEST}\n" in (tmp_path / "docker-compose.yml").read_text()


def test_a_binary_without_a_hash_in_the_lock_file_is_not_installed(tmp_path: Path) -> None:
    lock = (STEPS.parents[1] / "package-lock.json").read_text()
    (tmp_path / "package-lock.json").write_text(lock.replace("opencode-linux-x64", "opencode-linux-other"))
    for machine in ("x86_64", "aarch64", "riscv64"):
        stand_in(tmp_path, "uname", f"echo {machine}")
        stand_in(tmp_path, "npm", "touch called")
        refused = step("opencode.sh", tmp_path, str(tmp_path / "opencode"))
        assert refused.returncode == 1
        assert "opencode.sh: " in refused.stderr
    assert not (tmp_path / "called").exists()


def test_the_lock_file_has_a_hash_of_every_binary_it_names() -> None:
    packages = json.loads((STEPS.parents[1] / "package-lock.json").read_text())["packages"]
    packages.pop("")
    assert {name for name, each in packages.items() if not each["integrity"].startswith("sha512-")} == set()
    assert "node_modules/opencode-linux-x64" in packages
