"""Schemas of models' answers, and the checks that refuse an answer."""

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any, TypeVar

import json_repair
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from railmend.contracts.incident import CODING_VERDICTS, EvidencePacket, MeasuredSeries, Verdict

Schema = TypeVar("Schema", bound=BaseModel)
# A commit is cited by at least so many hex digits; more are not compared.
COMMIT_DIGITS = 7
TITLE = 60
# Where a title that is too long ends as a phrase of its own; before that it would say too little.
PHRASE_END = re.compile(
    r"[,;:(]? (?:so that|because|since|which|when|where|instead|rather|without)\b|[;:,] | \("
)
SHORTEST_TITLE = 20
# Kinds of items that show lines of source, and those that show what the service does in production.
SOURCE_KINDS = frozenset({"code", "change"})
PRODUCTION_KINDS = frozenset(
    {"finding", "chart", "deployment", "state", "build_log", "deploy_log", "http_log"}
)
CITED = re.compile(r"\b[Ee](\d{1,4})\b")
PLACE = re.compile(r"(?::\d+(?:[:-]\d+)*|#L\d+(?:-L\d+)?|\s*\(lines? [\d, -]+\))$")
# Stands for a part of an answer that could not be read, so that the errors of the others are told with it.
NOTHING: dict[str, Any] = {str(str): "", str(float): 0.5, str(bool): False, str(Verdict): Verdict.UNCLEAR}


def _cited(value: object) -> object:
    """Read ids as a packet prints them, `[E2]`, or as a model shortens them, `e2`, `E2: memory rose`."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        return value
    return [
        each for text in texts for each in ([f"E{number}" for number in CITED.findall(str(text))] or [text])
    ]


def _paths(value: object) -> object:
    """Read `./app.py`, `app.py:86` and `app.py (line 86)` as the path alone."""
    if not isinstance(value, list):
        return value
    return list(
        dict.fromkeys(PLACE.sub("", str(path).strip().strip("`")).removeprefix("./") for path in value)
    )


def _word(value: object) -> object:
    """Read `CODE`, or "Bad deploy", as the word that is meant."""
    return re.sub(r"[\s-]+", "_", value.strip().lower()) if isinstance(value, str) else value


def _title(value: object) -> object:
    """Read a title that is too long, or ends like a sentence, without the rest of it."""
    if not isinstance(value, str):
        return value
    title = value.strip().rstrip(".")
    if len(title) <= TITLE:
        return title
    ends = [match.start() for match in PHRASE_END.finditer(title[: TITLE + 1])]
    if ends and ends[-1] >= SHORTEST_TITLE:
        return title[: ends[-1]]
    return (title[:TITLE].rpartition(" ")[0] or title[: TITLE - 1]) + "…"


def _share(value: object) -> object:
    """Read 95, or "95 %", as 0.95."""
    text = str(value).strip()
    number = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", text)
    percent = number is not None and (text.endswith("%") or 10 <= float(number[1]) <= 100)
    return float(number[1]) / 100 if number and percent else value


Cited = Annotated[list[str], BeforeValidator(_cited)]


class AnswerCause(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    evidence: Cited = Field(description="ids of the items that support this cause, such as E3")
    against: Cited = Field(description="ids of the items that speak against it")


class AnswerCriterion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    series: Annotated[MeasuredSeries, BeforeValidator(_word)]
    below: bool = Field(description="true: it must be below the threshold; false: above")
    threshold: float
    within_minutes: int = Field(description="after the deployment of the fix, 1 to 10080")


class AnswerRuledOut(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    against: Cited = Field(description="ids of the items that speak against it")


class DiagnosisAnswer(BaseModel):
    """A diagnosis of one service."""

    # All fields are required: providers with strict schemas refuse optional ones.
    model_config = ConfigDict(extra="forbid")

    summary: str = Field(description="the root cause, in two sentences")
    title: Annotated[str, BeforeValidator(_title)] = Field(
        description=f"what a fix does, imperative, at most {TITLE} characters; empty where there is none"
    )
    verdict: Annotated[Verdict, BeforeValidator(_word)]
    confidence: Annotated[float, BeforeValidator(_share)] = Field(description="0 to 1")
    dependency: str = Field(
        description="of dependency_down: the name of what does not answer, as the evidence has it; else empty"
    )
    assumes: str = Field(description="what would have to be true for this verdict to be right")
    causes: list[AnswerCause]
    ruled_out: list[AnswerRuledOut] = Field(description="other explanations that you looked into")
    suspected_files: Annotated[list[str], BeforeValidator(_paths)] = Field(
        description="paths in the repository, only ones that the evidence names"
    )
    suspected_commits: list[str] = Field(description="hashes from the evidence")
    plan: list[str] = Field(description="steps for the coding agent; empty unless code must change")
    reproduce: str
    verify: str = Field(description="how to tell that it worked")
    criteria: list[AnswerCriterion] = Field(description="the same, measurable")
    risk: str
    if_not_fixed: str


class JudgedCause(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cause: int = Field(description="its number in the diagnosis, from 1")
    survives: bool
    reason: str
    evidence: Cited = Field(description="ids of the items that the reason rests on")


class Refutation(BaseModel):
    """The sceptic's answer."""

    model_config = ConfigDict(extra="forbid")

    survives: bool = Field(description="true only if the evidence leaves no better explanation")
    reason: str
    causes: list[JudgedCause] = Field(description="each cause by itself")
    evidence: Cited = Field(description="ids of the items the reason rests on")


