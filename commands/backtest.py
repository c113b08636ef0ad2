"""`starter.py backtest`: what the assessment says of recorded slices, so that thresholds can be tuned."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from commands.options import opened, run, using

if TYPE_CHECKING:
    from railmend.assessment.recorded import Recorded
    from railmend.assessment.settings import AssessmentRules
    from railmend.contracts.scan import Finding

MAX_REPORTED = 300


def backtest(
    file: Annotated[Path, typer.Argument(help="Recorded slices, one a line; - is standard input.")],
    settings: Annotated[Path | None, typer.Option(help="A file with a table [assessment].")] = None,
    project: Annotated[str | None, typer.Option(help="A project of that file.")] = None,
    explain: Annotated[bool, typer.Option(help="Add every finding, with its numbers.")] = False,
) -> None:
    """Try thresholds on recorded slices.

    Assesses them in both passes of a scan; prints one prediction a line, as JSON.
    """
    run(write_predictions(file, settings, project, sys.stdout, explain=explain))


async def write_predictions(
    file: Path, settings: Path | None, project: str | None, out: TextIO, *, explain: bool = False
) -> None:
    """Write one prediction a line, in the order of the file.

    Raises `ConfigurationError` that names a bad line.
    """
    rules = load_rules(settings, project)
    for recorded in recordings(file):
        out.write(json.dumps(prediction(recorded, rules, explain=explain)) + "\n")


def recordings(file: Path) -> "Iterator[Recorded]":
    with using(file), opened(file) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _parse(file, number, line)


def _parse(file: Path, number: int, line: str) -> "Recorded":
    from pydantic import ValidationError

    from railmend.assessment.recorded import Recorded
    from railmend.settings import ConfigurationError

    try:
        return Recorded.model_validate_json(line)
    except ValidationError as error:
        raise ConfigurationError(
            f"{file}:{number}: no recorded slice: {str(error)[:MAX_REPORTED]}"
        ) from error


def assess_recorded(recorded: "Recorded", rules: "AssessmentRules") -> "list[Finding]":
    """Assess in both passes of a scan: the coarse screen, and for a candidate the fine decision."""
    from railmend.assessment.recorded import coarsen
    from railmend.assessment.rules import assess
    from railmend.assessment.screening import is_candidate
    from railmend.contracts.scan import Window
    from railmend.railway.plan import coarse

    measured, service = recorded.slice(), recorded.subject()
    length = timedelta(seconds=recorded.points * recorded.step_seconds)
    window = Window(start=measured.start, end=measured.start + length, step_seconds=recorded.step_seconds)
    step = coarse(window).step_seconds
    thresholds = rules.settings_for(service)
    if step > recorded.step_seconds and not is_candidate(coarsen(measured, step), service, thresholds):
        return []
    history = recorded.history.slice() if recorded.history else None
    return assess(measured, service, environment_id="recorded", history=history, settings=rules)


def prediction(recorded: "Recorded", rules: "AssessmentRules", *, explain: bool = False) -> dict[str, Any]:
    """Return a row of output. The first finding is the root; `score` is its confidence, 0 without one.

    `chronic`: the kind of what was always bad, where nothing is acute.
    """
    findings = assess_recorded(recorded, rules)
    first = next((finding for finding in findings if not finding.chronic), None)
    row: dict[str, Any] = {
        "id": recorded.id,
        "affected": first is not None,
        "chronic": findings[0].kind.value if findings and first is None else None,
        "kind": first.kind.value if first else None,
        "score": first.confidence if first else 0.0,
        "severity": first.severity.value if first else None,
        "onset": first.onset.isoformat() if first else None,
    }
    if explain:
        fields = ("rule", "value", "threshold", "unit", "sentence")
        row["findings"] = [{name: getattr(finding, name) for name in fields} for finding in findings]
    return row


def load_rules(file: Path | None, project: str | None = None) -> "AssessmentRules":
    """Return the table `[assessment]` of a file, with that of a project of it; the defaults without a file.

    Reads nothing else of it, so that a few lines suffice to try thresholds.
    """
    import tomllib

    from pydantic import ValidationError

    from railmend.assessment.settings import AssessmentRules
    from railmend.settings import ConfigurationError

    if file is None:
        return AssessmentRules()
    with using(file):
        text = file.read_text(encoding="utf-8")
    try:
        content = tomllib.loads(text)
        rules = AssessmentRules.model_validate(content.get("assessment", {}))
        if project is None:
            return rules
        for table in content.get("projects", []):
            if table.get("name") == project:
                return rules.over(AssessmentRules.model_validate(table.get("assessment", {})))
        raise ConfigurationError(f"{file}: no project is named {project}.")
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
