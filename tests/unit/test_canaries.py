"""A key in every setting that is a secret: in no screen, log, page or message, whoever echoes it."""

import base64
import io
import json
import logging
import os
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from typer.main import get_command

from hosting import clients
from hosting import logging as hosting_logging
from railmend.contracts.incident import Fact, Facts
from railmend.contracts.notification import incident_notification
from railmend.contracts.proof import ProofVerdict
from railmend.contracts.scan import ServiceRow, Symptom
from railmend.evidence.packet import export, number, render
from railmend.evidence.redact import Redactor
from railmend.notifying.text import format_headline
from railmend.publishing.page import ReportedIncident, render_page
from railmend.publishing.proof import head_check
from railmend.publishing.text import PublishedMaterial, body
from railmend.settings import Settings, secret_variables
from starter import COMMANDS, app, ledger, schedule
from tests import samples
from tests.unit.test_publishing import proof, publish

SECRETS = [name for name in secret_variables() if not name.endswith("_FILE")]
CANARIES = {name: f"canary-{number:02}-{name.lower()}-5f3a" for number, name in enumerate(SECRETS)}
# What has a form of its own holds its canary in that form.
KEY = base64.b64encode(b"canary-key-of-thirty-two-bytes-x").decode()
FORMED = {
    "RAILMEND_ENCRYPTION_KEYS": f"now:{KEY}",
    "NOTIFY_SLACK_URL": f"https://hooks.slack.com/services/{CANARIES['NOTIFY_SLACK_URL']}",
    "NOTIFY_SMTP_URL": f"smtps://railmend:{CANARIES['NOTIFY_SMTP_URL']}@mail.example",
    "NOTIFY_URLS": f"json://hook.example/{CANARIES['NOTIFY_URLS']}",
    "NOTIFY_WEBHOOK_URL": f"https://hook.example/{CANARIES['NOTIFY_WEBHOOK_URL']}",
}
PROJECT = {"RAILWAY_PROJECT_ID": "p", "RAILWAY_ENVIRONMENT_ID": "e", "TEMPORAL_ADDRESS": "127.0.0.1:1"}
# By command: what is typed behind its name.
ARGUMENTS = {
    "accept": "web latency",
    "approve": "web",
    "reject": "web --reason no",
    "cancel": "web",
    "rerun": "web",
    "show": "web",
    "evidence": "web",
    "report": "--html page.html",
    "record": "-",
    "replay": "scan/e/x",
    "backtest": "text.txt",
    "condense": "text.txt",
    "redact": "text.txt",
    "diagnose": "packet.json",
    "ledger release": "e/s/latency",
    "ledger suppress": "e/s/latency",
    "ledger export": "-",
    "ledger import": "state.json",
    "doctor": "--no-ask-model",
    "eval": "--sample 2",
}
TYPED = [
    f"{name} {ARGUMENTS.get(name, '')}"
    for name in (
        *(command.__name__ for command in COMMANDS if command.__name__ != "demo"),
        *(
            f"ledger {each.name or each.callback.__name__}"
            for each in ledger.registered_commands
            if each.callback
        ),
        *(f"schedule {each.callback.__name__}" for each in schedule.registered_commands if each.callback),
    )
]