def parse(text: str, schema: type[Schema]) -> tuple[Schema | None, list[str]]:
    """Return the answer, or None and a sentence for each error.

    Prose or a fence around one JSON object is ignored, and small faults of the JSON (a trailing comma, a
    missing bracket) are repaired.
    """
    document = read_document(text)
    if document is None:
        return None, ["The answer holds no JSON object."]
    try:
        return schema.model_validate(document), []
    except ValidationError as error:
        return None, [f"The answer does not fit the schema: {faults_of(error, 'all')}."]


def faults_of(error: ValidationError, whole: str) -> str:
    """Return what does not fit, without its values. `whole`: the name of all together."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    )


def partly(text: str, schema: type[Schema]) -> Schema | None:
    """Return an answer that does not fit the schema, with nothing in place of each part that does not."""
    document = read_document(text)
    if document is None:
        return None
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        faulty = {fault["loc"][0] for fault in error.errors() if fault["loc"]}
    fields = schema.model_fields
    nothing = {name: NOTHING.get(str(field.annotation), []) for name, field in fields.items()}
    kept = {name: value for name, value in document.items() if name in fields and name not in faulty}
    return schema.model_validate(nothing | kept)


def read_document(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a text; None where there is none."""
    start = text.find("{")
    if start < 0:
        return None
    end = text.rfind("}")
    document = json_repair.loads(text[start : end + 1] if end > start else text[start:])
    return document if isinstance(document, dict) else None


def check(answer: DiagnosisAnswer, packet: EvidencePacket, missing_files: Collection[str] = ()) -> list[str]:
    """Return a sentence for each error; [] accepts the answer.

    Refused are ids, files and commits that do not exist, causes without evidence, a verdict for coding
    without cause or plan, and one of configuration without a file. `missing_files`: suspected files that the
    repository does not have.
    """
    cited = [i for cause in answer.causes for i in (*cause.evidence, *cause.against)]
    errors = _unknown_ids([*cited, *(i for each in answer.ruled_out for i in each.against)], packet)
    errors += [
        f"The cause {cause.text[:80]!r} cites nothing." for cause in answer.causes if not cause.evidence
    ]
    errors += [f"The repository has no file {path!r}." for path in missing_files]
    errors += [
        f"No evidence names the commit {commit!r}."
        for commit in answer.suspected_commits
        if not _names_commit(packet, commit)
    ]
    errors += [
        f"The explanation {each.text[:80]!r} is ruled out without evidence."
        for each in answer.ruled_out
        if not each.against
    ]
    if answer.verdict in CODING_VERDICTS and not (answer.causes and answer.plan):
        errors.append(f"The verdict {answer.verdict.value} needs a cited cause and a plan.")
    elif answer.verdict is Verdict.CODE and not any(_ties(cause, packet) for cause in answer.causes):
        errors.append(
            "The verdict code needs a cause that cites lines of the source and what production shows of "
            "them. Read the code first; a cause in code that nobody has read is unclear."
        )
    if answer.verdict is Verdict.CONFIGURATION and not answer.suspected_files:
        errors.append(
            "The verdict configuration needs the file of the repository that holds it; for what only Railway "
            "holds, such as a variable, the verdict is unclear."
        )
    if answer.verdict is Verdict.DEPENDENCY_DOWN and not answer.dependency.strip():
        errors.append("The verdict dependency_down needs the name of what does not answer, in `dependency`.")
    if not 0 <= answer.confidence <= 1:
        errors.append("The confidence must lie between 0 and 1.")
    if any(not 1 <= criterion.within_minutes <= 7 * 24 * 60 for criterion in answer.criteria):
        errors.append("A criterion's within_minutes must lie between 1 and 10080.")
    return errors


def check_refutation(answer: Refutation, packet: EvidencePacket, causes: int) -> list[str]:
    """Return a sentence for each id or cause that does not exist, and each refuted without evidence."""
    errors = _unknown_ids(
        [*answer.evidence, *(i for judged in answer.causes for i in judged.evidence)], packet
    )
    for judged in answer.causes:
        if not 1 <= judged.cause <= causes:
            errors.append(f"The diagnosis has no cause {judged.cause}.")
        if not judged.survives and not judged.evidence:
            errors.append(f"Cause {judged.cause} is refuted without evidence.")
    return errors


def _ties(cause: AnswerCause, packet: EvidencePacket) -> bool:
    """Whether a cause cites source, and something that production shows."""
    kinds = {item.kind for item in packet.items if item.id in cause.evidence}
    return bool(kinds & SOURCE_KINDS) and bool(kinds & PRODUCTION_KINDS)


def _unknown_ids(cited: Iterable[str], packet: EvidencePacket) -> list[str]:
    ids = packet.ids()
    return [f"Evidence {item} does not exist." for item in cited if item not in ids]


def _names_commit(packet: EvidencePacket, commit: str) -> bool:
    digits = commit[:COMMIT_DIGITS]
    return len(digits) == COMMIT_DIGITS and any(digits in item.text for item in packet.items)
