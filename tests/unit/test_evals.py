"""The cases of `evals/` hold what they promise, and a score says no more than what ran."""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from obstore.store import MemoryStore
from typer.main import get_command

from evals.case import CASES, REPOSITORIES, Case, read_all
from evals.play import Played, collect
from evals.production import RecordedProduction, incident_of
from evals.score import score, summarised
from evals.session import LANGUAGES, command
from railmend.artifacts import ArtifactStore
from railmend.coding.checks.run_counts import count, prints_counts
from railmend.contracts.incident import Cause, Diagnosis, EvidencePacket, Verdict
from railmend.diagnosis.router import decide_by_rule
from railmend.evidence.packet import render
from railyard.rehearsal.server import build_rehearsal
from starter import app
from tests.integration.serving import serving

ALL = read_all()
HIDDEN = [case for case in ALL if case.hidden_test]
BY_NAME = {case.name: case for case in ALL}
# A tenth of them: a bug in Python and in Go, a dependency that is down, a healthy service.
TENTH = ("orders-01", "gateway-03", "catalog-07", "catalog-10")

each = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)


PACKETS: dict[str, EvidencePacket] = {}


async def packet_of(case: Case) -> EvidencePacket:
    """Collect once what several tests look at."""
    if case.name not in PACKETS:
        PACKETS[case.name] = await collected(case)
    return PACKETS[case.name]


async def collected(case: Case) -> EvidencePacket:
    production: Any = RecordedProduction(case)
    artifacts = ArtifactStore(MemoryStore(), "memory")
    return await collect(incident_of(case), artifacts, production, production, production, production)


def test_there_are_forty_cases_in_four_languages_and_half_need_no_change() -> None:
    assert len(ALL) >= 40
    assert sum(not case.label.pull_request for case in ALL) * 2 >= len(ALL)
    assert min(Counter(case.repository for case in ALL).values()) >= 8
    files = [file for folder in (CASES, REPOSITORIES) for file in folder.rglob("*") if file.is_file()]
    assert sum(len(file.read_text().splitlines()) for file in files) < 2_500


def test_the_name_of_a_case_says_nothing_of_its_answer() -> None:
    assert all(re.fullmatch(rf"{case.repository}-\d\d", case.name) for case in ALL)


def test_every_change_that_is_right_but_of_a_configuration_has_a_hidden_test() -> None:
    assert {case.name for case in ALL if case.label.verdict[0] is Verdict.CODE} == {c.name for c in HIDDEN}


def test_a_case_that_is_not_written_as_it_must_be_is_refused() -> None:
    case = BY_NAME["orders-09"]
    written = case.model_dump() | {"commits": [commit.model_dump() for commit in reversed(case.commits)]}
    with pytest.raises(ValueError, match="not in order"):
        Case.model_validate(written)
    with pytest.raises(ValueError, match="Extra inputs"):
        Case.model_validate(case.model_dump() | {"verdikt": "code"})
    edited = case.commits[-1].model_copy(update={"edit": ("orders.py", "not there", "")})
    with pytest.raises(ValueError, match="does not hold once"):
        case.model_copy(update={"commits": (edited,)}).files()


def test_every_verdict_that_evidence_can_lead_to_is_right_somewhere() -> None:
    assert {case.label.verdict[0] for case in ALL} == set(Verdict) - {Verdict.ASLEEP}


@each
async def test_a_case_shows_a_finding_and_what_its_label_asks_for(case: Case) -> None:
    assert incident_of(case).findings, "nobody would have looked"
    packet = await packet_of(case)
    seen = render(packet) + "".join(case.files().values())
    for pattern in case.label.shows:
        assert re.search(pattern, seen), f"nothing shows {pattern!r}"
    assert case.name not in render(packet), "its name gives the answer away"
    assert bool(case.culprit) == case.label.pull_request


@each
async def test_no_rule_decides_a_case_wrongly(case: Case) -> None:
    decided = decide_by_rule(incident_of(case), await packet_of(case))
    assert decided is None or decided.verdict in case.label.verdict


def fails(case: Case, files: dict[str, str], folder: Path) -> bool:
    for path, text in files.items():
        (folder / path).write_text(text)
    test = command(case)
    assert test is not None
    environment = {**os.environ, "GOCACHE": str(folder.parent / "go-cache")}
    done = subprocess.run(["sh", "-c", test], cwd=folder, capture_output=True, env=environment, text=True)
    if done.returncode == 0 and prints_counts(test):
        assert count(done.stdout), "a check that does not say how many tests it ran is no pass"
    return done.returncode != 0


