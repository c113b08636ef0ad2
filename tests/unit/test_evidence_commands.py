"""The offline tools: logs and text in, what matters and nothing secret out."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from typer.main import get_command

from railmend.evidence.packet import export
from railmend.railway.parse import iso
from starter import app
from tests import samples

ROOT = Path(__file__).parents[2]


def starter(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(get_command(app), list(arguments), input=stdin)


def row(second: int, message: str, **more: Any) -> dict[str, Any]:
    at = datetime.fromisoformat("2026-02-03T10:00:00+00:00") + timedelta(seconds=second)
    return {"ts": iso(at), "stream": "deploy", "severity": "error", "message": message, **more}


def test_condense_reads_cases_and_writes_one_line_each(tmp_path: Path) -> None:
    http = {"stream": "http", "method": "GET", "path": "/a/1", "status": 502, "duration_ms": 9}
    lines = [row(1, "ERROR charge failed for jane@example.com"), {**row(2, ""), **http}]
    file = tmp_path / "cases.jsonl"
    file.write_text(
        json.dumps({"id": "c1", "lines": lines}) + "\n" + json.dumps({"id": "c2", "lines": lines[:1]})
    )
    done = starter("condense", str(file), "--budget", "500")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["id"], second["id"]) == ("c1", "c2")
    assert "charge failed for <email-1>" in first["text"]
    assert "GET /a/{id}:" in first["text"]
    assert "502 " in first["text"]
    assert "jane@example.com" in starter("condense", str(file), "--raw").stdout


def test_condense_reads_plain_rows_from_standard_input() -> None:
    done = starter(
        "condense", "-", stdin="\n".join(json.dumps(row(n, f"ERROR no. {n} failed")) for n in range(9))
    )
    assert "9x 10:00:00 to 10:00:08\nERROR no. 0 failed" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"), [("nonsense", "Line 1 is not JSON"), ("[1]", "not a JSON object"), ('{"a": 1}', "row")]
)
def test_condense_says_what_it_cannot_read(text: str, said: str) -> None:
    done = starter("condense", "-", stdin=text)
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert said in done.stderr


def test_redact_passes_text_through(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "starter.py", "redact"],
        cwd=ROOT,
        input="DB_PASSWORD=correcthorse\nline 12\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "DB_PASSWORD=<password-1>\nline 12\n"
    assert starter("redact", str(tmp_path / "none")).exit_code == 2


def test_a_packet_that_was_changed_is_not_diagnosed(tmp_path: Path) -> None:
    file = tmp_path / "packet.json"
    file.write_text('{"version": 7}')
    done = starter("diagnose", str(file))
    assert done.exit_code == 2
    assert "version 7" in done.stderr


def test_a_model_that_does_not_answer_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "MODEL": "openai/none",
        "MODEL_API_KEY": "sk-none",
        "MODEL_BASE_URL": "http://127.0.0.1:1/v1",
    }.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "packet.json"
    file.write_text(export(samples.packet()))
    done = starter("diagnose", str(file))
    assert (done.exit_code, done.stdout, type(done.exception)) == (2, "", SystemExit)
    assert done.stderr.startswith("Asking openai/none")
    assert "starter.py doctor" in done.stderr
