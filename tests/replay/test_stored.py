"""What any version stored is read, and what is not known here is kept and written back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.comments import MeasurementComment
from railmend.contracts.incident import (
    ChallengeRequest,
    DiagnosisRequest,
    IncidentReport,
    IncidentRequest,
)
from railmend.contracts.measurement import MeasurementInput
from railmend.contracts.notification import Notification
from railmend.contracts.repair import (
    CodingRequest,
    PublishRequest,
    RelatedComment,
    RepairRequest,
    RepairResult,
)
from railmend.contracts.review import AnswersRequest
from railmend.contracts.scan import HealthReport
from railmend.diagnosis.prompt import challenge_messages, not_held_prompt, review_prompt
from railmend.diagnosis.router import decide_by_rule
from railmend.evidence.incident_facts import finding_facts, hints
from railmend.measurement.evaluation import evaluate
from railmend.notifying.text import format_headline, format_markdown
from railmend.publishing import comments
from railmend.publishing.report import report_markdown
from railmend.publishing.text import (
    PublishedMaterial,
    body,
    commit_message,
    incident_markdown,
    title,
)
from tests import samples
from tests.replay.examples import FUTURE, example, examples, from_the_future, golden_files
from tests.replay.freeze import NEXT
from tests.replay.stored_types import payload_types, stored_enums, stored_models
from workflows.shared.converter import CONVERTER
from workflows.shared.search_attributes import attributes_for_diagnosis, attributes_for_result

PAYLOADS = {model.__name__: model for model in payload_types()}
GOLDEN = dict(golden_files())
CASES = [(release, name) for release, content in GOLDEN.items() for name in content["models"]]


def decoded(model: type[BaseModel], value: dict[str, Any]) -> Any:
    """As Temporal hands it to a worker."""
    payloads = CONVERTER.payload_converter.to_payloads([value])
    return CONVERTER.payload_converter.from_payloads(payloads, [model])[0]


def stored_again(value: BaseModel) -> Any:
    (payload,) = CONVERTER.payload_converter.to_payloads([value])
    return json.loads(payload.data)


def unknown_keys(value: BaseModel) -> set[str]:
    """Return the keys that no model within `value` has as a field."""
    found = set(value.model_extra or {})
    for each in dict(value).values():
        inside = each.values() if isinstance(each, dict) else each if isinstance(each, tuple) else (each,)
        for model in inside:
            found |= unknown_keys(model) if isinstance(model, BaseModel) else set()
    return found


def within(old: Any, new: Any) -> bool:
    """Whether all of `old` is in `new`, which may have more keys."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and within(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return len(old) == len(new) and all(within(*pair) for pair in zip(old, new, strict=True))
    return bool(old == new)


def test_every_stored_model_and_enum_is_tolerant() -> None:
    assert [model.__name__ for model in stored_models() if not issubclass(model, Contract)] == []
    assert [each.__name__ for each in stored_enums() if not issubclass(each, OpenEnum)] == []


@pytest.mark.parametrize(("release", "name"), CASES, ids=[f"{name} of {release}" for release, name in CASES])
def test_what_a_release_stored_is_read_and_nothing_of_it_lost(release: str, name: str) -> None:
    value = GOLDEN[release]["models"][name]
    read = decoded(PAYLOADS[name], value)
    assert unknown_keys(read) == set(), "a field was removed or renamed"
    assert within(value, stored_again(read))


@pytest.mark.parametrize("release", GOLDEN)
def test_no_value_of_a_stored_enum_is_gone(release: str) -> None:
    known = {each.__name__: {member.value for member in each} for each in stored_enums()}
    gone = {name: set(values) - known[name] for name, values in GOLDEN[release]["enums"].items()}
    assert {name: values for name, values in gone.items() if values} == {}


def test_the_newest_golden_file_is_of_todays_contracts() -> None:
    """Run `python -m tests.replay.examples` when a contract gained a field on purpose."""
    newest = NEXT if NEXT in GOLDEN else max(GOLDEN, key=lambda release: [*map(int, release.split("."))])
    assert GOLDEN[newest] == examples()


@pytest.mark.parametrize("model", PAYLOADS.values(), ids=list(PAYLOADS))
def test_what_a_newer_version_adds_at_any_level_is_written_back(model: type[BaseModel]) -> None:
    newer = from_the_future(model, example(model).model_dump(mode="json"))
    read = decoded(model, newer)
    assert stored_again(read) == newer
    assert stored_again(read.model_copy(update={}, deep=True)) == newer


@pytest.mark.parametrize("each", stored_enums(), ids=lambda each: each.__name__)
def test_an_unknown_value_of_an_enum_is_none_of_its_members(each: type[OpenEnum]) -> None:
    def decoded_enum() -> OpenEnum:
        value: OpenEnum = CONVERTER.payload_converter.from_payloads(
            CONVERTER.payload_converter.to_payloads([FUTURE]), [each]
        )[0]
        return value

    unknown, again = decoded_enum(), decoded_enum()
    assert (unknown.value, str(unknown), unknown.known) == (FUTURE, FUTURE, False)
    assert (unknown == again, {unknown: 1}[again]) == (True, 1)
    assert unknown not in list(each)
    assert dict.fromkeys(each, 1).get(unknown) is None
    with pytest.raises(ValueError, match=FUTURE):
        each(FUTURE)


MATERIAL = PublishedMaterial(packets=(samples.packet(),))
# What a person, a model or a channel reads, by what it is made of.
TEXTS: tuple[tuple[type[BaseModel], Callable[[Any], object]], ...] = (
    (MeasurementComment, comments.format_measurement_comment),
    (RelatedComment, lambda request: comments.format_related_comment(request, MATERIAL)),
    (AnswersRequest, comments.format_reply),
    (RepairRequest, title),
    (RepairRequest, commit_message),
    (PublishRequest, lambda request: body(request, MATERIAL)),
    (HealthReport, report_markdown),
    (IncidentReport, lambda report: incident_markdown(report, samples.packet())),
    (Notification, lambda notification: format_markdown(notification, "")),
    (Notification, format_headline),
    (MeasurementInput, evaluate),
    (IncidentRequest, finding_facts),
    (IncidentRequest, hints),
    (DiagnosisRequest, lambda request: decide_by_rule(request.incident, samples.packet())),
    (ChallengeRequest, lambda request: challenge_messages("", request.diagnosis)),
    (CodingRequest, lambda request: review_prompt(request.notes)),
    (CodingRequest, lambda request: not_held_prompt(request.measurements)),
    (RepairResult, lambda result: attributes_for_result(samples.repair(), result)),
    (IncidentReport, attributes_for_diagnosis),
)


@pytest.mark.parametrize(("model", "read"), TEXTS)
def test_no_text_and_no_rule_fails_on_what_a_newer_version_stored(
    model: type[BaseModel], read: Callable[[Any], object]
) -> None:
    newer = decoded(model, from_the_future(model, example(model).model_dump(mode="json")))
    read(newer)
