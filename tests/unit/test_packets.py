"""Packets recorded from troubles that were really made: rules decide theirs, and no model can force a repair.

The recordings are made by `python -m tests.packets.record`.
"""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.responses import Response

from railmend.assessment.rules import assess
from railmend.contracts.incident import BY_RULE, CODING_VERDICTS, Diagnosis, Fact, Facts, Verdict
from railmend.contracts.scan import FindingKind
from railmend.diagnosis.diagnose import challenge, diagnose
from railmend.diagnosis.model import ModelError
from railmend.diagnosis.router import decide_by_rule
from railmend.evidence.packet import following, render
from tests import samples
from tests.packets.recording import MAX_BYTES, RECORDED, Recording, read_all
from tests.packets.scenarios import SCENARIOS
from tests.packets.yard import TOKEN
from tests.unit.test_diagnosis import GOOD, KEY, SURVIVES, Model, model

__all__ = ["model"]  # a fixture

RECORDINGS = read_all()
OF_RULES = [recording for recording in RECORDINGS if recording.by_rule]
LINKED = [recording for recording in RECORDINGS if recording.explained]
OF_MODELS = [recording for recording in RECORDINGS if not recording.by_rule and not recording.explained]


def named(recordings: Sequence[Recording]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "recorded", recordings, ids=[recording.scenario for recording in recordings]
    )


def test_every_trouble_is_recorded_and_most_deserve_no_pull_request() -> None:
    assert {recording.scenario for recording in RECORDINGS} == {scenario.name for scenario in SCENARIOS}
    assert len(RECORDINGS) >= 24
    assert sum(recording.verdict not in CODING_VERDICTS for recording in RECORDINGS) >= 12
    assert {recording.verdict for recording in RECORDINGS} == set(Verdict)


@named(RECORDINGS)
def test_a_recording_is_small_and_tells_nothing_of_where_it_was_made(recorded: Recording) -> None:
    text = (RECORDED / f"{recorded.scenario}.json").read_text()
    assert len(text.encode()) <= MAX_BYTES
    for secret in ("/tmp/", "/home/", "/root/", "/work/", TOKEN, "token-of-the-forge"):
        assert secret not in text


@named(RECORDINGS)
def test_the_series_still_show_what_was_measured(recorded: Recording) -> None:
    request = recorded.request
    findings = assess(
        recorded.slice,
        request.service,
        environment_id=request.environment_id,
        history=recorded.history,
    )
    assert tuple(finding.kind for finding in findings) == recorded.measured
    (scenario,) = [scenario for scenario in SCENARIOS if scenario.name == recorded.scenario]
    assert set(scenario.shows) <= set(recorded.measured)
    assert bool(scenario.shows) == bool(recorded.measured), "a healthy service must not be suspected"


@named(OF_RULES)
def test_rules_reach_the_right_verdict_without_a_model(recorded: Recording) -> None:
    decided = decide_by_rule(recorded.request, recorded.packet)
    assert decided is not None
    assert (decided.verdict, decided.model) == (recorded.verdict, BY_RULE)
    assert decided.verdict not in CODING_VERDICTS
    assert recorded.request.service.name in decided.summary or recorded.request.platform_incident
    for cause in decided.causes:
        assert set(cause.evidence) <= recorded.packet.ids()


@named(OF_MODELS)
def test_rules_leave_the_rest_to_a_model(recorded: Recording) -> None:
    assert decide_by_rule(recorded.request, recorded.packet) is None


@named(LINKED)
def test_a_downstream_effect_is_linked_to_its_root_cause(recorded: Recording) -> None:
    (scenario,) = [scenario for scenario in SCENARIOS if scenario.name == recorded.scenario]
    assert recorded.explained is not None
    assert recorded.explained.service_id == recorded.request.service.service_id
    assert recorded.explained.root_cause_service_id == f"service-{scenario.downstream_of}"
    (neighbour,) = recorded.request.neighbours
    assert neighbour.findings, "the packet tells of the neighbour's trouble"


async def asked(model: Model, recorded: Recording, *answers: Any, **changes: Any) -> Diagnosis:
    """A stand-in model's diagnosis of the recorded packet, checked against the recorded repository."""
    model.answers = list(answers)

    async def missing(paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path not in recorded.files]

    return await diagnose(recorded.packet, model.settings(**changes), missing)


def always_code(**changes: Any) -> dict[str, Any]:
    return GOOD | {"suspected_files": []} | changes


UNFOUNDED = {
    "no citation": always_code(causes=[{"text": "A bug.", "evidence": [], "against": []}]),
    "unknown evidence": always_code(causes=[{"text": "A bug.", "evidence": ["E99"], "against": []}]),
    "missing file": always_code(suspected_files=["src/not_there.py"]),
}


