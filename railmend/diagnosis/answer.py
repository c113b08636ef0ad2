"""Schemas of models' answers, and the checks that refuse an answer."""

from collections.abc import Collection, Iterable
from typing import TypeVar

import json_repair
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from railmend.contracts.incident import CODING_VERDICTS, EvidencePacket, MeasuredSeries, Verdict

Schema = TypeVar("Schema", bound=BaseModel)
# A commit is cited by at least so many hex digits; more are not compared.
COMMIT_DIGITS = 7


class AnswerCause(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    evidence: list[str] = Field(description="ids of the items that support this cause, such as E3")
    against: list[str] = Field(description="ids of the items that speak against it")


class AnswerCriterion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    series: MeasuredSeries
    below: bool = Field(description="true: it must be below the threshold; false: above")
    threshold: float
    within_minutes: int = Field(description="after the deployment of the fix, 1 to 10080")


class DiagnosisAnswer(BaseModel):
    """A diagnosis of one service."""

    # All fields are required: providers with strict schemas refuse optional ones.
    model_config = ConfigDict(extra="forbid")

    summary: str
    verdict: Verdict
    confidence: float = Field(description="0 to 1")
    assumes: str = Field(description="what would have to be true for this verdict to be right")
    causes: list[AnswerCause]
    suspected_files: list[str] = Field(
        description="paths in the repository, only ones that the evidence names"
    )
    suspected_commits: list[str] = Field(description="hashes from the evidence")
    plan: list[str] = Field(description="steps for the coding agent; empty unless code must change")
    reproduce: str
    verify: str = Field(description="how to tell that it worked")
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
    """Return the answer, or None and what is wrong with it.

    Prose or a fence around one JSON object is ignored, and small faults of the JSON (a trailing comma, a
    missing bracket) are repaired.
    """
    start = text.find("{")
    if start < 0:
        return None, "The answer holds no JSON object."
    end = text.rfind("}")
    document = json_repair.loads(text[start : end + 1] if end > start else text[start:])
    try:
        return schema.model_validate(document), ""
    except ValidationError as error:
        return None, f"The answer does not fit the schema: {error}"


def check(answer: DiagnosisAnswer, packet: EvidencePacket, missing_files: Collection[str] = ()) -> list[str]:
    """Return a sentence for each error; [] accepts the answer.

    Refused are ids, files and commits that do not exist, causes without evidence, a verdict for coding
    without cause or plan, and one of configuration without a file. `missing_files`: suspected files that the
    repository does not have.
    """
    errors = _unknown_ids([i for cause in answer.causes for i in (*cause.evidence, *cause.against)], packet)
    errors += [
        f"The cause {cause.text[:80]!r} cites nothing." for cause in answer.causes if not cause.evidence
    ]
    errors += [f"The repository has no file {path!r}." for path in missing_files]
    errors += [
        f"No evidence names the commit {commit!r}."
        for commit in answer.suspected_commits
        if not _names_commit(packet, commit)
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
    if any(not 1 <= criterion.within_minutes <= 7 * 24 * 60 for criterion in answer.criteria):
        errors.append("A criterion's within_minutes must lie between 1 and 10080.")
    return errors


def check_refutation(answer: Refutation, packet: EvidencePacket) -> list[str]:
    """Return a sentence for each cited id that does not exist."""
    return _unknown_ids(answer.evidence, packet)


def _unknown_ids(cited: Iterable[str], packet: EvidencePacket) -> list[str]:
    ids = packet.ids()
    return [f"Evidence {item} does not exist." for item in cited if item not in ids]


def _names_commit(packet: EvidencePacket, commit: str) -> bool:
    digits = commit[:COMMIT_DIGITS]
    return len(digits) == COMMIT_DIGITS and any(digits in item.text for item in packet.items)
