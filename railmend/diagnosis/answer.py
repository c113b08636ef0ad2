"""The schemas that models fill, and what is refused of their answers."""

from collections.abc import Collection
from typing import TypeVar

import json_repair
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from railmend.contracts.incident import CODING_VERDICTS, EvidencePacket, MeasuredSeries, Verdict

Schema = TypeVar("Schema", bound=BaseModel)
# A commit is cited by at least so many hex digits.
COMMIT_DIGITS = 7


class AnswerCause(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    evidence: list[str] = Field(description="ids of the items that support this cause, such as E3")
    against: list[str] = Field(description="ids of the items that speak against it")


class AnswerCriterion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    series: MeasuredSeries
    below: bool = Field(description="true: it holds below the threshold; false: above")
    threshold: float
    within_minutes: int = Field(description="after the deployment of the fix, 1 to 10080")


class DiagnosisAnswer(BaseModel):
    """All fields are required: providers with strict schemas refuse optional ones."""

    model_config = ConfigDict(extra="forbid")

    summary: str
    verdict: Verdict
    confidence: float = Field(description="0 to 1")
    assumes: str = Field(description="what would have to be true for this verdict to be right")
    causes: list[AnswerCause]
    suspected_files: list[str] = Field(
        description="paths in the repository, only such that the evidence names"
    )
    suspected_commits: list[str] = Field(description="hashes from the evidence")
    plan: list[str] = Field(description="steps for the coding agent; empty unless code must change")
    reproduce: str
    verify: str = Field(description="how anyone can tell that it worked")
    criteria: list[AnswerCriterion] = Field(description="the same, measurable")
    risk: str
    if_not_fixed: str


class Refutation(BaseModel):
    """The sceptic's answer."""

    model_config = ConfigDict(extra="forbid")

    survives: bool = Field(description="true only if the evidence leaves no better explanation")
    reason: str
    evidence: list[str] = Field(description="ids of the items the reason rests on")


def parse(text: str, schema: type[Schema]) -> tuple[Schema | None, str]:
    """The answer, or what is wrong with it. Prose or a fence around one JSON object is forgiven, and small
    faults of the JSON (a trailing comma, a missing bracket) are repaired."""
    start = text.find("{")
    if start < 0:
        return None, "The answer holds no JSON object."
    end = text.rfind("}")
    found = json_repair.loads(text[start : end + 1] if end > start else text[start:])
    try:
        return schema.model_validate(found), ""
    except ValidationError as error:
        return None, f"The answer does not fit the schema: {error}"


def check(answer: DiagnosisAnswer, packet: EvidencePacket, missing_files: Collection[str] = ()) -> list[str]:
    """Sentences for what is refused: ids, files and commits that are not there, uncited causes, a repair
    without cause or plan, a configuration that the repository does not hold. `missing_files`: suspected
    files that the repository does not have."""
    errors = _unknown_ids(answer, packet)
    errors += [
        f"The cause {cause.text[:80]!r} cites nothing." for cause in answer.causes if not cause.evidence
    ]
    errors += [f"The repository has no file {path!r}." for path in missing_files]
    errors += [
        f"No evidence names the commit {commit!r}."
        for commit in answer.suspected_commits
        if not _named(commit, packet)
    ]
    if answer.verdict in CODING_VERDICTS and not (answer.causes and answer.plan):
        errors.append(f"The verdict {answer.verdict.value} needs a cited cause and a plan.")
    if answer.verdict is Verdict.CONFIGURATION and not answer.suspected_files:
        errors.append(
            "The verdict configuration needs the file of the repository that holds it; for what only Railway "
            "holds, such as a variable, the verdict is unclear."
        )
    if not 0 <= answer.confidence <= 1:
        errors.append("The confidence must lie between 0 and 1.")
    if any(not 1 <= one.within_minutes <= 7 * 24 * 60 for one in answer.criteria):
        errors.append("A criterion's within_minutes must lie between 1 and 10080.")
    return errors


def check_refutation(answer: Refutation, packet: EvidencePacket) -> list[str]:
    known = packet.ids()
    return [f"Evidence {item} does not exist." for item in answer.evidence if item not in known]


def _unknown_ids(answer: DiagnosisAnswer, packet: EvidencePacket) -> list[str]:
    known = packet.ids()
    return [
        f"Evidence {item} does not exist."
        for cause in answer.causes
        for item in (*cause.evidence, *cause.against)
        if item not in known
    ]


def _named(commit: str, packet: EvidencePacket) -> bool:
    digits = commit[:COMMIT_DIGITS]
    return len(digits) == COMMIT_DIGITS and any(digits in item.text for item in packet.items)
