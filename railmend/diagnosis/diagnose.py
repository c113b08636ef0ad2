"""From a packet to a checked diagnosis, and the second pass that tries to refute it."""

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
from railmend.diagnosis.answer import DiagnosisAnswer, Refutation, check, check_refutation, parse
from railmend.diagnosis.model import Messages, ModelReply, ModelSettings, TooLong, ask
from railmend.diagnosis.prompt import challenge_messages, messages
from railmend.evidence.packet import render

# One question and one more chance with the errors; then a person must look.
TRIES = 2
# How often a packet that is too long for the model is halved.
HALVINGS = 3
SHORTEST = 200

# Which of these paths the repository does not have.
Missing = Callable[[Sequence[str]], Awaitable[list[str]]]
Schema = TypeVar("Schema", bound=BaseModel)


@dataclass
class ModelAnswer(Generic[Schema]):
    """`answer` is None when no answer held; then `errors` says why. Costs are of all tries."""

    answer: Schema | None
    errors: str
    model: str
    tokens: int
    cost_usd: float


async def _none_missing(_: Sequence[str]) -> list[str]:
    return []


async def diagnose(
    packet: EvidencePacket, settings: ModelSettings, missing: Missing = _none_missing
) -> Diagnosis:
    """A checked answer; a second answer that does not hold ends as `unclear`, never as a guess.

    Raises `ModelError` when no model can be asked, and what `missing` raises.
    """

    async def wrong(answer: DiagnosisAnswer, shown: EvidencePacket) -> list[str]:
        paths = await missing(answer.suspected_files) if answer.suspected_files else []
        return check(answer, shown, paths)

    outcome = await _ask_until_it_holds(packet, messages, DiagnosisAnswer, wrong, settings)
    if outcome.answer is None:
        return Diagnosis(
            summary=f"The model's answers did not hold: {outcome.errors[:600]}",
            verdict=Verdict.UNCLEAR,
            confidence=0.0,
            model=outcome.model,
            tokens=outcome.tokens,
            cost_usd=outcome.cost_usd,
        )
    return _diagnosis(outcome.answer, outcome)


async def challenge(packet: EvidencePacket, diagnosis: Diagnosis, settings: ModelSettings) -> Diagnosis:
    """The same diagnosis with the sceptic's words, or `unclear` when it did not survive.

    A sceptic whose answers do not hold refutes: no code is changed on a verdict that nobody could check.
    """
    if diagnosis.verdict not in CODING_VERDICTS:
        return diagnosis

    def talk(rendered: str) -> Messages:
        return challenge_messages(rendered, diagnosis)

    async def wrong(answer: Refutation, shown: EvidencePacket) -> list[str]:
        return check_refutation(answer, shown)

    outcome = await _ask_until_it_holds(packet, talk, Refutation, wrong, settings)
    answer = outcome.answer
    said = answer.reason[:1000] if answer else f"Its answers did not hold: {outcome.errors[:300]}"
    update: dict[str, object] = {
        "sceptic": said,
        "tokens": diagnosis.tokens + outcome.tokens,
        "cost_usd": (diagnosis.cost_usd or 0.0) + outcome.cost_usd,
    }
    if answer is None or not answer.survives:
        update |= {
            "verdict": Verdict.UNCLEAR,
            "summary": f"{diagnosis.summary} Not acted on: a second look did not confirm it.",
            "plan": (),
        }
    return diagnosis.model_copy(update=update)


async def _ask_until_it_holds(
    packet: EvidencePacket,
    talk_of: Callable[[str], Messages],
    schema: type[Schema],
    wrong: Callable[[Schema, EvidencePacket], Awaitable[list[str]]],
    settings: ModelSettings,
) -> ModelAnswer[Schema]:
    outcome = ModelAnswer[Schema](None, "", settings.model, 0, 0.0)
    refusals: Messages = []
    for _ in range(TRIES):
        reply = await _fitting(packet, talk_of, refusals, schema, settings)
        outcome.model = reply.model
        outcome.tokens += reply.tokens
        outcome.cost_usd += reply.cost_usd or 0.0
        answer, error = parse(reply.text, schema)
        if reply.finish in ("length", "content_filter"):
            answer, error = None, f"The answer was cut short ({reply.finish})."
        errors = [error] if answer is None else await wrong(answer, packet)
        if answer is not None and not errors:
            outcome.answer = answer
            return outcome
        outcome.errors = " ".join(errors)
        refusals = [
            {"role": "assistant", "content": reply.text[:20_000] or "(nothing)"},
            {"role": "user", "content": f"That answer is refused. {outcome.errors} Answer again."},
        ]
    return outcome


async def _fitting(
    packet: EvidencePacket,
    talk_of: Callable[[str], Messages],
    refusals: Messages,
    schema: type[BaseModel],
    settings: ModelSettings,
) -> ModelReply:
    """Asks with the whole packet, and with ever shorter items where it does not fit the model."""
    for _ in range(HALVINGS):
        try:
            return await ask([*talk_of(render(packet)), *refusals], schema, settings)
        except TooLong:
            packet = halved(packet)
    return await ask([*talk_of(render(packet)), *refusals], schema, settings)


def halved(packet: EvidencePacket) -> EvidencePacket:
    """The same items with half of their text each, and a word about it. Ids stay, so citations hold."""
    items = tuple(
        item
        if len(item.text) <= SHORTEST
        else item.model_copy(update={"text": f"{item.text[: len(item.text) // 2]}\n(the rest is cut)"})
        for item in packet.items
    )
    return packet.model_copy(update={"items": items})


def _diagnosis(answer: DiagnosisAnswer, outcome: ModelAnswer[DiagnosisAnswer]) -> Diagnosis:
    return Diagnosis(
        summary=answer.summary[:2000],
        verdict=answer.verdict,
        confidence=answer.confidence,
        assumes=answer.assumes[:1000],
        causes=tuple(
            Cause(text=cause.text[:2000], evidence=tuple(cause.evidence), against=tuple(cause.against))
            for cause in answer.causes[:10]
        ),
        suspected_files=tuple(answer.suspected_files[:50]),
        suspected_commits=tuple(answer.suspected_commits[:10]),
        plan=tuple(step[:2000] for step in answer.plan[:30]),
        reproduce=answer.reproduce[:2000],
        verify=answer.verify[:2000],
        criteria=tuple(Criterion(**one.model_dump()) for one in answer.criteria[:5]),
        risk=answer.risk[:2000],
        if_not_fixed=answer.if_not_fixed[:2000],
        model=outcome.model,
        tokens=outcome.tokens,
        cost_usd=outcome.cost_usd,
    )