@pytest.mark.parametrize("case", HIDDEN, ids=lambda case: case.name)
def test_a_hidden_test_fails_with_the_fault_and_passes_without(case: Case, tmp_path: Path) -> None:
    if command(case) is None:
        pytest.skip(f"needs {LANGUAGES[case.repository].needs}")
    assert fails(case, case.files(), tmp_path)
    assert not fails(case, case.files(mended=True), tmp_path)


def said(verdict: Verdict, **fields: Any) -> Diagnosis:
    return Diagnosis(summary="", verdict=verdict, confidence=1, **fields)


async def test_a_right_answer_is_right_in_all_and_one_that_cites_something_else_is_not() -> None:
    case = BY_NAME["orders-01"]
    packet = await packet_of(case)
    log, code = (
        next(item.id for item in packet.items if item.kind == kind) for kind in ("deploy_log", "code")
    )
    cause = Cause(text="DISCOUNTS has no empty code.", evidence=(log, code))
    right = said(Verdict.CODE, causes=(cause,), suspected_files=("orders.py",))
    scored = score(case, Played(case=case.name, diagnosis=right, packet=packet))
    assert (scored.verdict, scored.pull_request, scored.culprit, scored.named, scored.cited) == (True,) * 5
    assert scored.wrong_code is None
    loose = right.model_copy(
        update={"causes": (cause.model_copy(update={"text": "A bug.", "evidence": ("E1",)}),)}
    )
    scored = score(case, Played(case=case.name, diagnosis=loose, packet=packet))
    assert (scored.verdict, scored.named, scored.cited) == (True, False, False)


def test_a_change_that_nobody_needs_is_wrong_code() -> None:
    case = BY_NAME["catalog-07"]
    scored = score(case, Played(case=case.name, diagnosis=said(Verdict.CODE), packet=None))
    assert (scored.verdict, scored.wrong_code, scored.pull_request) == (False, True, None)


def test_an_answer_that_never_held_is_not_right_where_unclear_is() -> None:
    case = BY_NAME["orders-07"]
    assert score(case, Played(case=case.name, diagnosis=said(Verdict.UNCLEAR))).verdict
    given_up = Played(case=case.name, diagnosis=said(Verdict.UNCLEAR), gave_up=True)
    assert not score(case, given_up).verdict


def test_what_did_not_run_is_no_success_and_no_restraint() -> None:
    summary = summarised([score(case, Played(case=case.name, failure="no model")) for case in ALL])
    assert not summary.ran
    assert summary.failed == summary.tries == len(ALL)
    assert (summary.verdict.share, summary.pull_request.share, summary.culprit.share) == (0, 0, 0)
    assert summary.wrong_code.share is None
    assert summary.wrong_code.text == "–"


def test_another_try_at_a_case_makes_no_interval_narrower() -> None:
    case = BY_NAME["catalog-10"]
    right = score(case, Played(case=case.name, diagnosis=said(Verdict.HEALTHY)))
    wrong = right.model_copy(update={"verdict": False})
    once, often = summarised([right]).verdict, summarised([right] * 50).verdict
    assert once.interval == often.interval
    assert summarised([right, wrong]).verdict.share == 0.5
    below, above = once.interval or (0, 0)
    assert below < 0.3
    assert above == 1.0


def run_eval(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> Result:
    for name in [name for name in os.environ if name.startswith(("MODEL", "RAILMEND_"))]:
        monkeypatch.delenv(name)
    for name, value in (
        ("MODEL", "openai/rehearsal"),
        ("MODEL_BASE_URL", url),
        ("MODEL_API_KEY", "rehearsal"),
    ):
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(get_command(app), ["eval", *arguments])


def test_the_rehearsal_model_plays_a_tenth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "tries.jsonl"
    with serving(build_rehearsal()) as url:
        result = run_eval(monkeypatch, f"{url}/v1", *TENTH, "--out", str(out), "--who", "the rehearsal")
    assert result.exit_code == 0, result.output
    assert "| openai/rehearsal | the rehearsal | 4, 4 (0 by rule, 0 failed) |" in result.output
    tries = [Played.model_validate_json(line) for line in out.read_text().splitlines()]
    assert {played.case for played in tries} == set(TENTH)
    assert all(played.diagnosis and played.turns for played in tries)


def test_a_model_that_nobody_reaches_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_eval(monkeypatch, "http://127.0.0.1:9/v1", "gateway-03")
    assert result.exit_code == 1
    assert "Nothing ran" in result.output
    assert "(0 by rule, 1 failed)" in result.output


def test_a_case_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_eval(monkeypatch, "http://127.0.0.1:9/v1", "no-such-case")
    assert result.exit_code == 2
    assert "no case no-such-case" in result.output