class Echo(BaseHTTPRequestHandler):
    """Refuses every call, and says all that it was given, credentials included."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        said = f"refused: {dict(self.headers)} {body}"
        content = json.dumps({"message": said, "error": {"message": said}, "errors": [{"message": said}]})
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    do_GET = do_POST  # noqa: N815 - as the base calls it

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def environment(address: str, **more: str) -> dict[str, str | None]:
    given = {**CANARIES, **FORMED, **PROJECT, "MODEL": "openai/x", "MODEL_BASE_URL": f"{address}/v1", **more}
    given["NOTIFY_GITHUB_REPOSITORY"] = "acme/web"
    given |= {"NOTIFY_EMAIL_FROM": "railmend@acme.example", "NOTIFY_EMAIL_TO": '["ops@acme.example"]'}
    urls = {"RAILWAY_API_URL": f"{address}/graphql", "GITHUB_API_URL": address, "OPENCODE_URL": address}
    unset = dict.fromkeys(name for name in os.environ if name.startswith(("RAIL", "TEMPORAL", "GITHUB")))
    return {**unset, **given, **urls}


def type_in(words: list[str], settings: dict[str, str | None]) -> Result:
    return CliRunner().invoke(get_command(app), words, env=settings)


def leaked(text: str) -> list[str]:
    return [name for name, canary in {**CANARIES, "KEY": KEY}.items() if canary in text]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(" ".join(CANARIES))
    (tmp_path / "packet.json").write_text(export(samples.packet()))
    (tmp_path / "state.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("typed", TYPED)
def test_no_command_shows_a_key(typed: str, folder: Path, echo: str) -> None:
    result = type_in(shlex.split(typed), environment(echo))
    assert result.output
    assert leaked(result.output) == []
    assert leaked(str(result.exception)) == []


def test_a_model_that_says_its_key_back_is_shown_without_it(folder: Path, echo: str) -> None:
    result = type_in(["doctor"], {**environment(echo), "OPENCODE_URL": None})
    assert "openai/x refused the key" in result.output
    assert "opencode provider" in result.output
    assert leaked(result.output) == []


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("broken", ["{}\nsecond line", "\u00e9{}", "{} {}"], ids=["lines", "letter", "blank"])
def test_a_key_that_is_wrong_is_named_and_not_shown(name: str, broken: str, folder: Path, echo: str) -> None:
    given = environment(echo, **{name: broken.replace("{}", CANARIES[name])})
    result = type_in(["status"], given)
    assert result.exit_code == 2
    assert leaked(result.output) == []


def test_no_log_line_shows_a_key(monkeypatch: pytest.MonkeyPatch, echo: str) -> None:
    for name, value in environment(echo).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    settings, out = Settings(), io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    before = logging.root.handlers[:], logging.root.level
    try:
        hosting_logging.configure("DEBUG", json=True)
        log = structlog.get_logger("test")
        log.info("started", settings=settings, dumped=settings.model_dump(), text=str(settings))
        try:
            raise ValueError(settings)
        except ValueError:
            log.exception("failed")
    finally:
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)
    assert "started" in out.getvalue()
    assert leaked(out.getvalue()) == []
    assert leaked(settings.model_dump_json()) == []


def test_a_key_that_production_logs_is_on_no_page_in_no_message_and_no_pull_request(
    monkeypatch: pytest.MonkeyPatch, echo: str
) -> None:
    for name, value in environment(echo).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    known = clients.secrets(Settings())
    assert {**CANARIES, **FORMED}.items() <= {(name, v) for v in known for name in {**CANARIES, **FORMED}}
    redact = Redactor(known)
    said = redact(" and ".join({**CANARIES, **FORMED}.values()))
    facts = Facts(items=(Fact(kind="deploy_log", source=said, text=said),), unseen=(said,))
    packet = number("checkout", [facts])
    report = samples.report()
    row = ServiceRow(
        service_id="s",
        name="checkout",
        findings=(Symptom.model_validate(samples.finding().model_dump(include=set(Symptom.model_fields))),),
        detail=said,
    )
    proven = proof(ProofVerdict.PASSED, said, shows_fault=True)
    check = head_check(proven, (said,))
    message = incident_notification(report.request, row, "incident/e/s", "run")
    shown = (
        render_page([ReportedIncident(report=report, packet=packet)], samples.NOW),
        str(render(packet)),
        export(packet),
        str(format_headline(message)),
        message.model_dump_json(),
        body(
            publish(summary=said, doubts=(said,), proof=proven), PublishedMaterial((packet,), unseen=(said,))
        ),
        check.details if check else "",
    )
    assert all("canary" not in text.lower() for text in shown), "in whatever notation"
    assert [leaked(text) for text in shown] == [[]] * len(shown)
