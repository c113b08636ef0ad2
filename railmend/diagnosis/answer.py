"""The schema a model fills, and what is refused of its answers."""

import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from railmend.contracts.incident import CODING_VERDICTS, EvidencePacket, Verdict


class AnswerCause(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    evidence: list[str] = Field(description="ids of the items that support this cause, such as E3")
    against: list[str] = Field(description="ids of the items that speak against it")


class Answer(BaseModel):
    """All fields are required: providers with strict schemas refuse optional ones."""

    model_config = ConfigDict(extra="forbid")

    summary: str
    verdict: Verdict
    confidence: float = Field(description="0 to 1")
    causes: list[AnswerCause]
    suspected_files: list[str]
    plan: list[str] = Field(description="steps for the coding agent; empty unless code must change")
    reproduce: str
    verify: str = Field(description="which series, which threshold, by when")
    risk: str
    if_not_fixed: str


def parse(text: str) -> tuple[Answer | None, str]:
    """The answer, or what is wrong with it. Prose or a fence around one JSON object is forgiven."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None, "The answer holds no JSON object."
    try:
        return Answer.model_validate(json.loads(text[start : end + 1])), ""
    except (ValidationError, ValueError) as error:
        return None, f"The answer does not fit the schema: {error}"


def check(answer: Answer, packet: EvidencePacket) -> list[str]:
    """Sentences for what is refused: unknown ids, uncited causes, a repair without cause or plan."""
    known = packet.ids()
    errors = [
        f"Evidence {item} does not exist."
        for cause in answer.causes
        for item in (*cause.evidence, *cause.against)
        if item not in known
    ]
    errors += [
        f"The cause {cause.text[:80]!r} cites nothing." for cause in answer.causes if not cause.evidence
    ]
    if answer.verdict in CODING_VERDICTS and not (answer.causes and answer.plan):
        errors.append(f"The verdict {answer.verdict.value} needs a cited cause and a plan.")
    if not 0 <= answer.confidence <= 1:
        errors.append("The confidence must lie between 0 and 1.")
    return errors
