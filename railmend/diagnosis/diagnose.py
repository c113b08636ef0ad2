"""Turn a packet into a checked diagnosis, and try to refute it in a second pass."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from railmend.contracts.incident import (
    CODING_VERDICTS,
    Cause,
    Criterion,
    Diagnosis,
    EvidencePacket,
    Verdict,
)
from railmend.diagnosis.answer import DiagnosisAnswer, Refutation, check, check_refutation, parse, partly
from railmend.diagnosis.model import Messages, ModelReply, ModelSettings, ModelUsage, Question, TooLong, ask
from railmend.diagnosis.prompt import challenge_messages, messages, refusal_messages
from railmend.evidence.packet import render
from railmend.evidence.safe_text import PromptText

# One question, and two more with the errors of the answer before; then a person must look.
MAX_ANSWERS = 3
# A diagnosis travels through every step of its repair.
MOST_BYTES, MOST_CITED = 7000, 10
# When lost evidence is collected again.
READ_AGAIN_SECONDS = 1800
# How often a packet that is too long for the model is halved.
HALVINGS = 3
MIN_CHARACTERS = 200  # items of at most this length are not halved

# Returns those of the paths that the repository does not have.
FindMissing = Callable[[Sequence[str]], Awaitable[list[str]]]
Schema = TypeVar("Schema", bound=BaseModel)


@dataclass
class ModelAnswer(Generic[Schema]):
    """A valid answer, or None and the `errors` of the last one; tokens and cost of all answers."""

    answer: Schema | None
    errors: str
    model: str
    tokens: int
    cost_usd: float


async def _none_missing(_: Sequence[str]) -> list[str]:
    return []


async def diagnose(
    packet: EvidencePacket,
    settings: ModelSettings,
    find_missing: FindMissing = _none_missing,
    usage: ModelUsage | None = None,
) -> Diagnosis:
    """Return a checked diagnosis: `unclear`, never a guess, if the third answer is not valid either.

    `usage` counts on from what earlier attempts spent; the diagnosis's cost is its sum.

    Raise `ModelError` if no model can be asked, and what `find_missing` raises.
    """

    async def errors_in(answer: DiagnosisAnswer, shown: EvidencePacket) -> list[str]:
        paths = await find_missing(answer.suspected_files) if answer.suspected_files else []
        return check(answer, shown, paths)

    result = await _ask_until_valid(packet, messages, DiagnosisAnswer, errors_in, settings, usage)
    if result.answer is None:
        return Diagnosis(
            summary=f"The model's answers did not hold: {result.errors[:600]}",
            verdict=Verdict.UNCLEAR,
            confidence=0.0,
            model=result.model,
            tokens=result.tokens,
            cost_usd=result.cost_usd,
        )
    return bounded_diagnosis(result.answer, result)


async def challenge(
    packet: EvidencePacket,
    diagnosis: Diagnosis,
    settings: ModelSettings,
    usage: ModelUsage | None = None,
) -> Diagnosis:
    """Return the diagnosis with the sceptic's reason, changed to `unclear` if it did not survive.

    Three invalid answers count as a refutation: no code is changed on a verdict that was not checked.
    """
    if diagnosis.verdict not in CODING_VERDICTS:
        return diagnosis

    def build_messages(rendered: PromptText) -> Messages:
        return challenge_messages(rendered, diagnosis)

    async def errors_in(answer: Refutation, shown: EvidencePacket) -> list[str]:
        return check_refutation(answer, shown)

    result = await _ask_until_valid(packet, build_messages, Refutation, errors_in, settings, usage)
    answer = result.answer
    reason = answer.reason[:1000] if answer else f"Its answers did not hold: {result.errors[:300]}"
    update: dict[str, object] = {
        "sceptic": reason,
        "tokens": diagnosis.tokens + result.tokens,
        "cost_usd": (diagnosis.cost_usd or 0.0) + result.cost_usd,
    }
    looked_at = diagnosis.model_copy(update=update)
    return looked_at if answer and answer.survives else unconfirmed(looked_at, reason)


def unconfirmed(diagnosis: Diagnosis, reason: str) -> Diagnosis:
    """Return the diagnosis as `unclear`, with why a second look did not confirm it: nothing is changed."""
    update = {
        "sceptic": reason,
        "verdict": Verdict.UNCLEAR,
        "summary": f"{diagnosis.summary} Not acted on: a second look did not confirm it.",
        "plan": (),
    }
    return diagnosis.model_copy(update=update)


def without_evidence(reason: Exception, spent_usd: float = 0.0) -> Diagnosis:
    """Return `unclear`: what a verdict would rest on is lost, so nobody is asked; it is collected again.

    `spent_usd`: by earlier attempts.
    """
    return Diagnosis(
        summary=f"The evidence was collected and is lost. {reason}",
        verdict=Verdict.UNCLEAR,
        confidence=0.0,
        cost_usd=spent_usd,
        again_seconds=READ_AGAIN_SECONDS,
    )


async def _ask_until_valid(
    packet: EvidencePacket,
    build_messages: Callable[[PromptText], Messages],
    schema: type[Schema],
    errors_in: Callable[[Schema, EvidencePacket], Awaitable[list[str]]],
    settings: ModelSettings,
    usage: ModelUsage | None,
) -> ModelAnswer[Schema]:
    usage = usage or ModelUsage()
    result = ModelAnswer[Schema](None, "", settings.model, 0, 0.0)
    question = Question(messages=[], answer=schema)
    refusals: Messages = []
    answers = 0
    while answers < MAX_ANSWERS:
        reply = await _ask_shortened(packet, build_messages, refusals, question, settings, usage)
        result.model = reply.model
        result.tokens += reply.tokens
        result.cost_usd = usage.usd
        cut = reply.finish in ("length", "content_filter")
        if reply.finish == "length" and not question.doubled:
            question = question.model_copy(update={"doubled": True})
            continue
        answers += 1
        answer, errors = parse(reply.text, schema)
        if cut:
            answer, errors = None, [f"The answer was cut short ({reply.finish})."]
        elif answer is None:
            # Its provider did not hold it to the schema.
            question = question.model_copy(update={"in_words": True})
        readable = answer or (None if cut else partly(reply.text, schema))
        errors += await errors_in(readable, packet) if readable is not None else []
        if answer is not None and not errors:
            result.answer = answer
            return result
        result.errors = " ".join(errors)
        refusals = refusal_messages(reply.text[:20_000], result.errors)
    return result


async def _ask_shortened(
    packet: EvidencePacket,
    build_messages: Callable[[PromptText], Messages],
    refusals: Messages,
    question: Question,
    settings: ModelSettings,
    usage: ModelUsage,
) -> ModelReply:
    """Ask with the whole packet, and with ever shorter items while it does not fit the model."""

    def filled() -> Question:
        return question.model_copy(update={"messages": [*build_messages(render(packet)), *refusals]})

    for _ in range(HALVINGS):
        try:
            return await ask(filled(), settings, usage)
        except TooLong:
            packet = halved(packet)
    return await ask(filled(), settings, usage)


def halved(packet: EvidencePacket) -> EvidencePacket:
    """Return the packet with half of each item's text, and a note. Ids stay, so citations remain valid."""
    items = tuple(
        item
        if len(item.text) <= MIN_CHARACTERS
        else item.model_copy(update={"text": f"{item.text[: len(item.text) // 2]}\n(the rest is cut)"})
        for item in packet.items
    )
    return packet.model_copy(update={"items": items})


def bounded_diagnosis(answer: DiagnosisAnswer, result: ModelAnswer[DiagnosisAnswer]) -> Diagnosis:
    """Return the answer as a diagnosis of at most `MOST_BYTES`."""
    return Diagnosis(
        summary=answer.summary,
        verdict=answer.verdict,
        confidence=answer.confidence,
        assumes=answer.assumes,
        causes=tuple(
            Cause(
                text=cause.text,
                evidence=tuple(cause.evidence[:MOST_CITED]),
                against=tuple(cause.against[:MOST_CITED]),
            )
            for cause in answer.causes[:5]
        ),
        suspected_files=tuple(path[:200] for path in answer.suspected_files[:10]),
        suspected_commits=tuple(commit[:40] for commit in answer.suspected_commits[:5]),
        plan=tuple(answer.plan[:12]),
        reproduce=answer.reproduce,
        verify=answer.verify,
        criteria=tuple(Criterion(**criterion.model_dump()) for criterion in answer.criteria[:5]),
        risk=answer.risk,
        if_not_fixed=answer.if_not_fixed,
        model=result.model,
        tokens=result.tokens,
        cost_usd=result.cost_usd,
    ).within(MOST_BYTES)
