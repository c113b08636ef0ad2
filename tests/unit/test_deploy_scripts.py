"""The schema job, with a stand-in for Temporal's schema tool."""

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
