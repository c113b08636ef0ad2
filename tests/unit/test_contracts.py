"""Settings, answers of models and code know every name; only stored data may hold others."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError
from temporalio.exceptions import ApplicationError

from activities.actions import ActionActivities
from railmend.contracts.action import ActionOrder
from railmend.contracts.autonomy import Autonomy, level_of
from railmend.contracts.base import stored
from railmend.contracts.incident import MeasuredSeries, Verdict
from railmend.contracts.ledger import Budget, Limit
from railmend.contracts.measurement import (
    MeasurementResult,
    MeasurementStatus,
    WindowMetrics,
    overall_status,
)
from railmend.diagnosis.answer import DiagnosisAnswer, Refutation, parse
from railmend.settings import ConfigurationError, Settings
from railmend.settings_file import load_settings
from tests import samples

FUTURE = "from_the_future"


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in a type, with those inside them."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and not get_args(each) and issubclass(each, BaseModel):
            yield each
            for field in each.model_fields.values():
                yield from models_in(field.annotation)
        elif each is not annotation:
            yield from models_in(each)


# A name in the environment may be anybody's, so of the settings themselves only the file's names are checked.
FROM_OUTSIDE = {
    *models_in(DiagnosisAnswer),
    *models_in(Refutation),
    *(model for field in Settings.model_fields.values() for model in models_in(field.annotation)),
}


def read(model: type[Any], text: str) -> Any:
    with stored():
        return model.model_validate_json(text)


@pytest.mark.parametrize("model", sorted(FROM_OUTSIDE, key=str), ids=lambda model: model.__name__)
def test_a_name_that_settings_or_an_answer_may_not_have_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({FUTURE: 1})
    assert (FUTURE,) in [
        error["loc"] for error in caught.value.errors() if error["type"] == "extra_forbidden"
    ]


def test_a_misspelt_key_deep_in_the_file_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "railmend.toml").write_text("[budget.day]\nusd = 5\ndiagnosis = 1\n")
    with pytest.raises(ConfigurationError, match=r"railmend\.toml:3: .*budget\.day\.diagnosis"):
        load_settings()


@pytest.mark.parametrize(
    "table", ["[railmend_earned_autonomy]\nstart = 'all'\n", "[[projects]]\nautonomy = 'all'\n"]
)
def test_an_unknown_autonomy_in_the_file_is_refused(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read(Limit, "{}")  # that stored data was read before changes nothing
    (tmp_path / "railmend.toml").write_text(table)
    with pytest.raises(ConfigurationError, match="'report', 'plan', 'draft' or 'pull_request'"):
        load_settings()


def test_an_unknown_verdict_of_a_model_is_refused_even_after_it_was_seen_in_stored_data() -> None:
    with stored():
        assert not Verdict(FUTURE).known
    answer, wrong = parse(f'{{"summary": "", "verdict": "{FUTURE}"}}', DiagnosisAnswer)
    assert answer is None
    assert "verdict: Input should be" in wrong[0]


def test_code_that_misspells_a_field_is_told_at_once() -> None:
    wrong: dict[str, Any] = {"dollars": 5.0}
    with pytest.raises(ValidationError, match="dollars"):
        Limit(**wrong)
    with pytest.raises(TypeError, match="dollars"):
        Limit().model_copy(update=wrong)


def test_what_was_kept_stays_when_a_model_is_handed_on_and_changed() -> None:
    day = read(Limit, f'{{"usd": 5.0, "{FUTURE}": 7}}')
    budget = Budget(day=day, month=day.model_copy(update={"usd": 9.0}))
    assert budget.model_dump()["day"][FUTURE] == budget.model_dump()["month"][FUTURE] == 7


def test_an_unknown_autonomy_counts_as_the_lowest_and_a_person_decides() -> None:
    unknown = read(
        type(samples.repair()), samples.repair().model_dump_json().replace('"pull_request"', f'"{FUTURE}"')
    )
    assert level_of(unknown.autonomy) == level_of(Autonomy.REPORT)
    assert unknown.needs_approval


def test_a_measurement_with_an_unknown_status_never_counts_as_held() -> None:
    held = MeasurementResult(status=MeasurementStatus.HELD, sentence="")
    unknown = read(MeasurementResult, f'{{"status": "{FUTURE}", "sentence": ""}}')
    assert overall_status([held, unknown]) is MeasurementStatus.CANNOT_TELL


def test_a_series_that_is_not_known_has_no_value() -> None:
    with stored():
        series = MeasuredSeries("window")  # a field, and no series
    assert WindowMetrics(window=samples.WINDOW, known=1.0).value(series) is None


class UntouchedRailway:
    """Knows one client, whose actions nobody may use."""

    actions = None

    async def client_for(self, environment_id: str) -> "UntouchedRailway":
        return self


async def test_an_action_that_a_newer_version_offered_is_left_to_its_workers() -> None:
    request = {
        "kind": FUTURE,
        **dict.fromkeys(("environment_id", "service_id", "service_name", "deployment_id", "reason"), "x"),
    }
    order = read(ActionOrder, json.dumps({"request": request, "approved_at": "2026-11-24T09:00:00Z"}))
    railway: Any = UntouchedRailway()
    with pytest.raises(ApplicationError, match="Start workers of that version") as caught:
        await ActionActivities(railway).perform(order)
    assert not caught.value.non_retryable