@named(OF_MODELS)
@pytest.mark.parametrize("answer", UNFOUNDED.values(), ids=UNFOUNDED)
async def test_a_model_that_always_says_code_gets_no_repair_without_grounds(
    model: Model, recorded: Recording, answer: dict[str, Any]
) -> None:
    diagnosis = await asked(model, recorded, answer)
    assert diagnosis.verdict is Verdict.UNCLEAR
    assert diagnosis.plan == ()
    assert diagnosis.summary.startswith("The model's answers did not hold: ")
    assert len(model.asked) == 3


async def test_configuration_starts_a_repair_only_where_the_repository_holds_it(model: Model) -> None:
    by_name = {recording.scenario: recording for recording in RECORDINGS}
    answer = always_code(verdict="configuration")
    diagnosis = await asked(model, by_name["missing_variable"], answer)
    assert diagnosis.verdict is Verdict.UNCLEAR
    assert "for what only Railway holds" in diagnosis.summary
    diagnosis = await asked(
        model, by_name["committed_setting"], answer | {"suspected_files": ["settings.json"]}
    )
    assert diagnosis.verdict is Verdict.CONFIGURATION


@named(OF_MODELS)
async def test_with_grounds_the_sceptic_still_decides(model: Model, recorded: Recording) -> None:
    """The same answer for every packet; the stand-in sceptic holds against it where no code is at fault."""
    item = recorded.packet.items[0].id
    read = Facts(items=(Fact(kind="code", source="app.py", text="CACHE = {}"),))
    packet, (code,) = following(recorded.packet, read, "read_code app.py 1 9", 500)
    recorded = recorded.model_copy(update={"packet": packet})
    cited = always_code(causes=[{"text": "A bug.", "evidence": [item, code.id], "against": []}])
    diagnosis = await asked(model, recorded, cited)
    assert diagnosis.verdict is Verdict.CODE
    at_fault = recorded.verdict in CODING_VERDICTS
    model.asked.clear()
    model.answers = [SURVIVES | {"survives": at_fault, "reason": recorded.trouble, "evidence": [item]}]
    doubted = await challenge(recorded.packet, diagnosis, model.settings())
    assert doubted.verdict is (Verdict.CODE if at_fault else Verdict.UNCLEAR)
    assert doubted.sceptic == recorded.trouble
    assert bool(doubted.plan) is at_fault
    assert render(recorded.packet) in model.asked[0]["messages"][1]["content"]


async def test_a_model_that_does_not_answer_in_time_is_told_and_asked_again_later(model: Model) -> None:
    released = threading.Event()

    def silent(_: dict[str, Any]) -> Response:
        released.wait(10)
        return Response("", 503)

    try:
        with pytest.raises(ModelError, match="openai/test") as caught:
            await asked(model, OF_MODELS[0], silent, timeout_seconds=0.5)
    finally:
        released.set()
    assert caught.value.retryable
    assert "time" in str(caught.value).lower()
    assert KEY not in str(caught.value)
    assert len(model.asked) == 1


def test_a_first_deployment_that_is_under_way_is_not_called_bad() -> None:
    service = samples.service(active_deployment_id=None, latest_status="DEPLOYING")
    decided = decide_by_rule(samples.incident(service=service), samples.packet())
    assert decided is not None
    assert decided.verdict is Verdict.TOO_LITTLE_DATA
    assert "is under way (DEPLOYING)" in decided.summary


@pytest.mark.parametrize(
    ("kinds", "requests", "verdict"),
    [
        ((FindingKind.ERROR_RATE,), 9, Verdict.TOO_LITTLE_DATA),
        ((FindingKind.ERROR_RATE,), 10, None),
        ((FindingKind.ERROR_RATE, FindingKind.LATENCY), 4, Verdict.TOO_LITTLE_DATA),
        # Memory is measured without any request.
        ((FindingKind.ERROR_RATE, FindingKind.MEMORY_LEAK), 4, None),
        # Measured by a version that did not count.
        ((FindingKind.ERROR_RATE,), None, None),
    ],
)
def test_few_requests_prove_nothing_unless_something_else_speaks_too(
    kinds: tuple[FindingKind, ...], requests: int | None, verdict: Verdict | None
) -> None:
    findings = tuple(samples.finding(kind=kind).model_copy(update={"requests": requests}) for kind in kinds)
    decided = decide_by_rule(samples.incident(findings=findings), samples.packet())
    assert (decided.verdict if decided else None) == verdict
    assert decided is None or f"{requests} requests" in decided.summary


def test_memory_that_rose_to_its_limit_is_not_called_too_small_a_limit() -> None:
    for rule, verdict in (("flat", Verdict.LIMIT_TOO_SMALL), ("level", None), ("surge", None)):
        finding = samples.finding(kind=FindingKind.MEMORY_SATURATION)
        finding = finding.model_copy(update={"rule": f"memory_saturation.{rule}"})
        decided = decide_by_rule(samples.incident(findings=(finding,)), samples.packet())
        assert (decided.verdict if decided else None) == verdict
