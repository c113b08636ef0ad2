"""`starter.py backtest`: what the assessment says of recorded slices, so that thresholds can be tuned."""

import json
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from railmend.assessment import AssessmentRules, assess, is_candidate
from railmend.assessment.recorded import Recorded, coarsen
from railmend.contracts.scan import Finding, Window
from railmend.railway.plan import coarse
from railmend.settings import ConfigurationError

MAX_REPORTED = 300


async def backtest(
    file: Path, settings: Path | None, project: str | None, out: TextIO, *, explain: bool = False
) -> None:
    """One prediction a line, in the order of the file. Raises `ConfigurationError` that names a bad line."""
    rules = rules_of(settings, project)
    for recorded in recordings(file):
        out.write(json.dumps(prediction(recorded, rules, explain=explain)) + "\n")


def recordings(file: Path) -> Iterator[Recorded]:
    try:
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parsed(file, number, line)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error


def _parsed(file: Path, number: int, line: str) -> Recorded:
    try:
        return Recorded.model_validate_json(line)
    except ValidationError as error:
        raise ConfigurationError(
            f"{file}:{number}: no recorded slice: {str(error)[:MAX_REPORTED]}"
        ) from error


def decide(recorded: Recorded, rules: AssessmentRules) -> list[Finding]:
    """Both passes of a scan: the coarse screen, and for a candidate the fine decision."""
    one, service = recorded.slice(), recorded.subject()
    length = timedelta(seconds=recorded.points * recorded.step_seconds)
    window = Window(start=one.start, end=one.start + length, step_seconds=recorded.step_seconds)
    step = coarse(window).step_seconds
    thresholds = rules.settings_for(service)
    if step > recorded.step_seconds and not is_candidate(coarsen(one, step), service, thresholds):
        return []
    history = recorded.history.slice() if recorded.history else None
    return assess(one, service, environment_id="recorded", history=history, settings=rules)


def prediction(recorded: Recorded, rules: AssessmentRules, *, explain: bool = False) -> dict[str, Any]:
    """The first finding is the root; `score` is its confidence, 0 where nothing was found."""
    findings = decide(recorded, rules)
    first = findings[0] if findings else None
    row: dict[str, Any] = {
        "id": recorded.id,
        "affected": first is not None,
        "kind": first.kind.value if first else None,
        "score": first.confidence if first else 0.0,
        "severity": first.severity.value if first else None,
        "onset": first.onset.isoformat() if first else None,
    }
    if explain:
        row["findings"] = [
            {
                "rule": f.rule,
                "value": f.value,
                "threshold": f.threshold,
                "unit": f.unit,
                "sentence": f.sentence,
            }
            for f in findings
        ]
    return row


def rules_of(file: Path | None, project: str | None = None) -> AssessmentRules:
    """The table `[assessment]` of a file, with that of a project of it; the defaults where there is none.

    Reads nothing else of it, so that a few lines suffice to try thresholds.
    """
    if file is None:
        return AssessmentRules()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        general = AssessmentRules.model_validate(content.get("assessment", {}))
        own = [
            one for one in content.get("projects", []) if project is not None and one.get("name") == project
        ]
        if project is not None and not own:
            raise ConfigurationError(f"{file}: no project is named {project}.")
        return general.over(AssessmentRules.model_validate(own[0].get("assessment", {}))) if own else general
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
